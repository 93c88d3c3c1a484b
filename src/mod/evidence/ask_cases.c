// The cases of a ROC analysis as a reference table's row describes them.
#include <math.h>
#include <string.h>

#include "math/rank.h"
#include "mod/evidence/ask.h"
#include "mod/evidence/roc_read.h"

// A column by its name, with or without the "ID" that some layouts add.
static int column_named(struct arena *a, const struct csv *t, struct str name) {
    struct err ignored;
    const char *plain = arena_printf(a, &ignored, "%.*s", STR_FMT(name)), *longer = arena_printf(a, &ignored, "%.*sID", STR_FMT(name));
    int at = plain ? csv_find(t, plain) : -1;
    return at >= 0 || !longer ? at : csv_find(t, longer);
}

struct rows {
    const struct ev_question *q;
    const struct csv *t;
    bool *keep;
};

static void keep_where(struct rows *r, unsigned column, struct str value) {
    for (size_t i = 0; i < r->t->rows; i++)
        if (!str_eq_nocase(str_trim(csv_at(r->t, i, column)), value)) r->keep[i] = false;
}

static bool has_value(const struct csv *t, unsigned column, struct str value) {
    for (size_t i = 0; i < t->rows; i++)
        if (str_eq_nocase(str_trim(csv_at(t, i, column)), value)) return true;
    return false;
}

// What a reading of a case belongs to, in both layouts of reader studies.
static const char *const OF_A_READING[] = {"readerID", "modalityID", "reader", "modality", "treatment"};

// "reader=1" by its column; a word alone ("reader1") by the value it is of a column of readers or modalities.
static bool filter_piece(struct rows *r, struct str piece, struct err *e) {
    size_t equals = str_find(piece, '=', 0);
    struct str key = str_trim(str_sub(piece, 0, equals)), value = equals < piece.n ? str_trim(str_sub(piece, equals + 1, piece.n)) : (struct str){NULL, 0};
    if (value.p) {
        int at = column_named(r->q->arena, r->t, key);
        if (at < 0) return true;
        if (!has_value(r->t, (unsigned)at, value))
            return err_set(e, ERR_BAD_INPUT, "evidence", "no row has %.*s in its column %.*s", STR_FMT(value), STR_FMT(r->t->names[at]));
        keep_where(r, (unsigned)at, value);
        return true;
    }
    for (size_t i = 0; i < sizeof OF_A_READING / sizeof OF_A_READING[0]; i++) {
        int at = csv_find(r->t, OF_A_READING[i]);
        if (at < 0 || !has_value(r->t, (unsigned)at, key)) continue;
        keep_where(r, (unsigned)at, key);
        return true;
    }
    return true;
}

static bool filter_rows(struct rows *r, struct err *e) {
    r->keep = arena_alloc(r->q->arena, r->t->rows + 1, e);
    if (!r->keep) return false;
    memset(r->keep, true, r->t->rows);
    for (unsigned i = 0;; i++) {
        struct str piece = ev_piece(r->q, i);
        if (!piece.p) return true;
        if (!filter_piece(r, str_trim(piece), e)) return false;
    }
}

// truth[row]: 1, 0, or -1 where it is missing.
static bool truth_of_column(const struct ev_question *q, const struct csv *t, int8_t *truth, int *column, struct err *e) {
    struct str named;
    struct csv_levels l;
    int level;
    static const char *const KEYS[] = {"outcome", "truth", "response", "label"};
    *column = -1;
    for (size_t i = 0; i < sizeof KEYS / sizeof KEYS[0] && *column < 0; i++)
        if (ev_parameter(q, KEYS[i], &named)) *column = column_named(q->arena, t, named);
    if (*column < 0) *column = ev_truth_column(t);
    if (*column < 0) return ev_ask_lacks(q, "outcome=COLUMN, and no column of the data has a name that tells it", e);
    const char *positive = ev_parameter(q, "positive", &named) ? arena_strz(q->arena, str_trim(named), e) : NULL;
    if (!ev_truth_levels(t, (unsigned)*column, positive, &l, &level, e)) return false;
    for (size_t i = 0; i < t->rows; i++) truth[i] = l.of[i] < 0 ? -1 : (int8_t)(l.of[i] == level);
    return true;
}

// iMRMC: rows whose reader is "truth" tell the truth of their case.
static bool truth_of_reader(struct rows *r, int8_t *truth, unsigned reader, unsigned score, struct err *e) {
    unsigned id;
    struct csv_levels cases;
    if (!csv_column(r->t, "caseID", &id, e) || !csv_levels(r->t, id, &cases, e)) return false;
    int8_t *of_case = arena_alloc(r->q->arena, cases.count + 1, e);
    if (!of_case) return false;
    memset(of_case, -1, cases.count + 1);
    for (size_t i = 0; i < r->t->rows; i++) {
        double value;
        if (!str_eq_nocase(csv_at(r->t, i, reader), STR_LIT("truth"))) continue;
        r->keep[i] = false;
        if (!csv_number(r->t, i, score, &value, e)) return false;
        if (cases.of[i] >= 0 && !isnan(value)) of_case[cases.of[i]] = value > 0;
    }
    for (size_t i = 0; i < r->t->rows; i++) truth[i] = cases.of[i] < 0 ? (int8_t)-1 : of_case[cases.of[i]];
    return true;
}

// Readings of several readers or modalities in one curve are no curve of anybody.
static bool is_one_reader(const struct rows *r, struct err *e) {
    for (size_t i = 0; i < sizeof OF_A_READING / sizeof OF_A_READING[0]; i++) {
        int at = csv_find(r->t, OF_A_READING[i]);
        struct str first = {NULL, 0};
        for (size_t row = 0; at >= 0 && row < r->t->rows; row++) {
            if (!r->keep[row]) continue;
            struct str value = str_trim(csv_at(r->t, row, (unsigned)at));
            if (!first.p) first = value;
            if (!str_eq(first, value))
                return err_set(e, ERR_BAD_INPUT, "evidence", "the data have several values of %.*s: say which, %.*s=%.*s for one", STR_FMT(r->t->names[at]),
                               STR_FMT(r->t->names[at]), STR_FMT(first));
        }
    }
    return true;
}

static double median(struct arena *a, const double *x, const uint8_t *positive, size_t n, uint8_t which) {
    struct arena_mark mark = arena_mark(a);
    double *of = arena_alloc(a, n * sizeof *of, NULL), out = NAN;
    size_t count = 0;
    for (size_t i = 0; of && i < n; i++)
        if (positive[i] == which) of[count++] = x[i];
    if (count && rank_sort(a, of, count, NULL)) out = count % 2 ? of[count / 2] : of[count / 2 - 1] / 2 + of[count / 2] / 2;
    arena_rewind(a, mark);
    return out;
}

// Small scores speak for the condition: said so, or a named predictor whose median is greater without it (the rule of pROC's direction "auto").
static bool turned(const struct ev_question *q, const double *x, const struct ev_cases *c, bool named) {
    struct str v;
    if (ev_parameter(q, "higher", &v)) return str_eq_nocase(v, STR_LIT("negative"));
    if (ev_parameter(q, "lower", &v)) return str_eq_nocase(v, STR_LIT("positive"));
    if (ev_parameter(q, "direction", &v) && str_eq(str_trim(v), STR_LIT(">"))) return true;
    if (ev_parameter(q, "direction", &v) && str_eq(str_trim(v), STR_LIT("<"))) return false;
    return named && median(q->arena, x, c->positive, c->n, 0) > median(q->arena, x, c->positive, c->n, 1);
}

struct columns {
    unsigned count;
    unsigned at[EV_TESTS_MAX];
    double *x[EV_TESTS_MAX];
};

static bool score_columns(const struct ev_question *q, const struct csv *t, const struct str *names, unsigned tests, struct columns *c, struct err *e) {
    struct str one = {NULL, 0};
    if (tests == 0 && ev_parameter(q, "predictor", &one)) {
        names = &one;
        tests = 1;
    }
    const unsigned count = tests ? tests : 1;
    for (unsigned i = 0; i < count; i++) {
        int at = tests ? column_named(q->arena, t, str_trim(names[i])) : ev_score_column(t);
        if (at < 0 && tests) return err_set(e, ERR_BAD_INPUT, "evidence", "the data have no column %.*s", STR_FMT(names[i]));
        if (at < 0) return ev_ask_lacks(q, "predictor=COLUMN", e);
        c->at[i] = (unsigned)at;
        if (!csv_numbers(t, (unsigned)at, &c->x[i], e)) return false;
    }
    c->count = count;
    return true;
}

static bool gather(struct rows *r, const struct columns *c, const int8_t *truth, bool named, struct ev_cases *out, struct err *e) {
    struct arena *a = r->q->arena;
    uint8_t *positive = arena_alloc(a, r->t->rows + 1, e);
    double **score = positive ? arena_zero(a, c->count, sizeof *score, e) : NULL;
    if (!score) return false;
    for (size_t i = 0; i < r->t->rows; i++) {
        r->keep[i] = r->keep[i] && truth[i] >= 0;
        for (unsigned t = 0; t < c->count; t++) r->keep[i] = r->keep[i] && !isnan(c->x[t][i]);
        if (r->keep[i]) positive[out->n++] = (uint8_t)truth[i];
        if (r->keep[i]) *(truth[i] ? &out->n1 : &out->n0) += 1;
    }
    out->positive = positive;
    for (unsigned t = 0; t < c->count; t++) {
        size_t k = 0;
        score[t] = arena_alloc(a, (out->n + 1) * sizeof(double), e);
        if (!score[t]) return false;
        for (size_t i = 0; i < r->t->rows; i++)
            if (r->keep[i]) score[t][k++] = c->x[t][i];
        out->turned[t] = turned(r->q, score[t], out, named);
        for (size_t i = 0; out->turned[t] && i < out->n; i++) score[t][i] = -score[t][i];
    }
    out->tests = c->count;
    out->score = (const double *const *)score;
    return true;
}

bool ev_ask_cases(const struct ev_question *q, const struct str *names, unsigned tests, struct ev_cases *out, struct err *e) {
    struct columns c = {0};
    struct str ignored = {NULL, 0};
    int reader, outcome = -1;
    *out = (struct ev_cases){0};
    if (!q->data) return ev_ask_lacks(q, "a data set of one table", e);
    struct rows r = {q, q->data, NULL};
    int8_t *truth = arena_alloc(q->arena, q->data->rows + 1, e);
    if (!truth || !filter_rows(&r, e) || !score_columns(q, q->data, names, tests, &c, e)) return false;
    reader = csv_find(q->data, "readerID");
    bool by_reader = reader >= 0 && has_value(q->data, (unsigned)reader, STR_LIT("truth"));
    if (by_reader ? !truth_of_reader(&r, truth, (unsigned)reader, c.at[0], e) : !truth_of_column(q, q->data, truth, &outcome, e)) return false;
    bool named = tests > 0 || ev_parameter(q, "predictor", &ignored);
    return (named || is_one_reader(&r, e)) && gather(&r, &c, truth, named, out, e);
}

static bool most_different(const struct ev_question *q, struct str pair[2], struct err *e) {
    double least = INFINITY, most = -INFINITY;
    int outcome = ev_truth_column(q->data);
    for (unsigned i = 0; i < q->data->columns; i++) {
        struct ev_cases c;
        struct ev_placements p;
        struct err ignored;
        double *numbers;
        struct str name = q->data->names[i];
        if ((int)i == outcome || !csv_numbers(q->data, i, &numbers, &ignored) || !ev_ask_cases(q, &name, 1, &c, &ignored)) continue;
        struct ev_roc_data d = {c.score[0], c.positive, c.n};
        if (!ev_placements(q->arena, &d, &p, &ignored) || p.auc == 1) continue;
        if (p.auc < least) pair[0] = name;
        if (p.auc > most) pair[1] = name;
        least = fmin(least, p.auc);
        most = fmax(most, p.auc);
    }
    return most > least ? true : ev_ask_lacks(q, "pair=COLUMN,COLUMN", e);
}

bool ev_ask_pair(const struct ev_question *q, struct str pair[2], struct err *e) {
    struct str text = q->parameters, both;
    if (ev_parameter(q, "pair", &both)) {
        struct str rest = both;
        pair[0] = str_trim(str_split(&rest, ','));
        pair[1] = str_trim(rest);
        return pair[1].n ? true : ev_ask_lacks(q, "the second column of the pair", e);
    }
    for (size_t i = 1; i + 4 <= text.n; i++) {
        if (memcmp(text.p + i, " vs ", 4) != 0) continue;
        size_t from = i, to = i + 4;
        while (from > 0 && text.p[from - 1] != ' ' && text.p[from - 1] != ';') from--;
        while (to < text.n && text.p[to] != ' ' && text.p[to] != ';') to++;
        pair[0] = str_sub(text, from, i - from);
        pair[1] = str_sub(text, i + 4, to - i - 4);
        return true;
    }
    return q->data ? most_different(q, pair, e) : ev_ask_lacks(q, "pair=COLUMN,COLUMN", e);
}
