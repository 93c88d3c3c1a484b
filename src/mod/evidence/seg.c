// Overlap, volume and surface metrics of two masks.
#include "mod/evidence/seg.h"

#include <math.h>
#include <string.h>

#include "math/rank.h"
#include "math/sums.h"
#include "mod/evidence/seg_field.h"

bool seg_grid_check(const struct seg_grid *g, struct err *e) {
    if (g->dims != 2 && g->dims != 3) return err_set(e, ERR_BAD_INPUT, "seg", "a mask has 2 or 3 dimensions, not %u", g->dims);
    if (g->dims == 2 && g->n[0] != 1) return err_set(e, ERR_INTERNAL, "seg", "a plane of %u planes", g->n[0]);
    for (unsigned i = 3 - g->dims; i < 3; i++) {
        if (g->n[i] < 1 || g->n[i] > SEG_AXIS_MAX)
            return err_set(e, ERR_TOO_LARGE, "seg", "axis %u of the mask has %u voxels: 1 to %d are taken", i + g->dims - 3, g->n[i], SEG_AXIS_MAX);
        if (!(g->spacing[i] >= 1e-6 && g->spacing[i] <= 1e6))
            return err_set(e, ERR_BAD_INPUT, "seg", "spacing of axis %u is %g mm: it must be a positive length", i + g->dims - 3, g->spacing[i]);
    }
    if ((long long)g->n[0] * g->n[1] > SEG_VOXELS_MAX || (long long)g->n[0] * g->n[1] * g->n[2] > SEG_VOXELS_MAX) {
        return err_set(e, ERR_TOO_LARGE, "seg", "a mask of %u x %u x %u voxels: at most %lld are taken", g->n[0], g->n[1], g->n[2], SEG_VOXELS_MAX);
    }
    return true;
}

static double ratio(uint64_t part, uint64_t of) {
    return of ? (double)part / (double)of : NAN;
}

void seg_overlap(const struct seg_grid *g, const uint8_t *reference, const uint8_t *predicted, struct seg_overlap *out) {
    size_t n = seg_voxels(g);
    *out = (struct seg_overlap){0};
    for (size_t i = 0; i < n; i++) {
        out->reference += reference[i] != 0;
        out->predicted += predicted[i] != 0;
        out->both += reference[i] && predicted[i];
    }
    double voxel = g->spacing[1] * g->spacing[2] * (g->dims == 3 ? g->spacing[0] / 1000 : 0.01);
    out->dice = ratio(2 * out->both, out->reference + out->predicted);
    out->jaccard = ratio(out->both, out->reference + out->predicted - out->both);
    out->sensitivity = ratio(out->both, out->reference);
    out->precision = ratio(out->both, out->predicted);
    out->volume_reference = (double)out->reference * voxel;
    out->volume_predicted = (double)out->predicted * voxel;
    out->volume_error = out->reference ? ((double)out->predicted - (double)out->reference) / (double)out->reference : NAN;
}

// ---- distances ----

static void areas_of(const struct seg_grid *g, enum seg_surface surface, double area[256]) {
    if (surface == SEG_BORDERS) {
        for (unsigned i = 0; i < 256; i++) area[i] = 1;
    } else if (g->dims == 3) {
        seg_surfel_areas(g->spacing, area);
    } else {
        memset(area, 0, 256 * sizeof *area);
        seg_surfel_lengths(g->spacing[1], g->spacing[2], area);
    }
}

static bool side_of(struct arena *a, const struct seg_field *from, const struct seg_field *to, const double area[256], struct seg_side *out, struct err *e) {
    double *distance;
    uint8_t *code;
    uint32_t *order;
    if (!seg_field_distances(a, from, to, &out->n, &distance, &code, e)) return false;
    out->distance = arena_alloc(a, out->n * sizeof *out->distance, e);
    out->area = out->distance ? arena_alloc(a, out->n * sizeof *out->area, e) : NULL;
    if (!out->area || !rank_order(a, distance, out->n, &order, e)) return false;
    for (size_t i = 0; i < out->n; i++) {
        out->distance[i] = distance[order[i]];
        out->area[i] = area[code[order[i]]];
    }
    out->total = sums_total(out->area, out->n);
    return true;
}

bool seg_distances(struct arena *a, const struct seg_grid *g, const uint8_t *reference, const uint8_t *predicted, enum seg_surface surface,
                   struct seg_distances *out, struct err *e) {
    if (!seg_grid_check(g, e)) return false;
    struct seg_box box;
    struct seg_field f[2];
    double area[256];
    bool (*field)(struct arena *, const struct seg_grid *, const uint8_t *, const struct seg_box *, struct seg_field *, struct err *) =
        surface == SEG_BORDERS ? seg_field_borders : seg_field_surfels;
    seg_box(g, (const uint8_t *const[2]){reference, predicted}, &box);
    if (!field(a, g, reference, &box, &f[0], e) || !field(a, g, predicted, &box, &f[1], e)) return false;
    areas_of(g, surface, area);
    out->surface = surface;
    return side_of(a, &f[0], &f[1], area, &out->reference, e) && side_of(a, &f[1], &f[0], area, &out->predicted, e);
}

// ---- metrics ----

static double weighted(const struct seg_side *s) {
    double sum = 0, lost = 0;
    for (size_t i = 0; i < s->n; i++) { // Kahan
        double term = s->distance[i] * s->area[i] - lost, next = sum + term;
        if (isinf(term)) return INFINITY;
        lost = (next - sum) - term;
        sum = next;
    }
    return sum;
}

double seg_mean_distance(const struct seg_side *s) {
    return s->n ? weighted(s) / s->total : NAN;
}

double seg_assd(const struct seg_distances *d) {
    return d->reference.n + d->predicted.n ? (weighted(&d->reference) + weighted(&d->predicted)) / (d->reference.total + d->predicted.total) : NAN;
}

double seg_masd(const struct seg_distances *d) {
    double a = seg_mean_distance(&d->reference), b = seg_mean_distance(&d->predicted);
    return isnan(a) ? b : isnan(b) ? a : (a + b) / 2;
}

static double side_percentile(const struct seg_side *s, enum seg_surface surface, double percent) {
    if (s->n == 0 || isinf(s->distance[s->n - 1])) return INFINITY;
    if (percent >= 100) return s->distance[s->n - 1];
    if (surface == SEG_BORDERS) return sums_quantile(s->distance, s->n, percent / 100, 7);
    double within = 0;
    for (size_t i = 0; i < s->n; i++) {
        within += s->area[i];
        if (within / s->total >= percent / 100) return s->distance[i];
    }
    return s->distance[s->n - 1];
}

double seg_hausdorff(const struct seg_distances *d, double percent) {
    return fmax(side_percentile(&d->reference, d->surface, percent), side_percentile(&d->predicted, d->surface, percent));
}

static double area_within(const struct seg_side *s, double tolerance) {
    size_t n = 0;
    while (n < s->n && s->distance[n] <= tolerance) n++;
    return sums_total(s->area, n);
}

double seg_overlap_within(const struct seg_side *s, double tolerance) {
    return s->n ? area_within(s, tolerance) / s->total : NAN;
}

double seg_surface_dice(const struct seg_distances *d, double tolerance) {
    double all = d->reference.total + d->predicted.total;
    return all > 0 ? (area_within(&d->reference, tolerance) + area_within(&d->predicted, tolerance)) / all : NAN;
}
