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

// The largest size with the proportions of width x height within max_width x max_height; neither side below 1.
void px_fit(uint32_t width, uint32_t height, uint32_t max_width, uint32_t max_height, uint32_t *out_width, uint32_t *out_height);

#endif
