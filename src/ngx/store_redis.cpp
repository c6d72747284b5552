#include <algorithm>
#include <stdexcept>

#include "record_id.hpp"
#include "store_redis_ops.hpp"
#include "store_redis_script.hpp"
#include "store_redis_value.hpp"

namespace auth_oidc {
namespace {

using namespace redis_value;
using oidc::Field;
using oidc::SessionHead;
using oidc::SessionView;

constexpr size_t links_per_worker = 4;
constexpr size_t busy = 16;  // commands on one connection before another one is opened

Redis &redis_of(const StoreCall &call) {
    return *static_cast<Redis *>(call.store->data);
}

// ---- values ----

std::string with_head(std::string_view record, const SessionHead &head) {
    std::string text(record);
    std::memcpy(text.data(), &head, sizeof(head));
    return text;
}

SessionView record_of(const StoreCall &call) {
    std::optional<SessionView> session = SessionView::over(call.record);
    if (!session) {
        throw std::invalid_argument("a session to be stored is no record");
    }
    return *session;
}

// When nobody needs the record any more, in milliseconds since 1970.
std::string end_of(const SessionHead &head, int64_t idle_timeout) {
    int64_t ends = oidc::ends_at(head);
    if (idle_timeout != 0) {
        ends = std::min(ends, std::max(head.last_used, head.signed_in) + idle_timeout);
    }
    return std::to_string(ends * 1000);
}

// ---- a question on its way ----

// Outlives the call when that is cancelled: what was asked is carried out all the same.
struct Question {
    StoreCall *call;
    const Store &store;
    Redis &redis;
    std::string key, binding;
    int64_t now, idle_timeout;

    Question(StoreCall *asker, std::string name)
        : call(asker),
          store(*asker->store),
          redis(redis_of(*asker)),
          key(std::move(name)),
          binding(asker->binding),
          now(asker->now),
          idle_timeout(asker->idle_timeout) {
        call->running = this;
    }
    ~Question() {
        if (call != nullptr) {
            call->running = nullptr;
        }
    }
    Question(const Question &) = delete;
    Question &operator=(const Question &) = delete;
    // The caller may go away below done().
    void answered(Stored answer) {
        if (StoreCall *asker = std::exchange(call, nullptr)) {
            asker->running = nullptr;
            asker->answer = answer;
            asker->done(asker);
        }
    }
};

using QuestionPtr = std::shared_ptr<Question>;
using Answer = std::function<void(Question &question, const RedisReply &reply)>;

// The least busy connection; another one only where all have much to do.
RedisLink &link_of(Redis &redis) {
    auto least = std::min_element(redis.links.begin(), redis.links.end(),
                                  [](const auto &a, const auto &b) { return a->load() < b->load(); });
    bool enough = least != redis.links.end() && (*least)->load() < busy;
    if (enough || redis.links.size() == links_per_worker) {
        return **least;
    }
    redis.links.push_back(std::make_unique<RedisLink>(redis.server));
    return *redis.links.back();
}

bool send(const QuestionPtr &question, std::string bytes, bool repeatable, Answer answer) {
    RedisCommand command;
    command.bytes = std::move(bytes);
    command.repeatable = repeatable;
    command.answer = [question, answer = std::move(answer)](const RedisReply *reply) {
        if (reply == nullptr || reply->kind == RedisReply::Kind::error) {
            question->answered(Stored::unavailable);
        } else {
            answer(*question, *reply);
        }
    };
    return link_of(question->redis).ask(std::move(command));
}

ngx_int_t answer_now(StoreCall *call, Stored stored) {
    call->running = nullptr;
    call->answer = stored;
    return NGX_OK;
}

ngx_int_t ask(const QuestionPtr &question, std::string bytes, bool repeatable, Answer answer) {
    StoreCall *call = question->call;
    if (send(question, std::move(bytes), repeatable, std::move(answer))) {
        return NGX_AGAIN;
    }
    question->call = nullptr;
    return answer_now(call, Stored::unavailable);
}

void log_wrong(const Question &question, const char *what) {
    ngx_log_error(NGX_LOG_ERR, ngx_cycle->log, 0, "auth_oidc: session store \"%V\": %s", &question.redis.server.shown,
                  what);
}

// The record behind an answer to GET. Nothing: the question is answered.
std::optional<std::string> read_record(Question &question, const RedisReply &reply) {
    if (reply.kind == RedisReply::Kind::nil) {
        question.answered(Stored::absent);
        return std::nullopt;
    }
    if (reply.kind != RedisReply::Kind::text) {
        log_wrong(question, "GET was answered with something that is no text");
        question.answered(Stored::unavailable);
        return std::nullopt;
    }
    auto record = unseal(question.redis, question.key, reply.text);
    auto session = record ? SessionView::over(*record) : std::nullopt;
    if (!session || revision_text(session->head().revision) != reply.text.substr(0, revision_size)) {
        log_wrong(question, "a session cannot be opened: it was changed, or sealed with another cookie_secret");
        question.answered(Stored::absent);
        return std::nullopt;
    }
    const SessionHead &head = session->head();
    std::string_view binding = oidc::bytes(head.binding, sizeof(head.binding));
    if (!oidc::equal_constant_time(binding, question.binding) ||
        oidc::is_over(head, question.now, question.idle_timeout)) {
        question.answered(Stored::absent);
        return std::nullopt;
    }
    return record;
}

void take_found(Question &question, const RedisReply &reply) {
    auto record = read_record(question, reply);
    if (record && question.call != nullptr) {
        StoreCall &call = *question.call;
        ngx_str_t kept = copy(call.pool, *record);
        call.found = view(kept);
        std::memcpy(&call.head, kept.data, sizeof(call.head));
        question.answered(Stored::found);
    }
}

void take_changed(Question &question, const RedisReply &reply) {
    if (reply.kind != RedisReply::Kind::integer || reply.integer < -1 || reply.integer > 1) {
        log_wrong(question, "a script was answered with something that is no 1, 0 or -1");
        return question.answered(Stored::unavailable);
    }
    question.answered(reply.integer == 1 ? Stored::found : reply.integer == 0 ? Stored::absent : Stored::conflict);
}

// ---- the table ----

// A round trip brings the whole record along.
ngx_int_t find(StoreCall *call) {
    if (!record_id(call->cookie)) {
        return answer_now(call, Stored::absent);
    }
    auto question = std::make_shared<Question>(call, session_key(redis_of(*call), call->cookie));
    return ask(question, redis_command({"GET", question->key}), true, take_found);
}

void add_index(const StoreCall &call, Script &script, const SessionView &session, Field field) {
    const SessionHead &head = session.head();
    if (!session.field(field).empty()) {
        oidc::Digest who = index_key(oidc::bytes(head.binding, sizeof(head.binding)), session.field(field));
        const char *kind = field == Field::sid ? "sid " : "sub ";
        script.keys.push_back(index_keys(redis_of(call), kind, who).front());
    }
}

// What both scripts that write a session want last: its end, its life for the indices, and these.
void add_ends(const StoreCall &call, Script &script, const SessionView &session) {
    const SessionHead &head = session.head();
    script.values.push_back(end_of(head, call.idle_timeout));
    script.values.push_back(std::to_string(std::max<int64_t>(1, head.ends - call.now) * 1000));
    add_index(call, script, session, Field::sid);
    add_index(call, script, session, Field::sub);
}

ngx_int_t create(StoreCall *call) {
    Redis &redis = redis_of(*call);
    const SessionView session = record_of(*call);
    if (call->record.size() + revision_size + oidc::SealKey::overhead > max_redis_record) {
        return answer_now(call, Stored::too_large);
    }
    std::string cookie = oidc::random_token();
    std::string key = session_key(redis, cookie);
    Script script{create_script, {key}, {seal(redis, key, call->record, session.head().revision)}};
    add_ends(*call, script, session);
    auto question = std::make_shared<Question>(call, key);
    return ask(question, eval(script), false, [cookie](Question &asked, const RedisReply &reply) {
        if (asked.call != nullptr) {
            asked.call->new_cookie = cookie;
        }
        take_changed(asked, reply);
    });
}

ngx_int_t replace(StoreCall *call) {
    Redis &redis = redis_of(*call);
    if (!record_id(call->cookie)) {
        return answer_now(call, Stored::absent);
    }
    const SessionView session = record_of(*call);
    if (call->record.size() + revision_size + oidc::SealKey::overhead > max_redis_record) {
        return answer_now(call, Stored::too_large);
    }
    SessionHead head = session.head();
    head.revision = call->revision + 1;
    std::string key = session_key(redis, call->cookie);
    std::string value = seal(redis, key, with_head(call->record, head), head.revision);
    Script script{change_script, {key}, {revision_text(call->revision), std::move(value)}};
    add_ends(*call, script, session);
    call->new_cookie = std::string(call->cookie);
    return ask(std::make_shared<Question>(call, key), eval(script), false, take_changed);
}

// Reads, and writes back over exactly what was read.
ngx_int_t touch(StoreCall *call) {
    if (!record_id(call->cookie)) {
        return answer_now(call, Stored::absent);
    }
    auto question = std::make_shared<Question>(call, session_key(redis_of(*call), call->cookie));
    auto write = [question](Question &asked, const RedisReply &reply) {
        auto record = read_record(asked, reply);
        if (!record) {
            return;
        }
        SessionHead head = SessionView::over(*record)->head();
        head.last_used = std::max(head.last_used, asked.now);
        constexpr size_t distinct = revision_size + oidc::SealKey::overhead;  // revision and nonce lie in there
        Script script{
            change_script,
            {asked.key},
            {reply.text.substr(0, distinct), seal(asked.redis, asked.key, with_head(*record, head), head.revision),
             end_of(head, asked.idle_timeout), "1"}};
        if (!send(question, eval(script), false, take_changed)) {
            asked.answered(Stored::unavailable);
        }
    };
    return ask(question, redis_command({"GET", question->key}), true, write);
}

ngx_int_t erase(StoreCall *call) {
    if (!record_id(call->cookie)) {
        return answer_now(call, Stored::absent);
    }
    std::string key = session_key(redis_of(*call), call->cookie);
    return ask(std::make_shared<Question>(call, key), eval({change_script, {key}, {""}}), true,
               [](Question &asked, const RedisReply &reply) {
                   asked.store.ended();
                   take_changed(asked, reply);
               });
}

bool ask_erase_all(const QuestionPtr &question, const std::vector<std::string> &keys) {
    return send(question, eval({erase_all_script, keys, {}}), true,
                [question, keys](Question &asked, const RedisReply &reply) {
                    if (reply.kind != RedisReply::Kind::integer || reply.integer < 0) {
                        log_wrong(asked, "a script was answered with something that is no count");
                        return asked.answered(Stored::unavailable);
                    }
                    if (reply.integer % more_left != 0) {
                        asked.store.ended();
                    }
                    if (asked.call != nullptr) {
                        asked.call->erased += static_cast<uint64_t>(reply.integer % more_left);
                    }
                    if (reply.integer < more_left) {
                        bool any = asked.call != nullptr && asked.call->erased != 0;
                        return asked.answered(any ? Stored::found : Stored::absent);
                    }
                    if (!ask_erase_all(question, keys)) {
                        asked.answered(Stored::unavailable);
                    }
                });
}

ngx_int_t erase_by(StoreCall *call, const char *kind) {
    call->erased = 0;
    auto question = std::make_shared<Question>(call, std::string());
    if (ask_erase_all(question, index_keys(question->redis, kind, call->who))) {
        return NGX_AGAIN;
    }
    question->call = nullptr;
    return answer_now(call, Stored::unavailable);
}

ngx_int_t erase_sid(StoreCall *call) {
    return erase_by(call, "sid ");
}
ngx_int_t erase_sub(StoreCall *call) {
    return erase_by(call, "sub ");
}

// A lease has a key of its own, so that no reader of a session meets it.
ngx_int_t claim(StoreCall *call) {
    std::string key = lease_key(redis_of(*call), call->cookie);
    std::string bytes = eval({claim_script, {key}, {std::string(call->record), std::to_string(call->lease)}});
    return ask(std::make_shared<Question>(call, key), std::move(bytes), true, take_changed);
}

ngx_int_t release(StoreCall *call) {
    std::string key = lease_key(redis_of(*call), call->cookie);
    std::string bytes = eval({change_script, {key}, {std::string(call->record)}});
    return ask(std::make_shared<Question>(call, key), std::move(bytes), true, take_changed);
}

void cancel(StoreCall *call) {
    if (auto *question = static_cast<Question *>(std::exchange(call->running, nullptr))) {
        question->call = nullptr;
    }
}

void leave(const Store &store) {
    static_cast<Redis *>(store.data)->links.clear();
}

}  // namespace

const StoreOps redis_ops = {"redis",   find,   find,  create, replace, touch, erase,  erase_sid,
                            erase_sub, cancel, leave, true,   false,   claim, release};

}  // namespace auth_oidc
