// Reads the calls of tests, and the truth, from a table.
#include <math.h>

#include "mod/evidence/diagnostic.h"
#include "mod/evidence/roc_read.h"

struct reading {
    struct arena *a;
    const struct csv *t;
    const struct ev_call_columns *c;
    unsigned truth_column;
    struct csv_levels truth;
    int positive;
    struct err *e;
};

static bool read_truth(struct reading *r) {
    if (r->c->truth) {
        if (!csv_column(r->t, r->c->truth, &r->truth_column, r->e)) return false;
    } else {
        int at = ev_truth_column(r->t);
        if (at < 0) return err_set(r->e, ERR_USAGE, "evidence", "no column's name tells that it is the truth: name it (--truth COLUMN)");
        r->truth_column = (unsigned)at;
    }
    return ev_truth_levels(r->t, r->truth_column, r->c->positive, &r->truth, &r->positive, r->e);
}

// The call of each row: 1, 0, or -1 where it is missing.
static bool read_call(struct reading *r, unsigned column, int8_t *call) {
    struct csv_levels l;
    int level;
    double x;
    for (size_t i = 0; !isnan(r->c->cut) && i < r->t->rows; i++) {
        if (!csv_number(r->t, i, column, &x, r->e)) return false;
        call[i] = isnan(x) ? (int8_t)-1 : (int8_t)(x >= r->c->cut);
    }
    if (!isnan(r->c->cut)) return true;
    if (!csv_levels(r->t, column, &l, r->e)) return false;
    if (l.count > 2)
        return err_set(r->e, ERR_BAD_INPUT, "evidence", "the column %.*s has %u different values: a test says yes or no (or give --cut)",
                       STR_FMT(r->t->names[column]), l.count);
    level = ev_positive_level(&l, str_of(r->c->call));
    // a test that always says the same: 0 and words of refusal are no positive call
    if (!r->c->call && l.count == 1 && (str_eqz(l.names[0], "0") || str_eq_nocase(l.names[0], STR_LIT("negative")) || str_eq_nocase(l.names[0], STR_LIT("no"))))
        level = -1;
    for (size_t i = 0; i < r->t->rows; i++) call[i] = l.of[i] < 0 ? (int8_t)-1 : (int8_t)(l.of[i] == level);
    return true;
}

static bool test_columns(struct reading *r, unsigned *column, unsigned *count) {
    static const char *const NAMES[] = {"test", "call", "result", "prediction", "predicted", "finding", NULL};
    *count = r->c->tests;
    for (unsigned i = 0; i < r->c->tests; i++)
        if (!csv_column(r->t, r->c->test[i], &column[i], r->e)) return false;
    for (const char *const *name = NAMES; *name && *count == 0; name++) {
        int at = csv_find(r->t, *name);
        if (at >= 0 && (unsigned)at != r->truth_column) column[(*count)++] = (unsigned)at;
    }
    return *count ? true : err_set(r->e, ERR_USAGE, "evidence", "no column's name tells that it is the test: name it (--test COLUMN)");
}

static bool gather(struct reading *r, int8_t *const *call, const struct csv_levels *cluster, struct ev_calls *out) {
    size_t rows = r->t->rows;
    out->positive = arena_alloc(r->a, rows + 1, r->e);
    if (!out->positive) return false;
    for (unsigned k = 0; k < out->tests; k++)
        if (!(out->call[k] = arena_alloc(r->a, rows + 1, r->e))) return false;
    if (cluster && !(out->cluster = arena_alloc(r->a, (rows + 1) * sizeof(int32_t), r->e))) return false;
    for (size_t i = 0; i < rows; i++) {
        bool called = !cluster || cluster->of[i] >= 0, known = r->truth.of[i] >= 0;
        for (unsigned k = 0; k < out->tests; k++) called = called && call[k][i] >= 0;
        if (called && known) {
            for (unsigned k = 0; k < out->tests; k++) out->call[k][out->n] = (uint8_t)call[k][i];
            if (cluster) out->cluster[out->n] = cluster->of[i];
            out->positive[out->n++] = r->truth.of[i] == r->positive;
        } else if (called && r->c->unverified) {
            for (unsigned k = 0; k < out->tests; k++) out->unverified[k][call[k][i]] += 1;
        } else {
            out->left_out++;
        }
    }
    return out->n ? true : err_set(r->e, ERR_BAD_INPUT, "evidence", "no row has the truth and all tests");
}

bool ev_calls_read(struct arena *a, const struct csv *t, const struct ev_call_columns *c, struct ev_calls *out, struct err *e) {
    struct reading r = {.a = a, .t = t, .c = c, .e = e};
    unsigned column[EV_CALLS_MAX], at;
    int8_t *call[EV_CALLS_MAX];
    struct csv_levels cluster;
    *out = (struct ev_calls){0};
    if (!read_truth(&r) || !test_columns(&r, column, &out->tests)) return false;
    for (unsigned k = 0; k < out->tests; k++) {
        call[k] = arena_alloc(a, t->rows + 1, e);
        if (!call[k] || !read_call(&r, column[k], call[k])) return false;
        out->name[k] = t->names[column[k]];
    }
    if (c->cluster && (!csv_column(t, c->cluster, &at, e) || !csv_levels(t, at, &cluster, e))) return false;
    out->positive_name = r.truth.names[r.positive];
    return gather(&r, call, c->cluster ? &cluster : NULL, out);
}
