// Reports as a table for a terminal, as JSON and as a methods paragraph.
#include <math.h>
#include <stdio.h>
#include <uniwidth.h>

#include "mod/evidence/report.h"
#include "mod/evidence/terms.h"
#include "text/json.h"
#include "text/utf8.h"

// ---- sentences ----

void ev_sentence_add(struct buf *out, const struct ev_sentence *s, enum ev_language language) {
    for (const char *p = ev_term(s->text, language); *p; p++) {
        if (p[0] == '{' && p[1] >= '0' && p[1] <= '9' && p[2] == '}') {
            buf_add_str(out, s->values[p[1] - '0']);
            p += 2;
        } else {
            buf_addc(out, *p);
        }
    }
}

static void add_percent(char out[32], double level) {
    snprintf(out, 32, "%.10g%%", level * 100);
}

// ---- the table ----

enum { NAME, VALUE, SE, LOWER, UPPER, UNIT, COLUMNS };
static const char *const HEADS[COLUMNS] = {"Name", "Value", "SE", "Lower", "Upper", "Unit"};

// Seven significant digits, without a row of zeros: what a reader of a table can use; JSON has all of them.
static void add_number(struct buf *out, double v) {
    if (isinf(v)) {
        buf_addz(out, v > 0 ? "inf" : "-inf");
        return;
    }
    buf_addf(out, "%.7g", v == 0 ? 0 : v);
}

// Whether the entry is alone in its group. A run of such entries of one name is told as one list, by group: readers, modalities.
static bool is_alone(const struct ev_report *r, unsigned i) {
    const struct ev_entry *en = &r->entries[i];
    if (!en->group.n || (i > 0 && str_eq(en->group, r->entries[i - 1].group))) return false;
    return i + 1 == r->entry_count || !str_eq(en->group, r->entries[i + 1].group);
}

static bool runs_on(const struct ev_report *r, unsigned i, unsigned next) {
    return next < r->entry_count && is_alone(r, i) && is_alone(r, next) && strcmp(r->entries[i].name, r->entries[next].name) == 0;
}

static bool is_listed(const struct ev_report *r, unsigned i) {
    return runs_on(r, i, i + 1) || (i > 0 && runs_on(r, i - 1, i));
}

static void add_cell(struct buf *out, const struct ev_report *r, unsigned i, int column, enum ev_language language) {
    const struct ev_entry *en = &r->entries[i];
    double numbers[] = {[VALUE] = en->value, [SE] = en->se, [LOWER] = en->lo, [UPPER] = en->hi};
    switch (column) {
    case NAME:
        if (is_listed(r, i))
            buf_addz(out, ev_term(en->group.p, language));
        else
            buf_addz(out, ev_term(en->name, language));
        break;
    case UNIT:
        if (en->unit) buf_addz(out, ev_term(en->unit, language));
        break;
    default:
        if (column == VALUE && isnan(en->value))
            buf_addz(out, en->text.p ? "" : "NaN");
        else if (!isnan(numbers[column]))
            add_number(out, numbers[column]);
    }
}

static int width_of(struct str s) {
    int width = 0;
    uint32_t cp;
    while (utf8_take(&s, &cp)) {
        int w = uc_width(cp, "UTF-8");
        width += w > 0 ? w : 0;
    }
    return width;
}

static void pad(struct buf *out, int n) {
    for (; n > 0; n--) buf_addc(out, ' ');
}

struct table {
    const struct ev_report *report;
    enum ev_language language;
    struct buf cell;
    int width[COLUMNS];
    int after[COLUMNS]; // of numbers: columns from the decimal point on
    bool used[COLUMNS];
};

enum { HEAD = UINT32_MAX }; // in place of an entry: the line of names

static struct str cell(struct table *t, unsigned i, int column) {
    buf_clear(&t->cell);
    if (i != HEAD)
        add_cell(&t->cell, t->report, i, column, t->language);
    else
        buf_addz(&t->cell, ev_term(HEADS[column], t->language));
    return buf_str(&t->cell);
}

// From the point (or the exponent) on.
static int after_of(struct str number) {
    size_t at = 0;
    while (at < number.n && number.p[at] != '.' && number.p[at] != 'e') at++;
    return (int)(number.n - at);
}

static bool is_number(int column) {
    return column != NAME && column != UNIT;
}

static void measure(struct table *t) {
    t->used[NAME] = t->used[VALUE] = true;
    for (int c = 0; c < COLUMNS; c++) {
        int before = 0;
        for (unsigned i = 0; i < t->report->entry_count; i++) {
            struct str s = cell(t, i, c);
            int w = width_of(s), after = is_number(c) ? after_of(s) : 0;
            if (after > t->after[c]) t->after[c] = after;
            if (w - after > before) before = w - after;
            t->used[c] |= w > 0;
        }
        t->width[c] = before + t->after[c];
        int head = width_of(cell(t, HEAD, c));
        if (head > t->width[c]) t->width[c] = head;
    }
}

// A number with its point under that of the others; words to the left.
static void add_aligned(struct table *t, struct buf *out, unsigned i, int c, struct str s) {
    int gap = t->width[c] - width_of(s), behind = gap;
    if (is_number(c)) behind = i == HEAD || s.n == 0 ? 0 : t->after[c] - after_of(s);
    pad(out, gap - behind);
    buf_add_str(out, s);
    pad(out, behind);
}

// Words follow the numbers' place.
static void add_row(struct table *t, struct buf *out, unsigned i) {
    const struct ev_entry *en = i == HEAD ? NULL : &t->report->entries[i];
    buf_addz(out, "  ");
    size_t end = out->n;
    for (int c = 0; c < COLUMNS; c++) {
        if (!t->used[c]) continue;
        if (c != NAME) buf_addz(out, "  ");
        if (c == VALUE && en && isnan(en->value) && en->text.p) {
            if (en->text.n) buf_addz(out, ev_term(en->text.p, t->language));
            end = out->n;
            break;
        }
        struct str s = cell(t, i, c);
        add_aligned(t, out, i, c, s);
        if (s.n) end = out->n;
    }
    while (end > 0 && !out->failed && out->p[end - 1] == ' ') end--;
    if (!out->failed) out->n = end;
    buf_addc(out, '\n');
}

static void add_heading(struct table *t, struct buf *out, unsigned i) {
    const struct ev_report *r = t->report;
    const struct ev_entry *en = &r->entries[i];
    if (is_listed(r, i)) {
        if (i == 0 || !runs_on(r, i - 1, i)) buf_addf(out, "\n%s\n", ev_term(en->name, t->language));
    } else if (i > 0 ? !str_eq(en->group, r->entries[i - 1].group) : en->group.n > 0) {
        buf_addf(out, "\n%s%s", en->group.n ? ev_term(en->group.p, t->language) : "", en->group.n ? "\n" : "");
    }
}

static void add_list(struct buf *out, const char *head, const struct ev_sentence *list, unsigned count, enum ev_language language) {
    if (count) buf_addf(out, "\n%s\n", ev_term(head, language));
    for (unsigned i = 0; i < count; i++) {
        buf_addz(out, "  ");
        ev_sentence_add(out, &list[i], language);
        buf_addc(out, '\n');
    }
}

void ev_report_table(const struct ev_report *r, enum ev_language language, struct buf *out) {
    char level[32];
    add_percent(level, r->level);
    buf_addf(out, "%s\n", ev_term(r->title, language));
    struct table t = {.report = r, .language = language};
    buf_init(&t.cell, 1 << 20);
    measure(&t);
    if (t.used[LOWER] || t.used[UPPER]) {
        ev_sentence_add(out, &(struct ev_sentence){"Confidence level: {0}", {str_of(level)}}, language);
        buf_addc(out, '\n');
    }
    buf_addc(out, '\n');
    add_row(&t, out, HEAD);
    for (unsigned i = 0; i < r->entry_count; i++) {
        add_heading(&t, out, i);
        add_row(&t, out, i);
    }
    buf_deinit(&t.cell);
    add_list(out, "Warnings", r->warnings, r->warning_count, language);
}

// ---- JSON ----

static void put_number(struct json_writer *w, const char *key, double v) {
    if (isnan(v)) return;
    if (isinf(v))
        json_put_strz(w, key, v > 0 ? "Infinity" : "-Infinity");
    else
        json_put_double(w, key, v);
}

static void put_entry(struct json_writer *w, const struct ev_entry *en) {
    json_begin_object(w);
    if (en->group.n) json_put_str(w, "group", en->group);
    json_put_strz(w, "name", en->name);
    if (isnan(en->value) && !en->text.p) {
        json_key(w, "value");
        json_null(w);
    }
    put_number(w, "value", en->value);
    put_number(w, "se", en->se);
    put_number(w, "lo", en->lo);
    put_number(w, "hi", en->hi);
    if (en->unit) json_put_strz(w, "unit", en->unit);
    if (en->text.p) json_put_str(w, "text", en->text);
    json_end_object(w);
}

static void put_sentences(struct json_writer *w, const char *key, const struct ev_sentence *list, unsigned count, enum ev_language language) {
    struct buf text;
    buf_init(&text, 1 << 20);
    json_key(w, key);
    json_begin_array(w);
    for (unsigned i = 0; i < count; i++) {
        buf_clear(&text);
        ev_sentence_add(&text, &list[i], language);
        json_str(w, buf_str(&text));
        if (text.failed && !w->to->failed) w->to->failed = text.failed;
    }
    json_end_array(w);
    buf_deinit(&text);
}

void ev_report_json(const struct ev_report *r, enum ev_language language, struct buf *out) {
    struct json_writer w;
    json_init(&w, out, true);
    json_begin_object(&w);
    json_put_strz(&w, "title", r->title);
    json_put_double(&w, "level", r->level);
    json_key(&w, "entries");
    json_begin_array(&w);
    for (unsigned i = 0; i < r->entry_count; i++) put_entry(&w, &r->entries[i]);
    json_end_array(&w);
    put_sentences(&w, "methods", r->methods, r->method_count, language);
    put_sentences(&w, "warnings", r->warnings, r->warning_count, language);
    json_key(&w, "sources");
    json_begin_array(&w);
    for (unsigned i = 0; i < r->source_count; i++) json_strz(&w, r->sources[i]);
    json_end_array(&w);
    json_put_strz(&w, "version", EV_VERSION);
    json_end_object(&w);
    buf_addc(out, '\n');
}

// ---- the methods paragraph ----

void ev_report_methods(const struct ev_report *r, enum ev_language language, struct buf *out) {
    char level[32];
    bool intervals = false;
    add_percent(level, r->level);
    buf_addf(out, "%s\n\n", ev_term("Methods", language));
    const char *space = language == EV_EN ? " " : "";
    for (unsigned i = 0; i < r->method_count; i++) {
        ev_sentence_add(out, &r->methods[i], language);
        buf_addz(out, space);
    }
    for (unsigned i = 0; i < r->entry_count; i++) intervals |= !isnan(r->entries[i].lo) || !isnan(r->entries[i].hi);
    if (intervals) {
        ev_sentence_add(out, &(struct ev_sentence){"Confidence intervals are at the {0} level.", {str_of(level)}}, language);
        buf_addz(out, space);
    }
    ev_sentence_add(out, &(struct ev_sentence){"The computation was done with Gantry {0}.", {str_of(EV_VERSION)}}, language);
    buf_addc(out, '\n');
    if (r->source_count) buf_addf(out, "\n%s\n\n", ev_term("Sources", language));
    for (unsigned i = 0; i < r->source_count; i++) buf_addf(out, "%u. %s\n", i + 1, r->sources[i]);
}
