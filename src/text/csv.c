// Comma-separated values into borrowed fields, in one pass over the text.
#include "text/csv.h"

#include <math.h>
#include <stdio.h>

#include "base/buf.h"
#include "base/limits.h"
#include "text/charset.h"
#include "text/utf8.h"

struct reader {
    struct arena *arena;
    const char *p, *end;
    char separator;
    uint32_t line;      // of p
    uint32_t began;     // line of the row that is read
    struct str *fields; // the names, then row by row
    size_t count;
    uint32_t *lines; // of rows, that of the names first
    size_t rows;
};

static bool fail(const struct reader *r, struct err *e, const char *what) {
    return err_set(e, ERR_BAD_INPUT, "csv", "line %u: %s", (unsigned)r->line, what);
}

// At most so many fields and rows as there are separators and ends of lines: room for all at once, so that nothing is moved as a table grows.
static bool make_room(struct reader *r, struct err *e) {
    size_t fields = 1, lines = 1;
    for (const char *p = r->p; p < r->end; p++) {
        bool line = *p == '\n' || *p == '\r';
        lines += line;
        fields += line || *p == r->separator;
    }
    if (lines > CSV_ROWS_MAX * (size_t)2) return err_set(e, ERR_TOO_LARGE, "csv", "more than %d rows", CSV_ROWS_MAX); // CR LF counts two
    r->fields = arena_alloc(r->arena, fields * sizeof *r->fields, e);
    r->lines = r->fields ? arena_alloc(r->arena, lines * sizeof *r->lines, e) : NULL;
    return r->lines != NULL;
}

// ---- fields ----

// Behind the opening quote: to the closing one. *doubled: quotes that stand for one.
static bool find_closing(struct reader *r, size_t *doubled, struct err *e) {
    uint32_t opened = r->line;
    for (*doubled = 0; r->p < r->end; r->p++) {
        if (*r->p == '"') {
            if (r->p + 1 == r->end || r->p[1] != '"') return true;
            ++*doubled;
            r->p++;
        } else if (*r->p == '\n' || (*r->p == '\r' && (r->p + 1 == r->end || r->p[1] != '\n'))) {
            r->line++;
        }
    }
    r->line = opened;
    return fail(r, e, "a quote is opened and never closed");
}

static bool take_quoted(struct reader *r, struct str *out, struct err *e) {
    const char *from = ++r->p;
    size_t doubled;
    if (!find_closing(r, &doubled, e)) return false;
    *out = (struct str){from, (size_t)(r->p - from)};
    r->p++;
    while (r->p < r->end && (*r->p == ' ' || (*r->p == '\t' && r->separator != '\t'))) r->p++;
    if (r->p < r->end && *r->p != r->separator && *r->p != '\n' && *r->p != '\r') return fail(r, e, "text behind a closing quote");
    if (!doubled) return true;
    char *to = arena_alloc(r->arena, out->n - doubled, e), *at = to;
    if (!to) return false;
    for (size_t i = 0; i < out->n; i++) {
        *at++ = out->p[i];
        if (out->p[i] == '"') i++;
    }
    *out = (struct str){to, out->n - doubled};
    return true;
}

static struct str take_plain(struct reader *r) {
    const char *from = r->p;
    while (r->p < r->end && *r->p != r->separator && *r->p != '\n' && *r->p != '\r') r->p++;
    return str_trim((struct str){from, (size_t)(r->p - from)});
}

static bool take_field(struct reader *r, struct err *e) {
    struct str field;
    while (r->p < r->end && *r->p == ' ') r->p++;
    if (r->p < r->end && *r->p == '"') {
        if (!take_quoted(r, &field, e)) return false;
    } else {
        field = take_plain(r);
    }
    if (memchr(field.p ? field.p : "", 0, field.n)) return fail(r, e, "a NUL byte; this is no text file");
    r->fields[r->count++] = field;
    return true;
}

static void take_line_end(struct reader *r) {
    if (r->p == r->end) return;
    if (*r->p == '\r' && r->p + 1 < r->end && r->p[1] == '\n') r->p++;
    r->p++;
    r->line++;
}

static void pass_empty_lines(struct reader *r) {
    for (;;) {
        const char *p = r->p;
        while (p < r->end && (*p == ' ' || (*p == '\t' && r->separator != '\t'))) p++;
        if (p == r->end) r->p = p;
        if (p == r->end || (*p != '\n' && *p != '\r')) return;
        r->p = p;
        take_line_end(r);
    }
}

static bool take_row(struct reader *r, size_t *columns, struct err *e) {
    size_t before = r->count;
    r->began = r->line;
    for (;;) {
        if (!take_field(r, e)) return false;
        if (r->count - before > CSV_COLUMNS_MAX) return err_set(e, ERR_TOO_LARGE, "csv", "line %u: more than %d columns", (unsigned)r->began, CSV_COLUMNS_MAX);
        if (r->p == r->end || *r->p != r->separator) break;
        r->p++;
    }
    take_line_end(r);
    *columns = r->count - before;
    if (r->rows > CSV_ROWS_MAX) return err_set(e, ERR_TOO_LARGE, "csv", "line %u: more than %d rows", (unsigned)r->began, CSV_ROWS_MAX);
    r->lines[r->rows++] = r->began;
    return true;
}

// ---- the document ----

// What is not UTF-8 comes from a spreadsheet of a Chinese system.
static bool to_utf8(struct arena *a, struct str *text, struct err *e) {
    if (str_starts(*text, STR_LIT("\xEF\xBB\xBF"))) *text = str_sub(*text, 3, SIZE_MAX);
    if (utf8_valid(*text)) return true;
    struct buf out;
    unsigned bad = 0;
    buf_init(&out, text->n > SIZE_MAX / 4 ? SIZE_MAX : text->n * 4 + 16);
    text_decode(TEXT_GB18030, *text, &out, &bad);
    bool ok = buf_ok(&out, e);
    if (ok && bad) ok = err_set(e, ERR_BAD_INPUT, "csv", "the text is neither UTF-8 nor GB18030");
    if (ok) ok = arena_dup(a, buf_str(&out), text, e);
    buf_deinit(&out);
    return ok;
}

static char separator_of(const char *p, const char *end) {
    bool quoted = false, semicolon = false, tab = false;
    for (; p < end && (quoted || (*p != '\n' && *p != '\r')); p++) {
        if (*p == '"') quoted = !quoted;
        if (quoted) continue;
        if (*p == ',') return ',';
        semicolon |= *p == ';';
        tab |= *p == '\t';
    }
    return semicolon ? ';' : tab ? '\t' : ',';
}

static bool check_names(const struct csv *t, uint32_t line, struct err *e) {
    for (unsigned i = 0; i < t->columns; i++)
        for (unsigned j = 0; j < i; j++)
            if (t->names[i].n && str_eq_nocase(t->names[i], t->names[j]))
                return err_set(e, ERR_BAD_INPUT, "csv", "line %u: two columns are named \"%.*s\"", (unsigned)line, STR_FMT(t->names[i]));
    return true;
}

static bool read_rows(struct reader *r, unsigned columns, struct err *e) {
    for (;;) {
        pass_empty_lines(r);
        if (r->p == r->end) return true;
        size_t n;
        if (!take_row(r, &n, e)) return false;
        if (n != columns)
            return err_set(e, ERR_BAD_INPUT, "csv", "line %u: %zu field%s where the line of names has %u", (unsigned)r->began, n, n == 1 ? "" : "s", columns);
    }
}

bool csv_read(struct arena *a, struct str text, struct csv *out, struct err *e) {
    *out = (struct csv){.arena = a};
    if (text.n >= UINT32_MAX) return err_set(e, ERR_TOO_LARGE, "csv", "a table of %zu bytes; at most 4 GiB are read", text.n);
    if (!text.p) text = STR_LIT("");
    if (!to_utf8(a, &text, e)) return false;
    struct reader r = {.arena = a, .p = text.p, .end = text.p + text.n, .line = 1};
    pass_empty_lines(&r);
    if (r.p == r.end) return err_set(e, ERR_BAD_INPUT, "csv", "the table is empty; its first line must name the columns");
    r.separator = separator_of(r.p, r.end);
    size_t columns;
    if (!make_room(&r, e) || !take_row(&r, &columns, e)) return false;
    out->columns = (unsigned)columns;
    out->names = r.fields;
    if (!check_names(out, r.began, e) || !read_rows(&r, out->columns, e)) return false;
    out->fields = r.fields + columns;
    out->rows = r.rows - 1;
    out->line = r.lines + 1;
    return true;
}

// ---- columns ----

int csv_find(const struct csv *t, const char *name) {
    for (unsigned i = 0; i < t->columns; i++)
        if (str_eq_nocase(t->names[i], str_of(name))) return (int)i;
    return -1;
}

bool csv_column(const struct csv *t, const char *name, unsigned *column, struct err *e) {
    int found = csv_find(t, name);
    *column = found < 0 ? 0 : (unsigned)found;
    if (found >= 0) return true;
    char list[ERR_MESSAGE_MAX / 2];
    size_t n = 0;
    for (unsigned i = 0; i < t->columns && n + t->names[i].n + 8 < sizeof list; i++) {
        if (i) n += (size_t)snprintf(list + n, sizeof list - n, ", ");
        n += (size_t)snprintf(list + n, sizeof list - n, "%.*s", STR_FMT(t->names[i]));
    }
    list[n] = 0;
    return err_set(e, ERR_BAD_INPUT, "csv", "there is no column \"%.100s\"; the table has: %s", name, list);
}

bool csv_missing(struct str field) {
    static const char *const words[] = {"", "NA", "NaN", "N/A"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (str_eq_nocase(field, str_of(words[i]))) return true;
    return false;
}

bool csv_number(const struct csv *t, size_t row, unsigned column, double *out, struct err *e) {
    struct str field = csv_at(t, row, column);
    *out = NAN;
    if (csv_missing(field) || str_to_f64(field, out)) return true;
    return err_set(e, ERR_BAD_INPUT, "csv", "line %u, column \"%.*s\": \"%.*s\" is no number", (unsigned)t->line[row],
                   STR_FMT(str_sub(t->names[column], 0, 60)), STR_FMT(str_sub(field, 0, 60)));
}

bool csv_numbers(const struct csv *t, unsigned column, double **out, struct err *e) {
    double *x = *out = arena_alloc(t->arena, t->rows * sizeof *x, e);
    if (!x) return false;
    for (size_t i = 0; i < t->rows; i++)
        if (!csv_number(t, i, column, &x[i], e)) return false;
    return true;
}
