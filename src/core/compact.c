// Compaction: volumes that are mostly dead are built anew without the dead.
#include <stdlib.h>

#include "core/batches.h"
#include "core/damage.h"
#include "core/index.h"
#include "core/service.h"

struct candidate {
    uint32_t volume;
    uint64_t dead;
    bool left; // was built anew before, but for what could not be moved
};

struct candidates {
    struct archive *ar;
    unsigned percent;
    bool whatever; // those that are listed are done, whatever is dead in them
    struct candidate *p;
    size_t n, cap;
};

static bool add(struct candidates *c, struct candidate one, struct err *e) {
    if (c->n == c->cap) {
        size_t cap = c->cap ? 2 * c->cap : 64;
        struct candidate *p = realloc(c->p, cap * sizeof *p);
        if (!p) return err_nomem(e, "compact");
        c->p = p;
        c->cap = cap;
    }
    c->p[c->n++] = one;
    return true;
}

// Small volumes in the index are merged sooner than it would pay to compact them.
static const char WITH_DEAD[] =
    "SELECT v.volume, CAST(sum(d.length) AS BIGINT), v.batch FROM dead d JOIN volumes v ON v.volume = d.volume "
    "WHERE v.removed_ms IS NULL AND v.batch <= 0 AND v.batch <> " VOLUME_MISSING
    " AND v.place <> 2 AND (v.finished = 1 OR v.place = 0) AND v.storage_class NOT IN (" TIERS_ARCHIVED ") GROUP BY v.volume, v.batch ORDER BY v.volume";

// What lies as it is no longer to lie: an entry's place says whether it is encrypted (store/seal.h). ?1: encrypted ones, 2: all.
#define LIES_SO(table) "EXISTS (SELECT 1 FROM " table " x WHERE x.volume = v.volume AND (?1 = 2 OR (CASE WHEN x.\"offset\" % 512 = 64 THEN 1 ELSE 0 END) = ?1))"
static const char TO_REWRITE[] =
    "SELECT v.volume, CAST(0 AS BIGINT), v.batch FROM volumes v WHERE v.removed_ms IS NULL AND v.batch <= 0 AND v.batch > " VOLUME_LEFT
    " AND v.place <> 2 AND (v.finished = 1 OR v.place = 0) AND v.storage_class NOT IN (" TIERS_ARCHIVED
    ") AND (" LIES_SO("instances") " OR " LIES_SO("conflicts") " OR " LIES_SO("quarantine") " OR " LIES_SO("records") ") ORDER BY v.volume";

enum rewrite { REWRITE_PLAIN, REWRITE_ENCRYPTED, REWRITE_ALL, REWRITE_NONE };

static bool list(struct candidates *c, enum rewrite what, struct err *e) {
    struct db *d = db_reader(c->ar->db, e);
    struct db_stmt *s = d ? db_prepare(d, what == REWRITE_NONE ? WITH_DEAD : TO_REWRITE, e) : NULL;
    if (s && what != REWRITE_NONE) db_bind_int(s, 1, what);
    enum db_step step = DB_FAIL;
    bool ok = s;
    while (ok && (step = db_next(s, e)) == DB_ROW) ok = add(c, (struct candidate){(uint32_t)db_int(s, 0), (uint64_t)db_int(s, 1), db_int(s, 2) == -2}, e);
    db_done(s);
    db_return(c->ar->db, d);
    return ok && step == DB_END;
}

static bool is_empty(struct archive *ar, uint32_t volume, bool *empty, struct err *e) {
    int64_t one;
    bool found = false;
    struct db *d = db_reader(ar->db, e);
    bool ok = d && sql_one(d,
                           "SELECT 1 WHERE EXISTS (SELECT 1 FROM instances WHERE volume = ?1) OR EXISTS (SELECT 1 FROM conflicts WHERE volume = ?1) OR EXISTS "
                           "(SELECT 1 FROM quarantine WHERE volume = ?1) OR EXISTS (SELECT 1 FROM records WHERE volume = ?1)",
                           SQL_VALUES(SQL_I(volume)), &one, 1, &found, e);
    db_return(ar->db, d);
    *empty = ok && !found;
    return ok;
}

// living: what would be copied.
static bool is_wanted(struct candidates *c, const struct candidate *one, bool *wanted, uint64_t *living, struct err *e) {
    struct vol_state st;
    struct err why = {0};
    *wanted = false;
    if (one->left) return is_empty(c->ar, one->volume, wanted, e);
    if (!vol_state_get(c->ar->volumes, one->volume, &st, &why)) {
        if (why.kind == ERR_NOT_FOUND || why.kind == ERR_BUSY) return true; // gone, or archived
        return *e = why, false;
    }
    *wanted = !st.growing && (c->whatever || (double)one->dead * 100 > (double)c->percent * (double)st.size);
    *living = st.size > one->dead ? st.size - one->dead : 0;
    return true;
}

static bool make_batches(struct candidates *c, uint64_t target_bytes, unsigned *batches, struct err *e) {
    uint32_t volumes[BATCH_VOLUMES_MAX];
    uint64_t bytes = 0;
    size_t n = 0;
    for (size_t i = 0; i < c->n; i++) {
        bool wanted;
        uint64_t living = 0;
        if (!is_wanted(c, &c->p[i], &wanted, &living, e)) return false;
        if (wanted && n && (n == BATCH_VOLUMES_MAX || bytes + living > target_bytes)) { // NOLINT(clang-analyzer-unix.Malloc): the caller frees the list
            if (!batch_put(c->ar, COMPACT_JOB, volumes, n, e)) return false;
            ++*batches;
            n = bytes = 0;
        }
        if (wanted) volumes[n++] = c->p[i].volume, bytes += living;
    }
    if (n == 0) return true;
    ++*batches;
    return batch_put(c->ar, COMPACT_JOB, volumes, n, e);
}

static bool plan(struct archive *ar, unsigned dead_percent, enum rewrite what, unsigned *batches, struct err *e) {
    struct candidates c = {.ar = ar, .percent = dead_percent, .whatever = what != REWRITE_NONE};
    struct merge_options o = {0};
    struct err own = {0};
    merge_defaults(&o);
    *batches = 0;
    bool ok = list(&c, what, &own) && make_batches(&c, o.target_bytes, batches, &own);
    if (!ok && e) *e = own;
    free(c.p);
    return ok;
}

bool compact_plan(struct archive *ar, unsigned dead_percent, unsigned *batches, struct err *e) {
    return plan(ar, dead_percent, REWRITE_NONE, batches, e);
}

struct done {
    uint64_t volumes, in, out, given;
};

static bool run_all(struct archive *ar, struct done *d, struct err *e) {
    struct merge_options o = {0};
    struct merge_report report;
    unsigned removed;
    bool more = true;
    while (more) {
        if (!batch_run_one(ar, &o, COMPACT_JOB, &more, &report, e)) return false;
        if (!more) break;
        d->volumes += report.volumes_in;
        d->in += report.bytes_in;
        d->out += report.bytes_out;
    }
    // In a directory nobody else reads; in a bucket the volumes go when their time is over.
    if (ar->remote) d->given = d->in;
    return ar->remote || reap_volumes(ar, &o, true, &removed, &d->given, e);
}

bool archive_compact(struct archive *ar, double dead_share, uint64_t *bytes_freed, struct err *e) {
    struct done d = {0};
    unsigned batches;
    *bytes_freed = 0;
    if (!compact_plan(ar, (unsigned)(dead_share * 100), &batches, e) || !run_all(ar, &d, e)) return false;
    *bytes_freed = d.given > d.out ? d.given - d.out : 0;
    return true;
}

bool archive_rewrite(struct archive *ar, bool all, uint64_t *volumes, struct err *e) {
    struct done d = {0};
    unsigned batches;
    enum rewrite what = all ? REWRITE_ALL : vol_encrypts(ar->volumes) ? REWRITE_PLAIN : REWRITE_ENCRYPTED;
    *volumes = 0;
    bool ok = plan(ar, 0, what, &batches, e) && run_all(ar, &d, e);
    *volumes = d.volumes;
    return ok;
}
