// gantry evidence verify: computes tables of reference values anew and says row by row whether ours agree.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#include "app/evidence.h"
#include "app/input.h"
#include "app/version.h"
#include "base/clock.h"
#include "base/limits.h"
#include "mod/evidence/shipped.h"
#include "mod/evidence/verify.h"
#include "sys/digest.h"
#include "text/json.h"
#include "text/width.h"

enum { LINE_WIDTH = 6, VERDICT_WIDTH = 6, WORDS_MAX = 40, PARAMETERS_MIN = 16, PARAMETERS_MAX = 46, NUMBER_MAX = 32, TIME_MAX = 32, FAILED_EXIT = 1 };

struct verify {
    struct cli_args *args;
    enum ev_language language;
    const char *table_name, *data_dir; // no name: the table that ships
    char digest[DIGEST_HEX + 1];
    struct ev_verdict *verdicts; // of the whole table
    size_t count;
    bool failed; // memory
    struct err error;
};

static bool read_dataset(void *ctx, const char *file, struct arena *a, struct str *text, struct err *e) {
    const struct verify *v = ctx;
    const char *path = arena_printf(a, e, "%s/%s", v->data_dir, file);
    if (!path) return false;
    if (access(path, F_OK) != 0) return err_set(e, ERR_NOT_FOUND, "app", "is not in the data folder %s", v->data_dir);
    return evidence_text(a, path, text, e);
}

// The data sets in the program itself.
static bool shipped_dataset(void *ctx, const char *file, struct arena *a, struct str *text, struct err *e) {
    (void)ctx;
    (void)a;
    for (const struct ev_shipped *s = EV_SHIPPED; s->name; s++)
        if (strcmp(s->name, file) == 0) return *text = (struct str){s->text, s->n}, true;
    return err_set(e, ERR_NOT_FOUND, "app", "does not ship with Gantry");
}

static void keep_verdict(void *ctx, const struct ev_verdict *verdict) {
    struct verify *v = ctx;
    struct ev_verdict *to = &v->verdicts[v->count++];
    *to = *verdict;
    if (verdict->words && !(to->words = arena_strz(v->args->arena, str_of(verdict->words), &v->error))) v->failed = true;
}

static void time_text(char out[TIME_MAX]) {
    struct tm tm;
    time_t now = (time_t)(clock_wall_ms() / 1000);
    gmtime_r(&now, &tm);
    strftime(out, TIME_MAX, "%Y-%m-%dT%H:%M:%SZ", &tm);
}

// ---- as a table ----

static void number_text(double v, char out[NUMBER_MAX]) {
    snprintf(out, NUMBER_MAX, "%.12g", v == 0 ? 0 : v);
}

static void add_told(struct buf *b, const struct verify *v, const char *sentence, const struct str *values, unsigned n) {
    struct ev_sentence told = {.text = sentence};
    for (unsigned i = 0; i < n; i++) told.values[i] = values[i];
    ev_sentence_add(b, &told, v->language);
}

enum { LINE, DATASET, STATISTIC, PARAMETERS, OURS, EXPECTED, TOLERANCE, COLUMNS };

static struct str heading(const struct verify *v, unsigned column) {
    const char *const of[COLUMNS] = {ev_term("line", v->language),       ev_term("data set", v->language), ev_term("statistic", v->language),
                                     ev_term("parameters", v->language), ev_term("ours", v->language),     ev_term("expected", v->language),
                                     ev_term("tolerance", v->language)};
    return str_of(of[column]);
}

static unsigned heading_width(const struct verify *v, unsigned column) {
    return text_columns(heading(v, column));
}

struct widths {
    unsigned dataset, statistic, parameters, ours, expected;
    bool cut; // what is longer is cut: on a terminal; a file keeps every word
};

static unsigned widest(unsigned a, unsigned b, unsigned most) {
    unsigned w = a > b ? a : b;
    return w > most ? most : w;
}

// What the terminal leaves to the parameters.
static unsigned parameters_max(const struct widths *w) {
    struct winsize size;
    enum { FIXED = 6 + 6 + 2 + 2 + 2 + 2 + 2 + 8 };
    if (!w->cut || ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0) return PARAMETERS_MAX;
    unsigned others = FIXED + w->dataset + w->statistic + w->ours + w->expected;
    return others + PARAMETERS_MIN > size.ws_col ? PARAMETERS_MIN : size.ws_col - others;
}

static struct widths widths_of(const struct verify *v, bool only_failures) {
    struct widths w = {.cut = isatty(STDOUT_FILENO)};
    w.dataset = heading_width(v, DATASET), w.statistic = heading_width(v, STATISTIC), w.parameters = heading_width(v, PARAMETERS);
    w.ours = heading_width(v, OURS), w.expected = heading_width(v, EXPECTED);
    unsigned parameters = w.parameters;
    for (size_t i = 0; i < v->count; i++) {
        const struct ev_verdict *r = &v->verdicts[i];
        char ours[NUMBER_MAX], expected[NUMBER_MAX];
        if (only_failures && r->pass) continue;
        number_text(r->ours, ours);
        number_text(r->expected, expected);
        w.dataset = widest(w.dataset, text_columns(r->dataset), WORDS_MAX);
        w.statistic = widest(w.statistic, text_columns(r->statistic), WORDS_MAX);
        w.ours = widest(w.ours, (unsigned)strlen(ours), NUMBER_MAX);
        w.expected = widest(w.expected, (unsigned)strlen(expected), NUMBER_MAX);
        parameters = widest(parameters, text_columns(r->parameters), UINT32_MAX);
    }
    w.parameters = widest(w.parameters, parameters, parameters_max(&w));
    return w;
}

static void add_words(struct buf *b, const struct widths *w, struct str text, unsigned width) {
    unsigned whole = text_columns(text);
    text_add_cell(b, text, w->cut || whole < width ? width : whole);
    buf_addz(b, "  ");
}

static void add_row(struct buf *b, const struct widths *w, const struct str of[COLUMNS]) {
    const unsigned width[COLUMNS] = {
        [DATASET] = w->dataset, [STATISTIC] = w->statistic, [PARAMETERS] = w->parameters, [OURS] = w->ours, [EXPECTED] = w->expected};
    unsigned line = text_columns(of[LINE]);
    buf_addf(b, "%*s%.*s  ", line < LINE_WIDTH ? (int)(LINE_WIDTH - line) : 0, "", STR_FMT(of[LINE]));
    for (unsigned c = DATASET; c <= EXPECTED; c++) add_words(b, w, of[c], width[c]);
    buf_addf(b, "%.*s\n", STR_FMT(of[TOLERANCE]));
}

static void add_verdict(struct buf *b, const struct verify *v, const struct widths *w, const struct ev_verdict *r) {
    bool colour = w->cut && !getenv("NO_COLOR");
    char line[16], ours[NUMBER_MAX] = "-", expected[NUMBER_MAX], tolerance[NUMBER_MAX];
    snprintf(line, sizeof line, "%u", r->line);
    if (r->answered) number_text(r->ours, ours);
    number_text(r->expected, expected);
    snprintf(tolerance, sizeof tolerance, "%.3g", r->tolerance);
    struct str verdict = str_of(r->pass ? ev_term("pass", v->language) : ev_term("FAIL", v->language));
    const char *paint = r->pass ? "[32m" : "[1;31m";
    buf_addf(b, "%s%.*s%s%*s", colour ? paint : "", STR_FMT(verdict), colour ? "[0m" : "", (int)(VERDICT_WIDTH - text_columns(verdict)), "");
    add_row(b, w, (const struct str[]){str_of(line), r->dataset, r->statistic, r->parameters, str_of(ours), str_of(expected), str_of(tolerance)});
    if (r->pass) return;
    buf_addf(b, "%14s%s", "", r->words);
    if (r->source.n) buf_addz(b, "; "), add_told(b, v, "source: {0}", &r->source, 1);
    buf_addc(b, '\n');
}

static void add_head(struct buf *b, const struct verify *v) {
    char now[TIME_MAX];
    time_text(now);
    buf_addf(b, "Gantry %s, %s\n", GANTRY_VERSION, now);
    const char *name = v->table_name ? v->table_name : ev_term("those that ship with Gantry", v->language);
    add_told(b, v, "reference values: {0} (SHA-256 {1})", (const struct str[]){str_of(name), str_of(v->digest)}, 2);
    buf_addc(b, '\n');
    if (v->data_dir) add_told(b, v, "data: {0}", (const struct str[]){str_of(v->data_dir)}, 1), buf_addc(b, '\n');
    buf_addc(b, '\n');
}

static void add_counts(struct buf *b, const struct verify *v, const struct ev_verification *run) {
    char number[4][NUMBER_MAX];
    const size_t counts[4] = {run->rows, run->passed, run->rows - run->passed, run->unanswered};
    for (int i = 0; i < 4; i++) snprintf(number[i], NUMBER_MAX, "%zu", counts[i]);
    add_told(b, v, "{0} rows: {1} pass, {2} fail", (const struct str[]){str_of(number[0]), str_of(number[1]), str_of(number[2])}, 3);
    if (run->unanswered) add_told(b, v, " ({0} of them without an answer of ours)", (const struct str[]){str_of(number[3])}, 1);
    buf_addc(b, '\n');
}

static void write_table(struct buf *b, const struct verify *v, const struct ev_verification *run) {
    bool only_failures = cli_flag(v->args, "failures");
    struct widths w = widths_of(v, only_failures);
    add_head(b, v);
    if (!only_failures || run->passed < run->rows) {
        struct str heads[COLUMNS];
        for (unsigned c = 0; c < COLUMNS; c++) heads[c] = heading(v, c);
        buf_addf(b, "%*s", VERDICT_WIDTH, "");
        add_row(b, &w, heads);
    }
    for (size_t i = 0; i < v->count; i++)
        if (!only_failures || !v->verdicts[i].pass) add_verdict(b, v, &w, &v->verdicts[i]);
    buf_addc(b, '\n');
    add_counts(b, v, run);
}

// ---- as JSON ----

static void put_number(struct json_writer *w, const char *key, double v) {
    if (isfinite(v))
        json_put_double(w, key, v);
    else
        json_put_strz(w, key, isnan(v) ? "nan" : v > 0 ? "inf" : "-inf");
}

static void write_verdict(struct json_writer *w, const struct ev_verdict *r) {
    json_begin_object(w);
    json_put_uint(w, "line", r->line);
    json_put_str(w, "dataset", r->dataset);
    json_put_str(w, "statistic", r->statistic);
    json_put_str(w, "parameters", r->parameters);
    if (r->answered) put_number(w, "ours", r->ours);
    put_number(w, "expected", r->expected);
    put_number(w, "tolerance", r->tolerance);
    json_put_bool(w, "pass", r->pass);
    if (r->words) json_put_strz(w, "reason", r->words);
    if (r->source.n) json_put_str(w, "source", r->source);
    json_end_object(w);
}

static void write_json(struct buf *b, const struct verify *v, const struct ev_verification *run) {
    struct json_writer w;
    char now[TIME_MAX];
    time_text(now);
    json_init(&w, b, false);
    json_begin_object(&w);
    json_put_strz(&w, "version", GANTRY_VERSION);
    json_put_strz(&w, "time", now);
    json_put_strz(&w, "table", v->table_name ? v->table_name : "those that ship with Gantry");
    json_put_strz(&w, "sha256", v->digest);
    if (v->data_dir) json_put_strz(&w, "data", v->data_dir);
    json_put_uint(&w, "count", run->rows);
    json_put_uint(&w, "passed", run->passed);
    json_put_uint(&w, "failed", run->rows - run->passed);
    json_put_uint(&w, "unanswered", run->unanswered);
    json_key(&w, "rows");
    json_begin_array(&w);
    for (size_t i = 0; i < v->count; i++)
        if (!cli_flag(v->args, "failures") || !v->verdicts[i].pass) write_verdict(&w, &v->verdicts[i]);
    json_end_array(&w);
    json_end_object(&w);
    buf_addc(b, '\n');
}

// ---- the command ----

static const char *folder_of(struct arena *a, const char *file, struct err *e) {
    const char *slash = strrchr(file, '/');
    return slash ? arena_strz(a, (struct str){file, slash == file ? 1 : (size_t)(slash - file)}, e) : ".";
}

static bool read_table(struct verify *v, struct str *text, struct err *e) {
    struct arena *a = v->args->arena;
    v->table_name = cli_text(v->args, "table", NULL);
    v->data_dir = cli_text(v->args, "data", NULL);
    if (!v->table_name) {
        if (v->data_dir) return err_set(e, ERR_USAGE, "app", "--data goes with --table");
        return shipped_dataset(NULL, "reference.csv", a, text, e);
    }
    if (!v->data_dir && !(v->data_dir = folder_of(a, v->table_name, e))) return false;
    return evidence_text(a, v->table_name, text, e);
}

static bool open_table(struct verify *v, struct csv *table, struct err *e) {
    struct arena *a = v->args->arena;
    struct str text;
    uint8_t digest[DIGEST_BYTES];
    a->ceiling = (size_t)EV_ARENA_BYTES_MAX;
    if (!read_table(v, &text, e) || !digest_of(text.p, text.n, digest, e)) return false;
    hex_encode(digest, DIGEST_BYTES, v->digest);
    if (!csv_read(a, text, table, e)) return err_wrap(e, "%s", v->table_name ? v->table_name : "reference.csv");
    v->verdicts = arena_zero(a, table->rows + 1, sizeof *v->verdicts, e);
    return v->verdicts != NULL;
}

static int run(struct cli_args *args) {
    struct err e = {0};
    struct verify v = {.args = args};
    struct ev_verification verification = {.read = read_dataset, .each = keep_verdict, .ctx = &v};
    struct csv table;
    struct buf b;
    if (!evidence_language(args, &v.language, &e) || !open_table(&v, &table, &e)) return cli_fail(args, &e);
    if (!v.data_dir) verification.read = shipped_dataset;
    if (!ev_verify(args->arena, &table, &verification, &e)) return err_wrap(&e, "%s", v.table_name ? v.table_name : "reference.csv"), cli_fail(args, &e);
    if (v.failed) return cli_fail(args, &v.error);
    buf_init(&b, (size_t)EV_INPUT_BYTES_MAX);
    (cli_flag(args, "json") ? write_json : write_table)(&b, &v, &verification);
    bool ok = output_drain(NULL, &b, &e);
    buf_deinit(&b);
    if (!ok) return cli_fail(args, &e);
    return verification.passed == verification.rows ? EX_OK : FAILED_EXIT;
}

static const struct cli_option OPTIONS[] = {
    {"table", "FILE", "the reference values (default: those that ship with Gantry)", false},
    {"data", "DIR", "the folder of the data sets (default: that of the table)", false},
    {"failures", NULL, "only the rows that fail, and the count", false},
    {"json", NULL, "JSON instead of a table", false},
    {"lang", "en|zh-CN", "language of the words (default: that of the locale)", false},
    {0},
};

const struct cli_command EVIDENCE_VERIFY = {
    .name = "verify",
    .synopsis = "[--table FILE [--data DIR]] [--failures] [--json] [--lang LANGUAGE]",
    .summary = "Compute reference values anew and compare",
    .permission = ACCESS_LOCAL,
    .group = "Qualification",
    .details = "Each row of the table names a statistic, the data and the parameters, the value that somebody else found and how near ours must come.\n"
               "Every row is printed with ours, expected, and pass or FAIL; a row that cannot be computed fails with the reason and is never passed over.\n"
               "The exit code is 0 when all rows pass and 1 when one fails. docs/evidence.md tells how to add rows.",
    .options = OPTIONS,
    .run = run,
};
