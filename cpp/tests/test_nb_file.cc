#include "harness.h"
#include "plate/error.h"
#include "plate/nb_file.h"
#include "scratch.h"

using namespace plate;

namespace {

std::string number(std::uint64_t value, int bytes) {
    std::string out;
    for (int i = 0; i < bytes; ++i) out += static_cast<char>(value >> (8 * i) & 0xFFU);
    return out;
}

// Two parameters of 5 and 3 bytes behind a program of 4.
std::string model() {
    std::string version = "v2.13-rc";
    version.resize(16, '\0');
    return number(2, 2) + version + number(4, 8) + "prog" + number(0, 2) + number(0, 2) + number(6, 2) + number(2, 2) +
           number(5, 4) + number(9, 4) + number(4, 4) + "12345" + number(7, 4) + number(4, 4) + "123";
}

std::string refused(const std::string& content) {
    const test::Scratch file(content);
    return test::message_of<Error>([&] { check_nb_file(file.path()); });
}

}  // namespace

TEST("nb: a whole file gives the version of the tool that wrote it") {
    const test::Scratch file(model());
    CHECK(check_nb_file(file.path()) == "v2.13-rc");
}

TEST("nb: every truncation and anything appended is noticed") {
    const std::string whole = model();
    for (std::size_t length = 0; length < whole.size(); ++length) {
        CHECK_CONTAINS(refused(whole.substr(0, length)), "cut off or damaged");
    }
    CHECK_CONTAINS(refused(whole + "x"), "cut off or damaged");
}

TEST("nb: other files, old formats and lengths beyond the file") {
    CHECK_CONTAINS(refused(std::string(100, 'x')), "is not a Paddle Lite model");
    std::string old = model();
    old[0] = 0;
    CHECK_CONTAINS(refused(old), "before 2.7");
    std::string far = model();
    far.replace(18, 8, 8, '\xFF');
    CHECK_CONTAINS(refused(far), "cut off or damaged");
    CHECK_CONTAINS(test::message_of<Error>([] { check_nb_file("/nonexistent.nb"); }), "No such file");
}
