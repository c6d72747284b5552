// Processes that die in the middle of a change to shared memory.
#pragma once

#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csetjmp>
#include <csignal>
#include <cstdarg>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>

extern "C" {
#include <cmocka.h>
}

// Memory that a child process shares, as a zone is.
class Memory {
public:
    explicit Memory(size_t size) : size(size) {
        data = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        assert_true(data != MAP_FAILED);
    }
    ~Memory() { munmap(data, size); }
    Memory(const Memory &) = delete;
    Memory &operator=(const Memory &) = delete;

    size_t size;
    void *data;
};

// Runs the operation in a process of its own, instruction by instruction. After every change of the memory that process
// could have died: `inspect` gets the bytes that it would have left. False where this system lets nobody be traced.
inline bool die_everywhere(const Memory &memory, const std::function<void()> &operation,
                           const std::function<void(const std::string &)> &inspect) {
    const pid_t child = fork();
    if (child == 0) {
        if (ptrace(PTRACE_TRACEME, 0, nullptr, nullptr) != 0) {
            _exit(77);
        }
        raise(SIGSTOP);
        operation();
        _exit(0);
    }
    int status = 0;
    waitpid(child, &status, 0);
    std::string last;
    while (WIFSTOPPED(status)) {
        if (last.empty() || last.compare(0, last.size(), static_cast<char *>(memory.data), memory.size) != 0) {
            last.assign(static_cast<char *>(memory.data), memory.size);
            inspect(last);
        }
        assert_int_equal(ptrace(PTRACE_SINGLESTEP, child, nullptr, nullptr), 0);
        waitpid(child, &status, 0);
    }
    assert_true(WIFEXITED(status));
    assert_true(WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == 77);
    return WEXITSTATUS(status) == 0;
}
