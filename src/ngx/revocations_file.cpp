// The file of session_revocation: one sealed text, in place of the former one or not at all.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "../oidc/seal.hpp"
#include "revocations.hpp"

namespace auth_oidc {
namespace {

constexpr std::string_view purpose = "auth_oidc revoked";
constexpr size_t most = size_t{256} * 1024 * 1024;

std::optional<std::string> slurp(const std::string &path) {
    const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (fd == -1) {
        return std::nullopt;
    }
    std::string text;
    char buffer[65536];
    ssize_t size;
    while ((size = read(fd, buffer, sizeof(buffer))) > 0 && text.size() < most) {
        text.append(buffer, static_cast<size_t>(size));
    }
    close(fd);
    return size == 0 ? std::optional(std::move(text)) : std::nullopt;
}

bool write_all(const std::string &path, std::string_view text) {
    const int fd = open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, S_IRUSR | S_IWUSR);
    if (fd == -1) {
        return false;
    }
    while (!text.empty()) {
        const ssize_t size = write(fd, text.data(), text.size());
        if (size < 0 && errno != EINTR) {
            break;
        }
        text.remove_prefix(size > 0 ? static_cast<size_t>(size) : 0);
    }
    const int error = errno;
    const bool closed = close(fd) == 0;
    if (!text.empty()) {
        errno = error;
    }
    return text.empty() && closed;
}

}  // namespace

std::optional<std::string> read_sealed(const std::string &path, const std::vector<std::string> &secrets,
                                       ngx_log_t *log) {
    const auto sealed = slurp(path);
    if (!sealed) {
        if (errno != ENOENT) {
            ngx_log_error(NGX_LOG_WARN, log, ngx_errno, "auth_oidc: \"%s\" cannot be read", path.c_str());
        }
        return std::nullopt;
    }
    for (const std::string &secret : secrets) {
        if (auto text = oidc::SealKey(oidc::hkdf(secret, purpose)).open(*sealed, purpose)) {
            return text;
        }
    }
    ngx_log_error(NGX_LOG_WARN, log, 0,
                  "auth_oidc: \"%s\" is damaged or sealed with another secret: it counts as empty", path.c_str());
    return std::nullopt;
}

bool write_sealed(const std::string &path, const std::vector<std::string> &secrets, std::string_view text) {
    const std::string other = path + ".new";
    return write_all(other, oidc::SealKey(oidc::hkdf(secrets.front(), purpose)).seal(text, purpose)) &&
           rename(other.c_str(), path.c_str()) == 0;
}

}  // namespace auth_oidc
