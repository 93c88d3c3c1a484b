// Rows of a frame as stored values or as 8-bit gray or RGB.
#ifndef GANTRY_PIXEL_ROWS_H
#define GANTRY_PIXEL_ROWS_H

#include "pixel/lut.h"

// Everything that turning rows into 8 bits needs.
struct px_rows {
    const struct px_frame *frame;
    unsigned channels; // of the result: 1 gray, 3 RGB
    struct px_mapping mapping;
    struct px_palette palette;
    uint8_t *gray; // gray of every stored pattern of the frame when there are at most 16 bits, else NULL
    // Where gray is a straight line of the stored value (16 bits, a linear window): no table, stored * gain + offset, cut at 0 and 255.
    bool straight;
    float gain, offset;
    bool supplemental; // values from the palette's first on are coloured, the others gray (C.7.6.19)
};

// choice: for gray images.
bool px_rows_init(struct arena *a, const struct dcm_dataset *ds, const struct px_frame *frame, uint32_t number, const struct px_choice *choice,
                  struct px_rows *out, struct err *e);

// Row y as columns * channels bytes.
void px_row(const struct px_rows *r, uint32_t y, uint8_t *to);

#endif
