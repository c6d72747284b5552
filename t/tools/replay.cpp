// A main() for the fuzz targets that needs no fuzzer: it hands every file of the target's corpus to it once, and says
// so in TAP. A finding is a crash, an abort or a sanitizer's report. Run from the root of the tree.
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <system_error>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

namespace {

std::vector<std::filesystem::path> files_of(const std::filesystem::path &folder) {
    std::vector<std::filesystem::path> files;
    std::error_code none;
    for (const auto &entry : std::filesystem::directory_iterator(folder, none)) {
        if (entry.is_regular_file()) {
            files.push_back(entry.path());
        }
    }
    return files;
}

void replay(const std::filesystem::path &file) {
    std::ifstream stream(file, std::ios::binary);
    const std::string bytes((std::istreambuf_iterator<char>(stream)), std::istreambuf_iterator<char>());
    LLVMFuzzerTestOneInput(reinterpret_cast<const uint8_t *>(bytes.data()), bytes.size());
}

}  // namespace

// fuzz_NAME reads t/fuzz/corpus/NAME.
int main(int, char **arguments) {
    const std::string target = std::filesystem::path(arguments[0]).filename().string();
    const std::string name = target.substr(target.find('_') + 1);
    const auto files = files_of(std::filesystem::path("t/fuzz/corpus") / name);
    std::printf("1..2\n");
    std::printf("%s 1 - %s has a corpus\n", files.empty() ? "not ok" : "ok", target.c_str());
    for (const auto &file : files) {
        std::printf("# %s\n", file.filename().string().c_str());
        std::fflush(stdout);
        replay(file);
    }
    LLVMFuzzerTestOneInput(reinterpret_cast<const uint8_t *>(""), 0);
    std::printf("ok 2 - %zu inputs went through\n", files.size());
    return 0;
}
