// Encoding by OpenJPH behind a C function: its exceptions and its messages end here.
#include "codec/openjph.h"

#include <cstdarg>
#include <cstdio>
#include <cstring>
#include <exception>

#include <openjph/ojph_arch.h>
#include <openjph/ojph_file.h>
#include <openjph/ojph_mem.h>
#include <openjph/ojph_params.h>

#include <openjph/ojph_codestream.h>
#include <openjph/ojph_message.h>

namespace {

// What the library found wrong, as text.
struct refusal {
    char text[200];
};

// The library prints what it says, and dies by an exception without words: ours keeps them.
class loud_error : public ojph::message_error {
  public:
    __attribute__((format(printf, 5, 6))) void operator()(int code, const char *, int, const char *format, ...) override {
        refusal r;
        int n = snprintf(r.text, sizeof r.text, "%08x: ", static_cast<unsigned>(code));
        va_list args;
        va_start(args, format);
        vsnprintf(r.text + n, sizeof r.text - static_cast<size_t>(n), format, args);
        va_end(args);
        throw r;
    }
};

class silent_warning : public ojph::message_warning {
  public:
    void operator()(int, const char *, int, const char *, ...) override {
    }
};

class silent_info : public ojph::message_info {
  public:
    void operator()(int, const char *, int, const char *, ...) override {
    }
};

// Set once, before the first codestream.
struct messages {
    loud_error error;
    silent_warning warning;
    silent_info info;
    messages() {
        ojph::configure_error(&error);
        ojph::configure_warning(&warning);
        ojph::configure_info(&info);
    }
};

void take_messages() {
    static messages all;
    (void)all;
}

class sink : public ojph::outfile_base {
  public:
    sink(openjph_write *to, void *ctx) : write_(to), ctx_(ctx) {
    }
    size_t write(const void *p, size_t n) override {
        if (!write_(ctx_, p, n)) throw refusal{"the result has no room"};
        at_ += static_cast<ojph::si64>(n);
        return n;
    }
    ojph::si64 tell() override {
        return at_;
    }

  private:
    openjph_write *write_;
    void *ctx_;
    ojph::si64 at_ = 0;
};

void describe(ojph::codestream &stream, const openjph_image &image) {
    ojph::param_siz siz = stream.access_siz();
    siz.set_image_extent(ojph::point(image.columns, image.rows));
    siz.set_num_components(image.samples);
    for (unsigned i = 0; i < image.samples; i++) siz.set_component(i, ojph::point(1, 1), image.bits, image.is_signed);
    ojph::param_cod cod = stream.access_cod();
    cod.set_num_decomposition(image.levels);
    cod.set_block_dims(64, 64);
    cod.set_progression_order(image.progression);
    cod.set_color_transform(image.transform);
    cod.set_reversible(image.reversible);
    if (!image.reversible) stream.access_qcd().set_irrev_quant(image.step);
    stream.set_planar(!image.transform);
}

void encode(const openjph_image &image, sink &to) {
    ojph::codestream stream;
    describe(stream, image);
    stream.write_headers(&to);
    ojph::ui32 component = 0, row[3] = {0, 0, 0};
    ojph::line_buf *line = stream.exchange(nullptr, component);
    for (size_t i = static_cast<size_t>(image.rows) * image.samples; i > 0 && line; i--) {
        memcpy(line->i32, image.planes[component] + static_cast<size_t>(row[component]++) * image.columns, image.columns * sizeof(int32_t));
        line = stream.exchange(line, component);
    }
    stream.flush();
    stream.close();
}

} // namespace

bool openjph_encode(const openjph_image *image, openjph_write *write, void *ctx, char *message, size_t size) {
    const char *why = "an exception without a name";
    refusal kept;
    try {
        take_messages();
        sink to(write, ctx);
        encode(*image, to);
        return true;
    } catch (const refusal &r) {
        kept = r;
        why = kept.text;
    } catch (const std::exception &x) {
        snprintf(kept.text, sizeof kept.text, "%s", x.what());
        why = kept.text;
    } catch (const char *text) {
        why = text;
    } catch (...) { // named above
    }
    snprintf(message, size, "%s", why);
    return false;
}
