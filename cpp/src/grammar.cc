#include "plate/grammar.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "plate/error.h"
#include "plate/text.h"

namespace plate {
namespace {

constexpr const char* kFormat = "plate-edge/grammar/1";
constexpr const char* kSerial = "S";  // the class whose letters are counted
constexpr std::size_t kBeam = 16;
constexpr int kBranches = 6;
constexpr double kFloor = 1e-6;
constexpr std::size_t kMostTemplates = 64;
constexpr std::size_t kMostStates = 4096;

bool contains(const std::vector<std::string>& list, const std::string& item) {
    return std::find(list.begin(), list.end(), item) != list.end();
}

bool is_digit(const std::string& character) {
    return character.size() == 1 && character[0] >= '0' && character[0] <= '9';
}

bool is_blank_or_lower(const std::string& character) {
    return character.size() == 1 && (character[0] <= ' ' || (character[0] >= 'a' && character[0] <= 'z'));
}

// A state is a length and the templates that still fit, each with the letters that its serial has so far.
struct Key {
    std::size_t length = 0;
    std::vector<std::pair<std::size_t, int>> alive;
    bool operator==(const Key& other) const { return length == other.length && alive == other.alive; }
};

double sum_of(const float* row, const std::vector<std::size_t>& classes) {
    double sum = 0;
    for (const std::size_t i : classes) sum += static_cast<double>(row[i]);
    return sum;
}

Error malformed(const std::string& where, const std::string& why) {
    return {ExitCode::kConfig, where + ": " + why};
}

}  // namespace

Grammar Grammar::read(const std::string& path) {
    Grammar grammar;
    const std::vector<std::string> lines = utf8_lines(path, "grammar");
    if (lines.empty() || lines[0] != kFormat) {
        const std::string found = lines.empty() ? "" : lines[0].substr(0, 40);
        throw malformed("grammar " + path, "its first line is `" + found + "`, not `" + kFormat + "`");
    }
    for (std::size_t i = 1; i < lines.size(); ++i) {
        if (!lines[i].empty()) grammar.take_line(lines[i], "grammar " + path + ", line " + std::to_string(i + 1));
    }
    grammar.check("grammar " + path);
    grammar.build_automaton("grammar " + path);
    return grammar;
}

void Grammar::take_line(const std::string& line, const std::string& where) {
    std::vector<std::string> words;
    for (std::size_t at = 0; at <= line.size();) {
        const std::size_t end = std::min(line.find(' ', at), line.size());
        words.push_back(line.substr(at, end - at));
        at = end + 1;
    }
    const bool known = words.size() == 3   ? take_pair(words[0], words[1], words[2])
                       : words.size() == 2 ? take_value(words[0], words[1])
                                           : false;
    if (!known) throw malformed(where, "`" + line.substr(0, 40) + "` is unknown, or given twice");
}

bool Grammar::take_pair(const std::string& key, const std::string& name, const std::string& value) {
    if (key == "template") return take_value(key, name);  // `value` names its kind of plates, for reports.
    if (count_characters(name) != 1) return false;
    if (key == "class") return classes_.emplace(name, characters(value)).second;
    return key == "fold" && fold_.emplace(name, value).second;
}

bool Grammar::take_value(const std::string& key, const std::string& value) {
    if (key == "template") {
        const Characters marks = characters(value);
        if (std::find(templates_.begin(), templates_.end(), marks) != templates_.end()) return false;
        templates_.push_back(marks);
        return true;
    }
    if (key == "country" && country_.empty()) {
        country_ = value;
        return true;
    }
    if (key == "symbols" && symbols_.empty()) {
        symbols_ = characters(value);
        return true;
    }
    const bool number = !value.empty() && value.size() <= 3 &&
                        std::all_of(value.begin(), value.end(), [](char c) { return c >= '0' && c <= '9'; });
    if (key != "serial_letters" || serial_letters_ >= 0 || !number) return false;
    serial_letters_ = std::stoi(value);
    return true;
}

void Grammar::check(const std::string& path) const {
    if (country_.empty() || symbols_.empty() || serial_letters_ < 0 || templates_.empty() ||
        templates_.size() > kMostTemplates) {
        throw malformed(path, "it needs country, symbols, serial_letters and 1 to 64 templates");
    }
    std::vector<std::string> sorted = symbols_;
    std::sort(sorted.begin(), sorted.end());
    if (symbols_.size() > kMostSymbols || std::adjacent_find(sorted.begin(), sorted.end()) != sorted.end() ||
        std::any_of(symbols_.begin(), symbols_.end(), is_blank_or_lower)) {
        throw malformed(path, "symbols must be at most 254 characters, each once, no blanks and no a to z");
    }
    for (const auto& [name, members] : classes_) {
        if (members.empty() || !std::all_of(members.begin(), members.end(),
                                            [this](const std::string& c) { return contains(symbols_, c); })) {
            throw malformed(path, "class " + name + " must stand for some of the symbols");
        }
    }
    for (const auto& [from, to] : fold_) {
        if (contains(symbols_, from) || !contains(symbols_, to)) {
            throw malformed(path, "fold " + from + " must lead from a character that is not a symbol to one that is");
        }
    }
    for (std::size_t i = 0; i < templates_.size(); ++i)
        check_template(templates_[i], path + ", template " + std::to_string(i + 1));
}

void Grammar::check_template(const Characters& marks, const std::string& where) const {
    if (marks.empty() || marks.size() > kLongestPlate) throw malformed(where, "it must have 1 to 16 characters");
    for (const std::string& mark : marks) {
        if (classes_.count(mark) == 0 && !contains(symbols_, mark)) {
            throw malformed(where, "`" + mark + "` is neither a class nor one of the symbols");
        }
    }
}

bool Grammar::fits(const std::string& mark, const std::string& character) const {
    const auto found = classes_.find(mark);
    return found == classes_.end() ? mark == character : contains(found->second, character);
}

std::size_t Grammar::symbol_of(const std::string& character) const {
    std::string folded = character;
    if (folded.size() == 1 && folded[0] >= 'a' && folded[0] <= 'z') {
        folded[0] = static_cast<char>(folded[0] - 'a' + 'A');
    }
    const auto other = fold_.find(folded);
    if (other != fold_.end()) folded = other->second;
    return static_cast<std::size_t>(std::find(symbols_.begin(), symbols_.end(), folded) - symbols_.begin());
}

void Grammar::build_automaton(const std::string& path) {
    std::vector<Key> keys(1);
    for (std::size_t form = 0; form < templates_.size(); ++form) keys[0].alive.emplace_back(form, 0);
    while (automaton_.size() < keys.size()) {
        const Key key = keys[automaton_.size()];
        State state;
        state.following.assign(symbols_.size(), -1);
        for (const auto& [form, letters] : key.alive) {
            state.complete = state.complete || templates_[form].size() == key.length;
        }
        for (std::size_t symbol = 0; symbol < symbols_.size(); ++symbol) {
            Key after{key.length + 1, {}};
            for (const auto& [form, letters] : key.alive) {
                if (templates_[form].size() <= key.length) continue;
                const std::string& mark = templates_[form][key.length];
                if (!fits(mark, symbols_[symbol])) continue;
                const int more = letters + (mark == kSerial && !is_digit(symbols_[symbol]) ? 1 : 0);
                if (more <= serial_letters_) after.alive.emplace_back(form, more);
            }
            if (after.alive.empty()) continue;
            const auto known = static_cast<std::size_t>(std::find(keys.begin(), keys.end(), after) - keys.begin());
            if (known == keys.size()) keys.push_back(after);
            if (keys.size() > kMostStates) throw malformed(path, "it has too many templates, or they differ too much");
            state.following[symbol] = static_cast<std::int16_t>(known);
        }
        automaton_.push_back(std::move(state));
    }
}

PlateDecoder::PlateDecoder(Grammar grammar, const std::vector<std::string>& dictionary,
                           const std::vector<std::string>& strip)
    : grammar_(std::move(grammar)), blanks_(1, 0), classes_(grammar_.symbols().size()) {
    for (std::size_t i = 0; i < dictionary.size(); ++i) {
        if (contains(strip, dictionary[i])) {
            blanks_.push_back(i + 1);
            continue;
        }
        const std::size_t symbol = grammar_.symbol_of(dictionary[i]);
        if (symbol < classes_.size()) classes_[symbol].push_back(i + 1);
    }
}

PlateDecoder::Prefix& PlateDecoder::find_or_add(const Prefix& prefix) {
    // Prefixes of equal symbols have equal keys: no symbol is the zero of "nothing here".
    for (Prefix& known : next_) {
        if (known.key == prefix.key) return known;
    }
    return next_.emplace_back(prefix);
}

void PlateDecoder::step(const double* likely) {
    const std::vector<Grammar::State>& automaton = grammar_.automaton();
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
            Prefix longer{prefix.key, prefix.length + 1, symbol, static_cast<std::size_t>(state), 0, 0};
            longer.key[prefix.length] = static_cast<std::uint8_t>(symbol + 1);
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
        if (!grammar_.automaton()[prefix.state].complete) continue;
        for (std::size_t i = 0; i < prefix.length; ++i) out.text += grammar_.symbols()[prefix.key[i] - std::size_t{1}];
        out.score = std::pow(prefix.total(), 1.0 / static_cast<double>(prefix.length));
        return;
    }
}

}  // namespace plate
