// Agreement of two masks told as a report: overlap, volume, and the surface metrics of each definition under its name.
#include <math.h>

#include "mod/evidence/seg.h"

static void tell_value(struct ev_report *r, const char *name, const char *unit, double value, const char *why) {
    if (isnan(value))
        ev_report_none(r, name, why);
    else if (unit)
        ev_report_in(r, name, value, unit);
    else
        ev_report_value(r, name, value);
}

static void tell_overlap(struct ev_report *r, const struct seg_grid *g, const uint8_t *reference, const uint8_t *predicted) {
    struct seg_overlap o;
    seg_overlap(g, reference, predicted, &o);
    const char *unit = g->dims == 3 ? "mL" : "cm2";
    tell_value(r, "Dice coefficient", NULL, o.dice, "both masks are empty");
    tell_value(r, "Jaccard index", NULL, o.jaccard, "both masks are empty");
    tell_value(r, "Voxel sensitivity", NULL, o.sensitivity, "the reference is empty");
    tell_value(r, "Voxel precision", NULL, o.precision, "the predicted mask is empty");
    ev_report_in(r, g->dims == 3 ? "Volume of the reference" : "Area of the reference", o.volume_reference, unit);
    ev_report_in(r, g->dims == 3 ? "Volume of the predicted mask" : "Area of the predicted mask", o.volume_predicted, unit);
    tell_value(r, g->dims == 3 ? "Relative volume error" : "Relative area error", NULL, o.volume_error, "the reference is empty");
}

// Names of one definition of a surface; the definition stands in each, so that no figure is taken for the other's.
struct names {
    const char *hausdorff, *robust, *mean_reference, *mean_predicted, *assd, *masd, *dice, *within_reference, *within_predicted;
};

static const struct names NAMES[2] = {
    {"Hausdorff distance (surface elements)", "Hausdorff distance, percentile (surface elements)", "Mean distance, reference to predicted (surface elements)",
     "Mean distance, predicted to reference (surface elements)", "Average symmetric surface distance (surface elements)",
     "Mean of the two mean distances (surface elements)", "Surface Dice at the tolerance (surface elements)",
     "Reference surface within the tolerance (surface elements)", "Predicted surface within the tolerance (surface elements)"},
    {"Hausdorff distance (voxel borders)", "Hausdorff distance, percentile (voxel borders)", "Mean distance, reference to predicted (voxel borders)",
     "Mean distance, predicted to reference (voxel borders)", "Average symmetric surface distance (voxel borders)",
     "Mean of the two mean distances (voxel borders)", "Surface Dice at the tolerance (voxel borders)",
     "Reference surface within the tolerance (voxel borders)", "Predicted surface within the tolerance (voxel borders)"},
};

// What is told of one definition; the surfaces themselves are not kept.
struct figures {
    bool empty; // both masks
    double hausdorff, robust, mean_reference, mean_predicted, assd, masd;
    double dice[SEG_TOLERANCES_MAX], within_reference[SEG_TOLERANCES_MAX], within_predicted[SEG_TOLERANCES_MAX];
};

static void figures_of(const struct seg_distances *d, const struct seg_asked *asked, struct figures *f) {
    f->empty = d->reference.n + d->predicted.n == 0;
    f->hausdorff = f->empty ? NAN : seg_hausdorff(d, 100);
    f->robust = f->empty ? NAN : seg_hausdorff(d, asked->percent);
    f->mean_reference = seg_mean_distance(&d->reference);
    f->mean_predicted = seg_mean_distance(&d->predicted);
    f->assd = seg_assd(d);
    f->masd = seg_masd(d);
    for (unsigned i = 0; i < asked->tolerance_count; i++) {
        f->dice[i] = seg_surface_dice(d, asked->tolerances[i]);
        f->within_reference[i] = seg_overlap_within(&d->reference, asked->tolerances[i]);
        f->within_predicted[i] = seg_overlap_within(&d->predicted, asked->tolerances[i]);
    }
}

static const char EMPTY[] = "both masks are empty", NO_REFERENCE[] = "the reference is empty", NO_PREDICTED[] = "the predicted mask is empty";

static void tell_means(struct ev_report *r, const struct names *n, const struct figures *f) {
    tell_value(r, n->hausdorff, "mm", f->hausdorff, EMPTY);
    tell_value(r, n->mean_reference, "mm", f->mean_reference, NO_REFERENCE);
    tell_value(r, n->mean_predicted, "mm", f->mean_predicted, NO_PREDICTED);
    tell_value(r, n->assd, "mm", f->assd, EMPTY);
    tell_value(r, n->masd, "mm", f->masd, EMPTY);
}

// Percentiles and tolerances stand in the heading, which needs no language: "3: 95 %".
static void heading(struct ev_report *r, struct str group, double x, const char *unit) {
    ev_report_group(r, "%.*s%s%g %s", STR_FMT(group), group.n ? ": " : "", x, unit);
}

static void tell_distances(struct ev_report *r, const struct figures f[2], const bool told[2], const struct seg_asked *asked) {
    struct str group = r->group;
    for (unsigned s = 0; s < 2; s++) {
        if (told[s]) tell_means(r, &NAMES[s], &f[s]);
    }
    heading(r, group, asked->percent, "%");
    for (unsigned s = 0; s < 2; s++) {
        if (told[s]) tell_value(r, NAMES[s].robust, "mm", f[s].robust, EMPTY);
    }
    for (unsigned i = 0; i < asked->tolerance_count; i++) {
        heading(r, group, asked->tolerances[i], "mm");
        for (unsigned s = 0; s < 2; s++) {
            if (!told[s]) continue;
            tell_value(r, NAMES[s].dice, NULL, f[s].dice[i], EMPTY);
            tell_value(r, NAMES[s].within_reference, NULL, f[s].within_reference[i], NO_REFERENCE);
            tell_value(r, NAMES[s].within_predicted, NULL, f[s].within_predicted[i], NO_PREDICTED);
        }
    }
    ev_report_group(r, "%.*s", STR_FMT(group));
}

static void tell_methods(struct ev_report *r, const struct seg_asked *asked) {
    if (asked->surfels) {
        ev_report_method(r,
                         "Surface elements: the corners between voxels that the surface passes, each with the area of the surface through it; distances run "
                         "between corners, exactly, and are "
                         "weighted by area; a percentile is the distance within which that share of the area lies, the greater of the two directions.",
                         NULL);
        ev_report_source(r, "Nikolov S, Blackwell S, Zverovitch A, et al. J Med Internet Res 2021;23:e26151");
    }
    if (asked->borders) {
        ev_report_method(r,
                         "Voxel borders: voxels of the mask with a neighbour across a face that is not; distances run between their centres, exactly, and "
                         "count the same; a percentile is "
                         "interpolated (type 7 of Hyndman and Fan), the greater of the two directions.",
                         NULL);
        ev_report_source(r, "Maier-Hein L, Reinke A, Godau P, et al. Metrics reloaded. Nature Methods 2024;21:195-212");
    }
    if (asked->surfels || asked->borders) {
        ev_report_method(r, "The average symmetric surface distance takes all elements of both surfaces together; outside of the volume nothing is inside.",
                         NULL);
        ev_report_source(r, "Felzenszwalb PF, Huttenlocher DP. Theory of Computing 2012;8:415-428");
    }
}

static bool measure(const struct seg_grid *g, const uint8_t *reference, const uint8_t *predicted, enum seg_surface surface, const struct seg_asked *asked,
                    struct figures *out, struct err *e) {
    struct arena scratch;
    struct seg_distances d;
    arena_init(&scratch, (size_t)SEG_SCRATCH_BYTES_MAX);
    bool ok = seg_distances(&scratch, g, reference, predicted, surface, &d, e);
    if (ok) figures_of(&d, asked, out);
    arena_deinit(&scratch);
    return ok;
}

bool seg_report(struct ev_report *r, const struct seg_grid *g, const uint8_t *reference, const uint8_t *predicted, const struct seg_asked *asked,
                struct err *e) {
    if (!seg_grid_check(g, e)) return false;
    if (asked->tolerance_count > SEG_TOLERANCES_MAX) return err_set(e, ERR_TOO_LARGE, "seg", "at most %d tolerances", SEG_TOLERANCES_MAX);
    struct figures f[2];
    const bool told[2] = {asked->surfels, asked->borders};
    tell_overlap(r, g, reference, predicted);
    for (unsigned s = 0; s < 2; s++) {
        if (told[s] && !measure(g, reference, predicted, (enum seg_surface)s, asked, &f[s], e)) return false;
    }
    if (told[0] || told[1]) tell_distances(r, f, told, asked);
    tell_methods(r, asked);
    return ev_report_ok(r, e);
}
