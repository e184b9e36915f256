// UTF-8 text: characters, dictionaries, line lists.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace plate {

// Bytes of the well-formed UTF-8 character at `at` (Unicode standard, table 3-7), 0 when there is none.
std::size_t utf8_length(std::string_view text, std::size_t at);

// Splits UTF-8 into characters. A byte that starts none stands for itself.
std::vector<std::string> characters(std::string_view text);
std::size_t count_characters(std::string_view text);

// `text` without the characters of `unwanted`.
std::string strip_characters(const std::string& text, const std::vector<std::string>& unwanted);

std::string_view trim(std::string_view text);

// `text` for a terminal: control characters, which file names may hold, as question marks, and bytes that are not UTF-8
// as replacement characters. So a message is one line and moves no cursor.
std::string one_line(std::string_view text);

// What an exception of Paddle Lite says, on one line of at most 600 bytes: without its heading and the place in the
// library's source, which come first, and with the lines after them, where the reason stands.
std::string library_reason(std::string_view what);

// Whole text of a file, without the byte order mark that some editors put before it.
// Throws Error(kConfig) with `what` (such as "dictionary") in its message, also for one of more than 64 MiB.
std::string read_text(const std::string& path, const char* what);

// Its lines, without their ends. Throws Error(kConfig), also for one that is not UTF-8.
std::vector<std::string> utf8_lines(const std::string& path, const char* what);

// A recogniser's dictionary: element i - 1 is the text of class i (class 0 is the CTC blank).
// Throws Error(kConfig): not a file, not UTF-8, or a line that is not one character.
std::vector<std::string> read_dictionary(const std::string& path);

// Paths of a list file, one a line, empty lines left out. Throws Error(kConfig).
std::vector<std::string> read_list(const std::string& path);

}  // namespace plate
