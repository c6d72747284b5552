#include "headers.hpp"

#include <algorithm>

#include "location_fetch.hpp"
#include "module.hpp"
#include "request.hpp"
#include "streamlit.hpp"

namespace auth_oidc {
namespace {

char fold(char c) {
    return c == '_' || c == '.' ? '-' : static_cast<char>(ngx_tolower(c));
}

bool is_alias(std::string_view name, std::string_view folded) {
    return name.size() == folded.size() &&
           std::equal(name.begin(), name.end(), folded.begin(), [](char a, char b) { return fold(a) == b; });
}

bool is_alias(const ngx_table_elt_t &header, const std::vector<std::string> &folded) {
    return std::any_of(folded.begin(), folded.end(),
                       [&](const std::string &name) { return is_alias(view(header.key), name); });
}

// Takes an element out of the list without moving any other: headers_in points at elements. No part but the first may
// end up empty (nginx reads element 0 of every further part without a look at its count), and the next push must get
// fresh memory.
void cut_part(ngx_http_request_t *r, ngx_list_part_t *part, ngx_list_part_t *before, ngx_uint_t index) {
    ngx_list_t *list = &r->headers_in.headers;
    auto *elements = static_cast<ngx_table_elt_t *>(part->elts);
    if (index + 1 < part->nelts && index > 0) {
        auto *rest = static_cast<ngx_list_part_t *>(ngx_palloc(r->pool, sizeof(ngx_list_part_t)));
        if (rest == nullptr) {
            throw std::bad_alloc();
        }
        *rest = {elements + index + 1, part->nelts - index - 1, part->next};
        part->next = rest;
        part->nelts = index;
        if (list->last == part) {
            list->last = rest;
        }
    } else if (index + 1 < part->nelts) {
        part->elts = elements + 1;
        part->nelts--;
    } else {
        part->nelts = index;
    }
    if (part->nelts == 0 && before != nullptr) {
        before->next = part->next;
        if (list->last == part) {
            list->last = before;
        }
    }
    if (list->last->nelts > 0) {
        list->nalloc = list->last->nelts;
    }
}

// The first line for which `wanted` is true leaves the list; null when there is none.
template <class Wanted>
ngx_table_elt_t *cut_first(ngx_http_request_t *r, Wanted wanted) {
    ngx_list_part_t *before = nullptr;
    for (ngx_list_part_t *part = &r->headers_in.headers.part; part != nullptr; before = part, part = part->next) {
        auto *elements = static_cast<ngx_table_elt_t *>(part->elts);
        for (ngx_uint_t i = 0; i < part->nelts; i++) {
            if (wanted(elements[i])) {
                cut_part(r, part, before, i);
                return &elements[i];
            }
        }
    }
    return nullptr;
}

// Variables and modules read some headers through pointers of their own, not through the list. Authorization stays
// there: auth_basic and $remote_user of another location need it, and no upstream is sent it from there.
void forget_pointer(ngx_http_request_t *r, const ngx_table_elt_t &header) {
    std::string_view name(reinterpret_cast<const char *>(header.lowcase_key), header.key.len);
    if (name == "authorization" || name == "cookie") {
        return;
    }
    for (ngx_http_header_t *known = ngx_http_headers_in; known->name.len != 0; known++) {
        ngx_str_t lower_case = known->name;
        if (lower_case.len != name.size() || ngx_strncasecmp(lower_case.data, header.lowcase_key, name.size()) != 0) {
            continue;
        }
        char *member = reinterpret_cast<char *>(&r->headers_in) + known->offset;
#if (nginx_version < 1023000)
        if (name == "x-forwarded-for") {
            reinterpret_cast<ngx_array_t *>(member)->nelts = 0;
            return;
        }
#endif
        if (known->offset != 0) {
            *reinterpret_cast<ngx_table_elt_t **>(member) = nullptr;
        }
        return;
    }
}

void set_request_header(ngx_http_request_t *r, const SetHeader &set, const std::string &text) {
    auto *header = static_cast<ngx_table_elt_t *>(ngx_list_push(&r->headers_in.headers));
    if (header == nullptr) {
        throw std::bad_alloc();
    }
    ngx_memzero(header, sizeof(ngx_table_elt_t));
    header->key = set.name;
    header->lowcase_key = set.lower_case.data;
    header->hash = ngx_hash_key(set.lower_case.data, set.lower_case.len);
    header->value = copy(r->pool, oidc::header_safe(text));
}

}  // namespace

std::string fold_header(std::string_view name) {
    std::string folded(name);
    std::transform(folded.begin(), folded.end(), folded.begin(), fold);
    return folded;
}

void remove_header_line(ngx_http_request_t *r, const ngx_table_elt_t *header) {
    cut_first(r, [&](const ngx_table_elt_t &element) { return &element == header; });
}

void remove_aliases(ngx_http_request_t *r, const std::vector<std::string> &folded) {
    while (ngx_table_elt_t *header =
               cut_first(r, [&](const ngx_table_elt_t &element) { return is_alias(element, folded); })) {
        forget_pointer(r, *header);
    }
}

void copy_without_aliases(ngx_http_request_t *r, const std::vector<std::string> &folded) {
    ngx_list_t own;
    if (ngx_list_init(&own, r->pool, 20, sizeof(ngx_table_elt_t)) != NGX_OK) {
        throw std::bad_alloc();
    }
    for (ngx_list_part_t *part = &r->headers_in.headers.part; part != nullptr; part = part->next) {
        auto *elements = static_cast<ngx_table_elt_t *>(part->elts);
        for (ngx_uint_t i = 0; i < part->nelts; i++) {
            if (is_alias(elements[i], folded)) {
                forget_pointer(r, elements[i]);
                continue;
            }
            auto *header = static_cast<ngx_table_elt_t *>(ngx_list_push(&own));
            if (header == nullptr) {
                throw std::bad_alloc();
            }
            *header = elements[i];
        }
    }
    r->headers_in.headers = own;
    if (own.last == &own.part) {
        r->headers_in.headers.last = &r->headers_in.headers.part;
    }
}

namespace {

// Behind the access phase: under `satisfy any` that one may end before our handler, and anonymous requests have values
// too. Each pass of the phases (an internal redirect, a subrequest) begins from a list without our headers.
void add_headers(ngx_http_request_t *r) {
    const std::vector<std::string> &named = server_conf(r)->headers;
    const std::vector<SetHeader> *headers = location_conf(r)->headers;
    if (named.empty()) {
        return;
    }
    if (r != r->main) {
        copy_without_aliases(r, named);
    }
    for (size_t i = 0; headers != nullptr && i < headers->size(); i++) {
        const SetHeader &set = (*headers)[i];
        std::string text = evaluate(r, const_cast<ngx_http_complex_value_t *>(&set.value));
        if (!text.empty()) {
            set_request_header(r, set, text);
        }
    }
}

}  // namespace

ngx_int_t on_precontent(ngx_http_request_t *r) {
    if (location_call_url(r) != nullptr) {
        return NGX_DECLINED;  // a call of our own to the provider
    }
    add_headers(r);
    return server_conf(r)->streamlit ? add_streamlit_identity(r) : static_cast<ngx_int_t>(NGX_DECLINED);
}

}  // namespace auth_oidc
