// Reference values of waiting times: what a row of their table asks.
#include <math.h>
#include <stddef.h>
#include <string.h>

#include "mod/evidence/queue.h"
#include "mod/evidence/verify.h"

// ---- the setting ----

// Names that tables have for one parameter; each as "name=value", a column, or (reading times) "read a/b/c min".
struct name {
    const char *text;
    size_t offset; // of a double in struct setting
};

struct setting {
    double radiologists, interrupting, traffic, prevalence, sensitivity, specificity, fpf, read_diseased, read_nondiseased, read_interrupting;
};

#define FIELD(f) offsetof(struct setting, f)
static const struct name NAMES[] = {
    {"radiologists", FIELD(radiologists)},
    {"n_radiologists", FIELD(radiologists)},
    {"nradiologists", FIELD(radiologists)},
    {"servers", FIELD(radiologists)},
    {"interrupting fraction", FIELD(interrupting)},
    {"fraction_interrupting", FIELD(interrupting)},
    {"interrupting", FIELD(interrupting)},
    {"traffic", FIELD(traffic)},
    {"rho", FIELD(traffic)},
    {"prev", FIELD(prevalence)},
    {"prevalence", FIELD(prevalence)},
    {"se", FIELD(sensitivity)},
    {"sens", FIELD(sensitivity)},
    {"sensitivity", FIELD(sensitivity)},
    {"tpf", FIELD(sensitivity)},
    {"sp", FIELD(specificity)},
    {"spec", FIELD(specificity)},
    {"specificity", FIELD(specificity)},
    {"fpf", FIELD(fpf)},
    {"read_min_dis", FIELD(read_diseased)},
    {"read_min_nondis", FIELD(read_nondiseased)},
    {"read_min_int", FIELD(read_interrupting)},
};

static double *field(struct setting *s, struct str name) {
    for (size_t i = 0; i < sizeof NAMES / sizeof *NAMES; i++) {
        if (str_eq_nocase(name, str_of(NAMES[i].text))) return (double *)(void *)((char *)s + NAMES[i].offset);
    }
    return NULL;
}

// "read 10/10/5 min"
static bool reading_times(struct str piece, struct setting *s, struct err *e) {
    double *to[3] = {&s->read_diseased, &s->read_nondiseased, &s->read_interrupting};
    struct str rest = str_trim(str_sub(piece, 4, piece.n));
    rest = str_trim(str_sub(rest, 0, str_find(rest, 'm', 0)));
    for (unsigned i = 0; i < 3 && rest.p; i++) {
        if (!str_to_f64(str_split(&rest, '/'), to[i])) return err_set(e, ERR_BAD_INPUT, "queue", "\"%.*s\" is not \"read a/b/c min\"", STR_FMT(piece));
    }
    return true;
}

static bool take_piece(struct str piece, struct setting *s, struct str *asked, struct err *e) {
    size_t equals = str_find(piece, '=', 0);
    if (str_starts(piece, STR_LIT("read ")) && equals == piece.n) return reading_times(piece, s, e);
    double *to = equals < piece.n ? field(s, str_trim(str_sub(piece, 0, equals))) : NULL;
    if (to) return str_to_f64(str_sub(piece, equals + 1, piece.n), to) || err_set(e, ERR_BAD_INPUT, "queue", "\"%.*s\" has no number", STR_FMT(piece));
    if (equals == piece.n && piece.n) *asked = piece;
    return true;
}

// The row of a table of settings that has all values that the parameters name, or the row of that number from 1 ("row=3").
static bool row_matches(const struct csv *t, size_t row, struct setting *s) {
    for (unsigned c = 0; c < t->columns; c++) {
        double value, *want = field(s, t->names[c]);
        if (want && !isnan(*want) && (!str_to_f64(csv_at(t, row, c), &value) || fabs(value - *want) > 1e-9)) return false;
    }
    return true;
}

static bool row_named(const struct ev_question *q, size_t *row) {
    for (struct str rest = q->parameters; rest.p;) {
        struct str piece = str_trim(str_split(&rest, ';'));
        uint64_t n;
        if (!str_starts(piece, STR_LIT("row=")) || !str_to_u64(str_sub(piece, 4, piece.n), &n) || n < 1 || n > q->data->rows) continue;
        *row = (size_t)n - 1;
        return true;
    }
    return false;
}

static bool take_row(const struct csv *t, size_t row, struct setting *s, struct err *e) {
    for (unsigned c = 0; c < t->columns; c++) {
        double *to = field(s, t->names[c]);
        if (to && !str_to_f64(csv_at(t, row, c), to))
            return err_set(e, ERR_BAD_INPUT, "queue", "line %u: %.*s is no number", t->line[row], STR_FMT(t->names[c]));
    }
    return true;
}

static bool from_table(const struct ev_question *q, struct setting *s, struct err *e) {
    size_t row = 0;
    if (!row_named(q, &row)) {
        while (row < q->data->rows && !row_matches(q->data, row, s)) row++;
        if (row == q->data->rows) return err_set(e, ERR_NOT_FOUND, "queue", "the table has no row of these settings");
    }
    return take_row(q->data, row, s, e);
}

// The setting as typed values; false names the first that is missing or out of its range.
static bool triage_of(const struct setting *s, struct queue_triage *t, struct err *e) {
    bool interrupts = s->interrupting > 0;
    *t = (struct queue_triage){.interrupting = isnan(s->interrupting) ? 0 : s->interrupting,
                               .traffic = s->traffic,
                               .prevalence = s->prevalence,
                               .sensitivity = s->sensitivity,
                               .specificity = isnan(s->specificity) ? 1 - s->fpf : s->specificity,
                               .read_diseased = s->read_diseased,
                               .read_nondiseased = s->read_nondiseased,
                               .read_interrupting = interrupts ? s->read_interrupting : 1};
    if (!(s->radiologists >= 1 && s->radiologists <= QUEUE_READERS_MAX))
        return err_set(e, ERR_BAD_INPUT, "queue", "radiologists: a number from 1 to %d is needed", QUEUE_READERS_MAX);
    t->radiologists = (unsigned)s->radiologists;
    return queue_triage_check(t, e);
}

static const struct setting UNKNOWN = {NAN, NAN, NAN, NAN, NAN, NAN, NAN, NAN, NAN, NAN};

static bool setting_of(const struct ev_question *q, struct queue_triage *t, struct str *asked, struct err *e) {
    struct setting s = UNKNOWN;
    *asked = (struct str){NULL, 0};
    for (struct str rest = q->parameters; rest.p;) {
        if (!take_piece(str_trim(str_split(&rest, ';')), &s, asked, e)) return false;
    }
    if (q->data && !from_table(q, &s, e)) return false;
    return triage_of(&s, t, e);
}

bool queue_triage_row(const struct csv *table, size_t row, struct queue_triage *out, struct err *e) {
    struct setting s = UNKNOWN;
    return take_row(table, row, &s, e) && (triage_of(&s, out, e) || err_wrap(e, "line %u", table->line[row]));
}

// ---- which wait ----

static bool holds(struct str s, const char *part) {
    return memmem(s.p ? s.p : "", s.n, part, strlen(part)) != NULL;
}

// By the words of a row ("saving non-diseased", "W diseased with CADt") or the name of a column ("delta_nondis", "W_pos").
static double group_wait(struct str words, const struct queue_waits *w) {
    if (holds(words, "without") || holds(words, "fifo")) return holds(words, "W interrupting") ? w->interrupting : w->without;
    if (holds(words, "non-dis") || holds(words, "nondis")) return w->nondiseased;
    if (holds(words, "dis")) return w->diseased;
    if (holds(words, "pos")) return w->positive;
    if (holds(words, "neg")) return w->negative;
    return holds(words, "int") ? w->interrupting : NAN;
}

static bool is_change(struct str words) {
    return holds(words, "saving") || holds(words, "delta") || holds(words, "change") || holds(words, "difference");
}

static bool wait_asked(struct str words, const struct queue_waits *w, double *value, struct err *e) {
    *value = group_wait(words, w);
    if (isnan(*value)) return err_set(e, ERR_BAD_INPUT, "queue", "\"%.*s\" names no group of patients", STR_FMT(words));
    if (is_change(words)) *value = queue_change(w, *value);
    return true;
}

// Reference values of the theory are those of the published program, whose fit is taken (see queue.h).
static bool answer_theory(const struct ev_question *q, double *value, struct err *e) {
    struct queue_triage t;
    struct queue_waits w;
    struct str asked;
    if (!setting_of(q, &t, &asked, e) || !queue_triage_theory(q->arena, &t, QUEUE_FIT_AS_PUBLISHED, &w, e)) return false;
    return wait_asked(str_starts(q->statistic, STR_LIT("cadt_")) ? asked : q->statistic, &w, value, e);
}

enum { PATIENTS_SIMULATED = 400000, SEED = 20230307 };

static bool answer_simulated(const struct ev_question *q, double *value, struct err *e) {
    struct queue_triage t;
    struct queue_simulated s;
    struct str asked;
    struct queue_plan plan = {.patients = PATIENTS_SIMULATED, .seed = SEED};
    if (!setting_of(q, &t, &asked, e) || !queue_triage_simulate(q->arena, &t, &plan, &s, e)) return false;
    struct queue_waits w = {s.interrupting.mean, s.without.mean, s.positive.mean, s.negative.mean, s.diseased.mean, s.nondiseased.mean};
    return wait_asked(asked, &w, value, e);
}

const struct ev_statistic EV_STATISTICS_QUEUE[] = {
    {"cadt_wait_minutes", answer_theory},
    {"cadt_wait_minutes_simulated*", answer_simulated},
    {"W_fifo", answer_theory},
    {"W_pos", answer_theory},
    {"W_neg", answer_theory},
    {"W_dis", answer_theory},
    {"W_nondis", answer_theory},
    {"delta_dis", answer_theory},
    {"delta_nondis", answer_theory},
    {0},
};
