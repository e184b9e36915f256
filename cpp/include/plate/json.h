// Writing JSON, one value after the other, into a string.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace plate {

// Commas and quotes look after themselves; brackets are the caller's to close. Text that is not UTF-8 (file names may
// be any bytes) gets replacement characters, since JSON must be UTF-8.
class Json {
  public:
    Json& open_object() { return open('{'); }
    Json& close_object() { return close('}'); }
    Json& open_array() { return open('['); }
    Json& close_array() { return close(']'); }
    Json& key(std::string_view name);
    Json& text(std::string_view value);
    Json& integer(std::int64_t value);
    Json& boolean(bool value);
    Json& null();
    // Finite numbers with at most `digits` significant ones; others as null, which is all that JSON has for them.
    Json& number(double value, int digits = 7);

    Json& item(std::string_view name, std::string_view value) { return key(name).text(value); }
    Json& item(std::string_view name, const char* value) { return key(name).text(value); }
    Json& item(std::string_view name, std::int64_t value) { return key(name).integer(value); }
    Json& item(std::string_view name, bool value) { return key(name).boolean(value); }

    const std::string& str() const { return out_; }
    void clear();

  private:
    Json& open(char bracket);
    Json& close(char bracket);
    void separate();

    std::string out_;
    bool comma_ = false;
};

}  // namespace plate
