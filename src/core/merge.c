// Building a batch of volumes anew: what lives in them is copied, series by series, into as few volumes as its size asks for.
#include "core/merge.h"

#include <stdlib.h>

#include "base/log.h"
#include "core/build.h"
#include "core/index.h"

enum {
    ARENA_BYTES_MAX = 512 << 20,
    TARGET_BYTES = 128 << 20,
    SMALL_BYTES = 16 << 20,
    INDEX_BYTES_MAX = 1 << 30,
    SECOND = 1000,
    MINUTE = 60 * SECOND,
    DAY = 24 * 60 * MINUTE,
    ENTRIES_MAX = 64 * 1024, // of one volume: what one transaction moves
    DEAD_PERCENT = 50,
};

void merge_defaults(struct merge_options *o) {
    if (!o->target_bytes) o->target_bytes = TARGET_BYTES;
    if (!o->small_bytes) o->small_bytes = SMALL_BYTES < o->target_bytes / 4 ? SMALL_BYTES : o->target_bytes / 4;
    if (!o->index_bytes_max) o->index_bytes_max = INDEX_BYTES_MAX;
    if (!o->quiet_ms) o->quiet_ms = MINUTE;
    if (!o->age_ms) o->age_ms = 15 * MINUTE;
    if (!o->removed_ms) o->removed_ms = 10 * MINUTE;
    if (!o->removed_bucket_ms) o->removed_bucket_ms = DAY;
    if (!o->tombstone_ms) o->tombstone_ms = 30LL * DAY;
    if (!o->compact_ms) o->compact_ms = 60 * MINUTE;
    if (!o->orphan_ms) o->orphan_ms = 60 * MINUTE;
    if (!o->dead_percent) o->dead_percent = DEAD_PERCENT;
}

// ---- one volume ----

static bool copy_entry(struct build *b, struct vol_build *vb, struct build_entry *n, struct err *e) {
    struct err why = {0}, bytes = {0};
    if (build_is_left(b, n->en.loc.volume)) return true;
    if (vol_build_add(vb, &n->en, &n->to, &why)) {
        n->copied = true;
        b->copied++;
        return build_keep(b, e);
    }
    bool whole = vol_verify(b->ar->volumes, &n->en, &bytes);
    if (why.kind != ERR_CORRUPT) {
        if (!whole) return build_leave(b, n->en.loc.volume, &why, e);
        if (e) *e = why; // it is the new volume that cannot be written
        return false;
    }
    // Broken headers keep nobody from reading the bytes; a bucket that does not answer says nothing of them.
    n->damaged = !whole;
    if (n->damaged && bytes.kind != ERR_CORRUPT && bytes.kind != ERR_IO) return build_leave(b, n->en.loc.volume, &bytes, e);
    b->report->damaged += n->damaged;
    log_err(&why, "an entry stays in volume %u", n->en.loc.volume);
    return true;
}

// After a failure: nobody may ever come to know of the volume, unless it is known that somebody does.
static void withdraw(struct build *b, uint32_t volume) {
    struct err why = {0};
    bool there = true;
    build_forget_moves(b, volume);
    if (build_is_there(b, volume, &there, &why) && !there && !vol_remove(b->ar->volumes, volume, &why))
        log_err(&why, "volume %u, which was built in vain, is left to be found later", volume);
}

static bool finish_volume(struct build *b, struct vol_build *vb, size_t from, size_t to, struct err *e) {
    struct vol_info v = {0};
    size_t copied = 0;
    bool there = false;
    for (size_t i = from; i < to; i++) copied += b->entries[i].copied;
    if (copied == 0) return true;
    if (!build_note(b, from, to, e) || !vol_build_finish(vb, &v, e)) return false;
    struct err why = {0};
    if (!build_commit(b, &v, &why)) {
        // The connection may have been lost just after it was committed; or before, and the database is still to do it: then nobody takes the volume
        // away, and one that never counted is found by the bucket's list.
        bool doubtful = why.kind == ERR_NET, known = doubtful && build_is_there(b, v.volume, &there, NULL);
        if (!(known && there)) {
            if (!doubtful) withdraw(b, v.volume);
            if (e) *e = why;
            return false;
        }
    }
    b->report->volumes_out++;
    b->report->bytes_out += v.size;
    b->report->entries += copied;
    return true;
}

static bool make_volume(struct build *b, size_t from, size_t to, struct err *e) {
    struct vol_build *vb;
    if (!vol_build_open(b->ar->volumes, &vb, e)) return false;
    bool ok = true;
    for (size_t i = from; ok && i < to; i++) ok = copy_entry(b, vb, &b->entries[i], e);
    ok = ok && finish_volume(b, vb, from, to, e);
    vol_build_drop(vb);
    return ok;
}

// ---- how they are cut ----

static bool same_series(const struct build_entry *a, const struct build_entry *b) {
    return a->en.kind == b->en.kind && a->series == b->series;
}

static size_t series_end(const struct build *b, size_t from, uint64_t *bytes) {
    size_t to = from;
    for (*bytes = 0; to < b->count && same_series(&b->entries[from], &b->entries[to]); to++) *bytes += b->entries[to].en.loc.length;
    return to;
}

// Where a series that is larger than a volume is cut.
static size_t part_end(const struct build *b, size_t from, size_t to) {
    uint64_t bytes = 0;
    size_t i = from;
    while (i < to && i - from < ENTRIES_MAX && (bytes == 0 || bytes + b->entries[i].en.loc.length <= b->options->target_bytes))
        bytes += b->entries[i++].en.loc.length;
    return i;
}

// The end of the next volume that begins with an entry: whole series while they fit.
static size_t volume_end(const struct build *b, size_t from) {
    uint64_t bytes = 0, next;
    size_t at = from;
    while (at < b->count) {
        size_t to = series_end(b, at, &next);
        if (at > from && (bytes + next > b->options->target_bytes || to - from > ENTRIES_MAX)) break;
        if (at == from && (next > b->options->target_bytes || to - from > ENTRIES_MAX)) return part_end(b, from, to);
        bytes += next;
        at = to;
    }
    return at;
}

// ---- the batch ----

static bool list_volumes(struct build *b, struct err *e) {
    struct db *d = db_reader(b->ar->db, e);
    struct db_stmt *s = d ? db_prepare(d, "SELECT volume FROM volumes WHERE batch = ?1 AND removed_ms IS NULL ORDER BY volume", e) : NULL;
    enum db_step step = DB_FAIL;
    size_t cap = 0;
    bool ok = s;
    if (s) {
        db_bind_int(s, 1, b->batch);
        while (ok && (step = db_next(s, e)) == DB_ROW) {
            if (b->volume_count == cap) {
                cap = cap ? 2 * cap : 64;
                uint32_t *p = arena_grow(&b->arena, b->volumes, b->volume_count * sizeof *p, cap * sizeof *p, e);
                ok = p;
                if (p) b->volumes = p;
            }
            if (ok) b->volumes[b->volume_count++] = (uint32_t)db_int(s, 0);
        }
        db_done(s);
    }
    db_return(b->ar->db, d);
    return ok && step == DB_END;
}

static bool run(struct build *b, struct err *e) {
    if (!build_forget(b, e) || !list_volumes(b, e) || !build_gather(b, e)) return false;
    for (size_t from = 0, to; from < b->count; from = to) {
        to = volume_end(b, from);
        if (!make_volume(b, from, to, e)) return false;
    }
    return build_settle(b, e) && build_mark_left(b, e);
}

bool merge_batch(struct archive *ar, const struct merge_options *o, const struct job *job, int64_t batch, struct merge_report *out, struct err *e) {
    struct merge_options options = *o;
    struct build b = {.ar = ar, .options = &options, .job = job, .batch = batch, .report = out};
    merge_defaults(&options);
    *out = (struct merge_report){0};
    arena_init(&b.arena, ARENA_BYTES_MAX);
    bool ok = run(&b, e) || err_wrap(e, "batch %lld", (long long)batch);
    arena_deinit(&b.arena);
    free(b.entries);
    return ok;
}
