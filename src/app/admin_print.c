// Tables and lines from JSON.
#include "app/admin_print.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "text/width.h"

enum { COLUMNS_MAX = 12, CELL_BYTES = 400, WIDTH_MAX = 64 };

// Names end in _ms where they are times.
static bool is_time(struct str key) {
    return str_ends(key, STR_LIT("_ms"));
}

struct cell {
    char p[CELL_BYTES];
    size_t n;
};

static void add(struct cell *room, struct str text) {
    size_t n = text.n < CELL_BYTES - 1 - room->n ? text.n : CELL_BYTES - 1 - room->n;
    while (n > 0 && n < text.n && ((unsigned char)text.p[n] & 0xc0) == 0x80) n--;
    memcpy(room->p + room->n, text.p, n);
    room->n += n;
}

static void add_time(struct cell *to, int64_t ms) {
    char text[40] = "";
    time_t t = (time_t)(ms / 1000);
    struct tm tm;
    if (ms && localtime_r(&t, &tm)) strftime(text, sizeof text, "%Y-%m-%d %H:%M", &tm);
    add(to, ms ? str_of(text) : STR_LIT("-"));
}

static void add_scalar(struct cell *to, const struct json *v, struct str key) {
    int64_t ms;
    if (v->kind == JSON_NUMBER && is_time(key) && json_to_i64(v, &ms)) {
        add_time(to, ms);
        return;
    }
    if (v->kind == JSON_TRUE || v->kind == JSON_FALSE) add(to, v->kind == JSON_TRUE ? STR_LIT("yes") : STR_LIT("no"));
    if (v->kind == JSON_STRING || v->kind == JSON_NUMBER) add(to, v->text);
}

// A list within a cell: texts with commas, objects by their first two values ("radiologist tenant:north").
static struct str cell(const struct json *v, struct str key, struct cell *to) {
    to->n = 0;
    if (v && v->kind != JSON_ARRAY) add_scalar(to, v, key);
    for (const struct json *one = v && v->kind == JSON_ARRAY ? v->first : NULL; one; one = one->next) {
        if (to->n) add(to, STR_LIT(", "));
        if (one->kind != JSON_OBJECT) add_scalar(to, one, key);
        unsigned shown = 0;
        for (const struct json *m = one->kind == JSON_OBJECT ? one->first : NULL; m && shown < 2; m = m->next, shown++) {
            if (shown) add(to, STR_LIT(" "));
            add_scalar(to, m, m->key);
        }
    }
    return (struct str){to->p, to->n};
}

// Control characters that somebody put into a name do nothing to the terminal.
static void put(struct str s) {
    for (size_t i = 0; i < s.n; i++) putchar((unsigned char)s.p[i] < 0x20 || s.p[i] == 0x7f ? '?' : s.p[i]);
}

struct table {
    struct str keys[COLUMNS_MAX];
    unsigned widths[COLUMNS_MAX], count;
};

static void measure(struct table *t, const struct json *rows) {
    struct cell room;
    for (const struct json *row = rows->first; row; row = row->next)
        for (const struct json *m = row->first; m; m = m->next) {
            unsigned i = 0;
            if (str_ends(m->key, STR_LIT("_zh"))) continue;
            while (i < t->count && !str_eq(t->keys[i], m->key)) i++;
            if (i == t->count && t->count == COLUMNS_MAX) continue;
            if (i == t->count) t->keys[t->count] = m->key, t->widths[t->count++] = (unsigned)m->key.n;
            unsigned w = text_columns(cell(m, m->key, &room));
            if (w > t->widths[i]) t->widths[i] = w < WIDTH_MAX ? w : WIDTH_MAX;
        }
}

static void pad(struct str text, unsigned width, bool last) {
    if (text.n == 0) text = STR_LIT("-");
    put(text);
    if (last) return;
    for (unsigned n = text_columns(text); n < width; n++) putchar(' ');
    printf("  ");
}

static void print_table(const struct json *rows) {
    struct table t = {.count = 0};
    struct cell room;
    char head[CELL_BYTES];
    measure(&t, rows);
    for (unsigned i = 0; i < t.count; i++) {
        size_t n = 0;
        struct str key = is_time(t.keys[i]) ? str_sub(t.keys[i], 0, t.keys[i].n - 3) : t.keys[i];
        for (; n < key.n && n < CELL_BYTES; n++) head[n] = key.p[n] == '_' ? ' ' : key.p[n] >= 'a' && key.p[n] <= 'z' ? (char)(key.p[n] - 32) : key.p[n];
        pad((struct str){head, n}, t.widths[i], i + 1 == t.count);
    }
    if (t.count) putchar('\n');
    for (const struct json *row = rows->first; row; row = row->next) {
        for (unsigned i = 0; i < t.count; i++) {
            const struct json *m = row->first;
            while (m && !str_eq(m->key, t.keys[i])) m = m->next;
            pad(cell(m, t.keys[i], &room), t.widths[i], i + 1 == t.count);
        }
        putchar('\n');
    }
}

static void print_object(const struct json *o) {
    struct cell room;
    for (const struct json *m = o->first; m; m = m->next) {
        struct str key = is_time(m->key) ? str_sub(m->key, 0, m->key.n - 3) : m->key;
        if (str_eqz(key, "done")) continue;
        for (size_t i = 0; i < key.n; i++) putchar(key.p[i] == '_' ? ' ' : key.p[i]);
        printf(": ");
        put(cell(m, m->key, &room));
        putchar('\n');
    }
}

static void write_json(struct json_writer *w, const struct json *v) {
    if (v->key.p) json_key_str(w, v->key);
    switch (v->kind) {
    case JSON_NULL:
        json_null(w);
        break;
    case JSON_FALSE:
    case JSON_TRUE:
        json_bool(w, v->kind == JSON_TRUE);
        break;
    case JSON_NUMBER:
        json_raw(w, v->text);
        break;
    case JSON_STRING:
        json_str(w, v->text);
        break;
    case JSON_ARRAY:
        json_begin_array(w);
        for (const struct json *one = v->first; one; one = one->next) write_json(w, one);
        json_end_array(w);
        break;
    case JSON_OBJECT:
        json_begin_object(w);
        for (const struct json *one = v->first; one; one = one->next) write_json(w, one);
        json_end_object(w);
        break;
    }
}

static void print_json(const struct json *v) {
    struct buf b;
    struct json_writer w;
    struct json whole = *v;
    whole.key = (struct str){NULL, 0}; // it was a member of an answer
    buf_init(&b, (size_t)1 << 30);
    json_init(&w, &b, true);
    write_json(&w, &whole);
    if (buf_ok(&b, NULL)) printf("%.*s\n", STR_FMT(buf_str(&b)));
    buf_deinit(&b);
}

void admin_print(const struct json *answer, bool as_json) {
    if (as_json)
        print_json(answer);
    else if (answer->kind == JSON_OBJECT)
        print_object(answer);
    else if (answer->kind == JSON_ARRAY && answer->first && answer->first->kind == JSON_OBJECT)
        print_table(answer);
    else
        for (const struct json *one = answer->kind == JSON_ARRAY ? answer->first : NULL; one; one = one->next) put(one->text), putchar('\n');
}
