// Solid shapes in patient space and their rendering into slices with partial volume at the edges.
#ifndef GANTRY_MOD_SYNTH_SHAPES_H
#define GANTRY_MOD_SYNTH_SHAPES_H

#include <stddef.h>
#include <stdint.h>

#include "mod/synth/random.h"

// An ellipsoid with axes along the patient's; later shapes lie over earlier ones. Millimetres; value in the modality's unit.
struct synth_shape {
    double centre[3];
    double radius[3];
    double value;
    double hollow; // inner radius as a share of the outer: a shell; 0 is solid
};

enum { SYNTH_PLANES = 3 };

struct synth_grid {
    unsigned rows, columns;
    double spacing_mm;
    double origin_mm[3]; // centre of the first voxel of the slice
    double thickness_mm;
};

// Values of one slice, background first, with partial volume at the edges: in the plane by coverage, across it by averaging SYNTH_PLANES planes.
// scratch: as many floats as out.
void synth_slice(const struct synth_grid *g, double background, const struct synth_shape *shapes, size_t n, float *out, float *scratch);
// Adds normal noise.
void synth_noise(float *values, size_t n, double deviation, struct synth_random *r);
// Rounds into 16 bits, clamped.
void synth_to_i16(const float *values, size_t n, double slope, double intercept, int low, int high, int16_t *out);

#endif
