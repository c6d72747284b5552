// auth_oidc_status: counters over all workers, and how providers and stores are. No secret and no user in it.
#include <cstring>

#include "../oidc/text.hpp"
#include "config_values.hpp"
#include "endpoints.hpp"
#include "request.hpp"
#include "status.hpp"
#include "store_zone.hpp"

namespace auth_oidc {
namespace {

struct CountRow {
    Count count;
    const char *json;        // member of the JSON
    const char *prometheus;  // name of the metric
    const char *label;       // or empty
    const char *help;        // once for each name
};
constexpr CountRow counts[] = {
    {Count::logins_started, "logins_started", "auth_oidc_logins_started_total", "", "Logins sent to a provider."},
    {Count::logins_finished, "logins_finished", "auth_oidc_logins_finished_total", "", "Logins that made a session."},
    {Count::logins_failed_browser, "logins_failed_browser", "auth_oidc_logins_failed_total", "fault=\"browser\"",
     "Logins that failed, by whose fault it was."},
    {Count::logins_failed_provider, "logins_failed_provider", "auth_oidc_logins_failed_total", "fault=\"provider\"",
     ""},
    {Count::logins_failed_us, "logins_failed_us", "auth_oidc_logins_failed_total", "fault=\"us\"", ""},
    {Count::logouts, "logouts", "auth_oidc_logouts_total", "", "Sessions ended by their users or the provider."},
    {Count::refreshes, "refreshes", "auth_oidc_refreshes_total", "", "Sessions renewed with a refresh token."},
    {Count::refreshes_failed, "refreshes_failed", "auth_oidc_refreshes_failed_total", "", "Renewals that failed."},
    {Count::refusals, "refusals", "auth_oidc_refusals_total", "", "Requests that a rule turned away."},
    {Count::bearer_accepted, "bearer_accepted", "auth_oidc_bearer_accepted_total", "", "Access tokens let in."},
    {Count::bearer_refused, "bearer_refused", "auth_oidc_bearer_refused_total", "", "Access tokens turned away."},
    {Count::store_calls, "store_calls", "auth_oidc_store_calls_total", "", "Look-ups that waited for a session store."},
    {Count::store_failures, "store_failures", "auth_oidc_store_failures_total", "", "Look-ups without an answer."},
};
// The one that is left is shown in seconds.
static_assert(std::size(counts) == static_cast<size_t>(Count::count) - 1);

std::string waited_seconds(const MainConf &main) {
    const uint64_t milliseconds = main.state ? main.state->value(Count::store_milliseconds) : 0;
    const std::string rest = std::to_string(1000 + milliseconds % 1000).replace(0, 1, ".");
    return std::to_string(milliseconds / 1000) + (rest == ".000" ? "" : rest);
}

std::vector<std::pair<std::string, uint64_t>> failures_of(const MainConf &main) {
    return main.state ? main.state->failures() : std::vector<std::pair<std::string, uint64_t>>();
}

// Sessions in a zone; nothing for stores that live elsewhere.
std::optional<ZoneUse> use_of(const Provider &provider) {
    if (provider.store == nullptr || std::strcmp(provider.store->ops->name, "zone") != 0) {
        return std::nullopt;
    }
    return zone_use(*provider.store);
}

std::string json_member(std::string_view name, uint64_t value) {
    return "\"" + std::string(name) + "\":" + std::to_string(value);
}

// Seconds since a moment; null for never.
std::string age_member(std::string_view name, time_t at) {
    return "\"" + std::string(name) + "\":" + (at == 0 ? "null" : std::to_string(ngx_time() - at));
}

std::string provider_json(const Provider &provider) {
    const Keyring::Health health = provider.keyring->health();
    std::string text = "{\"name\":\"" + oidc::json_escape(view(provider.name)) +
                       "\",\"healthy\":" + (health.failing ? "false" : "true") + "," +
                       age_member("metadata_age", health.metadata_at) + "," + age_member("keys_age", health.keys_at);
    text += ",\"store\":" + (provider.store ? "\"" + std::string(provider.store->ops->name) + "\"" : "null");
    if (const auto use = use_of(provider)) {
        text += "," + json_member("sessions", use->sessions) + "," + json_member("store_bytes_used", use->used) + "," +
                json_member("store_bytes", use->size) + "," + json_member("sessions_evicted", use->evicted);
    }
    return text + "}";
}

std::string as_json(const MainConf &main) {
    std::string text = "{";
    for (const CountRow &row : counts) {
        text += json_member(row.json, main.state ? main.state->value(row.count) : 0) + ",";
    }
    text += "\"store_wait_seconds\":" + waited_seconds(main) + ",\"login_failures\":{";
    const char *before = "";
    for (const auto &[rule, count] : failures_of(main)) {
        text += std::exchange(before, ",") + json_member(rule, count);
    }
    text += "},\"providers\":[";
    for (const Provider *provider : main.providers) {
        text += (provider == main.providers.front() ? "" : ",") + provider_json(*provider);
    }
    return text + "]}\n";
}

// Backslash, quote and line end have to be escaped in a label; the names of providers have none of them.
struct Gauge {
    const char *name, *help;
    std::optional<uint64_t> (*read)(const Provider &provider);
};

template <uint64_t ZoneUse::*Member>
std::optional<uint64_t> from_zone(const Provider &provider) {
    const auto use = use_of(provider);
    return use ? std::optional<uint64_t>((*use).*Member) : std::nullopt;
}

std::optional<uint64_t> since(time_t at) {
    return at == 0 ? std::nullopt : std::optional<uint64_t>(static_cast<uint64_t>(ngx_time() - at));
}

constexpr Gauge gauges[] = {
    {"auth_oidc_provider_up", "Whether the last fetch of metadata and keys went well.",
     [](const Provider &p) { return std::optional<uint64_t>(p.keyring->health().failing ? 0 : 1); }},
    {"auth_oidc_metadata_age_seconds", "Time since the metadata was fetched.",
     [](const Provider &p) { return since(p.keyring->health().metadata_at); }},
    {"auth_oidc_keys_age_seconds", "Time since the keys were fetched.",
     [](const Provider &p) { return since(p.keyring->health().keys_at); }},
    {"auth_oidc_sessions", "Live sessions in the provider's zone.", from_zone<&ZoneUse::sessions>},
    {"auth_oidc_store_used_bytes", "Memory of the zone that is in use.", from_zone<&ZoneUse::used>},
    {"auth_oidc_store_size_bytes", "Memory of the zone.", from_zone<&ZoneUse::size>},
    {"auth_oidc_sessions_evicted_total", "Sessions that had to make room for newer ones.",
     from_zone<&ZoneUse::evicted>},
};

std::string head_of(std::string_view name, std::string_view help) {
    const char *type = oidc::ends_with(name, "_total") ? "counter" : "gauge";
    return "# HELP " + std::string(name) + " " + std::string(help) + "\n# TYPE " + std::string(name) + " " + type +
           "\n";
}

std::string as_prometheus(const MainConf &main) {
    std::string text;
    for (const CountRow &row : counts) {
        text += row.help[0] != '\0' ? head_of(row.prometheus, row.help) : "";
        text += std::string(row.prometheus) + (row.label[0] != '\0' ? "{" + std::string(row.label) + "}" : "") + " " +
                std::to_string(main.state ? main.state->value(row.count) : 0) + "\n";
    }
    text += head_of("auth_oidc_store_wait_seconds_total", "Time that look-ups waited for a session store.") +
            "auth_oidc_store_wait_seconds_total " + waited_seconds(main) + "\n";
    text += head_of("auth_oidc_login_failures_total", "Logins that failed, by the rule that was broken.");
    for (const auto &[rule, count] : failures_of(main)) {
        text += "auth_oidc_login_failures_total{reason=\"" + rule + "\"} " + std::to_string(count) + "\n";
    }
    for (const Gauge &gauge : gauges) {
        std::string lines;
        for (const Provider *provider : main.providers) {
            if (const auto value = gauge.read(*provider)) {
                lines += std::string(gauge.name) + "{provider=\"" + std::string(view(provider->name)) + "\"} " +
                         std::to_string(*value) + "\n";
            }
        }
        text += lines.empty() ? "" : head_of(gauge.name, gauge.help) + lines;
    }
    return text;
}

ngx_int_t answer_status(ngx_http_request_t *r) {
    if (r->method != NGX_HTTP_GET && r->method != NGX_HTTP_HEAD) {
        return refuse_method(r, "GET, HEAD");
    }
    ngx_str_t format{};
    bool given = ngx_http_arg(r, borrow("format").data, 6, &format) == NGX_OK;
    const MainConf &main = *main_conf(r);
    Answer answer;
    if (!given || view(format) == "json") {
        answer = {NGX_HTTP_OK, "application/json", as_json(main), {}};
    } else if (view(format) == "prometheus") {
        answer = {NGX_HTTP_OK, "text/plain; version=0.0.4; charset=utf-8", as_prometheus(main), {}};
    } else {
        Failure failure;
        failure.error = oidc::browser_error(
            "status_format", "expected json or prometheus, found \"" + oidc::log_safe(view(format)) + "\"");
        failure.action = "request";
        return fail(r, failure);
    }
    return send_answer(r, answer);
}

// Answers of ours finalize the request, and so does whoever called a content handler: it has to live through both.
ngx_int_t serve_status(ngx_http_request_t *r) {
    r->main->count++;
    const ngx_int_t answered = answer_status(r);
    if (answered != NGX_DONE) {
        r->main->count--;
    }
    return answered;
}

}  // namespace

char *set_status(ngx_conf_t *cf, ngx_command_t *, void *) {
    auto *core = static_cast<ngx_http_core_loc_conf_t *>(ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module));
    if (core->handler != nullptr) {
        return conf_error(cf,
                          "\"auth_oidc_status\" stands where something else answers already: give it a location "
                          "of its own");
    }
    core->handler = entry<&serve_status, NGX_HTTP_INTERNAL_SERVER_ERROR>;
    return static_cast<char *>(NGX_CONF_OK);
}

}  // namespace auth_oidc
