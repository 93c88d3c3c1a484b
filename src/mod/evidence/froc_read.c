// Reading of free-response studies: a table of marks and a table of the truth.
#include <math.h>

#include "base/limits.h"
#include "mod/evidence/factor.h"
#include "mod/evidence/froc.h"
#include "mod/evidence/study.h"

#define WEIGHT_TOLERANCE 0.02

static const char *const MODALITY[] = {"mod", "modality", "modalityID", "treatment", "test", NULL};
static const char *const READER[] = {"rdr", "reader", "readerID", NULL};
static const char *const SUBJECT[] = {"case", "caseID", "patient", "subject", NULL};
static const char *const KIND[] = {"kind", "type", "mark", NULL};
static const char *const LESION[] = {"lesion", "lesionID", "lesion_id", NULL};
static const char *const RATING[] = {"rating", "score", "confidence", NULL};
static const char *const TRUTH[] = {"truth", "diseased", NULL};
static const char *const LESIONS[] = {"n_lesions", "lesions", NULL};
static const char *const WEIGHTS[] = {"weights", "weight", NULL};

struct tables {
    struct arena *a;
    const struct csv *marks, *truth;
    int modality, reader, subject, kind, lesion, rating, told; // columns of marks
    int t_subject, t_lesions, t_weights;                       // columns of truth
    struct ev_factor modalities, readers, cases;
    struct ev_froc *f;
    struct err *e;
};

static bool find(const struct tables *t, const struct csv *in, const char *const *names, const char *table, int *out) {
    *out = ev_study_column(in, names);
    return *out >= 0 || err_set(t->e, ERR_USAGE, "evidence", "the table of %s has no column \"%s\"", table, names[0]);
}

static bool find_columns(struct tables *t) {
    t->modality = ev_study_column(t->marks, MODALITY);
    t->told = ev_study_column(t->marks, TRUTH);
    t->t_weights = ev_study_column(t->truth, WEIGHTS);
    return find(t, t->marks, READER, "marks", &t->reader) && find(t, t->marks, SUBJECT, "marks", &t->subject) && find(t, t->marks, KIND, "marks", &t->kind) &&
           find(t, t->marks, LESION, "marks", &t->lesion) && find(t, t->marks, RATING, "marks", &t->rating) &&
           find(t, t->truth, SUBJECT, "truth", &t->t_subject) && find(t, t->truth, LESIONS, "truth", &t->t_lesions);
}

// A whole number of at least 0.
static bool whole(const struct tables *t, const struct csv *in, size_t row, int column, double most, uint32_t *out) {
    double x;
    if (!csv_number(in, row, (unsigned)column, &x, t->e)) return false;
    if (!(x >= 0 && x <= most && x == floor(x)))
        return err_set(t->e, ERR_BAD_INPUT, "evidence", "line %u: \"%.*s\" is no whole number from 0 to %.0f", in->line[row],
                       STR_FMT(csv_at(in, row, (unsigned)column)), most);
    *out = (uint32_t)x;
    return true;
}

static bool count_lesions(struct tables *t) {
    struct ev_froc *f = t->f;
    uint32_t *count = arena_zero(t->a, f->cases, sizeof *count, t->e);
    bool *seen = arena_zero(t->a, f->cases, sizeof *seen, t->e);
    if (!count || !seen || !(f->first = arena_zero(t->a, f->cases + 1, sizeof *f->first, t->e))) return false;
    for (size_t i = 0; i < t->truth->rows; i++) {
        int32_t c = t->cases.of[i];
        if (seen[c])
            return err_set(t->e, ERR_BAD_INPUT, "evidence", "line %u of the truth: case \"%.*s\" stands there twice", t->truth->line[i],
                           STR_FMT(f->subject[c]));
        seen[c] = true;
        if (!whole(t, t->truth, i, t->t_lesions, 10000, &count[c])) return false;
        f->lesions += count[c];
        f->diseased += count[c] > 0;
    }
    for (unsigned c = 0; c < f->cases; c++) f->first[c + 1] = f->first[c] + count[c];
    return true;
}

static bool take_weights(const struct tables *t, size_t row, unsigned c) {
    struct ev_froc *f = t->f;
    unsigned n = f->first[c + 1] - f->first[c], k = 0;
    double *w = f->weight + f->first[c], sum = 0;
    struct str rest = t->t_weights >= 0 ? str_trim(csv_at(t->truth, row, (unsigned)t->t_weights)) : (struct str){0};
    for (unsigned i = 0; i < n; i++) w[i] = 1.0 / n;
    if (csv_missing(rest)) return true;
    while (rest.p) {
        double x;
        if (!str_to_f64(str_split(&rest, ';'), &x) || !(x >= 0) || k >= n)
            return err_set(t->e, ERR_BAD_INPUT, "evidence", "line %u of the truth: %u weights parted by ';' are needed, none below 0", t->truth->line[row], n);
        sum += w[k++] = x;
    }
    if (k != n || fabs(sum - 1) > WEIGHT_TOLERANCE)
        return err_set(t->e, ERR_BAD_INPUT, "evidence", "line %u of the truth: the weights of %u lesions must add to 1; here are %u that add to %g",
                       t->truth->line[row], n, k, sum);
    for (unsigned i = 0; i < n; i++) w[i] /= sum;
    return true;
}

static bool take_truth(struct tables *t) {
    struct ev_froc *f = t->f;
    if (!count_lesions(t)) return false;
    f->weight = arena_zero(t->a, f->lesions, sizeof *f->weight, t->e);
    f->lesion_case = arena_zero(t->a, f->lesions, sizeof *f->lesion_case, t->e);
    if (!f->weight || !f->lesion_case) return false;
    for (size_t i = 0; i < t->truth->rows; i++)
        if (!take_weights(t, i, (unsigned)t->cases.of[i])) return false;
    for (unsigned c = 0; c < f->cases; c++)
        for (unsigned l = f->first[c]; l < f->first[c + 1]; l++) f->lesion_case[l] = c;
    return true;
}

// The marks' truth, where they tell one, against the table's.
static bool agrees(const struct tables *t, size_t row, unsigned c) {
    if (t->told < 0 || csv_missing(csv_at(t->marks, row, (unsigned)t->told))) return true;
    double told;
    if (!csv_number(t->marks, row, (unsigned)t->told, &told, t->e)) return false;
    if ((told > 0) == (t->f->first[c + 1] > t->f->first[c])) return true;
    return err_set(t->e, ERR_BAD_INPUT, "evidence", "line %u of the marks: case \"%.*s\" has %u lesions by the truth", t->marks->line[row],
                   STR_FMT(t->f->subject[c]), t->f->first[c + 1] - t->f->first[c]);
}

static bool take_mark(const struct tables *t, size_t row, unsigned c) {
    struct ev_froc *f = t->f;
    struct str kind = str_trim(csv_at(t->marks, row, (unsigned)t->kind));
    size_t g = (size_t)t->modalities.of[row] * f->readers + (size_t)t->readers.of[row];
    double x;
    if (!csv_number(t->marks, row, (unsigned)t->rating, &x, t->e)) return false;
    if (isnan(x)) return err_set(t->e, ERR_BAD_INPUT, "evidence", "line %u of the marks: the rating is missing", t->marks->line[row]);
    if (str_eq_nocase(kind, STR_LIT("NL"))) {
        double *highest = &f->highest[g * f->cases + c];
        *highest = fmax(*highest, x);
        f->nl[g * f->cases + c]++;
        return true;
    }
    uint32_t lesion, n = f->first[c + 1] - f->first[c];
    if (!str_eq_nocase(kind, STR_LIT("LL")))
        return err_set(t->e, ERR_BAD_INPUT, "evidence", "line %u of the marks: \"%.*s\" is neither NL nor LL", t->marks->line[row], STR_FMT(kind));
    if (!whole(t, t->marks, row, t->lesion, 10000, &lesion)) return false;
    if (lesion < 1 || lesion > n)
        return err_set(t->e, ERR_BAD_INPUT, "evidence", "line %u of the marks: case \"%.*s\" has no lesion %u, but %u of them", t->marks->line[row],
                       STR_FMT(f->subject[c]), lesion, n);
    double *at = &f->rating[g * f->lesions + f->first[c] + lesion - 1];
    *at = fmax(*at, x);
    return true;
}

static bool take_marks(struct tables *t) {
    struct ev_froc *f = t->f;
    size_t groups = (size_t)f->treatments * f->readers;
    f->highest = arena_zero(t->a, groups * f->cases, sizeof *f->highest, t->e);
    f->nl = arena_zero(t->a, groups * f->cases, sizeof *f->nl, t->e);
    f->rating = arena_zero(t->a, groups * f->lesions, sizeof *f->rating, t->e);
    struct ev_factor names;
    if (!f->highest || !f->nl || !f->rating || !ev_factor_of(t->a, t->marks, t->subject, "case", NULL, &names, t->e)) return false;
    int32_t *at;
    if (!ev_factor_match(t->a, names.names, names.count, f->subject, f->cases, &at, t->e)) return false;
    for (size_t i = 0; i < groups * f->cases; i++) f->highest[i] = -INFINITY;
    for (size_t i = 0; i < groups * f->lesions; i++) f->rating[i] = -INFINITY;
    for (size_t i = 0; i < t->marks->rows; i++) {
        int32_t c = at[names.of[i]];
        if (c < 0)
            return err_set(t->e, ERR_BAD_INPUT, "evidence", "line %u of the marks: the truth has no case \"%.*s\"", t->marks->line[i],
                           STR_FMT(names.names[names.of[i]]));
        if (!agrees(t, i, (unsigned)c) || !take_mark(t, i, (unsigned)c)) return false;
    }
    return true;
}

bool ev_froc_read(struct arena *a, const struct csv *marks, const struct csv *truth, struct ev_froc *out, struct err *e) {
    *out = (struct ev_froc){0};
    struct tables t = {.a = a, .marks = marks, .truth = truth, .f = out, .e = e};
    if (!find_columns(&t) || !ev_factor_of(a, marks, t.modality, "modality", NULL, &t.modalities, e) ||
        !ev_factor_of(a, marks, t.reader, "reader", NULL, &t.readers, e) || !ev_factor_of(a, truth, t.t_subject, "case", NULL, &t.cases, e))
        return false;
    if (marks->rows == 0) return err_set(e, ERR_BAD_INPUT, "evidence", "the table of marks is empty: no reader is known");
    out->treatments = t.modalities.count;
    out->treatment = t.modalities.names;
    out->readers = t.readers.count;
    out->reader = t.readers.names;
    if ((size_t)out->treatments * out->readers > EV_GROUPS_MAX)
        return err_set(e, ERR_TOO_LARGE, "evidence", "%u readers in %u modalities are more than %d pairs", out->readers, out->treatments, EV_GROUPS_MAX);
    out->cases = t.cases.count;
    out->subject = t.cases.names;
    return take_truth(&t) && take_marks(&t);
}
