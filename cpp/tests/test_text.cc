#include <limits>

#include "harness.h"
#include "plate/ctc.h"
#include "plate/error.h"
#include "plate/json.h"
#include "plate/text.h"
#include "scratch.h"

using namespace plate;

TEST("ctc: repeats and blanks go, the score is the mean of what is kept") {
    const std::vector<std::string> dictionary = {"皖", "A", "8"};
    std::vector<float> p(7 * 4, 0.01F);
    const std::vector<std::size_t> path = {0, 1, 1, 0, 1, 2, 3};
    for (std::size_t t = 0; t < path.size(); ++t) p[t * 4 + path[t]] = 0.5F + 0.05F * static_cast<float>(t);
    Reading reading;
    decode_greedy(p.data(), 7, 4, dictionary, reading);
    CHECK(reading.text == "皖皖A8");
    CHECK_NEAR(reading.score, (0.55 + 0.70 + 0.75 + 0.80) / 4, 1e-6);
    decode_greedy(p.data(), 1, 4, dictionary, reading);
    CHECK(reading.text.empty() && reading.score == 0);
}

TEST("ctc: the first of equal values is the largest, at every length") {
    test::Random random(11);
    for (std::size_t count = 1; count < 80; ++count) {
        std::vector<float> values(count);
        for (float& value : values) value = static_cast<float>(random.below(6));
        std::size_t expected = 0;
        for (std::size_t i = 1; i < count; ++i) {
            if (values[i] > values[expected]) expected = i;
        }
        CHECK(argmax(values.data(), count) == expected);
        CHECK(all_finite(values.data(), count));
        values[count - 1] = std::numeric_limits<float>::quiet_NaN();
        CHECK(!all_finite(values.data(), count));
    }
}

TEST("text: characters, not bytes") {
    CHECK(count_characters("皖A·D86766") == 9);
    CHECK(strip_characters("皖A·D-86.7 66", characters("·.- ")) == "皖AD86766");
    CHECK(characters("a\xE7").size() == 2);
    CHECK(trim(" \t皖 \r\n") == "皖");
    CHECK(trim("  ").empty());
}

TEST("text: dictionaries keep a line of one space, and name the line that is wrong") {
    const test::Scratch file("皖\r\nA\n \n");
    const std::vector<std::string> dictionary = read_dictionary(file.path());
    CHECK(dictionary.size() == 3 && dictionary[0] == "皖" && dictionary[2] == " ");
    const test::Scratch bad("A\n\nB\n");
    CHECK_CONTAINS(test::message_of<Error>([&] { read_dictionary(bad.path()); }), "line 2");
    // Editors of Windows put a mark before the first character, and other encodings would come out as nonsense.
    const test::Scratch marked("\xEF\xBB\xBF皖\nA\n");
    CHECK(read_dictionary(marked.path()) == (std::vector<std::string>{"皖", "A"}));
    const test::Scratch gbk("A\n\xCD\xEE\n");
    CHECK_CONTAINS(test::message_of<Error>([&] { read_dictionary(gbk.path()); }), "line 2: not UTF-8");
    const test::Scratch empty("");
    CHECK_CONTAINS(test::message_of<Error>([&] { read_dictionary(empty.path()); }), "empty");
    CHECK_CONTAINS(test::message_of<Error>([&] { read_dictionary("/nonexistent/d"); }), "No such file");
}

TEST("json: quotes, controls and bytes that are no UTF-8") {
    Json json;
    json.open_object().item("a\"\\", "x\n\x01").key("b").open_array().integer(-3).boolean(true).null().close_array();
    json.item("c", "皖\xFF\xC0\xAF\xED\xA0\x80z").key("d").open_object().close_object().close_object();
    CHECK(json.str() ==
          "{\"a\\\"\\\\\": \"x\\u000a\\u0001\", \"b\": [-3, true, null], \"c\": "
          "\"皖\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBDz\", \"d\": {}}");
}

TEST("json: numbers are finite or null") {
    Json json;
    json.open_array().number(0.5).number(1.0 / 3, 3).number(1e300 * 1e300).number(std::nan("")).close_array();
    CHECK(json.str() == "[0.5, 0.333, null, null]");
}

TEST("text: a message is one line that moves no cursor") {
    CHECK(one_line("a\n\x1B[2J\r\t\x7F.jpg") == "a??[2J???.jpg");
    CHECK(one_line("\xC2\x9B"
                   "2J\xC2\xA0皖") == "?2J\xC2\xA0皖");
    CHECK(one_line("\xFF\xC2") == "\xEF\xBF\xBD\xEF\xBF\xBD");
}

TEST("text: the library's reason stands behind its heading and the place in its source") {
    CHECK(library_reason(
              "Paddle-Lite C++ Exception: \n[F 11/29 12: 0: 0.000 ...lite/core/program.cc:316 RuntimeProgram] "
              "Check failed: op: \n\nError: This model is not supported,\r\n  because kernel for 'layer_norm' is "
              "not supported by Paddle-Lite.\n") ==
          "Check failed: op: Error: This model is not supported, because kernel for 'layer_norm' is not supported by "
          "Paddle-Lite.");
    CHECK(library_reason("vector::_M_range_check") == "vector::_M_range_check");
    CHECK(library_reason("Paddle-Lite C++ Exception: \n") == "no reason given");
    CHECK(library_reason("") == "no reason given");
    std::string much(599, 'x');
    CHECK(library_reason(much + "皖" + much) == much + "...");
}

TEST("text: a file that never ends is refused") {
    CHECK_CONTAINS(test::message_of<Error>([] { read_list("/dev/zero"); }), "list /dev/zero is larger than 64 MiB");
}
