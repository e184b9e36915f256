// As much of a test framework as is needed: tests register themselves, checks count.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstdio>
#include <string>
#include <utility>
#include <vector>

namespace plate::test {

struct Case {
    const char* name;
    void (*run)();
};

std::vector<Case>& cases();
extern int failures;

struct Register {
    Register(const char* name, void (*run)()) { cases().push_back({name, run}); }
};

inline void fail(const char* file, int line, const std::string& what) {
    std::fprintf(stderr, "%s:%d: %s\n", file, line, what.c_str());
    ++failures;
}

template <typename ErrorT, typename Call>
std::string message_of(Call call) {
    try {
        call();
    } catch (const ErrorT& error) {
        return error.what();
    }
    return "(nothing was thrown)";
}

// The same numbers on every machine, unlike the standard library's distributions.
class Random {
  public:
    explicit Random(std::uint32_t seed) : state_(seed) {}
    std::uint32_t next() { return (state_ = state_ * 1664525U + 1013904223U) >> 8U; }
    int below(int limit) { return static_cast<int>(next() % static_cast<std::uint32_t>(limit)); }
    float unit() { return static_cast<float>(next()) / static_cast<float>(1U << 24U); }

  private:
    std::uint32_t state_;
};

// FNV-1a, fed with integers so that it is equal where results are.
class Digest {
  public:
    void add(std::int64_t value) {
        for (int i = 0; i < 8; ++i) {
            hash_ = (hash_ ^ (static_cast<std::uint64_t>(value) >> (8 * i) & 0xFFU)) * 0x100000001B3ULL;
        }
    }
    void add_rounded(double value, double unit) { add(static_cast<std::int64_t>(std::llround(value / unit))); }
    std::uint64_t value() const { return hash_; }

  private:
    std::uint64_t hash_ = 0xCBF29CE484222325ULL;
};

// Prints digests of what the stages compute from fixed inputs, for a comparison between machines.
void print_fingerprint();

}  // namespace plate::test

#define PLATE_JOIN2(a, b) a##b
#define PLATE_JOIN(a, b) PLATE_JOIN2(a, b)
// Counted, not named by their lines: `make lint` looks at all files of a folder as one.
#define PLATE_TEST(name, number)                                                                       \
    static void PLATE_JOIN(test_, number)();                                                           \
    static const plate::test::Register PLATE_JOIN(register_, number)(name, PLATE_JOIN(test_, number)); \
    static void PLATE_JOIN(test_, number)()
#define TEST(name) PLATE_TEST(name, __COUNTER__)
#define CHECK(condition)                                                     \
    do {                                                                     \
        if (!(condition)) plate::test::fail(__FILE__, __LINE__, #condition); \
    } while (false)
#define CHECK_NEAR(a, b, tolerance)                                                                   \
    do {                                                                                              \
        const double left_ = (a);                                                                     \
        const double right_ = (b);                                                                    \
        if (!(std::abs(left_ - right_) <= (tolerance))) {                                             \
            plate::test::fail(__FILE__, __LINE__,                                                     \
                              #a " is " + std::to_string(left_) + ", not " + std::to_string(right_)); \
        }                                                                                             \
    } while (false)
#define CHECK_CONTAINS(text, part)                                                                \
    do {                                                                                          \
        const std::string text_ = (text);                                                         \
        if (text_.find(part) == std::string::npos) {                                              \
            plate::test::fail(__FILE__, __LINE__, "`" + text_ + "` does not contain `" part "`"); \
        }                                                                                         \
    } while (false)
