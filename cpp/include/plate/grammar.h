// The grammar of a country's plates, and a CTC prefix beam search that can only read valid plates.
// The specification is the text of edge/plate/grammar.py; both give the same text and score on the same probabilities.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "plate/ctc.h"

namespace plate {

inline constexpr std::size_t kLongestPlate = 16;  // characters
inline constexpr std::size_t kMostSymbols = 254;  // a prefix holds them as bytes, 0 for none

// What may stand on a country's plates, from a `grammar.txt` (docs/formats/bundle.md).
class Grammar {
  public:
    // Of the deterministic automaton of all templates; state 0 is the empty prefix.
    struct State {
        std::vector<std::int16_t> following;  // symbol to state, -1 where it is not allowed
        bool complete = false;
    };

    // Throws Error(kConfig): not a file, another format, a malformed line, or a grammar that contradicts itself.
    static Grammar read(const std::string& path);

    const std::vector<std::string>& symbols() const { return symbols_; }
    const std::vector<State>& automaton() const { return automaton_; }

    // The symbol for which one of a recogniser's characters counts; symbols().size() for none.
    std::size_t symbol_of(const std::string& character) const;

  private:
    using Characters = std::vector<std::string>;

    void take_line(const std::string& line, const std::string& where);
    bool take_pair(const std::string& key, const std::string& name, const std::string& value);
    bool take_value(const std::string& key, const std::string& value);
    void check(const std::string& path) const;
    void check_template(const Characters& marks, const std::string& where) const;
    bool fits(const std::string& mark, const std::string& character) const;
    void build_automaton(const std::string& path);

    std::string country_;
    Characters symbols_;
    std::map<std::string, Characters> classes_;
    int serial_letters_ = -1;
    std::map<std::string, std::string> fold_;
    std::vector<Characters> templates_;
    std::vector<State> automaton_;
};

// Decodes a recogniser's output to the likeliest valid plate.
class PlateDecoder {
  public:
    // `dictionary` holds the texts of classes 1, 2, ...; the characters of `strip` count as blanks.
    PlateDecoder(Grammar grammar, const std::vector<std::string>& dictionary, const std::vector<std::string>& strip);

    // `out` is empty with score 0 when no plate is possible.
    void decode(const float* probabilities, std::size_t steps, std::size_t classes, Reading& out);

  private:
    // A sequence of symbols with the probabilities of its paths that end with a blank, and of the others.
    struct Prefix {
        std::array<std::uint8_t, kLongestPlate> key{};  // symbols + 1, then zeros: sorts as the sequences do
        std::size_t length = 0;
        std::size_t last = 0;  // symbol
        std::size_t state = 0;
        double ended = 0;
        double open = 0;
        double total() const { return ended + open; }
    };

    void step(const double* likely);
    Prefix& find_or_add(const Prefix& prefix);

    Grammar grammar_;
    std::vector<std::size_t> blanks_;
    std::vector<std::vector<std::size_t>> classes_;  // of each symbol
    std::vector<Prefix> beam_;
    std::vector<Prefix> next_;
    std::vector<std::size_t> order_;
    double blank_ = 0;
};

}  // namespace plate
