#include "plate/args.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>

#include "plate/error.h"

namespace plate {
namespace {

[[noreturn]] void usage(const std::string& message) {
    throw Error(ExitCode::kUsage, message + " (see `plate_ocr help`)");
}

}  // namespace

Args::Args(const std::vector<std::string>& words, const std::vector<std::string>& names, bool config_keys) {
    for (std::size_t i = 0; i < words.size(); ++i) {
        const std::string& word = words[i];
        if (word == "--") {
            rest_.insert(rest_.end(), words.begin() + static_cast<std::ptrdiff_t>(i) + 1, words.end());
            break;
        }
        if (word.compare(0, 2, "--") != 0) {
            rest_.push_back(word);
            continue;
        }
        const std::size_t equals = word.find('=');
        std::string name = word.substr(2, equals == std::string::npos ? equals : equals - 2);
        std::replace(name.begin(), name.end(), '-', '_');
        if (equals != std::string::npos) {
            add(name, word.substr(equals + 1), names, config_keys);
        } else if (i + 1 < words.size()) {
            add(name, words[++i], names, config_keys);
        } else {
            usage("option " + word + " needs a value");
        }
    }
}

void Args::add(const std::string& name, const std::string& value, const std::vector<std::string>& names,
               bool config_keys) {
    if (std::find(names.begin(), names.end(), name) != names.end()) {
        if (!values_.emplace(name, value).second) usage("option --" + name + " is given twice");
    } else if (config_keys && is_config_key(name)) {
        overrides_.emplace_back(name, value);
    } else {
        usage("unknown option --" + name);
    }
}

const std::string& Args::required(const std::string& name) const {
    const auto found = values_.find(name);
    if (found == values_.end()) usage("option --" + name + " is missing");
    return found->second;
}

std::string Args::value(const std::string& name, const std::string& otherwise) const {
    const auto found = values_.find(name);
    return found == values_.end() ? otherwise : found->second;
}

int Args::number(const std::string& name, int otherwise, int least, int most) const {
    const double value = real(name, otherwise, least);
    if (value != std::floor(value)) usage("--" + name + ": not a whole number");
    if (value > most) usage("--" + name + ": more than " + std::to_string(most));
    return static_cast<int>(value);
}

double Args::real(const std::string& name, double otherwise, double least) const {
    const auto found = values_.find(name);
    if (found == values_.end()) return otherwise;
    char* end = nullptr;
    const double value = std::strtod(found->second.c_str(), &end);
    if (found->second.empty() || *end != '\0' || !std::isfinite(value)) {
        usage("--" + name + " " + found->second + ": not a number");
    }
    if (value < least) usage("--" + name + " " + found->second + ": too small");
    return value;
}

}  // namespace plate
