#include "plate/nb_file.h"

#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <memory>

#include "plate/error.h"

namespace plate {
namespace {

// Layout, all little-endian (Paddle Lite 2.13, lite/model_parser): u16 format, 16 bytes opt version, u64 length and
// program; then for format 2 the parameters: u16 version, u16 length and meta data, u16 length and header (u16 count,
// u32 largest), and for each parameter u32 bytes from the next field on, u32 offset of its data from there.
class Reader {
  public:
    Reader(const std::string& path, std::FILE* file) : path_(path), file_(file) {
        if (std::fseek(file, 0, SEEK_END) == 0) {
            const long end = std::ftell(file);
            // What cannot be sought to its start again is as unreadable as an empty file.
            if (std::fseek(file, 0, SEEK_SET) == 0 && end > 0) size_ = static_cast<std::uint64_t>(end);
        }
    }

    void bytes(void* to, std::size_t count) {
        if (left() < count || std::fread(to, 1, count, file_) != count) fail();
        at_ += count;
    }
    template <typename T>
    T number() {
        unsigned char raw[sizeof(T)];
        bytes(raw, sizeof(T));
        T value = 0;
        for (std::size_t i = sizeof(T); i-- > 0;) value = static_cast<T>(value << 8U | raw[i]);
        return value;
    }
    void skip(std::uint64_t count) {
        if (count > left() || std::fseek(file_, static_cast<long>(count), SEEK_CUR) != 0) fail();
        at_ += count;
    }
    std::uint64_t left() const { return size_ - at_; }
    std::uint64_t size() const { return size_; }

    [[noreturn]] void fail() const {
        throw Error(ExitCode::kModel, path_ + " is cut off or damaged (" + std::to_string(size_) +
                                          " bytes): convert or copy the model again");
    }

  private:
    const std::string& path_;
    std::FILE* file_;
    std::uint64_t size_ = 0;
    std::uint64_t at_ = 0;
};

void check_parameters(Reader& reader) {
    if (reader.number<std::uint16_t>() != 0) reader.fail();
    reader.skip(reader.number<std::uint16_t>());
    const auto header = reader.number<std::uint16_t>();
    if (header < 6) reader.fail();
    const auto count = reader.number<std::uint16_t>();
    reader.skip(header - 2U);
    for (unsigned i = 0; i < count; ++i) {
        const auto total = reader.number<std::uint32_t>();
        const auto offset = reader.number<std::uint32_t>();
        if (total < offset || offset < 4) reader.fail();
        reader.skip(total - 4U);
    }
    if (reader.left() != 0) reader.fail();
}

// The number of one or two digits behind a slash at `at`, which then stands behind it; -1 where there is none.
int number_part(const std::string& text, std::size_t& at) {
    const auto is_digit = [&] { return at < text.size() && text[at] >= '0' && text[at] <= '9'; };
    if (at >= text.size() || text[at] != '/') return -1;
    ++at;
    if (!is_digit()) return -1;
    int value = 0;
    for (int digits = 0; digits < 2 && is_digit(); ++digits) value = 10 * value + (text[at++] - '0');
    return value;
}

// Operators name their kernel as `conv2d/def/4/1/1` with an end of string behind it: operator, variant, target,
// precision, layout. Counts the targets 2 (x86) and 4 (ARM).
void count_kernels(const std::string& program, NbFile& out) {
    for (std::size_t slash = program.find('/'); slash != std::string::npos; slash = program.find('/', slash + 1)) {
        std::size_t at = slash;
        const int target = number_part(program, at);
        if (target < 0 || number_part(program, at) < 0 || number_part(program, at) < 0) continue;
        if (at == program.size() || program[at] != '\0') continue;
        out.x86_kernels += target == 2 ? 1 : 0;
        out.arm_kernels += target == 4 ? 1 : 0;
    }
}

}  // namespace

NbFile check_nb_file(const std::string& path) {
    const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path.c_str(), "rb"), &std::fclose);
    if (!file) throw Error(ExitCode::kModel, "cannot open model " + path + ": " + std::strerror(errno));
    Reader reader(path, file.get());
    if (reader.size() < 26) reader.fail();
    const auto format = reader.number<std::uint16_t>();
    char version[17] = {};
    reader.bytes(version, 16);
    if (format > 2 || version[0] < ' ' || version[0] > '~') {
        throw Error(ExitCode::kModel, path + " is not a Paddle Lite model (.nb)");
    }
    if (format == 0) {
        throw Error(ExitCode::kModel, path + " has the format of Paddle Lite before 2.7: convert the model again");
    }
    NbFile out;
    out.opt_version = version;
    const auto length = reader.number<std::uint64_t>();
    if (length >= reader.left()) reader.fail();
    std::string program(static_cast<std::size_t>(length), '\0');
    reader.bytes(program.data(), program.size());
    count_kernels(program, out);
    if (format == 2) check_parameters(reader);
    return out;
}

void check_nb_target(const std::string& path, const NbFile& file) {
#if defined(__x86_64__)
    constexpr const char* kHere = "x86";
    const int foreign = file.arm_kernels;
    constexpr const char* kThere = "arm";
#else
    constexpr const char* kHere = "arm";
    const int foreign = file.x86_kernels;
    constexpr const char* kThere = "x86";
#endif
    if (foreign == 0) return;
    throw Error(ExitCode::kModel, path + " was made for " + kThere + ", and this program runs on " + kHere +
                                      ": convert the model with --target " + kHere);
}

}  // namespace plate
