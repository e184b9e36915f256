#include "grammar_text.h"
#include "harness.h"
#include "plate/error.h"
#include "plate/text.h"

using namespace plate;

namespace {

const std::vector<std::string> kDictionary = characters("皖京ABOID0123456789·粤Z港学");

// Probabilities in which `text` is read one character a step with a blank between, each with weight `p`.
std::vector<float> matrix(const std::string& text, float p, std::size_t& steps) {
    const std::size_t classes = kDictionary.size() + 1;
    std::vector<float> out;
    for (const std::string& character : characters(text)) {
        for (const bool blank : {false, true}) {
            std::vector<float> row(classes, (1 - p) / static_cast<float>(classes - 1));
            std::size_t at = 0;
            while (!blank && kDictionary[at] != character) ++at;
            row[blank ? 0 : at + 1] = p;
            out.insert(out.end(), row.begin(), row.end());
        }
    }
    steps = out.size() / classes;
    return out;
}

Reading decode(const std::string& text, float p = 0.95F) {
    std::size_t steps = 0;
    const std::vector<float> m = matrix(text, p, steps);
    PlateDecoder decoder(test::grammar_of(test::kGrammarText), kDictionary, {"·"});
    Reading reading;
    decoder.decode(m.data(), steps, kDictionary.size() + 1, reading);
    return reading;
}

bool accepted(const std::string& text, const std::string& grammar_text = test::kGrammarText) {
    const Grammar grammar = test::grammar_of(grammar_text);
    const std::vector<std::string>& symbols = grammar.symbols();
    std::size_t state = 0;
    for (const std::string& character : characters(text)) {
        std::size_t symbol = 0;
        while (symbol < symbols.size() && symbols[symbol] != character) ++symbol;
        if (symbol == symbols.size() || grammar.automaton()[state].following[symbol] < 0) return false;
        state = static_cast<std::size_t>(grammar.automaton()[state].following[symbol]);
    }
    return grammar.automaton()[state].complete;
}

std::string refused(const std::string& from, const std::string& to) {
    std::string text = test::kGrammarText;
    text.replace(text.find(from), from.size(), to);
    return test::message_of<Error>([&] { test::grammar_of(text); });
}

}  // namespace

TEST("grammar: forms of plates") {
    for (const char* good :
         {"皖A12345", "皖AD12345", "皖A12345D", "粤Z1234港", "京A1234学", "123456使", "使123456", "皖AAB123"}) {
        CHECK(accepted(good));
    }
    for (const char* bad : {"皖A1234", "皖AABC12", "A皖12345", "皖1A2345", "皖A1234D5", "粤B1234港", "皖AZ12345", ""}) {
        CHECK(!accepted(bad));
    }
}

TEST("grammar: a clean plate is read with its own certainty, separators and look-alikes as they are meant") {
    const Reading plain = decode("皖A12345");
    CHECK(plain.text == "皖A12345");
    CHECK(plain.score > 0.85 && plain.score < 1);
    CHECK(decode("皖A·12345").text == "皖A12345");
    CHECK(decode("皖AOI34O").text == "皖A01340");
}

TEST("grammar: what is no plate is read as the nearest one, with a low score, or not at all") {
    const Reading odd = decode("AA12345", 0.9F);
    CHECK(odd.text.empty() || accepted(odd.text));
    CHECK(odd.score < 0.5);
    PlateDecoder decoder(test::grammar_of(test::kGrammarText), kDictionary, {"·"});
    std::vector<float> blanks(3 * (kDictionary.size() + 1), 0.0F);
    for (std::size_t t = 0; t < 3; ++t) blanks[t * (kDictionary.size() + 1)] = 1.0F;
    Reading none;
    decoder.decode(blanks.data(), 3, kDictionary.size() + 1, none);
    CHECK(none.text.empty() && none.score == 0);
}

TEST("grammar: another country's plates, longer ones, with letters without a limit") {
    const std::string text =
        "plate-edge/grammar/1\r\ncountry zz\r\nsymbols IO01\r\nclass S IO01\r\nserial_letters 16\r\ntemplate "
        "SSSSSSSSSSSSSSSS\r\n"
        "template IO\r\n\r\n";
    CHECK(accepted("IOIOIOIOIOIOIOI0", text) && accepted("IO", text));
    CHECK(!accepted("OI", text) && !accepted("IOIOIOIOIOIOIOI", text));
}

TEST("grammar: what is malformed is named with its line") {
    CHECK_CONTAINS(test::message_of<Error>([] { Grammar::read("/none/grammar.txt"); }), "cannot open grammar /none");
    CHECK_CONTAINS(refused("grammar/1", "grammar/2"),
                   "its first line is `plate-edge/grammar/2`, not `plate-edge/grammar/1`");
    CHECK_CONTAINS(refused("country cn", "county cn"), "line 2: `county cn` is unknown, or given twice");
    CHECK_CONTAINS(refused("class P", "class L"), "line 5: `class L ABC");
    CHECK_CONTAINS(refused("serial_letters 2", "serial_letters x"), "line 9: `serial_letters x` is unknown");
    CHECK_CONTAINS(refused("PLSSSSS\n", "PLSSSSS\ntemplate PLSSSSS blue\n"), "`template PLSSSSS blue` is unknown");
    CHECK_CONTAINS(refused("serial_letters 2\n", ""), "it needs country, symbols, serial_letters");
    CHECK_CONTAINS(refused("class D 0123456789", "class D 0123456789!"), "class D must stand for some of the symbols");
    CHECK_CONTAINS(refused("fold O 0", "fold A 0"), "fold A must lead from a character that is not a symbol");
    CHECK_CONTAINS(refused("symbols A", "symbols AA"), "symbols must be");
    CHECK_CONTAINS(refused("PLSSSSS\n", "PLSSSS?\n"), "template 1: `?` is neither a class nor one of the symbols");
    CHECK_CONTAINS(refused("PLSSSSS\n", "PLSSSSSSSSSSSSSSS\n"), "template 1: it must have 1 to 16 characters");
    CHECK_CONTAINS(refused("京沪皖粤警", "京沪皖粤\xff"), "line 3: not UTF-8");
}
