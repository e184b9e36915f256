// Command line: `--name value`, `--name=value`, and everything else.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "plate/config.h"

namespace plate {

// Options may be spelt with underscores or dashes; names are kept with underscores. `--` ends the options.
class Args {
  public:
    // `names`: the options of this command; with `config_keys`, every key of the config is one too.
    // Throws Error(kUsage): unknown or repeated option, option without value.
    Args(const std::vector<std::string>& words, const std::vector<std::string>& names, bool config_keys);

    bool has(const std::string& name) const { return values_.count(name) != 0; }
    // Throws Error(kUsage) when a required option is missing, or a number is not one, or not between `least` and
    // `most`.
    const std::string& required(const std::string& name) const;
    std::string value(const std::string& name, const std::string& otherwise) const;
    int number(const std::string& name, int otherwise, int least, int most = 1'000'000'000) const;
    double real(const std::string& name, double otherwise, double least) const;

    const std::vector<Override>& overrides() const { return overrides_; }
    const std::vector<std::string>& rest() const { return rest_; }

  private:
    void add(const std::string& name, const std::string& value, const std::vector<std::string>& names,
             bool config_keys);

    std::map<std::string, std::string> values_;
    std::vector<Override> overrides_;
    std::vector<std::string> rest_;
};

}  // namespace plate
