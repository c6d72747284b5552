#include "zone_state_io.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "../oidc/text.hpp"

namespace auth_oidc {
namespace {

constexpr int opened = O_CLOEXEC | O_NOFOLLOW;

std::optional<std::string> read_all(int fd, size_t most) {
    std::string text;
    char buffer[65536];
    ssize_t size;
    while ((size = read(fd, buffer, sizeof(buffer))) > 0) {
        text.append(buffer, static_cast<size_t>(size));
        if (text.size() > most) {
            errno = EFBIG;
            return std::nullopt;
        }
    }
    return size == 0 ? std::optional(std::move(text)) : std::nullopt;
}

std::optional<std::string> slurp(const std::string &path, size_t most) {
    int fd = open(path.c_str(), O_RDONLY | opened);
    if (fd == -1) {
        return std::nullopt;
    }
    auto text = read_all(fd, most);
    const int error = errno;
    close(fd);
    errno = error;
    return text;
}

void log_file(ngx_uint_t level, ngx_log_t *log, const std::string &path, const char *what) {
    ngx_str_t name = borrow(path);
    ngx_log_error(level, log, ngx_errno, "auth_oidc: \"%V\" %s", &name, what);
}

bool make_key(const std::string &path, const std::string &key) {
    int fd = open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | opened, S_IRUSR | S_IWUSR);
    if (fd == -1) {
        return false;
    }
    const std::string line = key + "\n";
    bool written = write(fd, line.data(), line.size()) == static_cast<ssize_t>(line.size()) && fsync(fd) == 0;
    return close(fd) == 0 && written;
}

StateStamp stamp_from(const struct stat &facts) {
    return {facts.st_ino, facts.st_mtim.tv_sec, facts.st_mtim.tv_nsec, facts.st_size};
}

}  // namespace

StateStamp stamp_of(const std::string &path) {
    struct stat facts {};
    return stat(path.c_str(), &facts) == 0 ? stamp_from(facts) : StateStamp();
}

std::optional<std::string> read_state_file(const std::string &path, size_t most, ngx_log_t *log) {
    auto text = slurp(path, most + size_t{1024} * 1024);
    if (!text && errno != ENOENT) {
        log_file(NGX_LOG_WARN, log, path, "cannot be read: the zone begins without it");
    }
    return text;
}

std::optional<std::string> state_key(const std::string &path, bool needed, ngx_log_t *log) {
    constexpr size_t least = 32, most = 4096;
    auto key = slurp(path, most);
    if (!key && errno == ENOENT && needed) {
        key = oidc::random_token();
        // `nginx -t` leaves nothing behind.
        if (!ngx_test_config && !make_key(path, *key)) {
            log_file(NGX_LOG_EMERG, log, path, "cannot be made: the state file needs a key, or a \"cookie_secret\"");
            return std::nullopt;
        }
        return key;
    }
    while (key && !key->empty() && key->back() == '\n') {
        key->pop_back();
    }
    if (key && key->size() >= least) {
        return key;
    }
    if (needed) {
        ngx_set_errno(0);
        log_file(NGX_LOG_EMERG, log, path, "holds no key of at least 32 bytes: remove it and the state file beside it");
    }
    return std::nullopt;
}

StateFile StateFile::open(std::string path, bool wait) {
    StateFile file(std::move(path));
    constexpr int tries = 8;
    for (int i = 0; i < tries && !file.try_open(wait); i++) {
    }
    return file;
}

// Between open and lock somebody may have put the file in its place: then it is not ours to write any more.
bool StateFile::try_open(bool wait) {
    struct stat ours {};
    fd_ = ::open(path_.c_str(), O_WRONLY | O_CREAT | opened, S_IRUSR | S_IWUSR);
    if (fd_ == -1) {
        error_ = errno;
        return true;
    }
    busy_ = flock(fd_, LOCK_EX | (wait ? 0 : LOCK_NB)) != 0;
    if (busy_ || fstat(fd_, &ours) != 0 || ours.st_ino != stamp_of(path_).inode) {
        busy_ = true;
        close(std::exchange(fd_, -1));
        return !wait;
    }
    if (ftruncate(fd_, 0) != 0 || fchmod(fd_, S_IRUSR | S_IWUSR) != 0) {
        error_ = errno;
    }
    return true;
}

StateFile::StateFile(StateFile &&other) noexcept
    : path_(std::move(other.path_)), fd_(std::exchange(other.fd_, -1)), error_(other.error_), busy_(other.busy_) {}

StateFile::~StateFile() {
    if (fd_ != -1) {
        close(fd_);
    }
}

bool StateFile::write(std::string_view text) {
    while (error_ == 0 && !text.empty()) {
        ssize_t size = ::write(fd_, text.data(), text.size());
        if (size < 0 && errno != EINTR) {
            error_ = errno;
        } else if (size > 0) {
            text.remove_prefix(static_cast<size_t>(size));
        }
    }
    return error_ == 0;
}

StateStamp StateFile::stamp() const {
    struct stat facts {};
    return fstat(fd_, &facts) == 0 ? stamp_from(facts) : StateStamp();
}

// While the lock is still held.
bool StateFile::replace(const std::string &other) {
    if (error_ == 0 && rename(path_.c_str(), other.c_str()) != 0) {
        error_ = errno;
    }
    return error_ == 0;
}

}  // namespace auth_oidc
