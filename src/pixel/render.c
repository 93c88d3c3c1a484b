// The way of a frame to a picture: read, map row by row, scale.
#include "pixel/render.h"

#include "base/limits.h"
#include "pixel/rows.h"
#include "pixel/scale.h"

enum { SCRATCH_BYTES_MAX = 64 * 1024 * 1024 }; // tables and rows besides the frame

static bool size_of(const struct px_image *image, const struct px_options *o, unsigned channels, struct px_picture *out, struct err *e) {
    *out = (struct px_picture){.width = image->columns, .height = image->rows, .channels = channels};
    if (o->width > PX_VIEWPORT_MAX || o->height > PX_VIEWPORT_MAX)
        return err_set(e, ERR_USAGE, "pixel", "a picture of %u x %u is asked for; at most %d each way", o->width, o->height, PX_VIEWPORT_MAX);
    if (o->width || o->height)
        px_fit(image->columns, image->rows, o->width ? o->width : PX_VIEWPORT_MAX, o->height ? o->height : PX_VIEWPORT_MAX, &out->width, &out->height);
    uint64_t bytes = (uint64_t)out->width * out->height * channels;
    if (bytes <= PX_OUTPUT_BYTES_MAX) return true;
    return err_set(e, ERR_TOO_LARGE, "pixel", "a picture of %u x %u would take %llu bytes; ask for a smaller size", out->width, out->height,
                   (unsigned long long)bytes);
}

static bool draw(struct arena *a, struct arena *scratch, const struct px_rows *rows, struct px_picture *out, struct err *e) {
    const struct px_image *image = &rows->frame->image;
    out->pixels = arena_alloc(a, (size_t)out->width * out->height * out->channels, e);
    if (!out->pixels) return false;
    size_t row_bytes = (size_t)image->columns * out->channels;
    if (out->width == image->columns && out->height == image->rows) {
        for (uint32_t y = 0; y < image->rows; y++) px_row(rows, y, out->pixels + y * row_bytes);
        return true;
    }
    uint8_t *row = arena_alloc(scratch, row_bytes, e);
    struct px_scaler *s = row ? px_scaler_new(scratch, out->channels, image->columns, image->rows, out->width, out->height, out->pixels, e) : NULL;
    for (uint32_t y = 0; s && y < image->rows; y++) {
        px_row(rows, y, row);
        px_scaler_row(s, row);
    }
    return s != NULL;
}

static bool render_in(struct arena *a, struct arena *scratch, const struct dcm_dataset *ds, const struct px_reader *reader, uint32_t frame,
                      const struct px_options *o, struct px_picture *out, struct err *e) {
    struct px_image image;
    struct px_frame f;
    struct px_rows rows;
    if (!px_image_of(ds, &image, e)) return false;
    if (frame >= image.frames) return err_set(e, ERR_NOT_FOUND, "pixel", "there is no frame %llu of %u", (unsigned long long)frame + 1, image.frames);
    if (o->window && !px_window_valid(o->window))
        return err_set(e, ERR_USAGE, "pixel", "a window of width %g cannot be: LINEAR takes at least 1, the others more than 0", o->window->width);
    return reader->read(reader->ctx, scratch, &image, frame, &f, e) && px_rows_init(scratch, ds, &f, frame, o->window, &rows, e) &&
           size_of(&f.image, o, rows.channels, out, e) && draw(a, scratch, &rows, out, e);
}

bool px_render(struct arena *a, const struct dcm_dataset *ds, const struct px_reader *reader, uint32_t frame, const struct px_options *options,
               struct px_picture *out, struct err *e) {
    struct arena scratch;
    arena_init(&scratch, (size_t)PX_FRAME_BYTES_MAX + SCRATCH_BYTES_MAX);
    bool ok = render_in(a, &scratch, ds, reader, frame, options, out, e);
    arena_deinit(&scratch);
    return ok;
}
