#include "harness.h"
#include "plate/args.h"
#include "plate/config.h"
#include "plate/error.h"
#include "scratch.h"

using namespace plate;

namespace {

const std::string kGood =
    "# a comment\n"
    "det_model = det.nb\nrec_model = /abs/rec.nb\ndict = \"my \\\"dict\\\".txt\" # quoted\ngrammar = "
    "grammar.txt\nthreads = 2\n"
    "power_mode = high # big cores\njpeg_scale = auto\ndet_mean = 0.485, 0.456,0.406\n"
    "det_std = 0.229,0.224,0.225\ndet_limit_type = max\ndet_limit_side = 640\ndet_post = db\ndet_thresh = "
    "0.3\ndet_box_thresh = "
    "0.6\ndet_unclip_ratio = 1.5\n"
    "det_max_candidates = 1000\ndet_min_size = 3\ndet_dilation = true\nbox_flip = false\nbox_grow = 0.02\n"
    "rec_mean = 0.5,0.5,0.5\nrec_std = 0.5,0.5,0.5\nrec_height = 48\nrec_width = 320\nrec_resize = stretch\n"
    "decode = greedy\ntext_strip = \"·.- \"\ntext_lengths = 7,8\nscore_thresh = 0.0\n";

std::string with(const std::string& from, const std::string& to) {
    std::string text = kGood;
    return text.replace(text.find(from), from.size(), to);
}

std::string config_refused(const std::string& text, const std::vector<Override>& overrides = {}) {
    const test::Scratch file(text);
    return test::message_of<Error>([&] { load_config(file.path(), overrides); });
}

}  // namespace

TEST("config: values, quotes, comments, paths beside the file") {
    const test::Scratch file(kGood);
    const Config config = load_config(file.path(), {});
    const std::string folder = file.path().substr(0, file.path().rfind('/') + 1);
    CHECK(config.det_model == folder + "det.nb");
    CHECK(config.rec_model == "/abs/rec.nb");
    CHECK(config.dict == folder + "my \"dict\".txt");
    CHECK(config.power_mode == "high" && config.threads == 2);
    CHECK(config.det_dilation && !config.box_flip);
    CHECK(config.text_strip == "·.- ");
    CHECK(config.text_lengths == (std::vector<int>{7, 8}));
    CHECK_NEAR(config.det_mean[1], 0.456, 1e-6);
}

TEST("config: a byte order mark and line ends of Windows are no part of it") {
    std::string text = kGood;
    for (std::size_t at = 0; (at = text.find('\n', at)) != std::string::npos; at += 2) text.replace(at, 1, "\r\n");
    const test::Scratch file("\xEF\xBB\xBF" + text.substr(text.find("det_model")));
    CHECK(load_config(file.path(), {}).threads == 2);
    CHECK_CONTAINS(config_refused(with("threads = 2", std::string("threads = 2\0x", 13))), "is not UTF-8 text");
}

TEST("config: options override, and are blamed when they are wrong") {
    const test::Scratch file(kGood);
    const Config config = load_config(file.path(), {{"threads", "4"}, {"text_lengths", ""}, {"det_model", "x.nb"}});
    CHECK(config.threads == 4 && config.text_lengths.empty() && config.det_model == "x.nb");
    CHECK_CONTAINS(config_refused(kGood, {{"threads", "0"}}), "options: threads is out of range (1 to 64)");
    CHECK_CONTAINS(config_refused(kGood, {{"box_flip", "yes"}}), "--box_flip yes: neither true nor false");
}

TEST("config: unknown, missing, repeated and malformed keys are named with their line") {
    CHECK_CONTAINS(config_refused(with("threads = 2", "thread = 2")), "line 6: unknown key `thread`");
    CHECK_CONTAINS(config_refused(with("threads = 2\n", "")), "missing keys: threads");
    CHECK_CONTAINS(config_refused(kGood + "threads = 1\n"), "threads is given twice");
    CHECK_CONTAINS(config_refused(with("threads = 2", "threads 2")), "line 6: `threads 2` is not `key = value`");
    CHECK_CONTAINS(config_refused(with("threads = 2", "threads = 2x")), "line 6: threads: not a whole number");
    CHECK_CONTAINS(config_refused(with("det_thresh = 0.3", "det_thresh = nan")), "det_thresh: not a number");
    CHECK_CONTAINS(config_refused(with("0.229,0.224,0.225", "0.229,0.224")), "det_std: not three numbers");
    CHECK_CONTAINS(config_refused(with("0.229,0.224,0.225", "0,1,1")), "det_std is out of range");
    CHECK_CONTAINS(config_refused(with("\"·.- \"", "\"·.- ")), "no closing quote");
    CHECK_CONTAINS(config_refused(with("stretch", "crop")), "rec_resize is out of range");
}

TEST("args: dashes or underscores, values apart or with =, and -- ends the options") {
    const Args args({"--min-ms", "5", "a.jpg", "--det-limit-side=640", "--", "--b.jpg"}, {"min_ms"}, true);
    CHECK(args.real("min_ms", 0, 0) == 5);
    CHECK(args.overrides().size() == 1 && args.overrides()[0].first == "det_limit_side");
    CHECK(args.rest() == (std::vector<std::string>{"a.jpg", "--b.jpg"}));
    CHECK_CONTAINS(test::message_of<Error>([] { Args({"--foo", "1"}, {}, true); }), "unknown option --foo");
    CHECK_CONTAINS(test::message_of<Error>([] { Args({"--list"}, {"list"}, true); }), "needs a value");
    CHECK_CONTAINS(test::message_of<Error>([] { Args({"--n=1", "--n=2"}, {"n"}, false); }), "given twice");
    const Args bad({"--n", "1.5"}, {"n"}, false);
    CHECK_CONTAINS(test::message_of<Error>([&] { (void)bad.number("n", 0, 0); }), "not a whole number");
    CHECK_CONTAINS(test::message_of<Error>([&] { (void)bad.number("n", 0, 2); }), "too small");
    CHECK_CONTAINS(test::message_of<Error>([&] { (void)bad.required("m"); }), "--m is missing");
}
