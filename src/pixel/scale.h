// Scaling of 8-bit pictures: area average down, linear up.
#ifndef GANTRY_PIXEL_SCALE_H
#define GANTRY_PIXEL_SCALE_H

#include "base/arena.h"
#include "base/err.h"

struct px_scaler;

// Rows of in_width * channels bytes go in from top to bottom, out (out_width * out_height * channels bytes) is filled. Memory is a few rows.
struct px_scaler *px_scaler_new(struct arena *a, unsigned channels, uint32_t in_width, uint32_t in_height, uint32_t out_width, uint32_t out_height,
                                uint8_t *out, struct err *e);
void px_scaler_row(struct px_scaler *s, const uint8_t *row);

// A part of the input: output sample i covers [x + i * step_x, x + (i + 1) * step_x) of the input's columns, likewise rows. What lies outside takes the edge.
struct px_part {
    double x, y, step_x, step_y;
};
// As px_scaler_new for a part; rows of out are stride bytes apart. Input rows from px_scaler_first on are taken, the ones before it are not to be given.
struct px_scaler *px_scaler_part(struct arena *a, unsigned channels, uint32_t in_width, uint32_t in_height, const struct px_part *part, uint32_t out_width,
                                 uint32_t out_height, uint8_t *out, size_t stride, struct err *e);
uint32_t px_scaler_first(const struct px_scaler *s);
// Every output row is there: no more input rows are needed.
bool px_scaler_done(const struct px_scaler *s);

// The largest size with the proportions of width x height within max_width x max_height; neither side below 1.
void px_fit(uint32_t width, uint32_t height, uint32_t max_width, uint32_t max_height, uint32_t *out_width, uint32_t *out_height);

#endif
