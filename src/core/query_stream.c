// Candidates, newest first: a few months of keys at a time, so that a page of common keys and a search for rare ones cost alike.
#include "core/query_stream.h"

#include <stdlib.h>

#include "base/buf.h"
#include "core/query_walk.h"
#include "core/scope.h"

enum {
    STREAM_BYTES_MAX = 48 * 1024 * 1024,
    READ_AHEAD = 64,
    RANGES_MAX = 4,  // of one statement
    SPAN_MAX = 256,  // months of one statement
    SPAN_GROWTH = 4, // from one statement to the next
    SPAN_ROWS = 256, // that a statement of several months should find
    SQL_BYTES = 2048
};

// Greater than every character: the end of a prefix's range.
#define LAST_CHARACTER "\xF4\x8F\xBF\xBF"

// One key of one month: its part of the table is in the order of answers.
static const char ordered_sql[] = "SELECT at, study FROM study_keys WHERE month = ?1 AND key = ?2 AND at >= ?3 AND (at, study) < (?4, ?5)"
                                  " ORDER BY at DESC, study DESC LIMIT ?6";
// Of several months, from ?2 back to ?1.
#define MONTHS_JOIN "SELECT k.at, k.study FROM study_months m {join} study_keys k ON k.month = m.month AND "
#define MONTHS_WHERE " WHERE m.month BETWEEN ?1 AND ?2 AND m.studies > 0"
#define BOUNDS " AND k.at >= ?3 AND (k.at, k.study) < (?4, ?5)"
static const char ordered_months_sql[] = MONTHS_JOIN "k.key = ?6" MONTHS_WHERE BOUNDS " ORDER BY m.month DESC, k.at DESC, k.study DESC LIMIT ?7";

// All of some ranges: whole keys (bounded by time) or beginnings (which push bounds: most months lie wholly inside), of one month or of several.
enum form { FORM_WHOLE = 1, FORM_MONTHS = 2 };

static void put_keys(struct buf *sql, unsigned form, unsigned at) {
    if (form & FORM_WHOLE)
        buf_addf(sql, "k.key = ?%u", at);
    else
        buf_addf(sql, "k.key >= ?%u AND k.key < ?%u", at, at + 1);
}

static void bind_keys(struct db_stmt *q, unsigned form, int at, const struct qkey_range *r, unsigned n) {
    for (unsigned i = 0; i < n; i++) {
        db_bind_text(q, at++, r[i].lo);
        if (!(form & FORM_WHOLE)) db_bind_text(q, at++, r[i].hi);
    }
}

static void put_form(struct buf *sql, unsigned form, unsigned ranges) {
    for (unsigned i = 0; i < ranges; i++) {
        unsigned at = form & FORM_WHOLE ? 6 + i : 3 + 2 * i;
        buf_addz(sql, i ? " UNION ALL " : "");
        buf_addz(sql, form & FORM_MONTHS ? MONTHS_JOIN : "SELECT k.at, k.study FROM study_keys k WHERE k.month = ?1 AND ");
        put_keys(sql, form, at);
        buf_addz(sql, form & FORM_MONTHS ? MONTHS_WHERE : " AND k.month = ?2");
        buf_addz(sql, form & FORM_WHOLE ? BOUNDS : "");
    }
}

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

bool qstream_push(struct qstream *s, struct qplace p, struct err *e) {
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

bool qstream_list(struct qstream *s, struct db *d, const char *sql, const struct str *values, unsigned count, size_t max, bool *whole, struct err *e) {
    *whole = true;
    for (unsigned i = 0; i < count && *whole; i++) {
        struct db_stmt *q = db_prepare(d, sql, e);
        if (!q) return false;
        db_bind_text(q, 1, values[i]);
        enum db_step step;
        size_t n = 0;
        bool ok = true;
        for (; ok && (step = db_next(q, e)) != DB_END; n++)
            ok = step == DB_ROW && qstream_push(s, (struct qplace){query_at(db_text(q, 1), db_text(q, 2)), db_int(q, 0)}, e);
        db_done(q);
        if (!ok) return false;
        *whole = n <= max;
    }
    if (!*whole) s->place_count = 0;
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

// How many of the ranges from the first on are of its form, and go into one statement.
static unsigned alike(const struct qkey_range *r, unsigned count) {
    unsigned n = 1;
    while (n < count && n < RANGES_MAX && !r[n].hi.p == !r[0].hi.p) n++;
    return n;
}

// The months that are read at once, the newest first.
static size_t span_of(const struct qstream *s) {
    size_t left = s->month_count - s->month, span = s->span ? s->span : 1;
    return span < left ? span : left;
}

static void bind_bounds(struct db_stmt *q, int64_t at_from, struct qplace after) {
    db_bind_int(q, 3, at_from);
    db_bind_int(q, 4, after.at);
    db_bind_int(q, 5, after.study);
}

// All rows of the ranges in these months.
static struct db_stmt *ranges_statement(struct db *d, int64_t first, int64_t last, const struct qkey_range *r, unsigned n, int64_t at_from, struct qplace after,
                                        struct err *e) {
    struct buf sql;
    unsigned form = (r->hi.p ? 0 : FORM_WHOLE) | (first == last ? 0 : FORM_MONTHS);
    buf_init(&sql, SQL_BYTES);
    put_form(&sql, form, n);
    buf_addc(&sql, '\0');
    struct db_stmt *q = buf_ok(&sql, e) ? db_prepare(d, sql.p, e) : NULL;
    buf_deinit(&sql);
    if (!q) return NULL;
    db_bind_int(q, 1, first);
    db_bind_int(q, 2, last);
    if (form & FORM_WHOLE) bind_bounds(q, at_from, after);
    bind_keys(q, form, form & FORM_WHOLE ? 6 : 3, r, n);
    return q;
}

static struct db_stmt *span_statement(const struct qstream *s, struct db *d, const struct qkey_range *r, unsigned n, struct err *e) {
    return ranges_statement(d, s->months[s->month + span_of(s) - 1], s->months[s->month], r, n, s->at_from, s->after, e);
}

// The rows that the statement gives, added to places.
static bool push_rows(struct qstream *s, struct db_stmt *q, struct err *e) {
    enum db_step step;
    bool ok = q;
    while (ok && (step = db_next(q, e)) != DB_END) ok = step == DB_ROW && qstream_push(s, (struct qplace){db_int(q, 0), db_int(q, 1)}, e);
    db_done(q);
    return ok;
}

// The next of one key, at most max, in order.
static struct db_stmt *ordered_statement(const struct qstream *s, struct db *d, int64_t max, struct err *e) {
    size_t span = span_of(s);
    struct db_stmt *q = db_prepare(d, span > 1 ? ordered_months_sql : ordered_sql, e);
    if (!q) return NULL;
    db_bind_int(q, 1, s->months[s->month + span - 1]);
    if (span > 1) db_bind_int(q, 2, s->months[s->month]);
    bind_bounds(q, s->at_from, s->after);
    db_bind_text(q, span > 1 ? 6 : 2, s->probe.ranges[0].lo);
    db_bind_int(q, span > 1 ? 7 : 6, max);
    return q;
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

static bool mark_ranges(struct qstream *s, struct db *d, const struct qkey_range *r, unsigned n, bool *marks, struct err *e) {
    struct db_stmt *q = span_statement(s, d, r, n, e);
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
    for (unsigned i = 0, n; i < p->count && ok; i += n) ok = mark_ranges(s, d, &p->ranges[i], n = alike(&p->ranges[i], p->count - i), marks, e);
    for (size_t i = 0; i < s->place_count && ok; i++)
        if (marks[i]) s->places[kept++] = s->places[i];
    s->place_count = kept;
    arena_rewind(&s->arena, before);
    return ok;
}

// The months' places of probe and of all that must be there too. *rows: how many the probe alone has.
static bool collect(struct qstream *s, struct db *d, size_t *rows, struct err *e) {
    for (unsigned i = 0, n; i < s->probe.count; i += n) {
        n = alike(&s->probe.ranges[i], s->probe.count - i);
        if (!push_rows(s, span_statement(s, d, &s->probe.ranges[i], n, e), e)) return false;
    }
    *rows = s->place_count;
    settle(s);
    for (unsigned i = 0; i < s->also_count && s->place_count > 0; i++)
        if (!intersect(s, d, &s->also[i], e)) return false;
    return true;
}

// Many months had few rows: the next statement takes more of them, and the other way round.
static void pace(struct qstream *s, size_t span, size_t rows) {
    size_t wanted = span * SPAN_ROWS / (rows + 1), most = span * SPAN_GROWTH;
    s->span = wanted < 1 ? 1 : wanted < most ? wanted : most;
    if (s->span > SPAN_MAX) s->span = SPAN_MAX;
}

// One key alone lies in order already and is read in parts: the next one begins in the month in which this one ends.
static bool fill_ordered(struct qstream *s, struct db *d, unsigned max, struct err *e) {
    size_t end = s->month + span_of(s);
    if (!push_rows(s, ordered_statement(s, d, (int64_t)max, e), e)) return false;
    pace(s, end - s->month, s->place_count);
    if (s->place_count < max)
        s->month = end;
    else
        while (s->month + 1 < end && s->months[s->month] > query_month(s->places[s->place_count - 1].at)) s->month++;
    return true;
}

static bool fill_months(struct qstream *s, struct db *d, struct err *e) {
    size_t span = span_of(s), rows;
    if (!collect(s, d, &rows, e)) return false;
    s->month += span;
    pace(s, span, rows);
    return true;
}

bool qstream_is_ordered(const struct qstream *s) {
    return s->probe.count == 1 && !s->probe.ranges[0].hi.p && s->also_count == 0;
}

static bool is_at_end(const struct qstream *s) {
    return s->at_once ? s->ended : s->month == s->month_count;
}

// Fills places from the current month on.
static bool fill(struct qstream *s, struct db *d, unsigned max, struct err *e) {
    bool ordered = qstream_is_ordered(s);
    if (max < READ_AHEAD && !s->at_once) max = READ_AHEAD;
    while (s->place == s->place_count && !is_at_end(s)) {
        s->place = s->place_count = 0;
        if (!(s->at_once ? qwalk_fill(s, d, max, e) : ordered ? fill_ordered(s, d, max, e) : fill_months(s, d, e))) return false;
    }
    return true;
}

static bool start(struct qstream *s, struct db *d, struct err *e) {
    s->at_once = qwalk_can(s, d);
    s->started = true;
    return s->at_once || read_months(d, &s->arena, query_month(s->at_from), query_month(s->after.at), &s->months, &s->month_count, e);
}

bool qprobe_of_scope(struct arena *a, const struct scope *s, struct qprobe *out, struct err *e) {
    *out = (struct qprobe){.ranges = arena_zero(a, s->count + 1, sizeof *out->ranges, e)};
    if (!out->ranges) return false;
    for (unsigned i = 0; i < s->count; i++)
        if (!query_scope_key(a, s->list[i], &out->ranges[out->count++].lo, e)) return false;
    return true;
}

static bool take_places(struct qstream *s, struct db *d, struct qplace *out, unsigned max, unsigned *n, struct err *e) {
    *n = 0;
    while (*n < max) {
        if (s->probe.count > 0 && s->place == s->place_count && !fill(s, d, max, e)) return false;
        if (s->place == s->place_count) break;
        out[(*n)++] = s->after = s->places[s->place++];
    }
    return true;
}

bool qstream_next(struct qstream *s, struct db *d, struct qplace *out, unsigned max, unsigned *n, struct err *e) {
    bool asked = false;
    if (s->probe.count > 0 && !s->started && !start(s, d, e)) return false;
    if (!s->scope) return take_places(s, d, out, max, n, e);
    *n = 0;
    while (*n < max) {
        unsigned got, kept;
        if (!take_places(s, d, out + *n, max - *n, &got, e)) return false;
        if (got == 0 && asked) break;
        kept = got;
        if (!scope_keep(s->scope, d, out + *n, &kept, e)) return false;
        *n += kept;
        asked = true;
        if (got == 0) break;
    }
    return true;
}

#define NEWEST "(SELECT month FROM study_months WHERE month BETWEEN ?1 AND ?2 AND studies > 0 ORDER BY month DESC LIMIT 3) m"

// Counts rows of some ranges in the newest months, up to ?3.
static void put_estimate(struct buf *sql, unsigned form, unsigned ranges) {
    buf_addz(sql, "SELECT count(*) FROM (");
    for (unsigned i = 0; i < ranges; i++) {
        buf_addz(sql, i ? " UNION ALL " : "");
        buf_addz(sql, "SELECT 1 AS one FROM " NEWEST " {join} study_keys k ON k.month = m.month AND ");
        put_keys(sql, form, form & FORM_WHOLE ? 6 + i : 4 + 2 * i);
        buf_addz(sql, form & FORM_WHOLE ? " AND k.at BETWEEN ?4 AND ?5" : "");
    }
    buf_addz(sql, " LIMIT ?3) q");
}

static bool estimate(struct db *d, const struct qkey_range *r, unsigned n, int64_t at_from, int64_t at_to, unsigned max, unsigned *out, struct err *e) {
    struct buf sql;
    unsigned form = r->hi.p ? 0 : FORM_WHOLE;
    buf_init(&sql, SQL_BYTES);
    put_estimate(&sql, form, n);
    buf_addc(&sql, '\0');
    struct db_stmt *q = buf_ok(&sql, e) ? db_prepare(d, sql.p, e) : NULL;
    buf_deinit(&sql);
    if (!q) return false;
    db_bind_int(q, 1, query_month(at_from));
    db_bind_int(q, 2, query_month(at_to));
    db_bind_int(q, 3, max);
    if (form & FORM_WHOLE) db_bind_int(q, 4, at_from), db_bind_int(q, 5, at_to);
    bind_keys(q, form, form & FORM_WHOLE ? 6 : 4, r, n);
    bool ok = db_next(q, e) == DB_ROW;
    if (ok) *out += (unsigned)db_int(q, 0);
    db_done(q);
    return ok;
}

static bool estimate_one(struct db *d, const struct qprobe *p, int64_t at_from, int64_t at_to, unsigned max, unsigned *out, struct err *e) {
    *out = 0;
    for (unsigned i = 0, n; i < p->count && *out < max; i += n) {
        n = alike(&p->ranges[i], p->count - i);
        if (!estimate(d, &p->ranges[i], n, at_from, at_to, max - *out, out, e)) return false;
    }
    return true;
}

bool qprobe_estimate(struct db *d, const struct qprobe *p, unsigned n, int64_t at_from, int64_t at_to, unsigned max, unsigned *counts, struct err *e) {
    bool done;
    if (!qwalk_estimate(d, p, n, at_from, at_to, max, counts, &done, e)) return false;
    for (unsigned i = 0; i < n && !done; i++)
        if (!estimate_one(d, &p[i], at_from, at_to, max, &counts[i], e)) return false;
    return true;
}
