// Detection told as a report, from a table of objects or from two masks.
#include <math.h>
#include <string.h>

#include "mod/evidence/detect.h"
#include "mod/evidence/proportion.h"

static const char *text_of(struct ev_report *r, double x) {
    const char *text = arena_printf(r->arena, NULL, "%g", x);
    if (!text) r->failed = true;
    return text ? text : "";
}

// ---- a matching, told ----

struct told {
    struct ev_report *r;
    const struct detect_matches *m;
    const struct detect_asked *asked;
    const struct detect_object *reference, *predicted; // NULL: one case
    const double *score;                               // NULL: none
};

static const char *const AT_RATE[DETECT_RATES] = {"Sensitivity at 1/8 false positives per case", "Sensitivity at 1/4 false positives per case",
                                                  "Sensitivity at 1/2 false positives per case", "Sensitivity at 1 false positive per case",
                                                  "Sensitivity at 2 false positives per case",   "Sensitivity at 4 false positives per case",
                                                  "Sensitivity at 8 false positives per case"};

// Objects of one case are not independent: the interval goes by cases (Rao and Scott), with one case by Wilson.
static bool tell_share(const struct told *t, const char *name, const uint8_t *hit, const int32_t *cluster, uint32_t n, const char *why, struct err *e) {
    struct ev_clustered_proportion c;
    if (n == 0) {
        ev_report_none(t->r, name, why);
        return true;
    }
    if (t->m->cases > 1) {
        if (!ev_proportion_clustered(t->r->arena, hit, cluster, n, t->r->level, &c, e)) return false;
        ev_report_estimate(t->r, name, c.interval.value, c.se, c.interval.lo, c.interval.hi);
        return true;
    }
    double k = 0;
    for (uint32_t i = 0; i < n; i++) k += hit[i];
    struct ev_interval w = ev_proportion(k, n, EV_WILSON, t->r->level);
    ev_report_estimate(t->r, name, w.value, NAN, w.lo, w.hi);
    return true;
}

static bool tell_sensitivity(const struct told *t, struct err *e) {
    uint8_t *hit = arena_zero(t->r->arena, t->m->references, 1, e);
    int32_t *cluster = hit ? arena_zero(t->r->arena, t->m->references, sizeof *cluster, e) : NULL;
    if (!cluster) return false;
    for (uint32_t i = 0; t->reference && i < t->m->references; i++) cluster[i] = (int32_t)t->reference[i].case_index;
    for (uint32_t i = 0; i < t->m->predictions; i++) {
        if (t->m->match[i] >= 0) hit[t->m->match[i]] = 1;
    }
    return tell_share(t, "Sensitivity for objects", hit, cluster, t->m->references, "there is no reference object", e);
}

static bool tell_precision(const struct told *t, struct err *e) {
    uint8_t *hit = arena_zero(t->r->arena, t->m->predictions, 1, e);
    int32_t *cluster = hit ? arena_zero(t->r->arena, t->m->predictions, sizeof *cluster, e) : NULL;
    uint32_t n = 0;
    if (!cluster) return false;
    for (uint32_t i = 0; i < t->m->predictions; i++) {
        if (t->m->match[i] == DETECT_AGAIN && t->asked->ignore_again) continue;
        hit[n] = t->m->match[i] >= 0;
        cluster[n++] = t->predicted ? (int32_t)t->predicted[i].case_index : 0;
    }
    return tell_share(t, "Positive predictive value of objects", hit, cluster, n, "there is no predicted object", e);
}

static void tell_counts(const struct told *t) {
    ev_report_value(t->r, "Cases", t->m->cases);
    ev_report_value(t->r, "Reference objects", t->m->references);
    ev_report_value(t->r, "Predicted objects", t->m->predictions);
    ev_report_value(t->r, "Found (true positives)", t->m->found);
    ev_report_value(t->r, "Missed (false negatives)", t->m->references - t->m->found);
    ev_report_value(t->r, "False positives", t->m->wrong);
    ev_report_value(t->r, "Predictions of objects found already", t->m->again);
}

static void tell_number(struct ev_report *r, const char *name, double value, const char *why) {
    if (isnan(value))
        ev_report_none(r, name, why);
    else
        ev_report_value(r, name, value);
}

static bool tell_match(const struct told *t, struct err *e) {
    struct detect_measures d;
    if (!detect_measure(t->r->arena, t->m, t->score, t->asked->ignore_again, &d, e)) return false;
    tell_counts(t);
    if (!tell_sensitivity(t, e) || !tell_precision(t, e)) return false;
    tell_number(t->r, "F1 score of objects", d.f1, "there is no object");
    ev_report_value(t->r, "False positives per case", d.wrong_per_case);
    bool share = t->asked->rule == DETECT_IOU || t->asked->rule == DETECT_COVERED;
    if (share)
        tell_number(t->r, t->asked->rule == DETECT_IOU ? "Mean IoU of the found" : "Mean covered share of the found", d.mean_nearness, "nothing was found");
    else if (t->m->found)
        ev_report_in(t->r, "Mean distance of the centres of the found", -d.mean_nearness, "mm");
    if (!t->score) return true;
    tell_number(t->r, "Average precision", d.average_precision, "there is no reference object");
    for (unsigned i = 0; i < DETECT_RATES; i++) tell_number(t->r, AT_RATE[i], d.at_rate[i], "there is no reference object");
    tell_number(t->r, "Mean sensitivity at the seven rates", d.mean_at_rates, "there is no reference object");
    return true;
}

static void tell_methods(const struct told *t) {
    struct ev_report *r = t->r;
    const char *threshold = text_of(r, t->asked->threshold);
    switch (t->asked->rule) {
    case DETECT_IOU:
        ev_report_method(r, "A predicted object may find a reference object when their intersection over union is at least {0} (and above 0).", threshold,
                         NULL);
        break;
    case DETECT_COVERED:
        ev_report_method(r, "A predicted object may find a reference object when it covers at least {0} of it (and more than nothing).", threshold, NULL);
        break;
    case DETECT_CENTRE:
        ev_report_method(r, "A predicted object may find a reference object when its centre lies in that object's box.", NULL);
        break;
    case DETECT_DISTANCE:
        ev_report_method(r, "A predicted object may find a reference object when their centres are at most {0} mm apart.", threshold, NULL);
        break;
    }
    if (t->score)
        ev_report_method(r, "Objects were assigned one to one by falling score, each to the nearest that was free.", NULL);
    else
        ev_report_method(r, "Objects were assigned one to one by falling nearness.", NULL);
    if (t->asked->ignore_again)
        ev_report_method(r, "Further predictions of an object that was found already were left out.", NULL);
    else
        ev_report_method(r, "Further predictions of an object that was found already count as false positives.", NULL);
    if (t->m->cases > 1) {
        ev_report_method(r, "Intervals of sensitivity and positive predictive value take objects of one case as a cluster.", NULL);
        ev_report_source(r, "Rao JNK, Scott AJ. Biometrics 1992;48:577-585");
    } else {
        ev_report_method(r, "Intervals of sensitivity and positive predictive value are Wilson's.", NULL);
        ev_report_warn(r, "There is one case: the intervals take its objects as independent.", NULL);
    }
    if (t->score)
        ev_report_method(r,
                         "Average precision is the area under the precision made falling, over all points; sensitivity at a rate is the greatest at no more "
                         "false positives per case.",
                         NULL);
    ev_report_source(r, "Maier-Hein L, Reinke A, Godau P, et al. Metrics reloaded. Nature Methods 2024;21:195-212");
}

static bool tell_all(const struct told *t, struct err *e) {
    if (!tell_match(t, e)) return false;
    tell_methods(t);
    return ev_report_ok(t->r, e);
}

// ---- tables ----

struct objects {
    struct detect_object *reference, *predicted;
    double *score;
    uint32_t references, predictions, cases;
    bool scored;
};

// Columns by name; -1: not there.
struct columns {
    int kind, x, y, z, diameter, score, lo[3], hi[3];
};

static bool columns_of(const struct csv *t, struct columns *c, struct err *e) {
    static const char *const LO[3] = {"x0", "y0", "z0"}, *const HI[3] = {"x1", "y1", "z1"};
    unsigned ignored;
    *c = (struct columns){.kind = csv_find(t, "kind"),
                          .x = csv_find(t, "x"),
                          .y = csv_find(t, "y"),
                          .z = csv_find(t, "z"),
                          .diameter = csv_find(t, "diameter"),
                          .score = csv_find(t, "score")};
    for (unsigned i = 0; i < 3; i++) {
        c->lo[i] = csv_find(t, LO[i]);
        c->hi[i] = csv_find(t, HI[i]);
        if ((c->lo[i] < 0) != (c->hi[i] < 0)) return err_set(e, ERR_BAD_INPUT, "detect", "a box has both columns, %s and %s", LO[i], HI[i]);
    }
    if (c->lo[0] >= 0) return c->lo[1] >= 0 || err_set(e, ERR_BAD_INPUT, "detect", "boxes have the columns x0, y0, x1, y1 (and z0, z1)");
    return csv_column(t, "x", &ignored, e) && csv_column(t, "y", &ignored, e);
}

static bool number(const struct csv *t, size_t row, int column, double *out, struct err *e) {
    *out = NAN;
    return column < 0 || csv_number(t, row, (unsigned)column, out, e);
}

static bool box_of_row(const struct csv *t, size_t row, const struct columns *c, struct detect_object *o, struct err *e) {
    for (unsigned i = 0; i < 3; i++) {
        if (!number(t, row, c->lo[i], &o->lo[i], e) || !number(t, row, c->hi[i], &o->hi[i], e)) return false;
        if (c->lo[i] < 0) o->lo[i] = o->hi[i] = 0;
        if (o->lo[i] > o->hi[i]) return err_set(e, ERR_BAD_INPUT, "detect", "line %u: the box ends before it begins", t->line[row]);
        o->centre[i] = o->lo[i] / 2 + o->hi[i] / 2;
    }
    return true;
}

static bool point_of_row(const struct csv *t, size_t row, const struct columns *c, struct detect_object *o, struct err *e) {
    const int at[3] = {c->x, c->y, c->z};
    double diameter;
    if (!number(t, row, c->diameter, &diameter, e)) return false;
    if (diameter < 0) return err_set(e, ERR_BAD_INPUT, "detect", "line %u: a diameter of %g", t->line[row], diameter);
    for (unsigned i = 0; i < 3; i++) {
        if (!number(t, row, at[i], &o->centre[i], e)) return false;
        if (at[i] < 0) o->centre[i] = 0;
        double half = diameter > 0 && at[i] >= 0 ? diameter / 2 : 0;
        o->lo[i] = o->centre[i] - half;
        o->hi[i] = o->centre[i] + half;
    }
    return true;
}

static bool is_reference(struct str kind) {
    return str_eq_nocase(kind, STR_LIT("truth")) || str_eq_nocase(kind, STR_LIT("reference")) || str_eq_nocase(kind, STR_LIT("gt"));
}

static bool is_predicted(struct str kind) {
    return str_eq_nocase(kind, STR_LIT("mark")) || str_eq_nocase(kind, STR_LIT("predicted")) || str_eq_nocase(kind, STR_LIT("pred"));
}

static bool take_row(const struct csv *t, size_t row, const struct columns *c, int32_t case_index, struct objects *out, struct err *e) {
    struct detect_object o = {.case_index = (uint32_t)case_index};
    struct str kind = csv_at(t, row, (unsigned)c->kind);
    if (csv_missing(kind)) return true; // a case without objects
    if (!is_reference(kind) && !is_predicted(kind))
        return err_set(e, ERR_BAD_INPUT, "detect", "line %u: kind is truth or mark, not %.*s", t->line[row], STR_FMT(kind));
    if (!(c->lo[0] >= 0 ? box_of_row : point_of_row)(t, row, c, &o, e) || !number(t, row, c->score, &o.score, e)) return false;
    if (isnan(o.centre[0]) || isnan(o.centre[1]) || isnan(o.centre[2]))
        return err_set(e, ERR_BAD_INPUT, "detect", "line %u: the object has no place", t->line[row]);
    if (is_reference(kind)) {
        out->reference[out->references++] = o;
        return true;
    }
    if (c->score >= 0 && isnan(o.score)) return err_set(e, ERR_BAD_INPUT, "detect", "line %u: the mark has no score, others have", t->line[row]);
    out->score[out->predictions] = o.score;
    out->predicted[out->predictions++] = o;
    return true;
}

static bool objects_of(struct arena *a, const struct csv *t, struct objects *out, struct err *e) {
    struct columns c;
    struct csv_levels cases;
    unsigned column;
    *out = (struct objects){0};
    if (!csv_column(t, "case", &column, e) || !csv_levels(t, column, &cases, e) || !csv_column(t, "kind", &(unsigned){0}, e) || !columns_of(t, &c, e))
        return false;
    if (t->rows == 0 || t->rows > DETECT_OBJECTS_MAX)
        return err_set(e, ERR_BAD_INPUT, "detect", "the table has %zu rows: 1 to %d are taken", t->rows, DETECT_OBJECTS_MAX);
    out->cases = cases.count;
    out->scored = c.score >= 0;
    out->reference = arena_alloc(a, t->rows * sizeof *out->reference, e);
    out->predicted = out->reference ? arena_alloc(a, t->rows * sizeof *out->predicted, e) : NULL;
    out->score = out->predicted ? arena_alloc(a, t->rows * sizeof *out->score, e) : NULL;
    if (!out->score) return false;
    for (size_t row = 0; row < t->rows; row++) {
        if (cases.of[row] < 0) return err_set(e, ERR_BAD_INPUT, "detect", "line %u: no case", t->line[row]);
        if (!take_row(t, row, &c, cases.of[row], out, e)) return false;
    }
    return true;
}

bool detect_table_report(struct ev_report *r, const struct csv *table, const struct detect_asked *asked, struct err *e) {
    struct objects o;
    struct detect_pairs pairs;
    struct detect_matches m;
    if (!objects_of(r->arena, table, &o, e)) return false;
    if (asked->cases && asked->cases < o.cases) return err_set(e, ERR_USAGE, "detect", "%u cases were told, the table has %u", asked->cases, o.cases);
    const double *score = o.scored ? o.score : NULL;
    if (!detect_find_pairs(r->arena, o.reference, o.references, o.predicted, o.predictions, asked->rule, asked->threshold, &pairs, e)) return false;
    if (!detect_match(r->arena, &pairs, o.references, o.predictions, asked->cases ? asked->cases : o.cases, score, asked->ignore_again, &m, e)) return false;
    struct told t = {r, &m, asked, o.reference, o.predicted, score};
    return tell_all(&t, e);
}

// ---- masks ----

// Instances: the labels of a map that has several, else its connected parts. Labels become dense.
static bool instances_of(struct arena *a, const struct seg_grid *g, const uint16_t *map, unsigned connectivity, uint32_t *label, uint32_t *count,
                         bool *labelled, struct err *e) {
    size_t voxels = seg_voxels(g);
    uint32_t *number = arena_zero(a, 65536, sizeof *number, e);
    uint8_t *mask = number ? arena_alloc(a, voxels, e) : NULL;
    if (!mask) return false;
    for (size_t i = 0; i < voxels; i++) {
        number[map[i]] = 1;
        mask[i] = map[i] != 0;
    }
    *count = 0;
    for (unsigned i = 1; i < 65536; i++) number[i] = number[i] ? ++*count : 0;
    *labelled = *count > 1;
    if (!*labelled) return detect_components(a, g, mask, connectivity, label, count, e);
    for (size_t i = 0; i < voxels; i++) label[i] = map[i] ? number[map[i]] : 0;
    return true;
}

static void tell_panoptic(struct ev_report *r, const struct detect_overlaps *o, uint32_t references, uint32_t predictions) {
    struct detect_panoptic p;
    detect_panoptic(o, references, predictions, &p);
    tell_number(r, "Panoptic quality (IoU above 0.5)", p.quality, "there is no object");
    tell_number(r, "Segmentation quality (IoU above 0.5)", p.segmentation, "nothing was found");
    tell_number(r, "Recognition quality (IoU above 0.5)", p.recognition, "there is no object");
    ev_report_source(r, "Kirillov A, He K, Girshick R, Rother C, Dollar P. Panoptic segmentation. CVPR 2019:9404-9413");
}

static bool masks_match(struct ev_report *r, const struct seg_grid *g, uint32_t *const label[2], const uint32_t count[2], const struct detect_asked *asked,
                        struct err *e) {
    struct detect_overlaps o;
    struct detect_pairs pairs;
    struct detect_matches m;
    if (!detect_overlaps(r->arena, label[0], count[0], label[1], count[1], seg_voxels(g), &o, e)) return false;
    if (!detect_overlap_pairs(r->arena, &o, asked->rule, asked->threshold, &pairs, e)) return false;
    if (!detect_match(r->arena, &pairs, count[0], count[1], 1, NULL, asked->ignore_again, &m, e)) return false;
    struct told t = {r, &m, asked, NULL, NULL, NULL};
    if (!tell_match(&t, e)) return false;
    tell_panoptic(r, &o, count[0], count[1]);
    tell_methods(&t);
    return true;
}

bool detect_masks_report(struct ev_report *r, const struct seg_grid *g, const uint16_t *reference, const uint16_t *predicted, const struct detect_asked *asked,
                         struct err *e) {
    if (asked->rule != DETECT_IOU && asked->rule != DETECT_COVERED) return err_set(e, ERR_USAGE, "detect", "masks are matched by iou or covered");
    const uint16_t *maps[2] = {reference, predicted};
    uint32_t *label[2], count[2];
    bool labelled[2];
    for (unsigned i = 0; i < 2; i++) {
        label[i] = arena_alloc(r->arena, seg_voxels(g) * sizeof **label, e);
        if (!label[i] || !instances_of(r->arena, g, maps[i], asked->connectivity, label[i], &count[i], &labelled[i], e)) return false;
    }
    if (!masks_match(r, g, label, count, asked, e)) return false;
    if (!labelled[0])
        ev_report_method(r,
                         "Objects of the reference are the connected parts of its mask (connectivity {0}: neighbours that differ along so many axes at most).",
                         text_of(r, asked->connectivity), NULL);
    if (!labelled[1]) ev_report_method(r, "Predicted objects are the connected parts of the mask (connectivity {0}).", text_of(r, asked->connectivity), NULL);
    return ev_report_ok(r, e);
}
