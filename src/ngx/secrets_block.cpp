// nginx knows no directive whose block is optional: its parser asks the table for a brace or a semicolon before any
// setter runs. So the files are looked through before they are parsed, and the row of oidc_secrets is set for each next
// one in turn.
#include <fstream>
#include <iterator>

#include "config_values.hpp"

namespace auth_oidc {
namespace {

constexpr int max_depth = 32;  // of files that include files
constexpr std::string_view blanks = " \t\r\n";

class Search {
public:
    Search(ngx_conf_t *cf, std::deque<bool> &found) : cf_(cf), found_(found) {}

    void file(std::string_view path, int depth) {
        ngx_str_t full = copy(cf_->pool, path);
        if (depth > max_depth || ngx_conf_full_name(cf_->cycle, &full, 1) != NGX_OK) {
            return;
        }
        std::ifstream stream(std::string(view(full)), std::ios::binary);
        std::string content((std::istreambuf_iterator<char>(stream)), std::istreambuf_iterator<char>());
        text(content, depth);
    }

private:
    ngx_conf_t *cf_;
    std::deque<bool> &found_;

    // What begins a line, or stands behind the end of another statement. Words in between are nobody's concern here.
    void text(std::string_view rest, int depth) {
        bool begins = true, in_word = false;
        while (!rest.empty()) {
            char c = rest[0];
            if (c == '#' && !in_word) {
                rest.remove_prefix(std::min(rest.find('\n'), rest.size()));
                continue;
            }
            if (begins && blanks.find(c) == blanks.npos && statement(rest, depth)) {
                in_word = false;
                continue;
            }
            bool ends = c == '\n' || c == ';' || c == '{' || c == '}';
            begins = ends || (begins && blanks.find(c) != blanks.npos);
            in_word = !ends && blanks.find(c) == blanks.npos;
            rest.remove_prefix(1);
        }
    }

    bool statement(std::string_view &rest, int depth) {
        for (std::string_view name : {"oidc_secrets", "include"}) {
            if (!oidc::starts_with(rest, name) || blanks.find(rest.substr(0, name.size() + 1).back()) == blanks.npos) {
                continue;
            }
            rest.remove_prefix(name.size());
            std::string value = word(rest);
            skip(rest);
            if (name != "include") {
                found_.push_back(!rest.empty() && rest[0] == '{');
            } else {
                include(value, depth + 1);
            }
            return true;
        }
        return false;
    }

    static void skip(std::string_view &rest) {
        rest.remove_prefix(std::min(rest.find_first_not_of(blanks), rest.size()));
        while (!rest.empty() && rest[0] == '#') {
            rest.remove_prefix(std::min(rest.find('\n'), rest.size()));
            rest.remove_prefix(std::min(rest.find_first_not_of(blanks), rest.size()));
        }
    }

    static std::string word(std::string_view &rest) {
        skip(rest);
        char quote = rest.empty() ? '\0' : rest[0];
        bool quoted = quote == '"' || quote == '\'';
        if (quoted) {
            rest.remove_prefix(1);
        }
        std::string value;
        while (!rest.empty()) {
            char c = rest[0];
            bool ends = quoted ? c == quote : c == ';' || c == '{' || blanks.find(c) != blanks.npos;
            if (ends) {
                rest.remove_prefix(quoted ? 1 : 0);
                break;
            }
            if (c == '\\' && rest.size() > 1) {
                rest.remove_prefix(1);
            }
            value += rest[0];
            rest.remove_prefix(1);
        }
        return value;
    }

    // As nginx's own include: a pattern stands for the files in its order.
    void include(const std::string &value, int depth) {
        ngx_str_t pattern = copy(cf_->pool, value);
        if (value.find_first_of("*?[") == value.npos || ngx_conf_full_name(cf_->cycle, &pattern, 1) != NGX_OK) {
            return file(value, depth);
        }
        ngx_glob_t glob{};
        glob.pattern = pattern.data;
        glob.log = cf_->log;
        if (ngx_open_glob(&glob) != NGX_OK) {
            return;
        }
        ngx_str_t name{};
        while (ngx_read_glob(&glob, &name) == NGX_OK) {
            file(std::string(view(name)), depth);
        }
        ngx_close_glob(&glob);
    }
};

}  // namespace

void find_secrets_blocks(ngx_conf_t *cf, MainConf &main) {
    if (cf->conf_file != nullptr && cf->conf_file->file.fd != NGX_INVALID_FILE) {
        Search(cf, main.secrets_blocks).file(std::string(view(cf->conf_file->file.name)), 0);
    }
    expect_secrets(main);
}

void expect_secrets(const MainConf &main) {
    bool block = !main.secrets_blocks.empty() && main.secrets_blocks.front();
    for (ngx_command_t *row = commands; row->name.len != 0; row++) {
        if (view(row->name) == "oidc_secrets") {
            row->type = NGX_HTTP_MAIN_CONF | NGX_CONF_TAKE1 | (block ? NGX_CONF_BLOCK : 0);
        }
    }
}

}  // namespace auth_oidc
