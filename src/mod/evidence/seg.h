// Agreement of two masks: overlap, volume and distances between their surfaces, by both definitions of a surface that are in use.
//
// Surface elements ("surfels"): each corner between voxels (2 x 2 x 2 of them; 2 x 2 in the plane) of which some are inside and some are not is an element, with
// the area (length) of the surface that separates them; outside of the volume nothing is inside. Distances run between such corners and are weighted by the areas.
// Source: Nikolov S et al. J Med Internet Res 2021;23:e26151 (surface Dice at a tolerance and its elements).
// Voxel borders: voxels of the mask with a face neighbour that is not; outside of the volume nothing is inside. Each counts the same.
// Source: Maier-Hein L, Reinke A et al. Nature Methods 2024;21:195-212 (Metrics reloaded), its distance-based metrics.
#ifndef GANTRY_MOD_EVIDENCE_SEG_H
#define GANTRY_MOD_EVIDENCE_SEG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "mod/evidence/report.h"

enum { SEG_AXIS_MAX = 32767, SEG_TOLERANCES_MAX = 16 }; // voxels along one axis
#define SEG_VOXELS_MAX (1LL << 29)
#define SEG_SCRATCH_BYTES_MAX (16LL << 30) // of the distances of two masks

// Index order as in arrays of C: the last axis runs fastest. A plane (dims 2) has n[0] = 1; its spacing[0] is not used.
struct seg_grid {
    unsigned dims; // 2 or 3
    uint32_t n[3];
    double spacing[3]; // mm between voxel centres, > 0
};

static inline size_t seg_voxels(const struct seg_grid *g) {
    return (size_t)g->n[0] * g->n[1] * g->n[2];
}

bool seg_grid_check(const struct seg_grid *g, struct err *e);

struct seg_overlap {
    uint64_t reference, predicted, both;       // voxels
    double dice, jaccard;                      // NaN when both are empty
    double sensitivity, precision;             // of voxels; NaN without any
    double volume_reference, volume_predicted; // mL; in the plane cm2
    double volume_error;                       // (predicted - reference) / reference; NaN when that is empty
};

// Voxels other than 0 are inside.
void seg_overlap(const struct seg_grid *g, const uint8_t *reference, const uint8_t *predicted, struct seg_overlap *out);

enum seg_surface { SEG_SURFELS, SEG_BORDERS };

// From each element of one surface to the nearest of the other, ascending. An empty surface makes all distances to it infinite.
struct seg_side {
    size_t n;
    double *distance; // mm
    double *area;     // mm2 (in the plane mm); 1 each for voxel borders
    double total;     // of areas
};

struct seg_distances {
    enum seg_surface surface;
    struct seg_side reference, predicted; // from the reference to the predicted surface, and back
};

// ERR_BAD_INPUT for a grid out of range; ERR_NOMEM, ERR_TOO_LARGE.
bool seg_distances(struct arena *a, const struct seg_grid *g, const uint8_t *reference, const uint8_t *predicted, enum seg_surface surface,
                   struct seg_distances *out, struct err *e);

// Area-weighted mean distance of one side; NaN when its surface is empty, infinite when the other is.
double seg_mean_distance(const struct seg_side *s);
// Average symmetric surface distance: all elements of both sides together.
double seg_assd(const struct seg_distances *d);
// Mean of the two sides' means.
double seg_masd(const struct seg_distances *d);
// The greater of the two sides' percentiles of distance, percent in (0, 100]; 100 is the Hausdorff distance. Surface elements: the smallest distance within which that share of the
// area lies. Voxel borders: interpolated between the two nearest (type 7 of Hyndman and Fan). An empty surface on either side makes it infinite.
double seg_hausdorff(const struct seg_distances *d, double percent);
// Share of one side's area within the tolerance, mm; NaN when its surface is empty.
double seg_overlap_within(const struct seg_side *s, double tolerance);
// The same of both sides together (surface Dice); NaN when both are empty.
double seg_surface_dice(const struct seg_distances *d, double tolerance);

// Area of the surface through one corner by the code of its 8 neighbours at unit and other spacings: bit 7 - k is neighbour k in index order. In the plane length, 4 neighbours.
void seg_surfel_areas(const double spacing[3], double area[256]);
void seg_surfel_lengths(double spacing_rows, double spacing_columns, double length[16]);

struct seg_asked {
    const double *tolerances; // mm
    unsigned tolerance_count;
    double percent; // of the robust Hausdorff distance: 95
    bool surfels, borders;
};
// Under the report's group; headings of percentiles and tolerances are added to it.
bool seg_report(struct ev_report *r, const struct seg_grid *g, const uint8_t *reference, const uint8_t *predicted, const struct seg_asked *asked,
                struct err *e);

#endif
