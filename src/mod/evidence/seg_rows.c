// Reference values of segmentation metrics: what a row of their table asks.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "mod/evidence/seg.h"
#include "mod/evidence/seg_case.h"
#include "mod/evidence/verify.h"

// ---- the masks ----

// Tables that name their masks where the definition stands in the words beside the table.
static const struct {
    const char *name, *words;
} CASES[] = {
    {"ball_iso", "shape (40,48,56) spacing 1,1,1 gt ball((20,24,28),10) pred ball((20,24,30),10)"},
    {"box_shift", "shape (40,48,56) spacing 3,1,1 gt box((10,10,10),(30,30,30)) pred box((10,13,10),(30,33,30))"},
    {"ball_in_box", "shape (40,48,56) spacing 1,1,1 gt ball((20,24,28),12) pred box((10,12,16),(31,36,41))"},
    {"ball2d", "shape (64,64) spacing 0.5,0.5 gt ball((32,32),8) pred ball((32,36),9)"},
};

static bool holds(struct str s, const char *part) {
    return memmem(s.p ? s.p : "", s.n, part, strlen(part)) != NULL;
}

static bool case_named(struct str name, struct str *words) {
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        if (!str_eqz(name, CASES[i].name)) continue;
        *words = str_of(CASES[i].words);
        return true;
    }
    return false;
}

// "case=ball_iso", or the name alone.
static struct str case_of(struct str parameters) {
    for (struct str rest = parameters; rest.p;) {
        struct str piece = str_trim(str_split(&rest, ';'));
        size_t equals = str_find(piece, '=', 0);
        if (equals == piece.n) {
            struct str words;
            if (case_named(piece, &words)) return piece;
        } else if (str_eq_nocase(str_trim(str_sub(piece, 0, equals)), STR_LIT("case"))) {
            return str_trim(str_sub(piece, equals + 1, piece.n));
        }
    }
    return (struct str){NULL, 0};
}

static struct str cell(const struct csv *t, size_t row, const char *column) {
    for (unsigned c = 0; c < t->columns; c++) {
        if (str_eq_nocase(t->names[c], str_of(column))) return csv_at(t, row, c);
    }
    return (struct str){NULL, 0};
}

// The row of the case in a table of cases: its own definition and spacing, where it has them.
static void from_table(const struct csv *t, struct str name, struct str *words, struct str *spacing) {
    for (size_t row = 0; row < t->rows; row++) {
        if (!str_eq(cell(t, row, "case"), name)) continue;
        struct str definition = cell(t, row, "definition");
        if (definition.n) *words = definition;
        *spacing = cell(t, row, "spacing");
        return;
    }
}

static bool masks_of(const struct ev_question *q, struct seg_case *c, struct err *e) {
    struct str name = case_of(q->parameters), words = {NULL, 0}, spacing = {NULL, 0};
    if (name.n) {
        bool known = case_named(name, &words);
        if (q->data) from_table(q->data, name, &words, &spacing);
        if (!known && !words.n && !holds(q->parameters, "shape")) {
            return err_set(e, ERR_NOT_FOUND, "seg", "no definition of the masks \"%.*s\"", STR_FMT(name));
        }
    }
    return seg_case_make(q->arena, words.n ? words : q->parameters, spacing, c, e);
}

// ---- which side ----

enum side { SIDE_BOTH, SIDE_REFERENCE, SIDE_PREDICTED };

static bool last_word(struct str s, const char *word) {
    s = str_trim(s);
    size_t n = strlen(word);
    return str_ends(s, str_of(word)) && (s.n == n || !((s.p[s.n - n - 1] >= 'a' && s.p[s.n - n - 1] <= 'z') || s.p[s.n - n - 1] == '>'));
}

static enum side side_of(const struct ev_question *q) {
    struct str s = q->statistic, p = q->parameters;
    if (holds(s, "pred2gt") || holds(p, "pred->gt") || holds(p, "pred2gt")) return SIDE_PREDICTED;
    if (holds(s, "gt2pred") || holds(p, "gt->pred") || holds(p, "gt2pred")) return SIDE_REFERENCE;
    if (last_word(s, "pred") || last_word(p, "pred")) return SIDE_PREDICTED;
    if (last_word(s, "gt") || last_word(p, "gt")) return SIDE_REFERENCE;
    return SIDE_BOTH;
}

// The first number in the statistic's name: "surface_dice_1mm", "hd95", "overlap1mm_gt".
static double number_in(struct str s, double fallback) {
    char text[32];
    size_t n = 0;
    while (s.n && !(s.p[0] >= '0' && s.p[0] <= '9')) s = str_sub(s, 1, s.n);
    while (n < s.n && n + 1 < sizeof text && ((s.p[n] >= '0' && s.p[n] <= '9') || s.p[n] == '.')) n++;
    memcpy(text, n ? s.p : "", n);
    double value;
    return n && str_to_f64((struct str){text, n}, &value) ? value : fallback;
}

// ---- answers ----

static bool answer_overlap(const struct ev_question *q, double *value, struct err *e) {
    struct seg_case c;
    struct seg_overlap o;
    if (!masks_of(q, &c, e)) return false;
    seg_overlap(&c.grid, c.masks[0], c.masks[1], &o);
    if (str_eqz(q->statistic, "dice"))
        *value = o.dice;
    else if (str_eqz(q->statistic, "jaccard") || str_eqz(q->statistic, "iou"))
        *value = o.jaccard;
    else if (str_eqz(q->statistic, "n_gt"))
        *value = (double)o.reference;
    else if (str_eqz(q->statistic, "n_pred"))
        *value = (double)o.predicted;
    else
        *value = o.volume_error;
    return true;
}

static bool distances_of(const struct ev_question *q, struct seg_distances *d, struct err *e) {
    struct seg_case c;
    enum seg_surface surface = holds(q->parameters, "border") || holds(q->statistic, "border") ? SEG_BORDERS : SEG_SURFELS;
    return masks_of(q, &c, e) && seg_distances(q->arena, &c.grid, c.masks[0], c.masks[1], surface, d, e);
}

static bool answer_average(const struct ev_question *q, double *value, struct err *e) {
    struct seg_distances d;
    if (!distances_of(q, &d, e)) return false;
    enum side side = side_of(q);
    if (str_starts(q->statistic, STR_LIT("assd")))
        *value = seg_assd(&d);
    else if (side == SIDE_BOTH)
        *value = seg_masd(&d);
    else
        *value = seg_mean_distance(side == SIDE_REFERENCE ? &d.reference : &d.predicted);
    return true;
}

static bool answer_hausdorff(const struct ev_question *q, double *value, struct err *e) {
    struct seg_distances d;
    if (!distances_of(q, &d, e)) return false;
    double percent = number_in(q->statistic, 100);
    if (!(percent > 0 && percent <= 100)) return err_set(e, ERR_BAD_INPUT, "seg", "percentile %g: above 0, up to 100", percent);
    *value = seg_hausdorff(&d, percent);
    return true;
}

static bool answer_within(const struct ev_question *q, double *value, struct err *e) {
    struct seg_distances d;
    if (!distances_of(q, &d, e)) return false;
    double tolerance = number_in(q->statistic, NAN);
    if (isnan(tolerance)) return err_set(e, ERR_BAD_INPUT, "seg", "no tolerance in \"%.*s\"", STR_FMT(q->statistic));
    enum side side = side_of(q);
    if (holds(q->statistic, "dice"))
        *value = seg_surface_dice(&d, tolerance);
    else if (side == SIDE_BOTH)
        return err_set(e, ERR_BAD_INPUT, "seg", "whose surface: gt or pred?");
    else
        *value = seg_overlap_within(side == SIDE_REFERENCE ? &d.reference : &d.predicted, tolerance);
    return true;
}

// ---- empty masks: "pred empty: ASD=(inf,nan) HD=inf ...; both empty: ..." ----

struct empty_values {
    double asd[2], hd, overlap[2], surface_dice, dice;
};

static bool values_of(const struct ev_question *q, const char *words, struct empty_values *v, struct err *e) {
    struct seg_case c;
    struct seg_overlap o;
    struct seg_distances d;
    if (!seg_case_make(q->arena, str_of(words), (struct str){NULL, 0}, &c, e)) return false;
    seg_overlap(&c.grid, c.masks[0], c.masks[1], &o);
    if (!seg_distances(q->arena, &c.grid, c.masks[0], c.masks[1], SEG_SURFELS, &d, e)) return false;
    *v = (struct empty_values){{seg_mean_distance(&d.reference), seg_mean_distance(&d.predicted)},
                               seg_hausdorff(&d, 100),
                               {seg_overlap_within(&d.reference, 1), seg_overlap_within(&d.predicted, 1)},
                               seg_surface_dice(&d, 1),
                               o.dice};
    return true;
}

static bool same(double a, const char *text) {
    double b = strtod(text, NULL); // takes inf and nan
    return isnan(a) ? isnan(b) : a == b;
}

// What the text says after "name=" is not what we have: 1.
static unsigned differs(const char *text, const char *name, const double *values, unsigned count) {
    const char *at = strstr(text, name);
    if (!at || at == text) return 0;
    at += strlen(name);
    for (unsigned i = 0; i < count; i++) {
        at += strspn(at, "(, ");
        if (!same(values[i], at)) return 1;
        at += strcspn(at, ",");
    }
    return 0;
}

static unsigned disagreements(const char *text, const struct empty_values *v) {
    return differs(text, " ASD=", v->asd, 2) + differs(text, " HD=", &v->hd, 1) + differs(text, " overlap=", v->overlap, 2) +
           differs(text, " surface dice=", &v->surface_dice, 1);
}

// The Dice coefficient of two empty masks, when all else is as the row says; else how many values are not.
static bool answer_empty(const struct ev_question *q, double *value, struct err *e) {
    unsigned wrong = 0;
    struct empty_values v = {.dice = NAN};
    for (struct str rest = q->parameters; rest.p;) {
        char *text = arena_strz(q->arena, str_trim(str_split(&rest, ';')), e);
        const char *words = !text                        ? NULL
                            : strstr(text, "both empty") ? "shape (8,8,8) gt empty pred empty"
                            : strstr(text, "pred empty") ? "shape (8,8,8) gt ball((4,4,4),2) pred empty"
                            : strstr(text, "gt empty")   ? "shape (8,8,8) gt empty pred ball((4,4,4),2)"
                                                         : NULL;
        if (!text) return false;
        if (!words) return err_set(e, ERR_BAD_INPUT, "seg", "\"%s\" tells not which mask is empty", text);
        if (!values_of(q, words, &v, e)) return false;
        wrong += disagreements(text, &v);
        const char *last = strstr(text, " dice=");
        while (last && last > text + 8 && strncmp(last - 8, " surface", 8) == 0) last = strstr(last + 1, " dice=");
        if (last && !same(v.dice, last + 6)) wrong++;
    }
    *value = wrong ? wrong : v.dice;
    return true;
}

const struct ev_statistic EV_STATISTICS_SEGMENTATION[] = {
    {"dice", answer_overlap},
    {"jaccard", answer_overlap},
    {"iou", answer_overlap},
    {"n_gt", answer_overlap},
    {"n_pred", answer_overlap},
    {"volume_error", answer_overlap},
    {"avg_surface_distance*", answer_average},
    {"avg_surf_dist*", answer_average},
    {"assd*", answer_average},
    {"masd*", answer_average},
    {"hd*", answer_hausdorff},
    {"hausdorff*", answer_hausdorff},
    {"surface_dice*", answer_within},
    {"surface_overlap*", answer_within},
    {"overlap*", answer_within},
    {"empty_mask_policy", answer_empty},
    {0},
};
