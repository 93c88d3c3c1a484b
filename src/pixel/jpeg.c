// JPEG by libjpeg-turbo.
#include <stdio.h>
// jpeglib.h needs stdio.h first
#include <jpeglib.h>
#include <setjmp.h>
#include <stdlib.h>

#include "pixel/render.h"

enum { CHUNK_BYTES = 64 * 1024 };

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

// Everything that may jump back.
static void compress(struct jpeg_compress_struct *c, struct sink *sink, const struct px_picture *picture, int quality) {
    jpeg_create_compress(c);
    c->dest = &sink->manager;
    c->image_width = picture->width;
    c->image_height = picture->height;
    c->input_components = (int)picture->channels;
    c->in_color_space = picture->channels == 3 ? JCS_RGB : JCS_GRAYSCALE;
    jpeg_set_defaults(c);
    jpeg_set_quality(c, quality, TRUE);
    if (picture->channels == 3 && quality >= 90) c->comp_info[0].h_samp_factor = c->comp_info[0].v_samp_factor = 1; // full chrominance
    jpeg_start_compress(c, TRUE);
    size_t bytes = (size_t)picture->width * picture->channels;
    while (c->next_scanline < c->image_height) {
        JSAMPROW row = picture->pixels + c->next_scanline * bytes;
        jpeg_write_scanlines(c, &row, 1);
    }
    jpeg_finish_compress(c);
}

bool px_write_jpeg(const struct px_picture *picture, int quality, struct buf *to, struct err *e) {
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
    if (ok) compress(&c, sink, picture, quality < 1 ? 1 : quality > 100 ? 100 : quality);
    jpeg_destroy_compress(&c);
    free(sink);
    if (f.message[0]) return err_set(e, ERR_INTERNAL, "pixel", "libjpeg: %s", f.message);
    return buf_ok(to, e);
}
