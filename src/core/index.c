// What a put of the volume writer is: new, known, or other bytes under a UID that is taken.
#include "core/index.h"

#include "core/damage.h"
#include "core/hold.h"
#include "core/realm.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/limits.h"
#include "base/log.h"
#include "sys/zstd.h"
#include "text/json.h"

enum { SCRATCH_BYTES_MAX = 64 << 20, COMPARE_BYTES = 64 * 1024 };

// ---- made ready by the sender ----

struct shifted {
    const struct dcm_source *file;
    uint64_t by;
};

static bool read_shifted(void *ctx, uint64_t offset, void *p, size_t n, struct err *e) {
    const struct shifted *s = ctx;
    return s->file->read_at(s->file->ctx, offset + s->by, p, n, e);
}

bool index_read_facts(struct arena *a, const struct dcm_object *o, uint64_t shift, const struct dcm_source *source, uint64_t length, struct index_put *out,
                      struct err *e) {
    struct shifted shifted = {source, shift};
    struct dcm_source stream = {read_shifted, &shifted};
    struct facts *f = &out->facts;
    out->arena = a;
    out->source = source;
    out->length = length;
    buf_init(&out->header, DCM_HEADER_BYTES_MAX * 2UL);
    if (!facts_read(a, o, &stream, length - shift, f, e) || !header_pack(a, f, &stream, &out->header_kind, &out->header_plain, e)) return false;
    f->dataset_offset += shift;
    f->header_end += shift;
    if (f->pixel_offset) f->pixel_offset += shift;
    return true;
}

bool index_pack(struct archive *ar, struct index_put *p, struct err *e) {
    bases_release(p->base);
    p->base = bases_get(&ar->index->bases, p->facts.place);
    buf_clear(&p->header);
    return (p->base || index_describe(p, e)) && zstd_compress(p->header_plain, p->base ? p->base->bytes : (struct str){NULL, 0}, &p->header, e);
}

bool index_prepare(struct archive *ar, struct arena *a, const struct dcm_object *o, uint64_t shift, const struct dcm_source *source, uint64_t length,
                   struct index_put *out, struct err *e) {
    return index_read_facts(a, o, shift, source, length, out, e) && index_pack(ar, out, e);
}

void index_put_deinit(struct index_put *p) {
    buf_deinit(&p->header);
    bases_release(p->base);
    p->base = NULL;
}

// ---- classify ----

// What is kept under a SOP Instance UID already.
struct kept {
    struct vol_loc loc;
    uint64_t dataset_offset;
    int64_t state;
    uint8_t digest[VOL_DIGEST_BYTES];
    bool same_digest, same_ts;
    bool others; // another tenant's
};

// A copy that lies there whole and cannot be read just now says nothing of what it is; one that is archived may stay so for ever.
static bool is_of_the_moment(const struct err *why) {
    static const enum err_kind kinds[] = {ERR_BUSY, ERR_NET, ERR_TIMEOUT, ERR_CANCELLED, ERR_NOMEM};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (why->kind == kinds[i]) return !strstr(why->message, "archived");
    return false;
}

static bool read_kept(struct index *ix, const struct kept *k, uint64_t at, char *to, uint64_t n, bool *there, struct err *e) {
    struct err why = {0};
    *there = vol_read_at(ix->ar->volumes, k->loc, k->dataset_offset + at, to, n, &why);
    if (*there || !is_of_the_moment(&why)) return true;
    return err_set(e, why.kind == ERR_NOMEM ? ERR_NOMEM : ERR_BUSY, "index", "compare with the copy that is kept: %.300s", why.message);
}

// In the sender's arena: the sender compares large objects itself, before the writer does.
static bool same_bytes(struct index *ix, const struct index_put *p, const struct kept *k, bool *same, struct err *e) {
    struct arena_mark m = arena_mark(p->arena);
    char *a = arena_alloc(p->arena, COMPARE_BYTES, e), *b = a ? arena_alloc(p->arena, COMPARE_BYTES, e) : NULL;
    uint64_t length = p->length - p->facts.dataset_offset;
    bool ok = b;
    *same = ok;
    for (uint64_t at = 0, n; ok && *same && at < length; at += n) {
        n = length - at < COMPARE_BYTES ? length - at : COMPARE_BYTES;
        // What is damaged is no reason to refuse another copy.
        ok = p->source->read_at(p->source->ctx, p->facts.dataset_offset + at, a, n, e) && read_kept(ix, k, at, b, n, same, e);
        *same = ok && *same && memcmp(a, b, n) == 0;
    }
    arena_rewind(p->arena, m);
    return ok;
}

// The same data set in the same transfer syntax is the same object, whatever its meta header says of who sent it.
static bool is_same(struct index *ix, struct index_put *p, const struct kept *k, bool *same, struct err *e) {
    *same = k->same_digest;
    if (*same || !k->same_ts || k->state != 0) return true;
    if (k->loc.length - k->dataset_offset != p->length - p->facts.dataset_offset) return true;
    if (p->has_other && memcmp(k->digest, p->other, VOL_DIGEST_BYTES) == 0) return true;
    if (p->in_order) return p->must_read = true;
    if (!same_bytes(ix, p, k, same, e)) return false;
    *(*same ? &p->has_twin : &p->has_other) = true;
    memcpy(*same ? p->twin : p->other, k->digest, VOL_DIGEST_BYTES);
    return true;
}

static void take_kept(struct db_stmt *s, const struct vol_entry *en, const struct index_put *p, struct kept *k) {
    *k = (struct kept){
        .loc = {(uint32_t)db_int(s, 0), (uint64_t)db_int(s, 1), (uint64_t)db_int(s, 2)}, .dataset_offset = (uint64_t)db_int(s, 3), .state = db_int(s, 6)};
    struct str digest = db_blob(s, 4);
    if (digest.n == VOL_DIGEST_BYTES) memcpy(k->digest, digest.p, VOL_DIGEST_BYTES);
    k->same_digest = memcmp(k->digest, en->digest, VOL_DIGEST_BYTES) == 0 || (p->has_twin && memcmp(k->digest, p->twin, VOL_DIGEST_BYTES) == 0);
    k->same_ts = str_eq(db_text(s, 5), p->facts.ts_uid);
}

static bool find_served(struct db *d, const struct vol_entry *en, const struct index_put *p, struct kept *k, bool *found, struct err *e) {
    struct db_stmt *s = db_prepare(d,
                                   "SELECT volume, \"offset\", length, dataset_offset, digest, ts_uid, CASE WHEN state = 0 AND " IN_MISSING_VOLUME(
                                       "instances") " THEN 1 ELSE state END FROM instances WHERE sop_instance_uid = ?1",
                                   e);
    if (!s) return false;
    db_bind_text(s, 1, p->facts.sop_uid);
    enum db_step step = db_next(s, e);
    *found = step == DB_ROW;
    if (*found) take_kept(s, en, p, k);
    db_done(s);
    return step != DB_FAIL;
}

// Of a conflicting copy. A copy of another tenant's is passed over.
static bool look_whose(struct index *ix, struct db *d, struct db_stmt *s, const struct vol_entry *en, struct index_put *p, bool apart, struct kept *k,
                       struct err *e) {
    char realm[REALM_BYTES];
    if (!realm_format(&(struct realm){db_text(s, 8), db_text(s, 9), db_text(s, 10)}, realm, e)) return false;
    bool own = apart && realm_sent_copy(en, p, str_of(realm));
    if (!apart && !realm_is_senders(d, en, p, str_of(realm), db_text(s, 11), &own, e)) return false;
    if (realm[0]) ix->ar->many_realms = true; // another node made it
    k->others = !own;
    if (own) memcpy(p->kept_realm, realm, sizeof realm);
    return true;
}

static bool compare_conflict(struct index *ix, struct db *d, struct db_stmt *s, const struct vol_entry *en, struct index_put *p, bool *same, bool *lost,
                             struct err *e) {
    struct kept k;
    *same = false;
    take_kept(s, en, p, &k);
    bool apart = db_int(s, 7) != 0;
    if (!realm_has_one(ix, en, p) && !look_whose(ix, d, s, en, p, apart, &k, e)) return false;
    if (k.others) return true;
    if (!is_same(ix, p, &k, same, e)) return false;
    *lost = k.state != 0;
    if (*same) p->apart = apart;
    return true;
}

static bool find_conflict(struct index *ix, struct db *d, const struct vol_entry *en, struct index_put *p, bool *found, bool *lost, struct err *e) {
    struct db_stmt *s = db_prepare(d,
                                   "SELECT c.volume, c.\"offset\", c.length, c.dataset_offset, c.digest, c.ts_uid, CASE WHEN " IN_MISSING_VOLUME(
                                       "c") " THEN 1 ELSE 0 END, c.apart, r.tenant, r.site, r.department, c.study_uid FROM conflicts c {join} realms r ON r.id "
                                            "= c.realm WHERE c.sop_instance_uid = ?1 AND c.kind = 'bytes' ORDER BY c.id",
                                   e);
    if (!s) return false;
    db_bind_text(s, 1, p->facts.sop_uid);
    enum db_step step;
    bool ok = true;
    *found = false;
    while (ok && !*found && (step = db_next(s, e)) != DB_END) ok = step == DB_ROW && compare_conflict(ix, d, s, en, p, found, lost, e);
    db_done(s);
    return ok;
}

bool index_compare(struct index *ix, struct db *d, const struct vol_entry *en, struct index_put *p, enum index_kept *out, struct err *e) {
    struct kept k = {0};
    bool found, same = false, lost = false;
    *out = INDEX_NEW;
    p->kept_realm[0] = '\0';
    if (!find_served(d, en, p, &k, &found, e)) return false;
    bool own = found;
    if (found && !realm_has_one(ix, en, p) && !realm_has_object(d, en, p, &own, e)) return false;
    if (p->kept_realm[0]) ix->ar->many_realms = true; // another node made it
    if (own && !is_same(ix, p, &k, &same, e)) return false;
    if (found) *out = !same ? INDEX_OTHER : k.state ? INDEX_SAME_DAMAGED : INDEX_SAME;
    if (same) return true;
    if (!find_conflict(ix, d, en, p, &same, &lost, e)) return false;
    if (same) *out = lost ? INDEX_LOST_CONFLICT : INDEX_SAME_CONFLICT;
    return true;
}

static bool same_put(const struct vol_put *a, const struct vol_put *b) {
    return memcmp(a->entry.digest, b->entry.digest, VOL_DIGEST_BYTES) == 0;
}

// Among those before it in the same group: *taken when its SOP Instance UID is there, *same when these very bytes are.
static bool find_earlier(struct index *ix, struct vol_put *put, struct vol_put *const *earlier, size_t n, const struct vol_put **taken,
                         const struct vol_put **same, struct err *e) {
    *taken = *same = NULL;
    for (size_t i = n; i > 0; i--) {
        struct vol_put *o = earlier[i - 1];
        if (o->outcome == VOL_KNOWN || o->entry.kind > VOL_CONFLICT || !str_eq(o->entry.sop, put->entry.sop)) continue;
        *taken = o;
        if (!vol_await_digest(ix->ar->volumes, put, e) || !vol_await_digest(ix->ar->volumes, o, e)) return false;
        bool own = same_put(o, put);
        if (own && !realm_is_senders_put(ix, put, o, &own, e)) return false;
        if (own) *same = o;
    }
    return true;
}

static bool find_uid(struct db *d, struct str sop_uid, bool *found, struct err *e) {
    int64_t one;
    return sql_one(d, "SELECT 1 FROM instances WHERE sop_instance_uid = ?1 UNION ALL SELECT 1 FROM conflicts WHERE sop_instance_uid = ?1",
                   SQL_VALUES(SQL_T(sop_uid)), &one, 1, found, e);
}

void index_be_known(struct vol_put *put, bool conflict) {
    struct index_put *p = put->user;
    put->outcome = VOL_KNOWN;
    p->known_conflict = conflict;
    if (conflict)
        snprintf(p->reason, sizeof p->reason, "SOP Instance UID %.*s is taken by other bytes; this copy is kept beside them already",
                 STR_FMT(p->facts.sop_uid));
}

void index_be_conflict(struct vol_put *put) {
    struct index_put *p = put->user;
    put->outcome = VOL_STORED_CONFLICT;
    snprintf(p->reason, sizeof p->reason, "SOP Instance UID %.*s is taken by other bytes; the first stays, this copy is kept beside it",
             STR_FMT(p->facts.sop_uid));
}

// On the writer's connection: its cache holds what it has just written, while a reader's is void after each commit. Where processes share the index, that
// connection is not kept from whoever has something to write.
static struct db *lend(struct index *ix, struct err *e) {
    return ix->ar->shared ? db_reader(ix->ar->db, e) : db_writer(ix->ar->db, e);
}

// What the object is to those that the index has. taken: another of its group has its UID.
static bool classify_by_index(struct index *ix, struct db *d, struct vol_put *put, bool taken, struct err *e) {
    struct index_put *p = put->user;
    bool found = p->seen;
    if (!p->looked && !find_uid(d, p->facts.sop_uid, &found, e)) return false;
    if (!found && !taken) return true; // a new object, as nearly all are: its digest is not asked for
    enum index_kept kept = INDEX_NEW;
    if (!vol_await_digest(ix->ar->volumes, put, e) || !index_compare(ix, d, &put->entry, p, &kept, e)) return false;
    if (kept == INDEX_SAME || kept == INDEX_SAME_CONFLICT) return index_be_known(put, kept == INDEX_SAME_CONFLICT), true;
    p->heals = kept == INDEX_SAME_DAMAGED || kept == INDEX_LOST_CONFLICT;
    if (!taken && kept != INDEX_OTHER && kept != INDEX_LOST_CONFLICT) return true;
    put->entry.kind = VOL_CONFLICT;
    index_be_conflict(put);
    return true;
}

static bool classify_object(struct index *ix, struct vol_put *put, struct vol_put *const *earlier, size_t n, struct err *e) {
    struct index_put *p = put->user;
    const struct vol_put *taken, *twin;
    if (!find_earlier(ix, put, earlier, n, &taken, &twin, e)) return false;
    p->twin_of = twin;
    p->among = taken;
    if (twin) return index_be_known(put, twin->outcome == VOL_STORED_CONFLICT), true;
    if (p->looked && !p->seen && !taken) return true; // the group was looked for as a whole
    struct db *d = lend(ix, e);
    bool ok = d && classify_by_index(ix, d, put, taken, e);
    db_return(ix->ar->db, d);
    return ok;
}

static bool classify_put(struct index *ix, struct vol_put *put, struct vol_put *const *earlier, size_t n, struct err *e) {
    return classify_object(ix, put, earlier, n, e) && realm_classify(ix, put, earlier, n, e);
}

static bool classify_quarantine(struct db *d, struct vol_put *put, struct vol_put *const *earlier, size_t n, struct err *e) {
    int64_t one;
    bool found = false;
    for (size_t i = 0; i < n; i++) found |= earlier[i]->entry.kind == VOL_QUARANTINE && same_put(earlier[i], put);
    if (!found && !sql_one(d, "SELECT 1 FROM quarantine WHERE digest = ?1 AND NOT " IN_MISSING_VOLUME("quarantine"),
                           SQL_VALUES(SQL_B(put->entry.digest, VOL_DIGEST_BYTES)), &one, 1, &found, e))
        return false;
    put->outcome = found ? VOL_KNOWN : VOL_STORED_QUARANTINE;
    return true;
}

// A commit that failed left entries behind that nobody knows of: they come first, so that a second sending finds them.
static bool close_gap(struct index *ix, struct err *e) {
    uint64_t count;
    if (!ix->gap) return true;
    if (!index_replay(ix->ar, NULL, NULL, &count, e)) return err_wrap(e, "the index is behind its volumes and cannot catch up");
    ix->gap = false;
    log_line(LOG_WARN, "index", "caught up with the volumes after a failed commit: %llu entries", (unsigned long long)count);
    return true;
}

static bool classify(void *ctx, struct vol_put *put, struct vol_put *const *earlier, size_t n, struct err *e) {
    struct index *ix = ((struct archive *)ctx)->index;
    // Only before the first of a group: what a group has not committed is not the index's to see.
    if (n == 0 && !close_gap(ix, e)) return false;
    put->outcome = VOL_STORED;
    if (put->entry.kind < VOL_QUARANTINE) return classify_put(ix, put, earlier, n, e);
    struct db *d = lend(ix, e);
    if (!d) return false;
    bool ok = put->entry.kind > VOL_QUARANTINE ? hold_classify(d, put, earlier, n, e) : classify_quarantine(d, put, earlier, n, e);
    db_return(ix->ar->db, d);
    return ok;
}

// ---- life ----

struct vol_index index_callbacks(struct archive *ar) {
    return (struct vol_index){.ctx = ar,
                              .look = ar->shared ? commit_look : NULL,
                              .classify = classify,
                              .commit = commit_group,
                              .reserve = volumes_reserve,
                              .fetch = volumes_fetch,
                              .kept = volumes_kept,
                              .find = volumes_find,
                              .each = volumes_each,
                              .keys = ar->shared ? &volume_keys : NULL};
}

uint64_t index_known_end(void *ctx, uint32_t volume) {
    struct archive *ar = ctx;
    int64_t end = 0;
    bool found;
    for (size_t i = 0; i < ar->old_end_count; i++)
        if (ar->old_ends[i].volume == volume) return ar->old_ends[i].end;
    struct db *d = db_reader(ar->db, NULL);
    if (!d) return 0;
    if (!sql_one(d, "SELECT indexed_end FROM volumes WHERE volume = ?1", SQL_VALUES(SQL_I(volume)), &end, 1, &found, NULL)) end = 0;
    db_return(ar->db, d);
    return (uint64_t)end;
}

bool index_open(struct archive *ar, struct err *e) {
    struct index *ix = calloc(1, sizeof *ix);
    if (!ix) return err_nomem(e, "index");
    ix->ar = ar;
    arena_init(&ix->scratch, SCRATCH_BYTES_MAX);
    buf_init(&ix->packed, SCRATCH_BYTES_MAX);
    bases_init(&ix->bases);
    ar->index = ix;
    return true;
}

void index_close(struct archive *ar) {
    struct index *ix = ar->index;
    if (!ix) return;
    bases_deinit(&ix->bases);
    arena_deinit(&ix->scratch);
    buf_deinit(&ix->packed);
    free(ix);
    ar->index = NULL;
}
