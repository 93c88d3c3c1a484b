// Reading of multi-reader studies from tables: columns, levels, truth, and which case is which in nested designs.
#include "mod/evidence/study.h"

#include <math.h>
#include <string.h>

#include "base/limits.h"
#include "mod/evidence/factor.h"

static const char *const READER_NAMES[] = {"reader", "readerID", "rdr", "rater", "observer", NULL};
static const char *const TREATMENT_NAMES[] = {"treatment", "modality", "modalityID", "mod", "test", "trt", "arm", NULL};
static const char *const CASE_NAMES[] = {"case", "caseID", "patient", "subject", NULL};
static const char *const TRUTH_NAMES[] = {"truth", "diseased", "disease", "status", "label", NULL};
static const char *const RATING_NAMES[] = {"rating", "score", "response", "confidence", NULL};

// The table's columns; -1: not there.
struct columns {
    int reader, treatment, subject, truth, rating;
};

struct reading {
    struct arena *a;
    const struct csv *t;
    struct columns at;
    struct ev_factor reader, treatment, subject;
    bool *is_truth;      // by row: it tells the truth of a case, not a reading
    struct str truth[2]; // negative, positive
    int8_t *row_truth;   // of rows that are readings or truths: 0, 1; -1: not told there
    struct ev_study *out;
    struct err *e;
};

int ev_study_column(const struct csv *t, const char *const *names) {
    for (; *names; names++) {
        int c = csv_find(t, *names);
        if (c >= 0) return c;
    }
    return -1;
}

static bool find_one(const struct csv *t, const char *named, const char *const *usual, const char *what, bool needed, int *out, struct err *e) {
    unsigned c;
    if (named) {
        if (!csv_column(t, named, &c, e)) return false;
        *out = (int)c;
        return true;
    }
    *out = ev_study_column(t, usual);
    if (*out >= 0 || !needed) return true;
    return err_set(e, ERR_USAGE, "evidence", "no column holds the %s: looked for \"%s\", \"%s\", ...; name it", what, usual[0], usual[1]);
}

static bool mark_truth_rows(struct reading *r, size_t *count) {
    *count = 0;
    if (!(r->is_truth = arena_zero(r->a, r->t->rows, sizeof *r->is_truth, r->e))) return false;
    for (size_t i = 0; i < r->t->rows; i++) {
        bool is = str_eq_nocase(csv_at(r->t, i, (unsigned)r->at.reader), STR_LIT("truth"));
        is = is || (r->at.treatment >= 0 && str_eq_nocase(csv_at(r->t, i, (unsigned)r->at.treatment), STR_LIT("truth")));
        r->is_truth[i] = is;
        *count += is;
    }
    return true;
}

static bool find_columns(struct reading *r, const struct ev_study_columns *c) {
    static const struct ev_study_columns none;
    if (!c) c = &none;
    if (!find_one(r->t, c->reader, READER_NAMES, "readers", true, &r->at.reader, r->e) ||
        !find_one(r->t, c->treatment, TREATMENT_NAMES, "modalities", false, &r->at.treatment, r->e) ||
        !find_one(r->t, c->subject, CASE_NAMES, "cases", true, &r->at.subject, r->e) ||
        !find_one(r->t, c->rating, RATING_NAMES, "ratings", true, &r->at.rating, r->e) ||
        !find_one(r->t, c->truth, TRUTH_NAMES, "truth", false, &r->at.truth, r->e))
        return false;
    size_t truths;
    if (!mark_truth_rows(r, &truths)) return false;
    if (r->at.truth >= 0 || truths > 0) return true;
    return err_set(r->e, ERR_USAGE, "evidence", "neither a column of truth nor rows of a reader named \"truth\"");
}

// The text that tells a row's truth: its column, or of truth rows their score; {NULL, 0}: not told.
static struct str truth_text(const struct reading *r, size_t row) {
    if (r->is_truth[row]) return csv_at(r->t, row, (unsigned)r->at.rating);
    return r->at.truth >= 0 ? csv_at(r->t, row, (unsigned)r->at.truth) : (struct str){0};
}

static bool same_truth(struct str a, struct str b) {
    double x, y;
    return str_eq(a, b) || (str_to_f64(a, &x) && str_to_f64(b, &y) && x == y);
}

static bool collect_truths(struct reading *r, struct str seen[2], unsigned *n) {
    for (size_t i = 0; i < r->t->rows; i++) {
        struct str x = str_trim(truth_text(r, i));
        if (csv_missing(x)) continue;
        unsigned k = 0;
        while (k < *n && !same_truth(seen[k], x)) k++;
        if (k < *n) continue;
        if (*n == 2)
            return err_set(r->e, ERR_BAD_INPUT, "evidence", "line %u: \"%.*s\" is a third truth beside \"%.*s\" and \"%.*s\"", r->t->line[i], STR_FMT(x),
                           STR_FMT(seen[0]), STR_FMT(seen[1]));
        seen[(*n)++] = x;
    }
    return true;
}

// Words that mean no disease, where the order of words would say otherwise.
static bool says_normal(struct str x) {
    static const char *const WORDS[] = {"normal",       "negative", "neg",    "healthy", "benign",  "nondiseased",
                                        "non-diseased", "no",       "absent", "false",   "control", NULL};
    for (const char *const *w = WORDS; *w; w++)
        if (str_eq_nocase(x, str_of(*w))) return true;
    return false;
}

static bool greater(struct str a, struct str b) {
    double x, y;
    if (says_normal(a) != says_normal(b)) return says_normal(b);
    if (str_to_f64(a, &x) && str_to_f64(b, &y)) return x > y;
    size_t n = a.n < b.n ? a.n : b.n;
    int c = n ? memcmp(a.p, b.p, n) : 0;
    return c ? c > 0 : a.n > b.n;
}

// Which two truths there are, and which one means diseased.
static bool find_truths(struct reading *r, const char *positive) {
    struct str seen[2] = {{0}};
    unsigned n = 0;
    if (!collect_truths(r, seen, &n)) return false;
    if (n < 2)
        return err_set(r->e, ERR_BAD_INPUT, "evidence", "every case has the truth \"%.*s\": cases with and without disease are needed", STR_FMT(seen[0]));
    bool first = positive ? same_truth(seen[0], str_of(positive)) : greater(seen[0], seen[1]);
    if (positive && !first && !same_truth(seen[1], str_of(positive)))
        return err_set(r->e, ERR_USAGE, "evidence", "no case has the truth \"%s\"; there are \"%.*s\" and \"%.*s\"", positive, STR_FMT(seen[0]),
                       STR_FMT(seen[1]));
    r->truth[0] = seen[first];
    r->truth[1] = seen[!first];
    return true;
}

static bool read_truths(struct reading *r, const char *positive) {
    if (!find_truths(r, positive) || !(r->row_truth = arena_zero(r->a, r->t->rows, 1, r->e))) return false;
    for (size_t i = 0; i < r->t->rows; i++) {
        struct str x = str_trim(truth_text(r, i));
        r->row_truth[i] = csv_missing(x) ? -1 : same_truth(x, r->truth[1]);
    }
    return true;
}

// Which case a row is about: of a nested design the same name under another reader (modality) is another case.
static size_t case_key(const struct reading *r, size_t row) {
    size_t k = (size_t)r->subject.of[row], n = r->subject.count;
    if (r->out->design == EV_DESIGN_CASES_IN_READER) return k + n * (size_t)r->reader.of[row];
    if (r->out->design == EV_DESIGN_CASES_IN_TREATMENT) return k + n * (size_t)r->treatment.of[row];
    return k;
}

static size_t key_count(const struct reading *r) {
    size_t n = r->subject.count;
    if (r->out->design == EV_DESIGN_CASES_IN_READER) return n * r->reader.count;
    if (r->out->design == EV_DESIGN_CASES_IN_TREATMENT) return n * r->treatment.count;
    return n;
}

static bool is_reading(const struct reading *r, size_t row) {
    return r->reader.of[row] >= 0 && !r->is_truth[row] && !csv_missing(csv_at(r->t, row, (unsigned)r->at.rating));
}

static bool two_truths(struct reading *r, size_t row) {
    return err_set(r->e, ERR_BAD_INPUT, "evidence", "line %u: case \"%.*s\" has the truth \"%.*s\" here and another one before", r->t->line[row],
                   STR_FMT(csv_at(r->t, row, (unsigned)r->at.subject)), STR_FMT(r->truth[r->row_truth[row]]));
}

// Truth by key; truth rows tell it for the name, whoever reads the case.
static bool truth_by_key(struct reading *r, int8_t *by_key, int8_t *by_name) {
    memset(by_key, -1, key_count(r));
    memset(by_name, -1, r->subject.count);
    for (size_t i = 0; i < r->t->rows; i++) {
        if (r->row_truth[i] < 0) continue;
        int8_t *at = r->is_truth[i] ? &by_name[r->subject.of[i]] : &by_key[case_key(r, i)];
        if (*at >= 0 && *at != r->row_truth[i]) return two_truths(r, i);
        *at = r->row_truth[i];
    }
    return true;
}

// Numbers the cases that were read at all, in the order of their keys.
static bool number_cases(struct reading *r, uint32_t *case_of_key, const int8_t *by_key, const int8_t *by_name) {
    struct ev_study *s = r->out;
    size_t keys = key_count(r);
    for (size_t i = 0; i < r->t->rows; i++) {
        if (!is_reading(r, i)) continue;
        size_t k = case_key(r, i);
        if (by_key[k] < 0 && by_name[r->subject.of[i]] < 0)
            return err_set(r->e, ERR_BAD_INPUT, "evidence", "line %u: no truth is told for case \"%.*s\"", r->t->line[i],
                           STR_FMT(csv_at(r->t, i, (unsigned)r->at.subject)));
        if (by_key[k] >= 0 && by_name[r->subject.of[i]] >= 0 && by_key[k] != by_name[r->subject.of[i]]) return two_truths(r, i);
        case_of_key[k] = 1;
    }
    for (size_t k = 0; k < keys; k++)
        if (case_of_key[k]) case_of_key[k] = ++s->cases;
    s->diseased = arena_zero(r->a, s->cases, 1, r->e);
    s->subject = arena_zero(r->a, s->cases, sizeof *s->subject, r->e);
    if (!s->diseased || !s->subject) return false;
    for (size_t k = 0; k < keys; k++) {
        if (!case_of_key[k]) continue;
        uint32_t c = case_of_key[k] - 1;
        size_t name = k % r->subject.count;
        s->subject[c] = r->subject.names[name];
        s->diseased[c] = (uint8_t)(by_key[k] >= 0 ? by_key[k] : by_name[name]);
        s->diseased_count += s->diseased[c];
    }
    return true;
}

static bool fill_scores(struct reading *r, const uint32_t *case_of_key) {
    struct ev_study *s = r->out;
    size_t n = (size_t)s->treatments * s->readers * s->cases;
    if (!(s->score = arena_zero(r->a, n, sizeof *s->score, r->e))) return false;
    for (size_t i = 0; i < n; i++) s->score[i] = NAN;
    for (size_t i = 0; i < r->t->rows; i++) {
        double x;
        if (!is_reading(r, i)) continue;
        if (!csv_number(r->t, i, (unsigned)r->at.rating, &x, r->e)) return false;
        double *at = &s->score[((size_t)r->treatment.of[i] * s->readers + (size_t)r->reader.of[i]) * s->cases + case_of_key[case_key(r, i)] - 1];
        if (!isnan(*at))
            return err_set(r->e, ERR_BAD_INPUT, "evidence", "line %u: reader \"%.*s\" has read case \"%.*s\" in this modality before", r->t->line[i],
                           STR_FMT(csv_at(r->t, i, (unsigned)r->at.reader)), STR_FMT(csv_at(r->t, i, (unsigned)r->at.subject)));
        *at = x;
    }
    return true;
}

static bool take_cases(struct reading *r) {
    size_t keys = key_count(r);
    uint32_t *case_of_key = arena_zero(r->a, keys, sizeof *case_of_key, r->e);
    int8_t *by_key = arena_zero(r->a, keys, 1, r->e), *by_name = arena_zero(r->a, r->subject.count, 1, r->e);
    if (!case_of_key || !by_key || !by_name || !truth_by_key(r, by_key, by_name)) return false;
    return number_cases(r, case_of_key, by_key, by_name) && fill_scores(r, case_of_key);
}

static bool has_scores(const struct ev_study *s, unsigned i, unsigned j, unsigned c) {
    return !isnan(ev_study_scores(s, i, j)[c]);
}

// How many readers (modalities) one case has at most.
static unsigned sharing(const struct ev_study *s, bool readers) {
    unsigned most = 0;
    for (unsigned c = 0; c < s->cases; c++) {
        unsigned n = 0;
        for (unsigned x = 0; x < (readers ? s->readers : s->treatments); x++) {
            bool any = false;
            for (unsigned y = 0; y < (readers ? s->treatments : s->readers); y++) any = any || (readers ? has_scores(s, y, x, c) : has_scores(s, x, y, c));
            n += any;
        }
        if (n > most) most = n;
    }
    return most;
}

static bool readers_move(const struct ev_study *s) {
    for (unsigned j = 0; j < s->readers; j++) {
        unsigned in = 0;
        for (unsigned i = 0; i < s->treatments; i++) {
            bool any = false;
            for (unsigned c = 0; c < s->cases; c++) any = any || has_scores(s, i, j, c);
            in += any;
        }
        if (in > 1) return true;
    }
    return false;
}

static enum ev_design detect(const struct ev_study *s) {
    if (s->treatments > 1 && s->readers > 1 && !readers_move(s)) return EV_DESIGN_READERS_IN_TREATMENT;
    if (s->readers > 1 && sharing(s, true) <= 1) return EV_DESIGN_CASES_IN_READER;
    if (s->treatments > 1 && sharing(s, false) <= 1) return EV_DESIGN_CASES_IN_TREATMENT;
    return EV_DESIGN_CROSSED;
}

bool ev_study_read(struct arena *a, const struct csv *t, const struct ev_study_columns *columns, enum ev_design design, struct ev_study *out, struct err *e) {
    *out = (struct ev_study){.design = design};
    struct reading r = {.a = a, .t = t, .out = out, .e = e};
    if (!find_columns(&r, columns) || !ev_factor_of(a, t, r.at.reader, "reader", r.is_truth, &r.reader, e) ||
        !ev_factor_of(a, t, r.at.treatment, "modality", r.is_truth, &r.treatment, e) || !ev_factor_of(a, t, r.at.subject, "case", NULL, &r.subject, e) ||
        !read_truths(&r, columns ? columns->positive : NULL))
        return false;
    if (r.reader.count == 0) return err_set(e, ERR_BAD_INPUT, "evidence", "the table has no reader beside the truth");
    out->treatments = r.treatment.count;
    out->treatment = r.treatment.names;
    out->readers = r.reader.count;
    out->reader = r.reader.names;
    if ((size_t)out->treatments * out->readers > EV_GROUPS_MAX)
        return err_set(e, ERR_TOO_LARGE, "evidence", "%u readers in %u modalities are more than %d pairs", out->readers, out->treatments, EV_GROUPS_MAX);
    out->negative = r.truth[0];
    out->positive = r.truth[1];
    if (!take_cases(&r)) return false;
    if (out->diseased_count == 0 || out->diseased_count == out->cases)
        return err_set(e, ERR_BAD_INPUT, "evidence", "the cases that were read are all \"%.*s\": cases with and without disease are needed",
                       STR_FMT(out->diseased_count ? out->positive : out->negative));
    if (design == EV_DESIGN_DETECT) out->design = detect(out);
    return true;
}

bool ev_study_complete(const struct ev_study *s) {
    size_t n = (size_t)s->treatments * s->readers * s->cases;
    for (size_t i = 0; i < n; i++)
        if (isnan(s->score[i])) return false;
    return true;
}

int ev_study_treatment(const struct ev_study *s, struct str name) {
    return ev_factor_find(s->treatment, s->treatments, name);
}

int ev_study_reader(const struct ev_study *s, struct str name) {
    return ev_factor_find(s->reader, s->readers, name);
}
