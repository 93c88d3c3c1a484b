// Replay: entries of the volumes that the index has not seen are read, batch by batch, and become rows by the same code as at their commit.
#include <stdlib.h>

#include "base/limits.h"
#include "core/realm.h"
#include "core/replay_part.h"
#include "sys/digest.h"

enum {
    BATCH = 512,
    BATCH_APART = 64, // of one transaction that others wait for
    BATCH_BYTES = 32 << 20,
    READ_BYTES = 64 * 1024,
    ARENA_BYTES_MAX = 1 << 30
};

static bool read_entry(void *ctx, uint64_t offset, void *p, size_t n, struct err *e) {
    const struct replay_source *s = ctx;
    return vol_read_at(s->vs, s->loc, offset, p, n, e);
}

bool index_read_object(struct arena *a, struct vol_set *vs, struct vol_loc loc, char *chunk, size_t chunk_n, struct dcm_object *out, struct err *e) {
    struct dcm_builder *b = dcm_builder_new(a, NULL, DCM_STOP_AT_PIXELS, e);
    if (!b) return false;
    enum dcm_step step = DCM_MORE;
    for (uint64_t at = 0, n; step == DCM_MORE && at < loc.length; at += n) {
        n = loc.length - at < chunk_n ? loc.length - at : chunk_n;
        if (!vol_read_at(vs, loc, at, chunk, n, e)) return false;
        step = dcm_builder_feed(b, chunk, n, e);
    }
    if (step == DCM_MORE)
        step = dcm_builder_end(b, out, e);
    else if (step == DCM_DONE)
        *out = *dcm_builder_object(b);
    return step == DCM_DONE;
}

bool replay_is_of_the_moment(enum err_kind kind) {
    static const enum err_kind kinds[] = {ERR_FULL,    ERR_NOMEM,     ERR_IO,   ERR_BUSY,      ERR_NET,
                                          ERR_TIMEOUT, ERR_CANCELLED, ERR_PEER, ERR_FORBIDDEN, ERR_UNAUTHORIZED};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (kind == kinds[i]) return true;
    return false;
}

// ---- volumes that are no more ----

static bool stop_at_first(void *ctx, const struct vol_entry *en, bool damaged, struct err *e) {
    (void)ctx, (void)en, (void)damaged, (void)e;
    return false;
}

// It was built anew and removed, and the index is older than that (the power went, or it is a copy of an earlier time). What was in it is found again in
// the volume that was built. It is asked for its bytes: what the index says of it is of that time.
bool replay_is_gone(struct replay *r, uint32_t volume, bool *gone, struct err *e) {
    struct err why = {0};
    unsigned slot = volume % REPLAY_ASKED;
    *gone = volume == r->gone[slot];
    if (*gone || volume == r->there[slot]) return true;
    bool there = vol_scan(r->ix->ar->volumes, volume, 0, false, stop_at_first, NULL, NULL, &why) || why.kind == ERR_NONE || why.kind == ERR_CORRUPT;
    if (there) return r->there[slot] = volume, true;
    if (why.kind != ERR_NOT_FOUND) return *e = why, false;
    r->gone[slot] = volume;
    return *gone = true;
}

// ---- reading ----

static bool read_dicom(struct replay *r, struct replay_entry *n, struct err *e) {
    struct dcm_object o = {0};
    n->from = (struct replay_source){r->ix->ar->volumes, n->en.loc};
    n->source = (struct dcm_source){read_entry, &n->from};
    n->put.damaged = n->damaged;
    return index_read_object(&r->arena, r->ix->ar->volumes, n->en.loc, r->chunk, READ_BYTES, &o, e) &&
           index_read_facts(&r->arena, &o, 0, &n->source, n->en.loc.length, &n->put, e);
}

// What is said there counts only when these are its own words.
static bool read_words(struct replay *r, const struct vol_entry *en, struct str *json, struct err *e) {
    uint8_t digest[VOL_DIGEST_BYTES];
    char *p = arena_alloc(&r->arena, en->loc.length, e);
    *json = (struct str){p, en->loc.length};
    if (!p || (en->loc.length && !vol_read_at(r->ix->ar->volumes, en->loc, 0, p, en->loc.length, e)) || !digest_of(p, json->n, digest, e)) return false;
    return memcmp(digest, en->digest, sizeof digest) == 0 ||
           err_set(e, ERR_CORRUPT, "index",
                   en->kind == VOL_TOMBSTONE ? "damaged: what this tombstone names is not deleted" : "damaged: what this record says does not count");
}

static bool read_one(struct replay *r, struct replay_entry *n) {
    if (n->damaged && n->en.sop.n == 0) return true; // a gap
    switch (n->en.kind) {
    case VOL_OBJECT:
    case VOL_CONFLICT:
        return read_dicom(r, n, &n->why);
    case VOL_QUARANTINE:
        return true;
    case VOL_TOMBSTONE:
    case VOL_RECORD:
        return read_words(r, &n->en, &n->json, &n->why);
    }
    return true;
}

static bool copy_texts(struct arena *a, struct vol_entry *en, struct err *e) {
    struct str *texts[] = {&en->study, &en->series, &en->sop, &en->ts, &en->source, &en->realm, &en->note};
    for (int i = 0; i < 7; i++)
        if (texts[i]->p && !arena_dup(a, *texts[i], texts[i], e)) return false;
    return true;
}

static struct replay_entry *add_entry(struct replay *r, const struct vol_entry *en, bool damaged, struct err *e) {
    struct replay_entry *n = arena_zero(&r->arena, 1, sizeof *n, e);
    if (!n) return NULL;
    *n = (struct replay_entry){.en = *en, .damaged = damaged, .is_new = true};
    if (!copy_texts(&r->arena, &n->en, e)) return NULL;
    *r->last = n;
    r->last = &n->next;
    r->batch++;
    return n;
}

static void begin_batch(struct replay *r) {
    for (struct replay_entry *n = r->first; n; n = n->next) index_put_deinit(&n->put);
    r->first = NULL;
    r->last = &r->first;
    r->batch = 0;
    arena_reset(&r->arena);
}

static bool end_batch(struct replay *r, uint64_t end, struct err *e) {
    bool ok = r->batch == 0 || replay_write(r, end, e);
    begin_batch(r);
    return ok;
}

static bool visit(void *ctx, const struct vol_entry *en, bool damaged, struct err *e) {
    struct replay *r = ctx;
    uint64_t end = en->end;
    struct replay_entry *n = add_entry(r, en, damaged, e);
    if (!n || (r->apart && !index_is_place_free(r->ix->ar, en->loc, &n->is_new, e))) return false;
    if (n->is_new && !read_one(r, n) && replay_is_of_the_moment(n->why.kind)) return *e = n->why, false;
    return (r->batch < r->batch_max && r->arena.used < BATCH_BYTES) || end_batch(r, end, e);
}

// ---- volumes ----

static bool write_now(struct replay *r, const char *sql, uint32_t volume, struct err *e) {
    struct db *w = db_writer(r->ix->ar->db, e);
    bool ok = w && sql_run(w, sql, SQL_VALUES(SQL_I(volume)), e);
    db_return(r->ix->ar->db, w);
    return ok;
}

static bool note_finished(struct replay *r, uint32_t volume, struct err *e) {
    struct vol_state st;
    return vol_state_get(r->ix->ar->volumes, volume, &st, e) && (st.growing || write_now(r, "UPDATE volumes SET finished = 1 WHERE volume = ?1", volume, e));
}

static bool seen_to(struct replay *r, uint32_t volume, int64_t row[2], struct err *e) {
    bool found;
    struct db *d = db_reader(r->ix->ar->db, e);
    bool ok = d && sql_one(d, "SELECT indexed_end, finished FROM volumes WHERE volume = ?1", SQL_VALUES(SQL_I(volume)), row, 2, &found, e);
    db_return(r->ix->ar->db, d);
    return ok;
}

static bool replay_volume(struct replay *r, uint32_t volume, struct err *e) {
    int64_t row[2] = {0};
    uint64_t end;
    if (!seen_to(r, volume, row, e)) return false;
    if (row[1]) return true;
    r->volume = volume;
    bool ok = vol_scan(r->ix->ar->volumes, volume, (uint64_t)row[0], true, visit, r, &end, e) && end_batch(r, end, e);
    begin_batch(r);
    return ok && note_finished(r, volume, e);
}

static struct replay *start(struct archive *ar, bool apart, struct err *e) {
    struct replay *r = calloc(1, sizeof *r);
    if (!r) return err_nomem(e, "index"), NULL;
    *r = (struct replay){.ix = ar->index, .last = &r->first, .apart = apart, .batch_max = apart ? BATCH_APART : BATCH, .chunk = malloc(READ_BYTES)};
    arena_init(&r->arena, ARENA_BYTES_MAX);
    if (r->chunk) return r;
    err_nomem(e, "index");
    arena_deinit(&r->arena);
    free(r);
    return NULL;
}

static void end(struct replay *r) {
    begin_batch(r);
    arena_deinit(&r->arena);
    free(r->chunk);
    free(r);
}

bool index_replay(struct archive *ar, void (*on_progress)(void *ctx, uint64_t done, uint64_t total), void *ctx, uint64_t *count, struct err *e) {
    uint32_t *volumes = NULL;
    size_t n = 0;
    struct replay *r = start(ar, false, e);
    *count = 0;
    if (!r) return false;
    bool ok = vol_list(ar->volumes, &volumes, &n, e);
    for (size_t i = 0; ok && i < n; i++) {
        ok = replay_volume(r, volumes[i], e) || err_wrap(e, "index volume %u", volumes[i]);
        if (on_progress) on_progress(ctx, i + 1, n);
    }
    *count = r->count;
    end(r);
    free(volumes);
    return ok && (*count == 0 || realm_mark_apart(ar, e));
}

bool index_replay_volume(struct archive *ar, uint32_t volume, uint64_t *count, struct err *e) {
    struct replay *r = start(ar, true, e);
    *count = 0;
    if (!r) return false;
    vol_refetch(ar->volumes, (struct vol_loc){.volume = volume}); // a cache may have another volume of this number, of a later time than the index
    bool ok = (write_now(r, "UPDATE volumes SET indexed_end = 0, finished = 0 WHERE volume = ?1", volume, e) && replay_volume(r, volume, e)) ||
              err_wrap(e, "index volume %u", volume);
    *count = r->count;
    end(r);
    return ok && (*count == 0 || realm_mark_apart(ar, e));
}

// ---- tombstones first ----

static bool collect_words(struct replay *r, struct str json, struct err *e) {
    struct err why = {0};
    if (r->batch++ == 0 && !index_begin(r->ix, r->w, e)) return false;
    if (!db_exec(r->w, "SAVEPOINT entry", e)) return false;
    if (kill_collect(r->w, json, &why)) return db_exec(r->w, "RELEASE entry", e);
    if (!replay_is_of_the_moment(why.kind)) return db_exec(r->w, "ROLLBACK TO entry", e);
    return *e = why, false;
}

// What cannot be read is told when its volume is replayed.
static bool collect_one(void *ctx, const struct vol_entry *en, bool damaged, struct err *e) {
    struct replay *r = ctx;
    struct err why = {0};
    struct str json;
    if (en->kind != VOL_TOMBSTONE || damaged) return true;
    arena_reset(&r->arena);
    if (read_words(r, en, &json, &why)) return collect_words(r, json, e);
    return !replay_is_of_the_moment(why.kind) || (*e = why, false);
}

// The archive is nobody else's meanwhile: those of a volume are one transaction.
static bool collect_volume(struct replay *r, uint32_t volume, struct err *e) {
    r->batch = 0;
    r->w = db_writer(r->ix->ar->db, e);
    bool ok = r->w && vol_scan(r->ix->ar->volumes, volume, 0, false, collect_one, r, NULL, e) && (r->batch == 0 || db_commit(r->w, e));
    if (r->w && !ok) db_rollback(r->w);
    events_settle(r->ix->ar, false);
    index_forget(r->ix);
    db_return(r->ix->ar->db, r->w);
    return ok || err_wrap(e, "index volume %u", volume);
}

bool index_collect_tombstones(struct archive *ar, struct err *e) {
    uint32_t *volumes = NULL;
    size_t n = 0;
    struct replay *r = start(ar, false, e);
    if (!r) return false;
    bool ok = vol_list(ar->volumes, &volumes, &n, e);
    for (size_t i = 0; ok && i < n; i++) ok = collect_volume(r, volumes[i], e);
    r->batch = 0;
    end(r);
    free(volumes);
    return ok;
}
