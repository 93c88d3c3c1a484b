// Runs a table of reference values: reads its data sets once each, asks for each row, compares.
#include "mod/evidence/verify.h"

#include <math.h>

#include "base/limits.h"
#include "mod/evidence/table.h"
#include "mod/evidence/verify_tables.h"

enum { COLUMN_COUNT = 6, EARLIER_ROWS = 16 };

struct dataset {
    const char *file;
    struct csv *table; // NULL: it could not be read, for that reason
    struct err why;
    struct dataset *next;
};

struct run {
    struct ev_verification *v;
    struct arena *arena; // of the data sets
    struct dataset *read;
    unsigned column[COLUMN_COUNT];
};

// ---- data ----

static bool plain_name(struct str name) {
    if (name.n == 0 || name.n > 200 || name.p[0] == '.') return false;
    for (size_t i = 0; i < name.n; i++)
        if (name.p[i] == '/' || name.p[i] == '\\' || name.p[i] == '\0') return false;
    return true;
}

static void load(struct run *r, struct dataset *d) {
    struct str text;
    struct csv table, *kept;
    if (!r->v->read(r->v->ctx, d->file, r->arena, &text, &d->why) || !ev_table_read(r->arena, text, &table, &d->why)) return;
    kept = arena_alloc(r->arena, sizeof *kept, &d->why);
    if (!kept) return;
    *kept = table;
    d->table = kept;
}

static const struct csv *table_of(struct run *r, const char *file, struct err *e) {
    struct dataset *d = r->read;
    while (d && strcmp(d->file, file) != 0) d = d->next;
    if (!d) {
        d = arena_zero(r->arena, 1, sizeof *d, e);
        if (!d || !(d->file = arena_strz(r->arena, str_of(file), e))) return NULL;
        load(r, d);
        d->next = r->read;
        r->read = d;
    }
    if (!d->table) err_set(e, d->why.kind, "evidence", "%s: %s", file, d->why.message);
    return d->table;
}

static const struct csv *table_of_question(const struct ev_question *q, const char *suffix, struct err *e) {
    struct str name = q->dataset;
    if (str_ends(name, STR_LIT(".csv"))) name.n -= 4;
    char *file = arena_printf(q->arena, e, "%.*s%s.csv", STR_FMT(name), suffix);
    return file ? table_of(q->folder, file, e) : NULL;
}

// ---- asking ----

static bool names(const struct ev_statistic *s, struct str asked) {
    size_t n = strlen(s->name);
    if (n && s->name[n - 1] == '*') return asked.n >= n - 1 && str_eq_nocase(str_sub(asked, 0, n - 1), (struct str){s->name, n - 1});
    return str_eq_nocase(asked, (struct str){s->name, n});
}

static bool is_open(const struct ev_statistic *s) {
    return strchr(s->name, '*') != NULL;
}

// Each function of that name until one answers; names that are whole go before those that end openly.
static bool ask(const struct ev_statistic *const *lists, const struct ev_question *q, double *value, struct err *e) {
    bool asked = false;
    for (int open = 0; open <= 1; open++) {
        for (const struct ev_statistic *const *list = lists; *list; list++) {
            for (const struct ev_statistic *s = *list; s->name; s++) {
                if (is_open(s) != (open == 1) || !names(s, q->statistic)) continue;
                struct err why = {0};
                if (s->answer(q, value, &why)) return true;
                if (!asked || why.kind != EV_NOT_MINE) *e = why; // the first that might have been its own tells best
                if (why.kind != EV_NOT_MINE) return false;
                asked = true;
            }
        }
    }
    if (asked) return false;
    return err_set(e, ERR_UNSUPPORTED, "evidence", "there is no statistic of the name '%.*s'", STR_FMT(q->statistic));
}

static bool answer(struct run *r, struct ev_question *q, double *value, struct err *e) {
    if (!str_eq_nocase(q->dataset, STR_LIT("inline"))) {
        if (!plain_name(q->dataset)) return err_set(e, ERR_BAD_INPUT, "evidence", "'%.*s' is no name of a data set in the folder", STR_FMT(q->dataset));
        q->data = table_of_question(q, "", e);
        if (!q->data && (str_ends(q->dataset, STR_LIT(".csv")) || e->kind != ERR_NOT_FOUND)) return false;
        err_clear(e);
    }
    return ask(r->v->statistics ? r->v->statistics : EV_STATISTICS, q, value, e);
}

// ---- comparing ----

static bool reference_number(struct str text, double *out) {
    static const struct {
        const char *word;
        double value;
    } words[] = {{"nan", NAN}, {"na", NAN}, {"inf", INFINITY}, {"+inf", INFINITY}, {"-inf", -INFINITY}, {"infinity", INFINITY}, {"-infinity", -INFINITY}};
    text = str_trim(text);
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (str_eq_nocase(text, str_of(words[i].word))) return *out = words[i].value, true;
    return str_to_f64(text, out);
}

static bool same(double ours, double expected, double tolerance) {
    if (isnan(ours) || isnan(expected)) return isnan(ours) && isnan(expected);
    if (isinf(ours) || isinf(expected)) return ours == expected;
    return fabs(ours - expected) <= tolerance;
}

// How far ours is from what was expected, in the row's own measure.
static const char *difference(struct arena *a, const struct ev_verdict *v, struct err *e) {
    if (isnan(v->ours) != isnan(v->expected) || isinf(v->ours) || isinf(v->expected)) return "another kind of number";
    return arena_printf(a, e, "off by %.3g", v->ours - v->expected);
}

// What the rows above said about the same data set and statistic; inline rows stand alone.
static struct str earlier(const struct run *r, const struct csv *t, size_t row, const struct ev_verdict *v, struct arena *scratch) {
    struct str said = {NULL, 0};
    if (str_eq_nocase(v->dataset, STR_LIT("inline"))) return said;
    for (size_t back = 1; back <= row && back <= EARLIER_ROWS; back++) {
        struct str dataset = csv_at(t, row - back, r->column[0]), statistic = csv_at(t, row - back, r->column[1]),
                   parameters = csv_at(t, row - back, r->column[2]);
        if (!str_eq(str_trim(dataset), v->dataset) || !str_eq(str_trim(statistic), v->statistic)) continue;
        char *all = arena_printf(scratch, NULL, "%.*s%s%.*s", STR_FMT(said), said.n ? ";" : "", STR_FMT(parameters));
        if (all) said = str_of(all);
    }
    return said;
}

static bool judge(struct run *r, const struct csv *t, size_t row, struct arena *scratch, struct ev_verdict *v, struct err *e) {
    struct err why = {0};
    struct str value = csv_at(t, row, r->column[3]), tolerance = csv_at(t, row, r->column[4]);
    *v = (struct ev_verdict){.line = t->line[row], .ours = NAN, .expected = NAN, .tolerance = NAN};
    v->dataset = str_trim(csv_at(t, row, r->column[0]));
    v->statistic = str_trim(csv_at(t, row, r->column[1]));
    v->parameters = str_trim(csv_at(t, row, r->column[2]));
    if (r->column[5] < t->columns) v->source = csv_at(t, row, r->column[5]);
    struct ev_question q = {
        .arena = scratch, .table = table_of_question, .folder = r, .dataset = v->dataset, .statistic = v->statistic, .parameters = v->parameters};
    q.earlier = earlier(r, t, row, v, scratch);
    if (!reference_number(value, &v->expected))
        err_set(&why, ERR_BAD_INPUT, "evidence", "the expected value is no number: '%.*s'", STR_FMT(value));
    else if (!str_to_f64(tolerance, &v->tolerance) || v->tolerance < 0)
        err_set(&why, ERR_BAD_INPUT, "evidence", "the tolerance is no number of 0 or more: '%.*s'", STR_FMT(tolerance));
    else
        v->answered = answer(r, &q, &v->ours, &why);
    if (!v->answered) {
        v->words = arena_printf(scratch, e, "%s", why.message[0] ? why.message : "it gave no reason");
        return v->words != NULL;
    }
    v->pass = same(v->ours, v->expected, v->tolerance);
    return v->pass || (v->words = difference(scratch, v, e)) != NULL;
}

static bool find_columns(struct run *r, const struct csv *t, struct err *e) {
    static const char *const required[] = {"dataset", "statistic", "parameters", "value", "abs_tolerance"};
    for (unsigned i = 0; i < 5; i++)
        if (!csv_column(t, required[i], &r->column[i], e)) return err_wrap(e, "a table of reference values");
    int source = csv_find(t, "source");
    r->column[5] = source < 0 ? t->columns : (unsigned)source;
    return true;
}

bool ev_verify(struct arena *a, const struct csv *table, struct ev_verification *v, struct err *e) {
    struct run r = {.v = v, .arena = a};
    struct arena scratch;
    bool ok = true;
    v->rows = v->passed = v->unanswered = 0;
    if (!find_columns(&r, table, e)) return false;
    if (table->rows == 0) return err_set(e, ERR_BAD_INPUT, "evidence", "the table of reference values has no rows");
    arena_init(&scratch, EV_ROW_BYTES_MAX);
    for (size_t i = 0; ok && i < table->rows; i++) {
        struct ev_verdict verdict;
        arena_reset(&scratch);
        ok = judge(&r, table, i, &scratch, &verdict, e);
        if (!ok) break;
        v->rows++;
        v->passed += verdict.pass;
        v->unanswered += !verdict.answered;
        v->each(v->ctx, &verdict);
    }
    arena_deinit(&scratch);
    return ok;
}
