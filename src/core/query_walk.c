// Candidates, newest first, by one statement for many months. Of several keys: some days of the newest month first, which a common key fills, whatever the
// archive's size; then all months, or, where several sets are cut with each other, as many as take little time.
#include "core/query_walk.h"

#include "base/buf.h"
#include "base/clock.h"

enum {
    RANGES_MAX = 4,      // of a probe
    PROBES_MAX = 4,      // of a statement
    CHUNK_GROWTH = 4,    // from one statement to the next
    CHUNK_MAX = 8192,    //
    SPAN_MAX = 256,      // months of one statement that cuts sets
    QUICK_US = 500,      // it takes more months the next time, or
    SLOW_US = 3000,      // fewer
    ONE_IN = 16,         // so many studies of the days that are read first are expected to be found
    ONE_IN_CUT = 256,    // likewise where sets are cut
    KEYS_OF_A_STUDY = 2, // of a range, in a count
    DAYS = 31,           // of a month
    SQL_BYTES = 16384,   //
    ESTIMATE_KEYS = 6,   // first parameter of the keys of an estimate
};

static bool is_even(const struct qprobe *p) {
    for (unsigned i = 1; i < p->count; i++)
        if (!p->ranges[i].hi.p != !p->ranges[0].hi.p) return false;
    return p->count <= RANGES_MAX;
}

bool qwalk_can(const struct qstream *s, const struct db *d) {
    bool even = is_even(&s->probe) && s->also_count < PROBES_MAX;
    for (unsigned i = 0; i < s->also_count; i++) even &= is_even(&s->also[i]);
    return even && db_engine_of(d) == DB_POSTGRES;
}

// ---- the statement ----

// How much one statement reads, down from the stream's place.
enum reach {
    REACH_ALL,   // all months
    REACH_DAYS,  // the last days of the newest month
    REACH_MONTHS // some months
};

// The first parameter of the keys.
static const int KEYS[] = {[REACH_ALL] = 7, [REACH_DAYS] = 9, [REACH_MONTHS] = 8};

static void put_range(struct buf *sql, const struct qkey_range *r, const char *bounds, unsigned *parameter) {
    buf_addf(sql, "SELECT k.at, k.study FROM study_keys k WHERE k.month = m.month AND k.key %s ?%u", r->hi.p ? ">=" : "=", *parameter);
    ++*parameter;
    if (r->hi.p) buf_addf(sql, " AND k.key < ?%u", (*parameter)++);
    buf_addz(sql, bounds);
}

static void put_probe(struct buf *sql, const struct qprobe *p, const char *bounds, unsigned *parameter) {
    for (unsigned i = 0; i < p->count; i++) {
        buf_addz(sql, i ? " UNION ALL " : "");
        put_range(sql, &p->ranges[i], bounds, parameter);
    }
}

// The months, newest first, and the oldest second of each that is read.
static void put_months(struct buf *sql, enum reach reach) {
    // The first second of a bucket (query_month), which is a month from 1970 to 2100.
#define FIRST_SECOND "CASE WHEN month < 190000 THEN month ELSE month * 100000000 END"
    static const char *const oldest[] = {
        [REACH_ALL] = "CAST(?3 AS BIGINT)",
        // A month of studies / (?8 / 31) has what is wanted in a day.
        [REACH_DAYS] = "greatest(?3, CASE WHEN month < 197001 OR month > 210012 THEN " FIRST_SECOND
                       " ELSE (month * 100 + greatest(1, least(31, CASE WHEN CAST(?4 AS BIGINT) / 100000000 = month THEN CAST(?4 AS BIGINT) / 1000000 % 100"
                       " ELSE 31 END) - ?8 / studies)) * 1000000 END)",
        [REACH_MONTHS] = "greatest(?3, " FIRST_SECOND ")",
    };
    buf_addf(sql, "(SELECT month, %s AS oldest FROM study_months WHERE month BETWEEN ?1 AND ?2 AND studies > 0 ORDER BY month DESC%s) m", oldest[reach],
             reach == REACH_ALL ? "" : " LIMIT ?7");
}

// A study of probe that is in each other set too: these are hashed. IS TRUE keeps a join from being made of them, which would go along an index.
static void put_sets(struct buf *sql, const struct qstream *s, enum reach reach) {
    static const char bounds[] = " AND k.at >= m.oldest AND (k.at, k.study) < (?4, ?5)";
    unsigned parameter = (unsigned)KEYS[reach];
    buf_addz(sql, "(");
    put_probe(sql, &s->probe, bounds, &parameter);
    buf_addz(sql, ") u");
    for (unsigned i = 0; i < s->also_count; i++) {
        buf_addz(sql, i ? " AND (u.study IN (SELECT v.study FROM (" : " WHERE (u.study IN (SELECT v.study FROM (");
        put_probe(sql, &s->also[i], bounds, &parameter);
        buf_addz(sql, ") v)) IS TRUE");
    }
}

// Else a study may be there several times.
static bool is_one_key(const struct qstream *s) {
    return s->probe.count == 1 && !s->probe.ranges[0].hi.p;
}

// A nested loop over the months in their order: what stands in LATERAL is read month by month, and no further than the limit. LEFT: a month in which
// nothing is found has a row too, which tells how far was read.
// The limit inside is the one outside: what is left of a month is in no other statement than the next.
static void put_walk(struct buf *sql, const struct qstream *s, enum reach reach, bool carry) {
    const char *join = reach == REACH_ALL ? "JOIN" : "LEFT JOIN";
    buf_addf(sql, "SELECT q.at, q.study, m.oldest%s%s FROM ", carry ? ", " : "", carry ? s->carry->columns : "");
    put_months(sql, reach);
    buf_addf(sql, " %s LATERAL (SELECT%s u.at, u.study FROM ", join, is_one_key(s) ? "" : " DISTINCT");
    put_sets(sql, s, reach);
    buf_addz(sql, " ORDER BY u.at DESC, u.study DESC LIMIT ?6) q ON true");
    if (carry) buf_addz(sql, " LEFT JOIN studies ON id = q.study");
    buf_addz(sql, " LIMIT ?6");
}

static void bind_probe(struct db_stmt *q, const struct qprobe *p, int *parameter) {
    for (unsigned i = 0; i < p->count; i++) {
        db_bind_text(q, (*parameter)++, p->ranges[i].lo);
        if (p->ranges[i].hi.p) db_bind_text(q, (*parameter)++, p->ranges[i].hi);
    }
}

struct part {
    enum reach reach;
    bool carry;
    int64_t limit, span;
};

static void bind_part(const struct qstream *s, struct db_stmt *q, const struct part *p) {
    const int64_t numbers[] = {query_month(s->at_from),
                               query_month(s->after.at),
                               s->at_from,
                               s->after.at,
                               s->after.study,
                               p->reach == REACH_ALL ? p->limit : p->limit + p->span, // a month of which nothing was found is a row
                               p->span,
                               p->limit * DAYS * (s->also_count ? ONE_IN_CUT : ONE_IN)};
    for (int i = 1; i < KEYS[p->reach]; i++) db_bind_int(q, i, numbers[i - 1]);
    int parameter = KEYS[p->reach];
    bind_probe(q, &s->probe, &parameter);
    for (unsigned i = 0; i < s->also_count; i++) bind_probe(q, &s->also[i], &parameter);
}

static struct db_stmt *walk_statement(const struct qstream *s, struct db *d, const struct part *p, struct err *e) {
    struct buf sql;
    buf_init(&sql, SQL_BYTES);
    put_walk(&sql, s, p->reach, p->carry);
    buf_addc(&sql, '\0');
    struct db_stmt *q = buf_ok(&sql, e) ? db_prepare(d, sql.p, e) : NULL;
    buf_deinit(&sql);
    if (!q) return NULL;
    bind_part(s, q, p);
    return q;
}

// What a statement gave: places, months (0 when all were to be read), and the oldest second that was read.
struct got {
    int64_t places, months, oldest;
};

static bool push_row(struct qstream *s, struct db_stmt *q, bool carry, struct got *got, struct err *e) {
    enum { COLUMNS = 3 }; // before those that are carried
    struct qplace p = {db_int(q, 0), db_int(q, 1)}, last = s->place_count ? s->places[s->place_count - 1] : s->after;
    int64_t oldest = db_int(q, 2);
    if (got->months == 0 || oldest != got->oldest) got->months++;
    got->oldest = oldest;
    if (db_is_null(q, 1)) return true;
    got->places++;
    if (p.at > last.at || (p.at == last.at && p.study >= last.study))
        return err_set(e, ERR_INTERNAL, "query", "keys came out of order: the server's plan is not the one that was asked for");
    return qstream_push(s, p, e) && (!carry || s->carry->take(s->carry->ctx, q, COLUMNS, p.study, e));
}

static bool read_part(struct qstream *s, struct db *d, const struct part *p, struct got *got, struct err *e) {
    struct db_stmt *q = walk_statement(s, d, p, e);
    enum db_step step = DB_FAIL;
    bool ok = q;
    *got = (struct got){0};
    while (ok && (step = db_next(q, e)) == DB_ROW) ok = push_row(s, q, p->carry, got, e);
    db_done(q);
    return ok && step == DB_END;
}

// ---- the next places ----

static void pace(struct qstream *s, int64_t us) {
    s->span = us < QUICK_US ? s->span * 2 : us < SLOW_US ? s->span : (s->span + 1) / 2;
    if (s->span > SPAN_MAX) s->span = SPAN_MAX;
}

static struct part next_part(struct qstream *s, unsigned max) {
    if (s->chunk == 0) s->days = !qstream_is_ordered(s), s->span = 1;
    struct part p = {.limit = s->chunk < max ? max : s->chunk, .span = 1};
    p.reach = s->days ? REACH_DAYS : s->also_count ? REACH_MONTHS : REACH_ALL;
    if (p.reach == REACH_MONTHS) p.span = (int64_t)s->span;
    int64_t most = p.reach == REACH_MONTHS ? p.limit + p.span : p.limit; // rows
    p.carry = s->carry && most <= s->carry->room;
    return p;
}

bool qwalk_fill(struct qstream *s, struct db *d, unsigned max, struct err *e) {
    struct part p = next_part(s, max);
    struct got got;
    int64_t start = clock_mono_us();
    if (!read_part(s, d, &p, &got, e)) return false;
    bool all_read = got.places < p.limit;
    s->chunk = all_read ? p.limit : p.limit * CHUNK_GROWTH < CHUNK_MAX ? p.limit * CHUNK_GROWTH : CHUNK_MAX;
    if (p.reach == REACH_DAYS) s->days = !all_read;
    if (p.reach == REACH_MONTHS) pace(s, clock_mono_us() - start);
    s->ended = all_read && (p.reach == REACH_ALL || got.months < p.span || got.oldest <= s->at_from);
    if (s->place_count == 0 && !s->ended) s->after = (struct qplace){got.oldest - 1, INT64_MAX};
    return true;
}

// ---- counts ----

// (how many, rows that were looked at, the oldest second that was read, months)
static const char *const COUNTS[] = {
    // A study may have several keys of a range: so many rows are looked at, in whatever order, which costs the same in an archive of any size.
    [REACH_ALL] = "SELECT count(*), CAST(coalesce(sum(x.n), 0) AS BIGINT), 0, 0 FROM (SELECT count(*) AS n FROM (SELECT q.study FROM ",
    [REACH_MONTHS] = "SELECT count(x.study), 0, min(x.oldest), count(DISTINCT x.oldest) FROM (SELECT q.study, m.oldest FROM ",
};

static struct db_stmt *count_statement(const struct qstream *s, struct db *d, const struct part *p, struct err *e) {
    struct buf sql;
    bool all = p->reach == REACH_ALL, plain = all && is_one_key(s);
    buf_init(&sql, SQL_BYTES);
    buf_addz(&sql, plain ? "SELECT count(*), count(*), 0, 0 FROM (SELECT q.study FROM " : COUNTS[p->reach]);
    put_months(&sql, p->reach);
    buf_addf(&sql, " %s LATERAL (SELECT%s u.study FROM ", all ? "JOIN" : "LEFT JOIN", all || is_one_key(s) ? "" : " DISTINCT");
    put_sets(&sql, s, p->reach);
    buf_addf(&sql, " LIMIT ?6) q ON true LIMIT ?6) x%s", all && !plain ? " GROUP BY x.study) x" : "");
    buf_addc(&sql, '\0');
    struct db_stmt *q = buf_ok(&sql, e) ? db_prepare(d, sql.p, e) : NULL;
    buf_deinit(&sql);
    if (q) bind_part(s, q, p);
    return q;
}

// Of one set: *n of max, by so many rows of it; more of them when they were too few to tell.
static bool count_rows(struct qstream *s, struct db *d, uint64_t max, uint64_t *n, struct err *e) {
    struct part p = {.reach = REACH_ALL, .limit = (int64_t)max * (is_one_key(s) ? 1 : s->count_by)};
    struct db_stmt *q = count_statement(s, d, &p, e);
    bool ok = q && db_next(q, e) == DB_ROW;
    *n = ok ? (uint64_t)db_int(q, 0) : 0;
    s->ended = ok && db_int(q, 1) < p.limit;
    s->count_by *= CHUNK_GROWTH;
    db_done(q);
    return ok;
}

// Of sets that are cut: in some months more; *n grows.
static bool count_months(struct qstream *s, struct db *d, uint64_t max, uint64_t *n, struct err *e) {
    struct part p = {.reach = REACH_MONTHS, .limit = (int64_t)(max - *n), .span = (int64_t)s->span};
    int64_t start = clock_mono_us(), found, oldest;
    struct db_stmt *q = count_statement(s, d, &p, e);
    bool ok = q && db_next(q, e) == DB_ROW;
    if (ok) {
        found = db_int(q, 0);
        oldest = db_int(q, 2);
        *n += (uint64_t)found;
        s->ended = found < p.limit && (db_int(q, 3) < p.span || oldest <= s->at_from);
        s->after = (struct qplace){oldest - 1, INT64_MAX};
    }
    db_done(q);
    pace(s, clock_mono_us() - start);
    return ok;
}

bool qwalk_count(struct qstream *s, struct db *d, uint64_t max, int64_t until_us, uint64_t *n, bool *more, struct err *e) {
    uint64_t read = s->place_count - s->place, rest = 0;
    if (read > 0) s->after = s->places[s->place_count - 1];
    s->place = s->place_count = 0;
    s->count_by = KEYS_OF_A_STUDY;
    *n = read;
    while (*n < max && !s->ended) {
        if (!(s->also_count ? count_months(s, d, max - read, &rest, e) : count_rows(s, d, max - read, &rest, e))) return false;
        *n = read + rest;
        if (clock_mono_us() > until_us) break;
    }
    *more = !s->ended;
    return true;
}

// ---- estimates ----

static void put_estimate(struct buf *sql, const struct qprobe *p, unsigned *parameter) {
    buf_addz(
        sql,
        "(SELECT count(*) FROM (SELECT 1 FROM (SELECT month FROM study_months WHERE month BETWEEN ?1 AND ?2 AND studies > 0 ORDER BY month DESC LIMIT 3) m,"
        " LATERAL (");
    put_probe(sql, p, " AND k.at BETWEEN ?4 AND ?5", parameter);
    buf_addz(sql, ") u LIMIT ?3) q)");
}

bool qwalk_estimate(struct db *d, const struct qprobe *probes, unsigned n, int64_t at_from, int64_t at_to, unsigned max, unsigned *counts, bool *done,
                    struct err *e) {
    struct buf sql;
    unsigned put = ESTIMATE_KEYS;
    int parameter = ESTIMATE_KEYS;
    *done = db_engine_of(d) == DB_POSTGRES && n <= PROBES_MAX;
    for (unsigned i = 0; i < n; i++) *done &= is_even(&probes[i]);
    if (!*done) return true;
    buf_init(&sql, SQL_BYTES);
    for (unsigned i = 0; i < n; i++) {
        buf_addz(&sql, i ? ", " : "SELECT ");
        put_estimate(&sql, &probes[i], &put);
    }
    buf_addc(&sql, '\0');
    struct db_stmt *q = buf_ok(&sql, e) ? db_prepare(d, sql.p, e) : NULL;
    buf_deinit(&sql);
    if (!q) return false;
    const int64_t numbers[] = {query_month(at_from), query_month(at_to), max, at_from, at_to};
    for (int i = 0; i < ESTIMATE_KEYS - 1; i++) db_bind_int(q, i + 1, numbers[i]);
    for (unsigned i = 0; i < n; i++) bind_probe(q, &probes[i], &parameter);
    bool ok = db_next(q, e) == DB_ROW;
    for (unsigned i = 0; i < n && ok; i++) counts[i] = (unsigned)db_int(q, (int)i);
    db_done(q);
    return ok;
}
