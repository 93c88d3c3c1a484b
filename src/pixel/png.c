// PNG by libpng.
#include <png.h>
#include <setjmp.h>

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
