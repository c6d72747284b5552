// The one place that includes nginx, and the few bridges between its types and C++.
// A view lives as long as the pool or object it was made from; nothing long-lived stores one.
#pragma once

extern "C" {
#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>
#include <ngx_http.h>
}

#include <cstring>
#include <exception>
#include <new>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

extern "C" ngx_module_t ngx_http_auth_oidc_module;

namespace auth_oidc {

inline std::string_view view(const ngx_str_t &text) {
    return {reinterpret_cast<const char *>(text.data), text.len};
}

// A view as nginx's type, for calls that only read it.
inline ngx_str_t borrow(std::string_view text) {
    return {text.size(), reinterpret_cast<u_char *>(const_cast<char *>(text.data()))};
}

// Memory of a pool that cannot be had is std::bad_alloc: entry<> turns it into the failure of the handler.
inline void *pool_alloc(ngx_pool_t *pool, size_t size) {
    void *memory = ngx_pnalloc(pool, size ? size : 1);
    if (memory == nullptr) {
        throw std::bad_alloc();
    }
    return memory;
}

// A copy in the pool, with a NUL behind it for what nginx treats as a C string.
inline ngx_str_t copy(ngx_pool_t *pool, std::string_view text) {
    u_char *data = static_cast<u_char *>(pool_alloc(pool, text.size() + 1));
    std::memcpy(data, text.data(), text.size());
    data[text.size()] = '\0';
    return {text.size(), data};
}

// An object that the pool owns: its destructor runs when the pool goes. The handler is set only after the constructor
// returned.
template <class T, class... Arguments>
T *pool_new(ngx_pool_t *pool, Arguments &&...arguments) {
    ngx_pool_cleanup_t *cleanup = ngx_pool_cleanup_add(pool, sizeof(T));
    if (cleanup == nullptr) {
        throw std::bad_alloc();
    }
    T *object = new (cleanup->data) T{std::forward<Arguments>(arguments)...};
    cleanup->handler = [](void *data) noexcept { static_cast<T *>(data)->~T(); };
    return object;
}

// Every C edge goes through here: no exception leaves, and the one that came is logged where nginx can see it.
// entry<&function, NGX_HTTP_INTERNAL_SERVER_ERROR> has the function's own type.
template <auto Function, auto Failure>
struct Entry;
template <class R, class... Arguments, R (*Function)(Arguments...), auto Failure>
struct Entry<Function, Failure> {
    static R call(Arguments... arguments) noexcept {
        try {
            return Function(arguments...);
        } catch (const std::exception &error) {
            ngx_log_error(NGX_LOG_CRIT, ngx_cycle->log, 0, "auth_oidc: %s", error.what());
        } catch (...) {
            ngx_log_error(NGX_LOG_CRIT, ngx_cycle->log, 0, "auth_oidc: unknown exception");
        }
        if constexpr (std::is_pointer_v<R>) {
            return reinterpret_cast<R>(static_cast<intptr_t>(Failure));  // 0 is null, -1 is NGX_CONF_ERROR
        } else if constexpr (!std::is_void_v<R>) {
            return static_cast<R>(Failure);
        }
    }
};
template <auto Function, auto Failure = 0>
constexpr auto entry = &Entry<Function, Failure>::call;

}  // namespace auth_oidc
