// A grammar for tests: the plates of mainland China without the rarer kinds.
#pragma once

#include <string>

#include "plate/grammar.h"
#include "scratch.h"

namespace plate::test {

inline const std::string kGrammarText =
    "plate-edge/grammar/1\ncountry cn\n"
    "symbols ABCDEFGHJKLMNPQRSTUVWXYZ0123456789京沪皖粤警学港使\n"
    "class P 京沪皖粤\nclass L ABCDEFGHJKLMNPQRSTUVWXYZ\nclass S ABCDEFGHJKLMNPQRSTUVWXYZ0123456789\n"
    "class D 0123456789\nclass N ABCDEFGHJK\nserial_letters 2\nfold O 0\nfold I 1\n"
    "template PLSSSSS\ntemplate PLNSDDDD\ntemplate PLDDDDDN\ntemplate PLSSSS学\ntemplate 粤ZSSSS港 black\n"
    "template DDDDDD使\ntemplate 使DDDDDD\n";

inline Grammar grammar_of(const std::string& text) {
    const Scratch file(text);
    return Grammar::read(file.path());
}

}  // namespace plate::test
