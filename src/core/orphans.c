// The bucket against the index: volumes that no row knows are indexed (a put whose commit failed, a build that never counted), and rows whose volume
// is not there are told.
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "core/build.h"
#include "core/damage.h"
#include "core/index.h"

enum {
    ROUND = 1000,                 // volumes compared at a time
    UPLOAD_MS = 24 * 3600 * 1000, // longer than any put in parts takes
};

struct found {
    struct vol_info *p;
    size_t n, cap;
};

struct comparing {
    struct archive *ar;
    int64_t before_ms; // what is younger may be under way
    struct vol_info round[ROUND];
    size_t n;
    uint32_t last; // all up to here was compared
    uint32_t highest;
    bool unordered;
    struct found orphans, missing;
    struct found again, still; // of those that were told to be missing: there again, and still missing
};

static bool add(struct found *f, const struct vol_info *v, struct err *e) {
    if (f->n == f->cap) {
        size_t cap = f->cap ? 2 * f->cap : 64;
        struct vol_info *p = realloc(f->p, cap * sizeof *p);
        if (!p) return err_nomem(e, "merge");
        f->p = p;
        f->cap = cap;
    }
    f->p[f->n++] = *v;
    return true;
}

static int by_number(const void *a, const void *b) {
    const struct vol_info *x = a, *y = b;
    return (x->volume > y->volume) - (x->volume < y->volume);
}

// ---- comparing ----

// A row of the index beside what was listed up to its number.
static bool meet(struct comparing *c, size_t *i, const struct vol_info *row, bool told, struct err *e) {
    for (; *i < c->n && c->round[*i].volume < row->volume; ++*i)
        if (c->round[*i].created_ms < c->before_ms && !add(&c->orphans, &c->round[*i], e)) return false;
    bool there = *i < c->n && c->round[*i].volume == row->volume;
    *i += there;
    if (row->place != VOL_IN_BUCKET || row->removed || (there && !told)) return true;
    if (there) return add(&c->again, row, e);
    if (told) return add(&c->still, row, e);
    return c->unordered || row->created_ms >= c->before_ms || add(&c->missing, row, e);
}

static bool compare_rows(struct comparing *c, struct db *d, uint32_t to, size_t *i, struct err *e) {
    struct db_stmt *s = db_prepare(d,
                                   "SELECT volume, place, CASE WHEN removed_ms IS NULL THEN 0 ELSE 1 END, created_ms, CASE WHEN batch = " VOLUME_MISSING
                                   " THEN 1 ELSE 0 END FROM volumes WHERE volume > ?1 AND volume <= ?2 "
                                   "ORDER BY volume",
                                   e);
    enum db_step step = DB_FAIL;
    bool ok = s;
    if (s) {
        db_bind_int(s, 1, c->last);
        db_bind_int(s, 2, to);
    }
    while (ok && (step = db_next(s, e)) == DB_ROW) {
        const struct vol_info row = {
            .volume = (uint32_t)db_int(s, 0), .place = (enum vol_place)db_int(s, 1), .removed = db_int(s, 2), .created_ms = db_int(s, 3)};
        ok = meet(c, i, &row, db_int(s, 4) != 0, e);
    }
    db_done(s);
    return ok && step == DB_END;
}

// to: all numbers up to it were listed.
static bool compare(struct comparing *c, uint32_t to, struct err *e) {
    size_t i = 0;
    struct db *d = db_reader(c->ar->db, e);
    const struct vol_info end = {.volume = UINT32_MAX, .place = VOL_IN_INDEX};
    if (c->n) qsort(c->round, c->n, sizeof *c->round, by_number);
    bool ok = d && compare_rows(c, d, to, &i, e) && meet(c, &i, &end, true, e);
    db_return(c->ar->db, d);
    c->last = to;
    c->n = 0;
    return ok;
}

static bool is_known(struct comparing *c, uint32_t volume, bool *known, struct err *e) {
    struct build b = {.ar = c->ar};
    return build_is_there(&b, volume, known, e);
}

// A bucket lists names in their order, which is that of the numbers while they have eight digits.
static bool visit(void *ctx, const struct vol_info *v, struct err *e) {
    struct comparing *c = ctx;
    bool known;
    if (v->place != VOL_IN_BUCKET) return true;
    if (v->volume > c->highest && v->volume < VOL_NUMBER_BELIEVED) c->highest = v->volume;
    if (v->volume <= c->last) {
        c->unordered = true;
        return is_known(c, v->volume, &known, e) && (known || v->created_ms >= c->before_ms || add(&c->orphans, v, e));
    }
    c->round[c->n++] = *v;
    if (c->n < ROUND) return true;
    uint32_t to = 0;
    for (size_t i = 0; i < c->n; i++) to = c->round[i].volume > to ? c->round[i].volume : to;
    return compare(c, to, e);
}

// ---- what was found ----

// Its row comes first: whoever put it and is only slow fails now, and what it holds is indexed once. *ours false: they came first.
static bool claim(struct archive *ar, const struct vol_info *v, bool *ours, struct err *e) {
    struct db *w = db_writer(ar->db, e);
    bool ok = w && archive_begin(ar, w, e) &&
              sql_run(w, "INSERT INTO volumes (volume, indexed_end, finished, place, size, created_ms) VALUES (?1, 0, 0, ?2, ?3, ?4) ON CONFLICT DO NOTHING",
                      SQL_VALUES(SQL_I(v->volume), SQL_I(v->place), SQL_I(v->size), SQL_I(v->created_ms)), e);
    *ours = ok && db_changes(w) > 0;
    ok = ok && db_commit(w, e);
    if (w && !ok) db_rollback(w);
    db_return(ar->db, w);
    return ok;
}

// What the bucket has no more (removed after it was listed) holds nothing. One that cannot be read now is left for the next time: others do not wait for it.
static bool index_one(struct archive *ar, uint32_t volume, uint64_t *count, struct err *e) {
    struct err why = {0};
    *count = 0;
    if (!index_replay_volume(ar, volume, count, &why) && why.kind != ERR_NOT_FOUND) {
        bool passes = why.kind == ERR_BUSY || why.kind == ERR_CORRUPT || why.kind == ERR_TOO_LARGE;
        if (passes) return log_err(&why, "volume %u cannot be indexed now", volume), true;
        return *e = why, false;
    }
    return build_remove_empty(ar, volume, e);
}

static bool adopt(struct archive *ar, const struct vol_info *v, bool *ours, struct err *e) {
    uint64_t count = 0;
    if (!claim(ar, v, ours, e) || !*ours) return e->kind == ERR_NONE;
    if (!index_one(ar, v->volume, &count, e)) return false;
    log_line(LOG_WARN, "merge", "volume %u of the bucket was not known: %llu entries of it are now", v->volume, (unsigned long long)count);
    return true;
}

// Those whose indexing was begun and cut short.
static bool list_unfinished(struct archive *ar, struct found *f, struct err *e) {
    struct db *d = db_reader(ar->db, e);
    struct db_stmt *s = d ? db_prepare(d, "SELECT volume FROM volumes WHERE finished = 0 AND place = 1 AND removed_ms IS NULL", e) : NULL;
    enum db_step step = DB_FAIL;
    bool ok = s;
    while (ok && (step = db_next(s, e)) == DB_ROW) ok = add(f, &(struct vol_info){.volume = (uint32_t)db_int(s, 0)}, e);
    db_done(s);
    db_return(ar->db, d);
    return ok && step == DB_END;
}

static bool finish_unfinished(struct archive *ar, struct err *e) {
    struct found f = {0};
    uint64_t count;
    bool ok = list_unfinished(ar, &f, e);
    for (size_t i = 0; ok && i < f.n; i++) ok = index_one(ar, f.p[i].volume, &count, e);
    free(f.p);
    return ok;
}

// A list may lack what was put while it was made: the bucket is asked for each.
static bool tell_missing(struct archive *ar, const struct found *f, struct err *e) {
    size_t n = 0;
    uint32_t *volumes = f->n ? malloc(f->n * sizeof *volumes) : NULL;
    if (f->n && !volumes) return err_nomem(e, "merge");
    for (size_t i = 0; i < f->n; i++)
        if (!damage_is_there(ar, f->p[i].volume)) volumes[n++] = f->p[i].volume;
    bool ok = n == 0 || damage_tell_missing(ar, volumes, n, e);
    free(volumes);
    return ok;
}

// Those that were missing and lie there again count again; of the others the rows go when nothing hopes for them any more.
static bool settle_missing(struct archive *ar, const struct found *again, const struct found *still, struct err *e) {
    bool ok = true;
    for (size_t i = 0; ok && i < again->n; i++) ok = damage_found_again(ar, &again->p[i].volume, 1, e);
    for (size_t i = 0; ok && i < still->n; i++) ok = build_remove_empty(ar, still->p[i].volume, e);
    return ok;
}

// A database that was restored to an earlier time would give numbers out again that are taken.
static bool count_on(struct comparing *c, struct err *e) {
    struct db *d = db_side(c->ar->db, e);
    bool ok = d && sql_run(d, "UPDATE counters SET value = {greatest}(value, ?1) WHERE name = 'volume'", SQL_VALUES(SQL_I(c->highest)), e);
    db_return(c->ar->db, d);
    return ok;
}

static bool run(struct comparing *c, unsigned *found, struct err *e) {
    if (!vol_each(c->ar->volumes, visit, c, e) || !compare(c, UINT32_MAX - 1, e) || !count_on(c, e)) return false;
    bool ok = tell_missing(c->ar, &c->missing, e) && settle_missing(c->ar, &c->again, &c->still, e) && finish_unfinished(c->ar, e);
    for (size_t i = 0; ok && i < c->orphans.n; i++) {
        bool ours = false;
        ok = adopt(c->ar, &c->orphans.p[i], &ours, e) || err_wrap(e, "volume %u, which is in the bucket only", c->orphans.p[i].volume);
        *found += ours;
    }
    return ok;
}

bool orphans_find(struct archive *ar, const struct merge_options *o, unsigned *found, struct err *e) {
    struct merge_options options = *o;
    struct err own = {0};
    struct comparing *c = calloc(1, sizeof *c);
    *found = 0;
    if (!c) return err_nomem(e, "merge");
    merge_defaults(&options);
    c->ar = ar;
    c->before_ms = clock_wall_ms() - options.orphan_ms;
    bool ok = run(c, found, &own);
    free(c->orphans.p);
    free(c->missing.p);
    free(c->again.p);
    free(c->still.p);
    free(c);
    if (!ok && e) *e = own;
    return ok;
}

bool orphans_abort(struct archive *ar, unsigned *aborted, struct err *e) {
    struct err why = {0};
    bool ok = vol_abort_stale(ar->volumes, clock_wall_ms() - UPLOAD_MS, aborted, &why);
    if (*aborted) log_line(LOG_INFO, "merge", "%u uploads that were never finished were aborted", *aborted);
    if (ok || why.kind == ERR_UNSUPPORTED) return true; // a service without a list of them keeps none that we could see
    if (e) *e = why;
    return false;
}
