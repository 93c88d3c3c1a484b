// Candidates, newest first: a month of keys at a time, so that a page of common keys and a search for rare ones cost alike.
#include "core/query_stream.h"

#include <stdlib.h>

enum { STREAM_BYTES_MAX = 48 * 1024 * 1024, ESTIMATE_MONTHS = 3, READ_AHEAD = 64 };

// Greater than every character: the end of a prefix's range.
#define LAST_CHARACTER "\xF4\x8F\xBF\xBF"

static const char exact_sql[] = "SELECT at, study FROM study_keys WHERE month = ?1 AND key = ?2 AND at >= ?3 AND (at, study) < (?4, ?5)"
                                " ORDER BY at DESC, study DESC LIMIT ?6";
// Bounds within the month are left to push: most months lie wholly inside.
static const char range_sql[] = "SELECT at, study FROM study_keys WHERE month = ?1 AND key >= ?2 AND key < ?3";
static const char few_sql[] = "SELECT at, study FROM study_keys WHERE month = ?1 AND key >= ?2 AND key < ?3 LIMIT ?4";

bool qkey_prefix(struct arena *a, struct str prefix, struct qkey_range *out, struct err *e) {
    *out = (struct qkey_range){.lo = prefix};
    char *hi = arena_printf(a, e, "%.*s" LAST_CHARACTER, STR_FMT(prefix));
    if (!hi) return false;
    out->hi = str_of(hi);
    return true;
}

void qstream_init(struct qstream *s, int64_t at_from, int64_t at_to, struct qplace after) {
    *s = (struct qstream){.at_from = at_from, .after = after};
    if (at_to < after.at) s->after = (struct qplace){at_to, INT64_MAX};
    arena_init(&s->arena, STREAM_BYTES_MAX);
}

void qstream_deinit(struct qstream *s) {
    arena_deinit(&s->arena);
}

static bool comes_before(struct qplace a, struct qplace b) {
    return a.at != b.at ? a.at > b.at : a.study > b.study;
}

static int compare(const void *x, const void *y) {
    const struct qplace *a = x, *b = y;
    return comes_before(*a, *b) ? -1 : comes_before(*b, *a);
}

static bool push(struct qstream *s, struct qplace p, struct err *e) {
    if (p.at < s->at_from || !comes_before(s->after, p)) return true;
    if (s->place_count == s->place_cap) {
        size_t more = s->place_cap ? s->place_cap * 2 : 256;
        struct qplace *grown = arena_grow(&s->arena, s->places, s->place_cap * sizeof *grown, more * sizeof *grown, e);
        if (!grown) return false;
        s->places = grown;
        s->place_cap = more;
    }
    s->places[s->place_count++] = p;
    return true;
}

// Orders what was collected, each once.
static void settle(struct qstream *s) {
    size_t kept = 0;
    if (s->place_count > 1) qsort(s->places, s->place_count, sizeof *s->places, compare);
    for (size_t i = 0; i < s->place_count; i++)
        if (kept == 0 || s->places[kept - 1].study != s->places[i].study) s->places[kept++] = s->places[i];
    s->place_count = kept;
    s->place = 0;
}

bool qstream_list(struct qstream *s, struct db *d, const char *sql, const struct str *values, unsigned count, struct err *e) {
    for (unsigned i = 0; i < count; i++) {
        struct db_stmt *q = db_prepare(d, sql, e);
        if (!q) return false;
        db_bind_text(q, 1, values[i]);
        enum db_step step;
        bool ok = true;
        while (ok && (step = db_next(q, e)) != DB_END) ok = step == DB_ROW && push(s, (struct qplace){query_at(db_text(q, 1), db_text(q, 2)), db_int(q, 0)}, e);
        db_done(q);
        if (!ok) return false;
    }
    settle(s);
    return true;
}

static bool read_months(struct db *d, struct arena *a, int64_t from, int64_t to, int64_t **out, size_t *count, struct err *e) {
    struct db_stmt *q = db_prepare(d, "SELECT month FROM study_months WHERE month BETWEEN ?1 AND ?2 AND studies > 0 ORDER BY month DESC", e);
    if (!q) return false;
    db_bind_int(q, 1, from);
    db_bind_int(q, 2, to);
    size_t cap = 0;
    bool ok = true;
    enum db_step step;
    while (ok && (step = db_next(q, e)) != DB_END) {
        ok = step == DB_ROW;
        if (ok && *count == cap) {
            size_t more = cap ? cap * 2 : 128;
            int64_t *grown = arena_grow(a, *out, cap * sizeof *grown, more * sizeof *grown, e);
            ok = grown;
            if (ok) *out = grown, cap = more;
        }
        if (ok) (*out)[(*count)++] = db_int(q, 0);
    }
    db_done(q);
    return ok;
}

// The rows of a range in a month, at most max (-1: all). Only those of one key alone are bounded by time, and in order.
static struct db_stmt *range_statement(struct db *d, int64_t month, const struct qkey_range *r, int64_t at_from, struct qplace after, int64_t max,
                                       struct err *e) {
    bool exact = !r->hi.p;
    struct db_stmt *q = db_prepare(d, exact ? exact_sql : max < 0 ? range_sql : few_sql, e);
    if (!q) return NULL;
    db_bind_int(q, 1, month);
    db_bind_text(q, 2, r->lo);
    if (!exact) {
        db_bind_text(q, 3, r->hi);
        if (max >= 0) db_bind_int(q, 4, max);
        return q;
    }
    db_bind_int(q, 3, at_from);
    db_bind_int(q, 4, after.at);
    db_bind_int(q, 5, after.study);
    db_bind_int(q, 6, max < 0 ? INT64_MAX : max);
    return q;
}

// The month's candidates of one range, added to places.
static bool collect(struct qstream *s, struct db *d, const struct qkey_range *r, int64_t max, struct err *e) {
    struct db_stmt *q = range_statement(d, s->months[s->month], r, s->at_from, s->after, max, e);
    if (!q) return false;
    enum db_step step;
    bool ok = true;
    while (ok && (step = db_next(q, e)) != DB_END) ok = step == DB_ROW && push(s, (struct qplace){db_int(q, 0), db_int(q, 1)}, e);
    db_done(q);
    return ok;
}

// Where p stands in places, which are in order; place_count when it does not.
static size_t find(const struct qstream *s, struct qplace p) {
    size_t from = 0, to = s->place_count;
    while (from < to) {
        size_t middle = from + (to - from) / 2;
        if (comes_before(s->places[middle], p))
            from = middle + 1;
        else
            to = middle;
    }
    return from < s->place_count && s->places[from].study == p.study ? from : s->place_count;
}

static bool mark_range(struct qstream *s, struct db *d, const struct qkey_range *r, bool *marks, struct err *e) {
    struct db_stmt *q = range_statement(d, s->months[s->month], r, s->at_from, s->after, -1, e);
    if (!q) return false;
    enum db_step step;
    while ((step = db_next(q, e)) == DB_ROW) marks[find(s, (struct qplace){db_int(q, 0), db_int(q, 1)})] = true;
    db_done(q);
    return step == DB_END;
}

// Keeps of places what p has too.
static bool intersect(struct qstream *s, struct db *d, const struct qprobe *p, struct err *e) {
    struct arena_mark before = arena_mark(&s->arena);
    bool *marks = arena_zero(&s->arena, s->place_count + 1, sizeof *marks, e); // the last is for those that are not there
    bool ok = marks;
    size_t kept = 0;
    for (unsigned i = 0; i < p->count && ok; i++) ok = mark_range(s, d, &p->ranges[i], marks, e);
    for (size_t i = 0; i < s->place_count && ok; i++)
        if (marks[i]) s->places[kept++] = s->places[i];
    s->place_count = kept;
    arena_rewind(&s->arena, before);
    return ok;
}

// The month's places of probe and of all that must be there too.
static bool collect_month(struct qstream *s, struct db *d, struct err *e) {
    for (unsigned i = 0; i < s->probe.count; i++)
        if (!collect(s, d, &s->probe.ranges[i], -1, e)) return false;
    settle(s);
    for (unsigned i = 0; i < s->also_count && s->place_count > 0; i++)
        if (!intersect(s, d, &s->also[i], e)) return false;
    return true;
}

// Fills places from the current month on. One key alone lies in order already and is read in parts.
static bool fill(struct qstream *s, struct db *d, unsigned max, struct err *e) {
    bool ordered = s->probe.count == 1 && !s->probe.ranges[0].hi.p && s->also_count == 0;
    if (max < READ_AHEAD) max = READ_AHEAD;
    while (s->place == s->place_count && s->month < s->month_count) {
        s->place = s->place_count = 0;
        if (!(ordered ? collect(s, d, &s->probe.ranges[0], (int64_t)max, e) : collect_month(s, d, e))) return false;
        if (!ordered || s->place_count < max) s->month++;
    }
    return true;
}

bool qstream_next(struct qstream *s, struct db *d, struct qplace *out, unsigned max, unsigned *n, struct err *e) {
    if (s->probe.count > 0 && !s->months_known) {
        if (!read_months(d, &s->arena, query_month(s->at_from), query_month(s->after.at), &s->months, &s->month_count, e)) return false;
        s->months_known = true;
    }
    *n = 0;
    while (*n < max) {
        if (s->probe.count > 0 && s->place == s->place_count && !fill(s, d, max, e)) return false;
        if (s->place == s->place_count) break;
        out[(*n)++] = s->after = s->places[s->place++];
    }
    return true;
}

bool qprobe_estimate(struct db *d, const struct qprobe *p, int64_t at_from, int64_t at_to, unsigned max, unsigned *out, struct err *e) {
    struct db_stmt *q = db_prepare(d, "SELECT month FROM study_months WHERE month BETWEEN ?1 AND ?2 AND studies > 0 ORDER BY month DESC LIMIT ?3", e);
    if (!q) return false;
    int64_t months[ESTIMATE_MONTHS];
    unsigned n = 0;
    enum db_step step;
    db_bind_int(q, 1, query_month(at_from));
    db_bind_int(q, 2, query_month(at_to));
    db_bind_int(q, 3, ESTIMATE_MONTHS);
    while ((step = db_next(q, e)) == DB_ROW && n < ESTIMATE_MONTHS) months[n++] = db_int(q, 0);
    db_done(q);
    if (step == DB_FAIL) return false;
    *out = 0;
    for (unsigned m = 0; m < n; m++)
        for (unsigned i = 0; i < p->count && *out < max; i++) {
            if (!(q = range_statement(d, months[m], &p->ranges[i], at_from, (struct qplace){at_to, INT64_MAX}, (int64_t)(max - *out), e))) return false;
            while ((step = db_next(q, e)) == DB_ROW) (*out)++;
            db_done(q);
            if (step == DB_FAIL) return false;
        }
    return true;
}
