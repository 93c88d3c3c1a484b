// Reads the cases of a ROC analysis.
#include <math.h>

#include "mod/evidence/roc_read.h"

static const char *const OUTCOMES[] = {"truth",     "outcome", "status", "label", "disease", "diagnosis", "response", "class",
                                       "reference", "gold",    "y",      "d",     "low",     "target",    NULL};
static const char *const SCORES[] = {"rating", "score", "predictor", "marker", "phat", "p", "prob", "probability", "test", "prediction", NULL};
static const char *const POSITIVES[] = {"positive", "pos", "yes", "true", "case", "diseased", "abnormal", "malignant", "present", "阳性", NULL};

static int first_column(const struct csv *t, const char *const *names) {
    for (; *names; names++) {
        int at = csv_find(t, *names);
        if (at >= 0) return at;
    }
    return -1;
}

int ev_truth_column(const struct csv *t) {
    return first_column(t, OUTCOMES);
}

int ev_score_column(const struct csv *t) {
    return first_column(t, SCORES);
}

int ev_positive_level(const struct csv_levels *l, struct str named) {
    double x, y;
    if (named.p) {
        for (unsigned i = 0; i < l->count; i++)
            if (str_eq_nocase(str_trim(l->names[i]), str_trim(named))) return (int)i;
        return -1;
    }
    for (const char *const *p = POSITIVES; *p; p++)
        for (unsigned i = 0; i < l->count; i++)
            if (str_eq_nocase(l->names[i], str_of(*p))) return (int)i;
    if (l->count < 2) return (int)l->count - 1;
    if (str_to_f64(l->names[0], &x) && str_to_f64(l->names[1], &y)) return y > x ? 1 : 0;
    return str_cmp(l->names[1], l->names[0]) > 0 ? 1 : 0;
}

bool ev_truth_levels(const struct csv *t, unsigned column, const char *positive, struct csv_levels *l, int *level, struct err *e) {
    if (!csv_levels(t, column, l, e)) return false;
    if (l->count != 2)
        return err_set(e, ERR_BAD_INPUT, "evidence", "the column %.*s has %u different value%s: a truth has two", STR_FMT(t->names[column]), l->count,
                       l->count == 1 ? "" : "s");
    *level = ev_positive_level(l, str_of(positive));
    if (*level >= 0) return true;
    return err_set(e, ERR_BAD_INPUT, "evidence", "no row of %.*s has the value %s, which is to be positive", STR_FMT(t->names[column]), positive);
}

static bool find_truth(const struct csv *t, const struct ev_roc_columns *c, unsigned *column, struct err *e) {
    if (c->truth) return csv_column(t, c->truth, column, e);
    int at = ev_truth_column(t);
    if (at < 0) return err_set(e, ERR_USAGE, "evidence", "no column's name tells that it is the truth: name it (--truth COLUMN)");
    *column = (unsigned)at;
    return true;
}

struct picked {
    unsigned count;
    unsigned at[EV_TESTS_MAX];
    double *x[EV_TESTS_MAX];
};

static bool is_numbers(const struct csv *t, unsigned column) {
    double x;
    bool any = false;
    for (size_t i = 0; i < t->rows; i++) {
        if (!csv_number(t, i, column, &x, NULL)) return false;
        any = any || !isnan(x);
    }
    return any;
}

// Every column of numbers that has no other part.
static bool pick_all(const struct csv *t, const struct ev_roc_columns *c, unsigned truth, struct picked *p, struct err *e) {
    static const char *const OTHERS[] = {"case", "caseid", "id", "patient", "study", "subject", "row", NULL};
    for (unsigned i = 0; i < t->columns; i++) {
        bool other = i == truth || (c->cluster && csv_find(t, c->cluster) == (int)i) || (c->by && csv_find(t, c->by) == (int)i);
        for (const char *const *o = OTHERS; *o; o++) other = other || csv_find(t, *o) == (int)i;
        if (other || !is_numbers(t, i)) continue;
        if (p->count == EV_TESTS_MAX)
            return err_set(e, ERR_TOO_LARGE, "evidence", "more than %d columns of numbers: name the scores (--score COLUMN)", EV_TESTS_MAX);
        p->at[p->count++] = i;
    }
    return p->count ? true : err_set(e, ERR_BAD_INPUT, "evidence", "no column holds numbers: there is no score");
}

static bool pick_scores(const struct csv *t, const struct ev_roc_columns *c, unsigned truth, struct picked *p, struct err *e) {
    int one = ev_score_column(t);
    for (unsigned i = 0; i < c->scores; i++)
        if (!csv_column(t, c->score[i], &p->at[p->count++], e)) return false;
    if (c->scores == 0 && one >= 0 && (unsigned)one != truth) p->at[p->count++] = (unsigned)one;
    if (p->count == 0 && !pick_all(t, c, truth, p, e)) return false;
    const unsigned count = p->count;
    for (unsigned i = 0; i < count; i++)
        if (!csv_numbers(t, p->at[i], &p->x[i], e)) return false;
    return true;
}

static bool take_lower(const struct csv *t, const struct ev_roc_columns *c, const struct picked *p, struct ev_roc_table *out, struct err *e) {
    for (unsigned i = 0; i < c->lowers; i++) {
        unsigned at;
        bool found = false;
        if (!csv_column(t, c->lower[i], &at, e)) return false;
        for (unsigned k = 0; k < p->count; k++) {
            if (p->at[k] != at) continue;
            found = out->lower[k] = true;
        }
        if (!found) return err_set(e, ERR_USAGE, "evidence", "--lower %s: it is none of the scores", c->lower[i]);
    }
    return true;
}

// A column of names, as numbers from 0 of the rows that are kept; rows without one are left out.
static bool take_levels(struct arena *a, const struct csv *t, const char *name, bool *keep, struct csv_levels *l, struct err *e) {
    unsigned at;
    (void)a;
    if (!csv_column(t, name, &at, e) || !csv_levels(t, at, l, e)) return false;
    for (size_t i = 0; i < t->rows; i++) keep[i] = keep[i] && l->of[i] >= 0;
    return true;
}

static bool packed_levels(struct arena *a, const struct csv_levels *l, const bool *keep, size_t rows, int32_t **out, struct err *e) {
    size_t n = 0;
    *out = arena_alloc(a, (rows + 1) * sizeof **out, e);
    for (size_t i = 0; *out && i < rows; i++)
        if (keep[i]) (*out)[n++] = l->of[i];
    return *out != NULL;
}

static bool pack(struct arena *a, size_t rows, const struct picked *p, const struct csv_levels *truth, int positive, const bool *keep, struct ev_roc_table *out,
                 struct err *e) {
    out->tests = p->count;
    out->positive = arena_alloc(a, rows + 1, e);
    if (!out->positive) return false;
    for (size_t i = 0; i < rows; i++)
        if (keep[i]) out->positive[out->n++] = truth->of[i] == positive;
    out->left_out = rows - out->n;
    for (unsigned t = 0; t < p->count; t++) {
        size_t k = 0;
        out->score[t] = arena_alloc(a, (out->n + 1) * sizeof(double), e);
        if (!out->score[t]) return false;
        for (size_t i = 0; i < rows; i++)
            if (keep[i]) out->score[t][k++] = out->lower[t] ? -p->x[t][i] : p->x[t][i];
    }
    return true;
}

bool ev_roc_read(struct arena *a, const struct csv *t, const struct ev_roc_columns *c, struct ev_roc_table *out, struct err *e) {
    struct picked p = {0};
    struct csv_levels truth, cluster, by;
    unsigned column;
    int positive;
    *out = (struct ev_roc_table){0};
    if (!find_truth(t, c, &column, e) || !ev_truth_levels(t, column, c->positive, &truth, &positive, e)) return false;
    if (!pick_scores(t, c, column, &p, e) || !take_lower(t, c, &p, out, e)) return false;
    bool *keep = arena_alloc(a, t->rows + 1, e);
    if (!keep) return false;
    for (size_t i = 0; i < t->rows; i++) {
        keep[i] = truth.of[i] >= 0;
        for (unsigned k = 0; k < p.count; k++) keep[i] = keep[i] && !isnan(p.x[k][i]);
    }
    if ((c->cluster && !take_levels(a, t, c->cluster, keep, &cluster, e)) || (c->by && !take_levels(a, t, c->by, keep, &by, e))) return false;
    if (!pack(a, t->rows, &p, &truth, positive, keep, out, e)) return false;
    if (c->cluster && !packed_levels(a, &cluster, keep, t->rows, &out->cluster, e)) return false;
    if (c->by) {
        if (!packed_levels(a, &by, keep, t->rows, &out->by, e)) return false;
        out->by_name = by.names;
        out->by_count = by.count;
    }
    out->positive_name = truth.names[positive];
    for (unsigned k = 0; k < p.count; k++) out->name[k] = t->names[p.at[k]];
    return true;
}
