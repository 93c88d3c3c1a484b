// Ellipsoids into slices.
#include "mod/synth/shapes.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

// Share of a voxel inside the ellipsoid, from the distance to its surface along the gradient, in voxels.
static double coverage(double q, double gradient, double voxel_mm) {
    if (gradient <= 0) return q < 1 ? 1 : 0;
    double distance = (1 - sqrt(q)) * sqrt(q) / gradient; // mm, positive inside
    double share = distance / voxel_mm + 0.5;
    return share < 0 ? 0 : share > 1 ? 1 : share;
}

// Share of the voxel at x, y, z (relative to the centre) inside an ellipsoid of the given radii.
static double inside(double x, double y, double z, const double radius[3], double scale, double voxel_mm) {
    double a = x / (radius[0] * scale), b = y / (radius[1] * scale), c = z / (radius[2] * scale);
    double q = a * a + b * b + c * c;
    if (q > 4) return 0;
    double gx = a / (radius[0] * scale), gy = b / (radius[1] * scale), gz = c / (radius[2] * scale);
    return coverage(q, sqrt(gx * gx + gy * gy + gz * gz), voxel_mm);
}

static unsigned clamp_index(double v, unsigned n) {
    if (v < 0) return 0;
    return v > n ? n : (unsigned)v;
}

static void draw(const struct synth_grid *g, const struct synth_shape *s, double z_mm, float *out) {
    double z = z_mm - s->centre[2];
    if (fabs(z) > s->radius[2] + g->spacing_mm) return;
    unsigned x0 = clamp_index((s->centre[0] - s->radius[0] - g->origin_mm[0]) / g->spacing_mm - 1, g->columns);
    unsigned x1 = clamp_index((s->centre[0] + s->radius[0] - g->origin_mm[0]) / g->spacing_mm + 2, g->columns);
    unsigned y0 = clamp_index((s->centre[1] - s->radius[1] - g->origin_mm[1]) / g->spacing_mm - 1, g->rows);
    unsigned y1 = clamp_index((s->centre[1] + s->radius[1] - g->origin_mm[1]) / g->spacing_mm + 2, g->rows);
    for (unsigned row = y0; row < y1; row++) {
        double y = g->origin_mm[1] + row * g->spacing_mm - s->centre[1];
        for (unsigned column = x0; column < x1; column++) {
            double x = g->origin_mm[0] + column * g->spacing_mm - s->centre[0];
            double share = inside(x, y, z, s->radius, 1, g->spacing_mm);
            if (share > 0 && s->hollow > 0) share -= inside(x, y, z, s->radius, s->hollow, g->spacing_mm);
            if (share <= 0) continue;
            float *v = &out[(size_t)row * g->columns + column];
            *v += (float)(share * (s->value - *v));
        }
    }
}

void synth_slice(const struct synth_grid *g, double background, const struct synth_shape *shapes, size_t n, float *out, float *scratch) {
    size_t voxels = (size_t)g->rows * g->columns;
    memset(out, 0, voxels * sizeof *out);
    for (int plane = 0; plane < SYNTH_PLANES; plane++) {
        double z = g->origin_mm[2] + ((plane + 0.5) / SYNTH_PLANES - 0.5) * g->thickness_mm;
        for (size_t i = 0; i < voxels; i++) scratch[i] = (float)background;
        for (size_t i = 0; i < n; i++) draw(g, &shapes[i], z, scratch);
        for (size_t i = 0; i < voxels; i++) out[i] += scratch[i] / SYNTH_PLANES;
    }
}

void synth_noise(float *values, size_t n, double deviation, struct synth_random *r) {
    for (size_t i = 0; i < n; i++) values[i] += (float)(deviation * synth_random_normal(r));
}

void synth_to_i16(const float *values, size_t n, double slope, double intercept, int low, int high, int16_t *out) {
    for (size_t i = 0; i < n; i++) {
        double v = floor((values[i] - intercept) / slope + 0.5);
        out[i] = (int16_t)(v < low ? low : v > high ? high : v);
    }
}
