// PNG by libpng.
#include <png.h>
#include <setjmp.h>
#include <zlib.h>

#include "base/limits.h"
#include "pixel/png.h"
#include "pixel/render.h"

static void on_error(png_structp png, png_const_charp message) {
    err_set(png_get_error_ptr(png), ERR_INTERNAL, "pixel", "libpng: %s", message);
    png_longjmp(png, 1);
}

static void on_warning(png_structp png, png_const_charp message) {
    (void)png;
    (void)message;
}

static void on_bytes(png_structp png, png_bytep p, png_size_t n) {
    struct buf *to = png_get_io_ptr(png);
    buf_add(to, p, n);
    if (to->failed) png_error(png, "no room");
}

static void on_flush(png_structp png) {
    (void)png;
}

// Everything that may jump back.
static void write_picture(png_structp png, png_infop info, const struct px_picture *picture, struct buf *to) {
    png_set_write_fn(png, to, on_bytes, on_flush);
    png_set_compression_level(png, 3); // near the size of level 6 at half its time
    if (picture->channels == 1) {      // what differs from its neighbours by noise repeats nothing: not to look for it is smaller too, and takes a third
        png_set_filter(png, PNG_FILTER_TYPE_BASE, PNG_FILTER_AVG);
        png_set_compression_strategy(png, Z_RLE);
    }
    png_set_IHDR(png, info, picture->width, picture->height, 8, picture->channels == 3 ? PNG_COLOR_TYPE_RGB : PNG_COLOR_TYPE_GRAY, PNG_INTERLACE_NONE,
                 PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
    if (picture->icc.n) png_set_iCCP(png, info, "ICC", PNG_COMPRESSION_TYPE_BASE, (png_const_bytep)picture->icc.p, (png_uint_32)picture->icc.n);
    png_write_info(png, info);
    size_t row = (size_t)picture->width * picture->channels;
    for (uint32_t y = 0; y < picture->height; y++) png_write_row(png, picture->pixels + y * row);
    png_write_end(png, NULL);
}

bool px_write_png(const struct px_picture *picture, struct buf *to, struct err *e) {
    struct err inner = {0};
    png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, &inner, on_error, on_warning);
    png_infop info = png ? png_create_info_struct(png) : NULL;
    if (!info) {
        png_destroy_write_struct(&png, NULL);
        return err_nomem(e, "pixel");
    }
    bool ok = setjmp(png_jmpbuf(png)) == 0;
    if (ok) write_picture(png, info, picture, to);
    png_destroy_write_struct(&png, &info);
    if (inner.kind != ERR_NONE) return buf_ok(to, e) && err_set(e, inner.kind, inner.module, "%s", inner.message);
    return true;
}

// ---- in ----

struct source {
    struct str bytes;
    size_t at;
};

static void on_read_error(png_structp png, png_const_charp message) {
    err_set(png_get_error_ptr(png), ERR_UNDECODABLE, "pixel", "PNG: %s", message);
    png_longjmp(png, 1);
}

static void on_want(png_structp png, png_bytep p, png_size_t n) {
    struct source *s = png_get_io_ptr(png);
    if (n > s->bytes.n - s->at) png_error(png, "the file ends early");
    memcpy(p, s->bytes.p + s->at, n);
    s->at += n;
}

static void simplify(png_structp png, png_infop info) {
    png_byte depth = png_get_bit_depth(png, info), colour = png_get_color_type(png, info);
    if (colour == PNG_COLOR_TYPE_PALETTE) png_set_palette_to_rgb(png);
    if (depth < 8) png_set_expand_gray_1_2_4_to_8(png);
    if (depth == 16) png_set_swap(png);
    if (colour & PNG_COLOR_MASK_ALPHA) png_set_strip_alpha(png);
}

// Everything that may jump back. rows: NULL until there is a place for them.
static bool read_picture(png_structp png, png_infop info, struct arena *a, struct px_png *out, struct err *e) {
    png_read_info(png, info);
    out->width = png_get_image_width(png, info);
    out->height = png_get_image_height(png, info);
    simplify(png, info);
    int passes = png_set_interlace_handling(png);
    png_read_update_info(png, info);
    out->channels = png_get_channels(png, info);
    out->bits = png_get_bit_depth(png, info);
    size_t row = png_get_rowbytes(png, info);
    if (out->height > 0 && row > (size_t)PX_OUTPUT_BYTES_MAX / out->height)
        return err_set(e, ERR_TOO_LARGE, "pixel", "a PNG picture of %u x %u pixels", out->width, out->height);
    out->n = row * out->height;
    out->pixels = arena_zero(a, out->n + 1, 1, e);
    if (!out->pixels) return false;
    for (int pass = 0; pass < passes; pass++)
        for (uint32_t y = 0; y < out->height; y++) png_read_row(png, out->pixels + y * row, NULL);
    return (out->channels == 1 || out->channels == 3) || err_set(e, ERR_UNDECODABLE, "pixel", "a PNG picture with %u channels", out->channels);
}

bool px_read_png(struct arena *a, struct str bytes, struct px_png *out, struct err *e) {
    struct err inner = {0};
    struct source source = {bytes, 0};
    *out = (struct px_png){0};
    png_structp png = png_create_read_struct(PNG_LIBPNG_VER_STRING, &inner, on_read_error, on_warning);
    png_infop info = png ? png_create_info_struct(png) : NULL;
    if (!info) {
        png_destroy_read_struct(&png, NULL, NULL);
        return err_nomem(e, "pixel");
    }
    png_set_user_limits(png, UINT16_MAX, UINT16_MAX);
    png_set_read_fn(png, &source, on_want);
    volatile bool ok = false;
    if (setjmp(png_jmpbuf(png)) == 0) ok = read_picture(png, info, a, out, &inner);
    png_destroy_read_struct(&png, &info, NULL);
    return ok || err_set(e, inner.kind, "pixel", "%s", inner.message);
}
