#include "jpeg_turbo.h"

// jpeglib.h wants size_t and FILE.
#include <jerror.h>
#include <jpeglib.h>

#include <algorithm>
#include <array>
#include <csetjmp>
#include <cstdio>
#include <cstring>
#include <new>

#include "plate/error.h"

#define PLATE_TEXT_OF(x) #x
#define PLATE_TEXT(x) PLATE_TEXT_OF(x)

namespace plate {
namespace {

// Warnings that are kept: a damaged file may have thousands, of a few kinds.
constexpr int kMaxWarnings = 3;
// libjpeg gives a row or two at a time; more never fit.
constexpr std::size_t kRows = 8;
using Text = std::array<char, JMSG_LENGTH_MAX>;

}  // namespace

// libjpeg reports errors by a jump over its own functions. Nothing that a jump passes over may have a destructor, so
// what they share with the rest is this plain structure.
struct TurboJpeg::State {
    jpeg_decompress_struct info;
    jpeg_error_mgr errors;
    std::jmp_buf stop;
    Text error;
    std::array<Text, kMaxWarnings> warnings;
    std::array<int, kMaxWarnings> codes;
    int warning_count;
    bool premature;  // pixel data ended, or a marker stood in it, before the picture was complete
    const std::uint8_t* data;
    std::size_t size;
    std::uint8_t* pixels;  // of the picture to be
    std::size_t stride;
    int scale;

    static State& of(j_common_ptr info) { return *static_cast<State*>(info->client_data); }

    [[noreturn]] static void on_error(j_common_ptr info) {
        State& state = of(info);
        info->err->format_message(info, state.error.data());
        std::longjmp(state.stop, 1);
    }

    static void on_message(j_common_ptr info, int level) {
        if (level >= 0) return;  // traces
        State& state = of(info);
        ++info->err->num_warnings;
        const int code = info->err->msg_code;
        state.premature = state.premature || code == JWRN_HIT_MARKER || code == JWRN_JPEG_EOF;
        for (int i = 0; i < state.warning_count; ++i) {
            if (state.codes[static_cast<std::size_t>(i)] == code) return;
        }
        if (state.warning_count == kMaxWarnings) return;
        const auto next = static_cast<std::size_t>(state.warning_count++);
        state.codes[next] = code;
        info->err->format_message(info, state.warnings[next].data());
    }

    // Runs a step that may jump. False: it did.
    bool run(void (*step)(State&)) {
        if (setjmp(stop) != 0) return false;
        step(*this);
        return true;
    }

    static void open(State& state) {
        state.info.err = jpeg_std_error(&state.errors);
        state.errors.error_exit = on_error;
        state.errors.emit_message = on_message;
        state.info.client_data = &state;
        jpeg_create_decompress(&state.info);
        jpeg_mem_src(&state.info, state.data, static_cast<unsigned long>(state.size));
        jpeg_read_header(&state.info, TRUE);
    }

    static void start(State& state) {
        jpeg_decompress_struct& info = state.info;
        // The rest is libjpeg's default: the exact transform, and chroma that is interpolated.
        info.out_color_space = info.num_components == 4 ? JCS_CMYK : JCS_EXT_RGBX;
        info.scale_num = 1;
        info.scale_denom = static_cast<unsigned>(state.scale);
        jpeg_start_decompress(&info);
    }

    static void read(State& state) {
        jpeg_decompress_struct& info = state.info;
        std::array<JSAMPROW, kRows> rows;
        while (info.output_scanline < info.output_height) {
            const std::size_t left = info.output_height - info.output_scanline;
            const std::size_t count = std::min(kRows, left);
            for (std::size_t i = 0; i < count; ++i) rows[i] = state.pixels + (info.output_scanline + i) * state.stride;
            jpeg_read_scanlines(&info, rows.data(), static_cast<JDIMENSION>(count));
        }
    }

    static void finish(State& state) { jpeg_finish_decompress(&state.info); }
};

namespace {

// The colour of what is missing at the end of a picture, and of that with inverted CMYK.
constexpr std::uint8_t kGrey = 128;
constexpr std::uint8_t kGreyOfCmyk = 65;
// A picture of which more is missing is refused: its plate may well be in that part.
constexpr int kMostMissing = 4;  // a quarter

// Rows at the lower end that hold nothing but grey.
int missing_rows(const Image& image, std::uint8_t grey) {
    int rows = 0;
    for (int y = image.height() - 1; y >= 0; --y, ++rows) {
        const std::uint8_t* row = image.row(y);
        for (int x = 0; x < image.width(); ++x) {
            const std::uint8_t* p = row + static_cast<std::size_t>(x) * kPixelBytes;
            if (p[0] != grey || p[1] != grey || p[2] != grey) return rows;
        }
    }
    return rows;
}

// As OpenCV turns inverted CMYK, which is what files hold, to colours.
void cmyk_to_rgb(Image& image) {
    const auto mixed = [](int ink, int black) {
        return static_cast<std::uint8_t>(black - (((255 - ink) * black) >> 8));
    };
    std::uint8_t* const end = image.row(0) + image.bytes();
    for (std::uint8_t* p = image.row(0); p != end; p += kPixelBytes) {
        for (int i = 0; i < 3; ++i) p[i] = mixed(p[i], p[3]);
    }
}

}  // namespace

TurboJpeg::TurboJpeg(const std::uint8_t* data, std::size_t size) : state_(new State()) {
    state_->data = data;
    state_->size = size;
    if (!state_->run(State::open)) fail("its header cannot be read");
}

void TurboJpeg::Close::operator()(State* state) const {
    // Also right for what was never created: `mem` is null then.
    jpeg_destroy_decompress(&state->info);
    delete state;
}

int TurboJpeg::width() const {
    return static_cast<int>(state_->info.image_width);
}

int TurboJpeg::height() const {
    return static_cast<int>(state_->info.image_height);
}

const char* TurboJpeg::library() {
    return "libjpeg-turbo " PLATE_TEXT(LIBJPEG_TURBO_VERSION);
}

void TurboJpeg::fail(const char* doing) const {
    if (state_->errors.msg_code == JERR_OUT_OF_MEMORY) throw std::bad_alloc();
    throw ImageError(std::string("damaged: ") + doing + " (" + state_->error.data() + ")");
}

void TurboJpeg::decode(int scale, Image& out, std::vector<std::string>& warnings) {
    State& state = *state_;
    state.scale = scale;
    if (!state.run(State::start)) fail("it cannot be decoded");
    out.resize(static_cast<int>(state.info.output_width), static_cast<int>(state.info.output_height));
    state.pixels = out.row(0);
    state.stride = out.stride();
    if (!state.run(State::read)) fail("it cannot be decoded");
    const bool complete = state.run(State::finish);
    if (state.info.num_components == 4) cmyk_to_rgb(out);
    for (int i = 0; i < state.warning_count; ++i) {
        warnings.emplace_back(state.warnings[static_cast<std::size_t>(i)].data());
    }
    // Every pixel is there: what follows them is of no use.
    if (!complete) warnings.emplace_back(state.error.data());
    if (!state.premature) return;
    const int missing = missing_rows(out, state.info.num_components == 4 ? kGreyOfCmyk : kGrey);
    if (missing == 0) return;
    const std::string share = std::to_string(std::max(1, 100 * missing / out.height())) + " % of its rows are missing";
    if (missing * kMostMissing > out.height()) throw ImageError("damaged: the last " + share);
    warnings.push_back("the last " + share);
}

}  // namespace plate
