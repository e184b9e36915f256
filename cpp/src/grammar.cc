#include "plate/grammar.h"

#include <algorithm>
#include <cmath>

#include "plate/text.h"

namespace plate {
namespace {

constexpr const char* kLetters = "ABCDEFGHJKLMNPQRSTUVWXYZ";
constexpr const char* kDigits = "0123456789";
constexpr const char* kProvinces = "京津冀晋蒙辽吉黑沪苏浙皖闽赣鲁豫鄂湘粤桂琼渝川贵云藏陕甘青宁新";
constexpr const char* kNewEnergy = "ABCDEFGHJK";
constexpr const char* kEndings = "警学挂试超领港澳使";

// P province, L letter of the issuing office, S serial letter or digit, D digit, N letter of a new-energy plate; other
// characters stand for themselves.
constexpr const char* kTemplates[] = {"PLSSSSS",   "PLNSDDDD", "PLDDDDDN", "PLSSSS警", "PLSSSS学",
                                      "PLSSSS挂",  "PLSSSS试", "PLSSSS超", "PLSSSS领", "粤ZSSSS港",
                                      "粤ZSSSS澳", "DDDDDD使", "使DDDDDD"};
constexpr int kSerialLetters = 2;
constexpr std::size_t kBeam = 16;
constexpr int kBranches = 6;
constexpr double kFloor = 1e-6;
constexpr unsigned kKeyBits = 7;
constexpr std::size_t kLongest = 8;

std::size_t index_of(const std::vector<std::string>& list, const std::string& item) {
    return static_cast<std::size_t>(std::find(list.begin(), list.end(), item) - list.begin());
}

bool contains(const std::string& text, const std::string& character) {
    return text.find(character) != std::string::npos;
}

bool fits(const std::string& mark, const std::string& character) {
    if (mark == "P") return contains(kProvinces, character);
    if (mark == "L") return contains(kLetters, character);
    if (mark == "S") return contains(kLetters, character) || contains(kDigits, character);
    if (mark == "D") return contains(kDigits, character);
    if (mark == "N") return contains(kNewEnergy, character);
    return mark == character;
}

// The character of the grammar for which one of the recogniser's counts.
std::string fold(const std::string& character) {
    std::string folded = character;
    if (folded.size() == 1 && folded[0] >= 'a' && folded[0] <= 'z')
        folded[0] = static_cast<char>(folded[0] - 'a' + 'A');
    if (folded == "O") return "0";
    return folded == "I" ? "1" : folded;
}

// A state is a length and the templates that still fit, each with the letters that its serial has so far.
struct Key {
    std::size_t length = 0;
    std::vector<std::pair<std::size_t, int>> alive;
    bool operator==(const Key& other) const { return length == other.length && alive == other.alive; }
};

std::vector<PlateState> build_automaton() {
    std::vector<std::vector<std::string>> templates;
    std::vector<Key> keys(1);
    for (const char* text : kTemplates) {
        keys[0].alive.emplace_back(templates.size(), 0);
        templates.push_back(characters(text));
    }
    const std::vector<std::string>& symbols = plate_symbols();
    std::vector<PlateState> states;
    while (states.size() < keys.size()) {
        const Key key = keys[states.size()];
        PlateState state;
        state.following.assign(symbols.size(), -1);
        for (const auto& [form, letters] : key.alive) {
            state.complete = state.complete || templates[form].size() == key.length;
        }
        for (std::size_t symbol = 0; symbol < symbols.size(); ++symbol) {
            Key after{key.length + 1, {}};
            for (const auto& [form, letters] : key.alive) {
                if (templates[form].size() <= key.length) continue;
                const std::string& mark = templates[form][key.length];
                if (!fits(mark, symbols[symbol])) continue;
                const int more = letters + (mark == "S" && contains(kLetters, symbols[symbol]) ? 1 : 0);
                if (more <= kSerialLetters) after.alive.emplace_back(form, more);
            }
            if (after.alive.empty()) continue;
            const auto known = static_cast<std::size_t>(std::find(keys.begin(), keys.end(), after) - keys.begin());
            if (known == keys.size()) keys.push_back(after);
            state.following[symbol] = static_cast<std::int16_t>(known);
        }
        states.push_back(std::move(state));
    }
    return states;
}

double sum_of(const float* row, const std::vector<std::size_t>& classes) {
    double sum = 0;
    for (const std::size_t i : classes) sum += static_cast<double>(row[i]);
    return sum;
}

}  // namespace

const std::vector<std::string>& plate_symbols() {
    static const std::vector<std::string> symbols = characters(std::string(kLetters) + kDigits + kProvinces + kEndings);
    return symbols;
}

const std::vector<PlateState>& plate_automaton() {
    static const std::vector<PlateState> automaton = build_automaton();
    return automaton;
}

PlateDecoder::PlateDecoder(const std::vector<std::string>& dictionary, const std::vector<std::string>& strip)
    : blanks_(1, 0), classes_(plate_symbols().size()) {
    const std::vector<std::string>& symbols = plate_symbols();
    for (std::size_t i = 0; i < dictionary.size(); ++i) {
        if (std::find(strip.begin(), strip.end(), dictionary[i]) != strip.end()) {
            blanks_.push_back(i + 1);
            continue;
        }
        const std::size_t symbol = index_of(symbols, fold(dictionary[i]));
        if (symbol < symbols.size()) classes_[symbol].push_back(i + 1);
    }
}

PlateDecoder::Prefix& PlateDecoder::find_or_add(const Prefix& prefix) {
    // Prefixes of equal symbols have equal keys: no symbol has the bits of "nothing here".
    for (Prefix& known : next_) {
        if (known.key == prefix.key) return known;
    }
    return next_.emplace_back(prefix);
}

void PlateDecoder::step(const double* likely) {
    const std::vector<PlateState>& automaton = plate_automaton();
    next_.clear();
    for (const Prefix& prefix : beam_) {
        Prefix same = prefix;
        same.ended = same.open = 0;
        Prefix& own = find_or_add(same);
        own.ended = prefix.total() * blank_;
        if (prefix.length > 0) own.open += prefix.open * likely[prefix.last];
        int branches = 0;
        for (const std::size_t symbol : order_) {
            const std::int16_t state = automaton[prefix.state].following[symbol];
            if (state < 0) continue;
            const bool repeat = prefix.length > 0 && symbol == prefix.last;
            const unsigned shift = static_cast<unsigned>(kLongest - 1 - prefix.length) * kKeyBits;
            const Prefix longer{prefix.key | static_cast<std::uint64_t>(symbol + 1) << shift,
                                prefix.length + 1,
                                symbol,
                                static_cast<std::size_t>(state),
                                0,
                                0};
            find_or_add(longer).open += (repeat ? prefix.ended : prefix.total()) * likely[symbol];
            if (++branches == kBranches) break;
        }
    }
    next_.erase(std::remove_if(next_.begin(), next_.end(), [](const Prefix& p) { return !(p.total() > 0); }),
                next_.end());
    std::sort(next_.begin(), next_.end(), [](const Prefix& a, const Prefix& b) {
        return a.total() > b.total() || (a.total() == b.total() && a.key < b.key);
    });
    if (next_.size() > kBeam) next_.resize(kBeam);
    beam_.swap(next_);
}

void PlateDecoder::decode(const float* probabilities, std::size_t steps, std::size_t classes, Reading& out) {
    out.text.clear();
    out.score = 0;
    std::vector<double> likely(classes_.size());
    beam_.assign(1, Prefix{});
    beam_[0].ended = 1;
    for (std::size_t t = 0; t < steps; ++t) {
        const float* row = probabilities + t * classes;
        blank_ = sum_of(row, blanks_);
        order_.clear();
        for (std::size_t symbol = 0; symbol < likely.size(); ++symbol) {
            likely[symbol] = sum_of(row, classes_[symbol]);
            if (likely[symbol] >= kFloor) order_.push_back(symbol);
        }
        std::stable_sort(order_.begin(), order_.end(),
                         [&likely](std::size_t a, std::size_t b) { return likely[a] > likely[b]; });
        step(likely.data());
    }
    for (const Prefix& prefix : beam_) {
        if (!plate_automaton()[prefix.state].complete) continue;
        for (std::size_t i = 0; i < prefix.length; ++i) {
            const std::uint64_t bits = prefix.key >> (static_cast<unsigned>(kLongest - 1 - i) * kKeyBits) & 0x7FU;
            out.text += plate_symbols()[static_cast<std::size_t>(bits) - 1];
        }
        out.score = std::pow(prefix.total(), 1.0 / static_cast<double>(prefix.length));
        return;
    }
}

}  // namespace plate
