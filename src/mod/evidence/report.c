// Reports: entries and sentences are gathered in an arena while an analysis tells its result.
#include "mod/evidence/report.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "mod/evidence/terms.h"

void ev_report_init(struct ev_report *r, struct arena *a, const char *title, double level) {
    *r = (struct ev_report){.arena = a, .title = title, .level = level};
}

// Room for one more of a list whose lengths double from 16.
static void *room(struct ev_report *r, void *list, unsigned count, size_t size) {
    if (r->failed) return NULL;
    if (count == 0 || (count >= 16 && (count & (count - 1)) == 0)) {
        size_t rooms = count ? (size_t)count * 2 : 16;
        void *grown = arena_alloc(r->arena, rooms * size, NULL);
        if (!grown) {
            r->failed = true;
            return NULL;
        }
        if (count) memcpy(grown, list, count * size);
        return grown;
    }
    return list;
}

static struct str formatted(struct ev_report *r, const char *format, va_list ap) {
    va_list again;
    va_copy(again, ap);
    int n = vsnprintf(NULL, 0, format, again);
    va_end(again);
    char *z = n < 0 ? NULL : arena_alloc(r->arena, (size_t)n + 1, NULL);
    if (!z) {
        r->failed = true;
        return (struct str){NULL, 0};
    }
    vsnprintf(z, (size_t)n + 1, format, ap);
    return (struct str){z, (size_t)n};
}

static struct ev_entry *add(struct ev_report *r, const char *name) {
    struct ev_entry *entries = room(r, r->entries, r->entry_count, sizeof *entries);
    if (!entries) return NULL;
    r->entries = entries;
    struct ev_entry *entry = &entries[r->entry_count++];
    *entry = (struct ev_entry){.group = r->group, .name = name, .value = NAN, .se = NAN, .lo = NAN, .hi = NAN};
    return entry;
}

void ev_report_group(struct ev_report *r, const char *format, ...) {
    va_list ap;
    va_start(ap, format);
    r->group = formatted(r, format, ap);
    va_end(ap);
}

void ev_report_in(struct ev_report *r, const char *name, double value, const char *unit) {
    struct ev_entry *entry = add(r, name);
    if (!entry) return;
    entry->value = value;
    entry->unit = unit;
}

void ev_report_value(struct ev_report *r, const char *name, double value) {
    ev_report_in(r, name, value, NULL);
}

void ev_report_text(struct ev_report *r, const char *name, const char *format, ...) {
    va_list ap;
    va_start(ap, format);
    struct str text = formatted(r, format, ap);
    va_end(ap);
    struct ev_entry *entry = add(r, name);
    if (entry) entry->text = text;
}

void ev_report_estimate(struct ev_report *r, const char *name, double value, double se, double lo, double hi) {
    struct ev_entry *entry = add(r, name);
    if (!entry) return;
    entry->value = value;
    entry->se = se;
    entry->lo = lo;
    entry->hi = hi;
}

void ev_report_none(struct ev_report *r, const char *name, const char *why) {
    struct ev_entry *entry = add(r, name);
    if (entry) entry->text = str_of(why);
}

static bool same_sentence(const struct ev_sentence *a, const struct ev_sentence *b) {
    bool same = strcmp(a->text, b->text) == 0;
    for (unsigned i = 0; same && i < 10; i++) same = str_eq(a->values[i], b->values[i]);
    return same;
}

// Once each: analyses of several parts say the same of all.
static void add_sentence(struct ev_report *r, struct ev_sentence **list, unsigned *count, const char *text, va_list ap) {
    struct ev_sentence added = {.text = text};
    const char *value;
    for (unsigned i = 0; i < 10 && (value = va_arg(ap, const char *)); i++) added.values[i] = str_of(value);
    for (unsigned i = 0; i < *count; i++)
        if (same_sentence(&(*list)[i], &added)) return;
    struct ev_sentence *sentences = room(r, *list, *count, sizeof *sentences);
    if (!sentences) return;
    *list = sentences;
    sentences[(*count)++] = added;
}

void ev_report_method(struct ev_report *r, const char *sentence, ...) {
    va_list ap;
    va_start(ap, sentence);
    add_sentence(r, &r->methods, &r->method_count, sentence, ap);
    va_end(ap);
}

void ev_report_warn(struct ev_report *r, const char *sentence, ...) {
    va_list ap;
    va_start(ap, sentence);
    add_sentence(r, &r->warnings, &r->warning_count, sentence, ap);
    va_end(ap);
}

void ev_report_source(struct ev_report *r, const char *source) {
    for (unsigned i = 0; i < r->source_count; i++)
        if (strcmp(r->sources[i], source) == 0) return;
    const char **sources = room(r, r->sources, r->source_count, sizeof *sources);
    if (!sources) return;
    r->sources = sources;
    r->sources[r->source_count++] = source;
}

bool ev_report_ok(const struct ev_report *r, struct err *e) {
    return !r->failed || err_nomem(e, "evidence");
}

static int by_key(const void *key, const void *row) {
    return strcmp(key, ((const struct ev_term_row *)row)->key);
}

const char *ev_term(const char *key, enum ev_language language) {
    if (language == EV_EN) return key;
    const struct ev_term_row *row = bsearch(key, EV_TERMS, EV_TERM_COUNT, sizeof *EV_TERMS, by_key);
    return row ? row->zh : key;
}
