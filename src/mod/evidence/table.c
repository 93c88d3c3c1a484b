// CSV or JSON to a table of fields.
#include "mod/evidence/table.h"

#include "text/json.h"

enum { TABLE_DEPTH_MAX = 3, TABLE_COLUMNS_MAX = 4096 };

struct json_table {
    struct arena *arena;
    struct str text;
    struct csv *out;
    size_t counted; // offset up to which lines were counted
    uint32_t line;
};

static bool is_json(struct str text) {
    if (str_starts(text, STR_LIT("\xEF\xBB\xBF"))) text = str_sub(text, 3, text.n);
    text = str_trim(text);
    return text.n && (text.p[0] == '[' || text.p[0] == '{');
}

static uint32_t line_of(struct json_table *t, size_t at) {
    if (at < t->counted) return t->line;
    for (const char *p = t->text.p + t->counted; (p = memchr(p, '\n', (size_t)(t->text.p + at - p))); p++) t->line++;
    t->counted = at;
    return t->line;
}

static bool field_of(struct json_table *t, const struct json *v, struct str *field, struct err *e) {
    switch (v->kind) {
    case JSON_NULL:
        *field = STR_LIT("");
        return true;
    case JSON_FALSE:
        *field = STR_LIT("0");
        return true;
    case JSON_TRUE:
        *field = STR_LIT("1");
        return true;
    case JSON_NUMBER:
    case JSON_STRING:
        *field = v->text;
        return true;
    default:
        return json_fail(t->text, v, e, "a field holds an array or an object; a table's fields are numbers, texts, true, false or null");
    }
}

// The column of that key, new or not; begins to look where it is when all rows have the same order.
static bool column_of(struct json_table *t, const struct json *member, unsigned expected, unsigned *column, struct err *e) {
    struct csv *out = t->out;
    for (unsigned i = 0; i < out->columns; i++) {
        *column = (expected + i) % out->columns;
        if (str_eq(out->names[*column], member->key)) return true;
    }
    if (out->columns == TABLE_COLUMNS_MAX) return json_fail(t->text, member, e, "more than %d columns", TABLE_COLUMNS_MAX);
    *column = out->columns;
    out->names[out->columns++] = member->key;
    return true;
}

static bool take_names(struct json_table *t, const struct json *array, struct err *e) {
    t->out->names = arena_alloc(t->arena, TABLE_COLUMNS_MAX * sizeof *t->out->names, e);
    if (!t->out->names) return false;
    for (const struct json *row = array->first; row; row = row->next) {
        unsigned column, expected = 0;
        if (row->kind != JSON_OBJECT) return json_fail(t->text, row, e, "a row of the table is no object");
        for (const struct json *m = row->first; m; m = m->next, expected = column + 1)
            if (!column_of(t, m, expected, &column, e)) return false;
    }
    return true;
}

static bool make_room(struct json_table *t, struct err *e) {
    struct csv *out = t->out;
    uint32_t *line = arena_zero(t->arena, out->rows + 1, sizeof *line, e);
    if (!line) return false;
    out->line = line;
    out->fields = arena_zero(t->arena, out->rows * out->columns + 1, sizeof *out->fields, e);
    if (!out->fields) return false;
    for (size_t i = 0; i < out->rows * out->columns; i++) out->fields[i] = STR_LIT("");
    return true;
}

static bool read_rows(struct json_table *t, const struct json *array, struct err *e) {
    if (!take_names(t, array, e)) return false;
    t->out->rows = array->count;
    if (!make_room(t, e)) return false;
    struct str *fields = t->out->fields;
    uint32_t *line = (uint32_t *)t->out->line;
    for (const struct json *row = array->first; row; row = row->next, fields += t->out->columns) {
        unsigned column, expected = 0;
        *line++ = line_of(t, row->at);
        for (const struct json *m = row->first; m; m = m->next, expected = column + 1)
            if (!column_of(t, m, expected, &column, e) || !field_of(t, m, &fields[column], e)) return false;
    }
    return true;
}

static bool read_columns(struct json_table *t, const struct json *object, struct err *e) {
    struct csv *out = t->out;
    if (object->count > TABLE_COLUMNS_MAX) return json_fail(t->text, object, e, "more than %d columns", TABLE_COLUMNS_MAX);
    out->names = arena_zero(t->arena, object->count + 1, sizeof *out->names, e);
    if (!out->names) return false;
    for (const struct json *m = object->first; m; m = m->next) {
        if (m->kind != JSON_ARRAY) return json_fail(t->text, m, e, "'%.*s' is no array: an object is read as columns", STR_FMT(m->key));
        if (out->columns && m->count != out->rows)
            return json_fail(t->text, m, e, "'%.*s' has %u values where the first column has %zu", STR_FMT(m->key), m->count, out->rows);
        for (unsigned i = 0; i < out->columns; i++)
            if (str_eq(out->names[i], m->key)) return json_fail(t->text, m, e, "the column '%.*s' is there twice", STR_FMT(m->key));
        out->rows = m->count;
        out->names[out->columns++] = m->key;
    }
    if (!make_room(t, e)) return false;
    unsigned column = 0;
    for (const struct json *m = object->first; m; m = m->next, column++) {
        size_t row = 0;
        for (const struct json *v = m->first; v; v = v->next, row++) {
            if (column == 0) ((uint32_t *)out->line)[row] = line_of(t, v->at);
            if (!field_of(t, v, &out->fields[row * out->columns + column], e)) return false;
        }
    }
    return true;
}

bool ev_table_read(struct arena *a, struct str text, struct csv *out, struct err *e) {
    if (!is_json(text)) return csv_read(a, text, out, e);
    if (str_starts(text, STR_LIT("\xEF\xBB\xBF"))) text = str_sub(text, 3, text.n);
    *out = (struct csv){.arena = a};
    struct json_table t = {.arena = a, .text = text, .out = out, .line = 1};
    const struct json *root = json_read(a, text, TABLE_DEPTH_MAX, e);
    if (!root) return false;
    if (!(root->kind == JSON_ARRAY ? read_rows(&t, root, e) : read_columns(&t, root, e))) return false;
    if (out->columns) return true;
    return err_set(e, ERR_BAD_INPUT, "evidence", "the table has no columns");
}
