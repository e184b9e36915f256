// The grammar of Chinese plates, and a CTC prefix beam search that can only read valid plates.
// The specification is the text of edge/plate/grammar.py; both give the same text and score on the same probabilities.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "plate/ctc.h"

namespace plate {

// Characters of the grammar; a symbol is an index into it.
const std::vector<std::string>& plate_symbols();

// The deterministic automaton of all plates' forms; state 0 is the empty prefix.
struct PlateState {
    std::vector<std::int16_t> following;  // symbol to state, -1 where it is not allowed
    bool complete = false;
};
const std::vector<PlateState>& plate_automaton();

// Decodes a recogniser's output to the likeliest valid plate.
class PlateDecoder {
  public:
    // `dictionary` holds the texts of classes 1, 2, ...; the characters of `strip` count as blanks.
    PlateDecoder(const std::vector<std::string>& dictionary, const std::vector<std::string>& strip);

    // `out` is empty with score 0 when no plate is possible.
    void decode(const float* probabilities, std::size_t steps, std::size_t classes, Reading& out);

  private:
    // A sequence of at most eight symbols with the probabilities of its paths that end with a blank, and of the others.
    struct Prefix {
        std::uint64_t key = 0;  // seven bits a symbol, the first in the highest ones: sorts as the sequences do
        std::size_t length = 0;
        std::size_t last = 0;  // symbol
        std::size_t state = 0;
        double ended = 0;
        double open = 0;
        double total() const { return ended + open; }
    };

    void step(const double* likely);
    Prefix& find_or_add(const Prefix& prefix);

    std::vector<std::size_t> blanks_;
    std::vector<std::vector<std::size_t>> classes_;  // of each symbol
    std::vector<Prefix> beam_;
    std::vector<Prefix> next_;
    std::vector<std::size_t> order_;
    double blank_ = 0;
};

}  // namespace plate
