// JPEG by libjpeg-turbo.
#include <stdio.h>
// jpeglib.h needs stdio.h first
#include <jpeglib.h>
#include <jerror.h>
#include <setjmp.h>
#include <stdlib.h>

#include "pixel/jpeg.h"
#include "pixel/render.h"

enum { CHUNK_BYTES = 64 * 1024, ROWS_AT_ONCE = 8 /* DCTSIZE */, SCANS_MAX = 256 };

// The library's structs first, so that a pointer to them is one to ours.
struct failing {
    struct jpeg_error_mgr manager;
    jmp_buf jump;
    char message[JMSG_LENGTH_MAX];
};

struct sink {
    struct jpeg_destination_mgr manager;
    struct buf *to;
    JOCTET chunk[CHUNK_BYTES];
};

static void on_error(j_common_ptr c) {
    struct failing *f = (struct failing *)c->err;
    c->err->format_message(c, f->message);
    longjmp(f->jump, 1);
}

static void on_message(j_common_ptr c) {
    (void)c;
}

static void open_chunk(j_compress_ptr c) {
    struct sink *s = (struct sink *)c->dest;
    s->manager.next_output_byte = s->chunk;
    s->manager.free_in_buffer = CHUNK_BYTES;
}

static boolean full_chunk(j_compress_ptr c) {
    struct sink *s = (struct sink *)c->dest;
    buf_add(s->to, s->chunk, CHUNK_BYTES);
    open_chunk(c);
    return TRUE;
}

static void last_chunk(j_compress_ptr c) {
    struct sink *s = (struct sink *)c->dest;
    buf_add(s->to, s->chunk, CHUNK_BYTES - s->manager.free_in_buffer);
}

// Gray rows of whole blocks go to the transform as they lie, without the two copies on the library's way; the last row stands for those below it.
static void write_blocks(struct jpeg_compress_struct *c, JSAMPROW *rows, JDIMENSION n) {
    for (JDIMENSION i = n; i < ROWS_AT_ONCE; i++) rows[i] = rows[n - 1];
    JSAMPARRAY planes[1] = {rows};
    jpeg_write_raw_data(c, planes, ROWS_AT_ONCE);
}

// Everything that may jump back.
static void compress(struct jpeg_compress_struct *c, struct sink *sink, const uint8_t *pixels, const struct px_jpeg *shape, int quality,
                     enum px_jpeg_sampling sampling) {
    jpeg_create_compress(c);
    c->dest = &sink->manager;
    c->image_width = shape->width;
    c->image_height = shape->height;
    c->input_components = (int)shape->components;
    c->in_color_space = shape->components != 3 ? JCS_GRAYSCALE : shape->colour == PX_JPEG_FROM_YCC ? JCS_YCbCr : JCS_RGB;
    jpeg_set_defaults(c);
    if (shape->components == 3 && shape->colour == PX_JPEG_KEEP) jpeg_set_colorspace(c, JCS_RGB);
    jpeg_set_quality(c, quality < 1 ? 1 : quality > 100 ? 100 : quality, TRUE);
    for (int i = 0; i < c->num_components; i++) c->comp_info[i].h_samp_factor = c->comp_info[i].v_samp_factor = 1;
    if (shape->components == 3) c->comp_info[0].h_samp_factor = sampling == PX_JPEG_444 ? 1 : 2;
    if (shape->components == 3) c->comp_info[0].v_samp_factor = sampling == PX_JPEG_420 ? 2 : 1;
    c->raw_data_in = shape->components == 1 && shape->width % DCTSIZE == 0;
    jpeg_start_compress(c, TRUE);
    if (shape->icc.n) jpeg_write_icc_profile(c, (const JOCTET *)shape->icc.p, (unsigned)shape->icc.n);
    size_t bytes = (size_t)shape->width * shape->components;
    while (c->next_scanline < c->image_height) {
        JSAMPROW rows[ROWS_AT_ONCE] = {NULL};
        JDIMENSION n = c->image_height - c->next_scanline < ROWS_AT_ONCE ? c->image_height - c->next_scanline : ROWS_AT_ONCE;
        for (JDIMENSION i = 0; i < n; i++) rows[i] = (JSAMPROW)(uintptr_t)(pixels + (c->next_scanline + i) * bytes);
        if (c->raw_data_in)
            write_blocks(c, rows, n);
        else
            jpeg_write_scanlines(c, rows, n);
    }
    jpeg_finish_compress(c);
}

bool px_encode_jpeg(const uint8_t *pixels, const struct px_jpeg *shape, int quality, enum px_jpeg_sampling sampling, struct buf *to, struct err *e) {
    struct jpeg_compress_struct c = {0};
    struct failing f = {0};
    struct sink *sink = malloc(sizeof *sink);
    if (!sink) return err_nomem(e, "pixel");
    sink->manager = (struct jpeg_destination_mgr){.init_destination = open_chunk, .empty_output_buffer = full_chunk, .term_destination = last_chunk};
    sink->to = to;
    c.err = jpeg_std_error(&f.manager);
    f.manager.error_exit = on_error;
    f.manager.output_message = on_message;
    bool ok = setjmp(f.jump) == 0;
    if (ok) compress(&c, sink, pixels, shape, quality, sampling);
    jpeg_destroy_compress(&c);
    free(sink);
    if (f.message[0]) return err_set(e, ERR_INTERNAL, "pixel", "libjpeg: %s", f.message);
    return buf_ok(to, e);
}

bool px_write_jpeg(const struct px_picture *picture, int quality, struct buf *to, struct err *e) {
    const struct px_jpeg shape = {
        .width = picture->width, .height = picture->height, .components = picture->channels, .colour = PX_JPEG_YCC, .icc = picture->icc};
    return px_encode_jpeg(picture->pixels, &shape, quality, quality >= 90 ? PX_JPEG_444 : PX_JPEG_420, to, e);
}

// ---- decoding ----

struct source {
    struct jpeg_source_mgr manager;
    const uint8_t *p;
    size_t n;
};

static void open_source(j_decompress_ptr c) {
    struct source *s = (struct source *)c->src;
    s->manager.next_input_byte = s->p;
    s->manager.bytes_in_buffer = s->n;
}

// Behind the last byte an EOI marker is read for ever: harmless when nothing but that is missing, else the decoder says that bits are.
static boolean no_more(j_decompress_ptr c) {
    static const JOCTET end[] = {0xFF, JPEG_EOI};
    c->src->next_input_byte = end;
    c->src->bytes_in_buffer = sizeof end;
    return TRUE;
}

static void skip_bytes(j_decompress_ptr c, long n) {
    if (n <= 0) return;
    if ((unsigned long)n > c->src->bytes_in_buffer) n = (long)c->src->bytes_in_buffer;
    c->src->next_input_byte += n;
    c->src->bytes_in_buffer -= (size_t)n;
}

static void nothing(j_decompress_ptr c) {
    (void)c;
}

// Warnings after which pixels are made up are failures; the others (junk between markers, an odd APP marker) change no pixel.
static void on_warning(j_common_ptr c, int level) {
    static const int failures[] = {JWRN_HIT_MARKER, JWRN_HUFF_BAD_CODE, JWRN_ARITH_BAD_CODE, JWRN_MUST_RESYNC, JWRN_BOGUS_PROGRESSION};
    for (size_t i = 0; level < 0 && i < sizeof failures / sizeof failures[0]; i++)
        if (c->err->msg_code == failures[i]) on_error(c);
}

// A progressive codestream of ever more scans would be worked on for ever.
static void on_progress(j_common_ptr c) {
    struct failing *f = (struct failing *)c->err;
    if (((j_decompress_ptr)c)->input_scan_number <= SCANS_MAX) return;
    snprintf(f->message, sizeof f->message, "more than %d scans", SCANS_MAX);
    longjmp(f->jump, 1);
}

// Everything that may jump back.
static void decompress(struct jpeg_decompress_struct *c, struct source *source, struct jpeg_progress_mgr *progress, const struct px_jpeg *shape, uint8_t *out) {
    jpeg_create_decompress(c);
    c->src = &source->manager;
    c->progress = progress;
    jpeg_read_header(c, TRUE);
    if (c->image_width != shape->width || c->image_height != shape->height || c->num_components != (int)shape->components) ERREXIT(c, JERR_BAD_LENGTH);
    c->jpeg_color_space = c->out_color_space = shape->components == 1 ? JCS_GRAYSCALE : JCS_RGB;
    if (shape->components == 3 && shape->colour == PX_JPEG_YCC) c->jpeg_color_space = JCS_YCbCr;
    c->dct_method = JDCT_ISLOW;
    jpeg_start_decompress(c);
    size_t bytes = (size_t)shape->width * shape->components;
    while (c->output_scanline < c->output_height) {
        JSAMPROW row = out + c->output_scanline * bytes;
        jpeg_read_scanlines(c, &row, 1);
    }
}

bool px_decode_jpeg(const uint8_t *p, size_t n, const struct px_jpeg *shape, uint8_t *out, struct err *e) {
    struct jpeg_decompress_struct c = {0};
    struct failing f = {0};
    struct source source = {.p = p, .n = n};
    struct jpeg_progress_mgr progress = {.progress_monitor = on_progress};
    source.manager = (struct jpeg_source_mgr){.init_source = open_source,
                                              .fill_input_buffer = no_more,
                                              .skip_input_data = skip_bytes,
                                              .resync_to_restart = jpeg_resync_to_restart,
                                              .term_source = nothing};
    c.err = jpeg_std_error(&f.manager);
    f.manager.error_exit = on_error;
    f.manager.emit_message = on_warning;
    f.manager.output_message = on_message;
    if (setjmp(f.jump) == 0) decompress(&c, &source, &progress, shape, out);
    jpeg_destroy_decompress(&c);
    return !f.message[0] || err_set(e, ERR_UNDECODABLE, "pixel", "libjpeg: %s", f.message);
}
