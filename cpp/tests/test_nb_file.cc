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

// Two parameters of 5 and 3 bytes behind a program.
std::string model(const std::string& program = "prog") {
    std::string version = "v2.13-rc";
    version.resize(16, '\0');
    return number(2, 2) + version + number(program.size(), 8) + program + number(0, 2) + number(0, 2) + number(6, 2) +
           number(2, 2) + number(5, 4) + number(9, 4) + number(4, 4) + "12345" + number(7, 4) + number(4, 4) + "123";
}

std::string nb_refused(const std::string& content) {
    const test::Scratch file(content);
    return test::message_of<Error>([&] { check_nb_file(file.path()); });
}

}  // namespace

TEST("nb: a whole file gives the version of the tool that wrote it") {
    const test::Scratch file(model());
    CHECK(check_nb_file(file.path()).opt_version == "v2.13-rc");
}

TEST("nb: every truncation and anything appended is noticed") {
    const std::string whole = model();
    for (std::size_t length = 0; length < whole.size(); ++length) {
        CHECK_CONTAINS(nb_refused(whole.substr(0, length)), "cut off or damaged");
    }
    CHECK_CONTAINS(nb_refused(whole + "x"), "cut off or damaged");
}

TEST("nb: other files, old formats and lengths beyond the file") {
    CHECK_CONTAINS(nb_refused(std::string(100, 'x')), "is not a Paddle Lite model");
    std::string old = model();
    old[0] = 0;
    CHECK_CONTAINS(nb_refused(old), "before 2.7");
    std::string far = model();
    far.replace(18, 8, 8, '\xFF');
    CHECK_CONTAINS(nb_refused(far), "cut off or damaged");
    CHECK_CONTAINS(test::message_of<Error>([] { check_nb_file("/nonexistent.nb"); }), "No such file");
}

TEST("nb: a program of slashes without an end takes no longer than another") {
    // At each slash the rest of the file was looked through: minutes for this one.
    const test::Scratch file(model(std::string(4U << 20U, '/')));
    CHECK(check_nb_file(file.path()).arm_kernels == 0);
}

TEST("nb: operators are counted by target, and a model for the other kind of CPU is refused") {
    const std::string program = std::string("\x09\0\0\0conv2d/def/4/1/1\0xx", 23) +
                                std::string("conv2d/int8_out/4/2/1\0", 22) + std::string("feed/def/1/4/2\0", 15) +
                                std::string("a/4/1/1x\0b/4/1\0/4/\0", 19) + std::string("pool2d/def/2/1/1\0", 17);
    const test::Scratch file(model(program));
    const NbFile found = check_nb_file(file.path());
    CHECK(found.arm_kernels == 2);
    CHECK(found.x86_kernels == 1);
    CHECK_CONTAINS(test::message_of<Error>([&] { check_nb_target("m.nb", found); }), "m.nb was made for ");
    check_nb_target("m.nb", NbFile{"v2.13-rc", 0, 0});
}
