#include "rules.hpp"

#include <algorithm>

#include "text.hpp"

namespace oidc {

namespace {

constexpr std::string_view file_prefix = "file:", error_prefix = "error=";

Error refuse(std::string text) {
    return our_error("require", std::move(text));
}

std::optional<Error> read_status(std::string_view text, Requirement &requirement) {
    const bool digits = text.size() == 3 && text.find_first_not_of("0123456789") == std::string_view::npos;
    const int status = digits ? std::stoi(std::string(text)) : 0;
    if (status < 400 || status > 599) {
        return refuse("invalid status \"" + std::string(text) + "\", it must be one of 400 to 599");
    }
    requirement.status = status;
    return std::nullopt;
}

// A path whose every name has at least one character.
bool is_path(std::string_view path) {
    bool empty = true;
    for (size_t i = 0; i < path.size(); i++) {
        if (path[i] == '.' && empty) {
            return false;
        }
        empty = path[i] == '.';
        i += path[i] == '\\' && i + 1 < path.size() ? 1 : 0;
    }
    return !empty;
}

std::optional<Error> add_value(Rule &rule, const std::string &word) {
    if (starts_with(word, "~")) {
        const bool caseless = starts_with(word, "~*");
        rule.patterns.push_back({word.substr(caseless ? 2 : 1), caseless, nullptr});
        return rule.patterns.back().text.empty() ? std::optional(refuse("there is no expression behind \"~\""))
                                                 : std::nullopt;
    }
    if (starts_with(word, file_prefix)) {
        rule.files.push_back(word.substr(file_prefix.size()));
        return rule.files.back().empty() ? std::optional(refuse("there is no file name behind \"file:\""))
                                         : std::nullopt;
    }
    rule.values.push_back(word);
    return std::nullopt;
}

std::optional<Error> add_rule(Requirement &requirement, Rule &rule) {
    if (rule.claim.empty()) {
        return refuse("there is no rule before or behind \"|\", write claim and value on both sides");
    }
    if (rule.values.empty() && rule.patterns.empty() && rule.files.empty()) {
        return refuse("the claim \"" + rule.claim + "\" has no value, write one or more behind it");
    }
    requirement.any.push_back(std::move(rule));
    rule = Rule();
    return std::nullopt;
}

std::optional<Error> read_word(Requirement &requirement, Rule &rule, const std::string &word) {
    if (word == "|") {
        return add_rule(requirement, rule);
    }
    if (rule.claim.empty()) {
        rule.claim = word;
        rule.values_claim = values_key(word);
        return is_path(word) ? std::nullopt
                             : std::optional(refuse("invalid claim \"" + word + "\", a name between dots is empty"));
    }
    return add_value(rule, word);
}

// An address that nobody verified proves nothing. Some providers send the word instead of the boolean.
bool is_unverified(const Rule &rule, const SessionView &session) {
    if (rule.claim != "email") {
        return false;
    }
    const auto verified = session.claim("email_verified");
    return verified && *verified != "true";
}

bool is_wanted(const Rule &rule, std::string_view text, Match match) {
    return contains(rule.values, text) || (!rule.listed.empty() && rule.listed.count(std::string(text)) != 0) ||
           std::any_of(rule.patterns.begin(), rule.patterns.end(),
                       [&](const Pattern &pattern) { return match(pattern, text); });
}

// A session that was made before the rule was written has no list for it. A text that is equal as a whole still counts:
// parts of it could be anything.
bool is_wanted_as_a_whole(const Rule &rule, const SessionView &session) {
    const auto text = session.claim(rule.claim);
    return text && !text->empty() && (contains(rule.values, *text) || rule.listed.count(std::string(*text)) != 0);
}

bool holds(const Rule &rule, const SessionView &session, Match match) {
    if (is_unverified(rule, session)) {
        return false;
    }
    auto list = session.claim(rule.values_claim);
    if (!list) {
        return is_wanted_as_a_whole(rule, session);
    }
    while (!list->empty()) {
        const size_t end = std::min(list->find('\0'), list->size());
        if (is_wanted(rule, list->substr(0, end), match)) {
            return true;
        }
        list->remove_prefix(std::min(end + 1, list->size()));
    }
    return false;
}

std::string describe(const Rule &rule) {
    std::string text = rule.claim + ": expected";
    const char *before = " ";
    for (const std::string &value : rule.values) {
        text.append(before).append("\"" + log_safe(value) + "\"");
        before = " or ";
    }
    for (const Pattern &pattern : rule.patterns) {
        text.append(before).append((pattern.caseless ? "~*" : "~") + log_safe(pattern.text));
        before = " or ";
    }
    for (const std::string &file : rule.files) {
        text.append(before).append("a line of " + log_safe(file));
        before = " or ";
    }
    return text;
}

}  // namespace

Result<Requirement> read_requirement(const std::vector<std::string> &words) {
    Requirement requirement;
    Rule rule;
    bool has_status = false;
    for (const std::string &word : words) {
        std::optional<Error> error;
        if (starts_with(word, error_prefix)) {
            error = has_status ? refuse("\"error=\" is given twice")
                               : read_status(std::string_view(word).substr(error_prefix.size()), requirement);
            has_status = true;
        } else {
            error = read_word(requirement, rule, word);
        }
        if (error) {
            return std::move(*error);
        }
    }
    if (auto error = add_rule(requirement, rule)) {
        return requirement.any.empty()
                   ? refuse(rule.claim.empty() ? "there is no rule, write claim and value" : error->text)
                   : std::move(*error);
    }
    return requirement;
}

void add_listed(Rule &rule, std::string_view content) {
    while (!content.empty()) {
        const size_t end = std::min(content.find('\n'), content.size());
        std::string_view line = content.substr(0, end);
        content.remove_prefix(std::min(end + 1, content.size()));
        const size_t first = line.find_first_not_of(" \t\r");
        if (first != std::string_view::npos) {
            rule.listed.emplace(line.substr(first, line.find_last_not_of(" \t\r") - first + 1));
        }
    }
}

bool holds(const Requirement &requirement, const SessionView &session, Match match) {
    return std::any_of(requirement.any.begin(), requirement.any.end(),
                       [&](const Rule &rule) { return holds(rule, session, match); });
}

const Requirement *first_refusal(const Policy &policy, const SessionView &session, Match match) {
    const Requirement *mendable = nullptr;
    for (const Requirement &requirement : policy) {
        if (holds(requirement, session, match)) {
            continue;
        }
        if (wanted_acr(requirement).empty()) {
            return &requirement;
        }
        mendable = mendable ? mendable : &requirement;
    }
    return mendable;
}

std::vector<std::string> wanted_acr(const Requirement &requirement) {
    std::vector<std::string> wanted;
    for (const Rule &rule : requirement.any) {
        if (rule.claim == "acr") {
            wanted.insert(wanted.end(), rule.values.begin(), rule.values.end());
        }
    }
    return wanted;
}

std::string describe(const Requirement &requirement) {
    std::string text;
    for (const Rule &rule : requirement.any) {
        text += (text.empty() ? "" : ", or ") + describe(rule);
    }
    return text;
}

}  // namespace oidc
