// Files of a zone's state, as the system has them.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <string_view>

#include "ngx.hpp"

namespace auth_oidc {

// Another one after every replacement.
struct StateStamp {
    ino_t inode = 0;
    time_t seconds = 0;
    long nanoseconds = 0;
    off_t size = 0;
    bool operator==(const StateStamp &other) const {
        return inode == other.inode && seconds == other.seconds && nanoseconds == other.nanoseconds &&
               size == other.size;
    }
};
StateStamp stamp_of(const std::string &path);

// The whole of it; nothing when there is none, or when it is larger than anything that we write (logged).
std::optional<std::string> read_state_file(const std::string &path, size_t most, ngx_log_t *log);

// 32 bytes or more from a file of mode 0600, which is made where it is not there but `needed`. Nothing: there is none,
// or (needed) logged.
std::optional<std::string> state_key(const std::string &path, bool needed, ngx_log_t *log);

// A file in the making: one at a time of that name over all processes.
class StateFile {
public:
    // `wait`: until nobody else writes it.
    static StateFile open(std::string path, bool wait);
    StateFile(StateFile &&other) noexcept;
    StateFile &operator=(StateFile &&) = delete;
    ~StateFile();

    bool is_busy() const { return busy_; }
    bool write(std::string_view text);  // false: see error()
    bool replace(const std::string &other);
    StateStamp stamp() const;  // of the file that was written, whatever has taken its place since
    int error() const { return error_; }

private:
    explicit StateFile(std::string path) : path_(std::move(path)) {}
    bool try_open(bool wait);
    std::string path_;
    int fd_ = -1, error_ = 0;
    bool busy_ = false;
};

}  // namespace auth_oidc
