#include "config_values.hpp"

#include "../oidc/text.hpp"

namespace auth_oidc {
namespace {

ngx_str_t &argument(ngx_conf_t *cf) {
    return static_cast<ngx_str_t *>(cf->args->elts)[1];
}

char *refuse_value(ngx_conf_t *cf, const ngx_command_t *cmd, const std::string &advice) {
    return conf_log(cf, NGX_LOG_EMERG, here(cf),
                    "invalid value \"" + std::string(view(argument(cf))) + "\" in \"" + std::string(view(cmd->name)) +
                        "\", " + advice);
}

constexpr const char *time_advice = "write a time like 30s, 10m or 8h";

// "a", "b" or "c"
std::string choice_of(const ngx_conf_enum_t *words) {
    std::string text;
    for (const ngx_conf_enum_t *word = words; word->name.len != 0; word++) {
        const char *joint = text.empty() ? "" : word[1].name.len != 0 ? ", " : " or ";
        text += joint + ("\"" + std::string(view(word->name)) + "\"");
    }
    return text;
}

bool is_among(const ngx_conf_enum_t *words, std::string_view text) {
    for (const ngx_conf_enum_t *word = words; word->name.len != 0; word++) {
        if (view(word->name) == text) {
            return true;
        }
    }
    return false;
}

}  // namespace

char *set_text(ngx_conf_t *cf, ngx_command_t *cmd, void *conf) {
    char *status = ngx_conf_set_str_slot(cf, cmd, conf);
    bool empty = status == NGX_CONF_OK && argument(cf).len == 0;
    return empty ? refuse_value(cf, cmd, "give it a value or remove the line") : status;
}

char *set_time(ngx_conf_t *cf, ngx_command_t *cmd, void *conf) {
    if (ngx_parse_time(&argument(cf), 1) == NGX_ERROR) {
        return refuse_value(cf, cmd, time_advice);
    }
    return ngx_conf_set_sec_slot(cf, cmd, conf);
}

char *set_msec(ngx_conf_t *cf, ngx_command_t *cmd, void *conf) {
    ngx_int_t time = ngx_parse_time(&argument(cf), 0);
    if (time == NGX_ERROR) {
        return refuse_value(cf, cmd, time_advice);
    }
    return time == 0 ? refuse_value(cf, cmd, "it must be at least 1ms") : ngx_conf_set_msec_slot(cf, cmd, conf);
}

char *set_word(ngx_conf_t *cf, ngx_command_t *cmd, void *conf) {
    auto *words = static_cast<ngx_conf_enum_t *>(cmd->post);
    if (!is_among(words, view(argument(cf)))) {
        return refuse_value(cf, cmd, "it must be " + choice_of(words));
    }
    return ngx_conf_set_enum_slot(cf, cmd, conf);
}

char *set_arguments(ngx_conf_t *cf, ngx_command_t *cmd, void *conf) {
    std::string_view text = view(argument(cf));
    if (text.find('$') == std::string_view::npos && !oidc::form_decode(text)) {
        return refuse_value(cf, cmd, "write a query string: name=value&other=a%20value");
    }
    return ngx_http_set_complex_value_slot(cf, cmd, conf);
}

char *set_lifetime(ngx_conf_t *cf, ngx_command_t *cmd, void *conf) {
    auto *field = reinterpret_cast<time_t *>(static_cast<char *>(conf) + cmd->offset);
    if (view(arguments(cf)[1]) != "session" || *field != NGX_CONF_UNSET) {
        return set_time(cf, cmd, conf);
    }
    *field = 0;
    return static_cast<char *>(NGX_CONF_OK);
}

}  // namespace auth_oidc
