// Sums of blocks in the index and in memory, and reads that are checked by them.
#include "core/parts.h"

#include <stdlib.h>

#include "base/limits.h"
#include "core/index.h"
#include "core/state.h"
#include "sys/digest.h"
#include "sys/sums.h"

enum { PACKED_BYTES_MAX = STORE_OBJECT_BYTES_MAX / SUMS_BLOCK_BYTES * 8 + 4096 };

static size_t block_count(uint64_t length) {
    return (size_t)((length + SUMS_BLOCK_BYTES - 1) / SUMS_BLOCK_BYTES);
}

// ---- in memory ----

void part_cache_init(struct part_cache *c) {
    *c = (struct part_cache){.lock = PTHREAD_MUTEX_INITIALIZER};
}

void parts_release(struct part_sums *s) {
    if (s && atomic_fetch_sub(&s->refs, 1) == 1) free(s);
}

static size_t cost(const struct part_sums *s) {
    return sizeof *s + s->count * sizeof s->sums[0];
}

// Under the lock.
static void drop(struct part_cache *c, unsigned slot) {
    if (!c->slots[slot]) return;
    c->bytes -= cost(c->slots[slot]);
    parts_release(c->slots[slot]);
    c->slots[slot] = NULL;
}

void part_cache_deinit(struct part_cache *c) {
    for (unsigned i = 0; i < PART_SLOTS; i++) drop(c, i);
    pthread_mutex_destroy(&c->lock);
}

static unsigned slot_of(struct vol_loc loc) {
    uint64_t h = (loc.offset / 512 + loc.volume * 7919ULL) * 0x9E3779B97F4A7C15ULL;
    return (unsigned)(h >> 32) % PART_SLOTS;
}

static bool is_of(const struct part_sums *s, const struct instance_ref *ref) {
    return s->loc.volume == ref->loc.volume && s->loc.offset == ref->loc.offset && s->loc.length == ref->loc.length &&
           memcmp(s->digest, ref->digest, VOL_DIGEST_BYTES) == 0;
}

static struct part_sums *find_cached(struct part_cache *c, const struct instance_ref *ref) {
    pthread_mutex_lock(&c->lock);
    struct part_sums *s = c->slots[slot_of(ref->loc)];
    if (s && !is_of(s, ref)) s = NULL;
    if (s) s->refs++;
    pthread_mutex_unlock(&c->lock);
    return s;
}

static void put_cached(struct part_cache *c, struct part_sums *s) {
    unsigned slot = slot_of(s->loc);
    pthread_mutex_lock(&c->lock);
    drop(c, slot);
    for (unsigned i = 0; i < PART_SLOTS && c->bytes + cost(s) > PART_CACHE_BYTES; i++) drop(c, c->hand++ % PART_SLOTS);
    c->slots[slot] = s;
    c->bytes += cost(s);
    s->refs++;
    pthread_mutex_unlock(&c->lock);
}

static struct part_sums *new_sums(const struct instance_ref *ref, const char *list, size_t bytes, struct err *e) {
    struct part_sums *s = malloc(sizeof *s + bytes);
    if (!s) return err_nomem(e, "retrieve"), NULL;
    *s = (struct part_sums){.loc = ref->loc, .refs = 1, .count = bytes / sizeof s->sums[0]};
    memcpy(s->digest, ref->digest, VOL_DIGEST_BYTES);
    if (bytes) memcpy(s->sums, list, bytes);
    return s;
}

// ---- in the index ----

static uint64_t seal_of(const uint8_t digest[VOL_DIGEST_BYTES], struct str list) {
    uint8_t both[VOL_DIGEST_BYTES + 8];
    uint64_t sum = sum_of(list.p, list.n);
    memcpy(both, digest, VOL_DIGEST_BYTES);
    memcpy(both + VOL_DIGEST_BYTES, &sum, 8);
    return sum_of(both, sizeof both);
}

bool parts_pack_sums(const uint8_t digest[VOL_DIGEST_BYTES], struct str list, struct buf *to, struct err *e) {
    uint64_t seal = seal_of(digest, list);
    buf_add(to, &seal, sizeof seal);
    buf_add_str(to, list);
    return buf_ok(to, e);
}

// The list in a packed value, or {NULL, 0} when it is none of this object.
static struct str unpack(const struct instance_ref *ref, struct str packed) {
    uint64_t seal;
    if (packed.n != sizeof seal + block_count(ref->loc.length) * 8) return (struct str){0};
    struct str list = {packed.p + sizeof seal, packed.n - sizeof seal};
    memcpy(&seal, packed.p, sizeof seal);
    return seal == seal_of(ref->digest, list) ? list : (struct str){0};
}

static bool find_kept(struct archive *ar, const struct instance_ref *ref, struct part_sums **out, struct err *e) {
    struct db *d = db_reader(ar->db, e);
    struct db_stmt *s = d ? db_prepare(d, "SELECT sums FROM instance_parts WHERE instance = ?1", e) : NULL;
    bool ok = s;
    if (s) {
        db_bind_int(s, 1, ref->id);
        enum db_step step = db_next(s, e);
        struct str list = step == DB_ROW ? unpack(ref, db_blob(s, 0)) : (struct str){0};
        if (list.p) *out = new_sums(ref, list.p, list.n, e);
        ok = step != DB_FAIL && (!list.p || *out);
        db_done(s);
    }
    db_return(ar->db, d);
    return ok;
}

bool parts_put(struct db *w, int64_t instance, const uint8_t digest[VOL_DIGEST_BYTES], const struct part_facts *f, struct buf *scratch, struct err *e) {
#define PUT(instance)                                                                                                                             \
    "INSERT INTO instance_parts (instance, sums, frames, frames_trouble) VALUES (" instance ", ?1, ?2, ?3) ON CONFLICT (instance) DO UPDATE SET " \
    "sums = excluded.sums, frames = excluded.frames, frames_trouble = excluded.frames_trouble"
    buf_clear(scratch);
    if (f->sums.n && !parts_pack_sums(digest, f->sums, scratch, e)) return false;
    const struct sql_value values[] = {SQL_B(scratch->p, scratch->n), f->frames.p ? SQL_B(f->frames.p, f->frames.n) : SQL_OPT(false, 0),
                                       SQL_T(f->frames_trouble), SQL_I(instance)};
    return sql_run(w, instance ? PUT("?4") : PUT("{last}"), values, instance ? 4 : 3, e);
}

bool parts_forget(struct db *w, int64_t instance, struct err *e) {
    return sql_run(w, "DELETE FROM instance_parts WHERE instance = ?1", SQL_VALUES(SQL_I(instance)), e);
}

void parts_keep(struct archive *ar, const struct instance_ref *ref, const struct part_facts *f) {
    struct buf packed;
    struct db *w = ar->read_only ? NULL : db_side(ar->db, NULL);
    if (!w) return;
    buf_init(&packed, PACKED_BYTES_MAX);
    if (!f->sums.n || parts_pack_sums(ref->digest, f->sums, &packed, NULL))
        sql_run(w,
                "INSERT INTO instance_parts (instance, sums, frames, frames_trouble) SELECT ?1, ?3, ?4, ?5 WHERE EXISTS (SELECT 1 FROM instances WHERE id = ?1 "
                "AND digest = ?2) ON CONFLICT (instance) DO UPDATE SET sums = CASE WHEN length(excluded.sums) = 0 THEN "
                "instance_parts.sums ELSE excluded.sums END, frames = coalesce(excluded.frames, instance_parts.frames), frames_trouble = CASE WHEN "
                "excluded.frames IS NULL THEN instance_parts.frames_trouble ELSE excluded.frames_trouble END",
                SQL_VALUES(SQL_I(ref->id), SQL_B(ref->digest, VOL_DIGEST_BYTES), SQL_B(packed.p, packed.n),
                           f->frames.p ? SQL_B(f->frames.p, f->frames.n) : SQL_OPT(false, 0), SQL_T(f->frames_trouble)),
                NULL);
    buf_deinit(&packed);
    db_return(ar->db, w);
}

bool parts_frames(struct archive *ar, struct arena *a, const struct instance_ref *ref, struct str *packed, struct str *trouble, bool *kept, struct err *e) {
    struct db *d = db_reader(ar->db, e);
    struct db_stmt *s = d ? db_prepare(d, "SELECT frames, frames_trouble FROM instance_parts WHERE instance = ?1 AND frames IS NOT NULL", e) : NULL;
    bool ok = s;
    if (s) {
        db_bind_int(s, 1, ref->id);
        enum db_step step = db_next(s, e);
        *kept = step == DB_ROW;
        ok = step != DB_FAIL && (!*kept || (arena_dup(a, db_blob(s, 0), packed, e) && arena_dup(a, db_text(s, 1), trouble, e)));
        db_done(s);
    }
    db_return(ar->db, d);
    return ok;
}

// ---- made ----

static bool damaged(const struct instance_ref *ref, struct err *e) {
    return err_set(e, ERR_CORRUPT, "retrieve",
                   "object %.*s is damaged in volume %u at byte %llu: its bytes are not those that were stored. Run 'gantry fsck'; sending it again heals it",
                   STR_FMT(ref->sop_instance_uid), ref->loc.volume, (unsigned long long)ref->loc.offset);
}

static bool digest_whole(struct archive *ar, const struct instance_ref *ref, struct digest *d, struct sums *s, struct err *e) {
    char block[SUMS_BLOCK_BYTES]; // of THREAD_STACK_BYTES
    for (uint64_t at = 0, n; at < ref->loc.length; at += n) {
        n = ref->loc.length - at < sizeof block ? ref->loc.length - at : sizeof block;
        if (!moved_read(ar, ref, at, block, n, e)) return false;
        digest_add(d, block, n);
        sums_add(s, block, n);
    }
    return true;
}

static bool make(struct archive *ar, const struct instance_ref *ref, struct part_sums **out, struct err *e) {
    struct digest d = {0};
    struct sums s;
    struct part_facts f = {0};
    uint8_t found[VOL_DIGEST_BYTES];
    sums_init(&s);
    bool ok = digest_init(&d, e) && digest_whole(ar, ref, &d, &s, e) && digest_final(&d, found, e) && sums_final(&s, &f.sums, e) &&
              (memcmp(found, ref->digest, VOL_DIGEST_BYTES) == 0 || damaged(ref, e));
    if (ok) *out = new_sums(ref, f.sums.p, f.sums.n, e);
    ok = ok && *out;
    if (ok) parts_keep(ar, ref, &f);
    digest_deinit(&d);
    sums_deinit(&s);
    return ok;
}

// What a cache has of it may be spoilt while it lies whole in the bucket. False: it is read once more from there.
static bool is_final(struct archive *ar, const struct instance_ref *ref, const struct err *why, struct err *e) {
    if (why->kind == ERR_CORRUPT && vol_refetch(ar->volumes, moved_place(ar, ref))) return false;
    if (e) *e = *why;
    return true;
}

static bool make_surely(struct archive *ar, const struct instance_ref *ref, struct part_sums **out, struct err *e) {
    struct err why = {0};
    return make(ar, ref, out, &why) || (!is_final(ar, ref, &why, e) && make(ar, ref, out, e));
}

bool parts_sums(struct archive *ar, const struct instance_ref *ref, struct part_sums **out, struct err *e) {
    *out = find_cached(&ar->parts, ref);
    if (*out) return true;
    if (!find_kept(ar, ref, out, e) || (!*out && !make_surely(ar, ref, out, e))) return false;
    put_cached(&ar->parts, *out);
    return true;
}

// ---- reading ----

// A block of which only some bytes are wanted. Not on the stack: a thread's stack goes back to the system when it ends, and its pages come anew.
static bool read_edge(struct archive *ar, const struct instance_ref *ref, const struct part_sums *s, size_t i, size_t skip, char *to, size_t n, struct err *e) {
    uint64_t at = (uint64_t)i * SUMS_BLOCK_BYTES, left = ref->loc.length - at;
    size_t size = left < SUMS_BLOCK_BYTES ? (size_t)left : SUMS_BLOCK_BYTES;
    char *block = malloc(size);
    if (!block) return err_nomem(e, "retrieve");
    bool ok = moved_read(ar, ref, at, block, size, e) && (sum_of(block, size) == s->sums[i] || damaged(ref, e));
    if (ok) memcpy(to, block + skip, n);
    free(block);
    return ok;
}

// Whole blocks, into their place; the last one of an object may be shorter.
static bool read_blocks(struct archive *ar, const struct instance_ref *ref, const struct part_sums *s, size_t i, char *to, size_t n, struct err *e) {
    if (!moved_read(ar, ref, (uint64_t)i * SUMS_BLOCK_BYTES, to, n, e)) return false;
    for (size_t size; n; i++, to += size, n -= size) {
        size = n < SUMS_BLOCK_BYTES ? n : SUMS_BLOCK_BYTES;
        if (sum_of(to, size) != s->sums[i]) return damaged(ref, e);
    }
    return true;
}

static bool read_checked(struct archive *ar, const struct instance_ref *ref, const struct part_sums *s, uint64_t from, char *to, size_t n, struct err *e) {
    while (n) {
        size_t i = (size_t)(from / SUMS_BLOCK_BYTES), skip = (size_t)(from % SUMS_BLOCK_BYTES);
        bool to_end = n == ref->loc.length - from;
        size_t whole = to_end ? n : n - n % SUMS_BLOCK_BYTES, take;
        bool ok;
        if (skip == 0 && whole) {
            take = whole;
            ok = read_blocks(ar, ref, s, i, to, take, e);
        } else {
            take = SUMS_BLOCK_BYTES - skip < n ? SUMS_BLOCK_BYTES - skip : n;
            ok = read_edge(ar, ref, s, i, skip, to, take, e);
        }
        if (!ok) return false;
        from += take, to += take, n -= take;
    }
    return true;
}

bool parts_read(struct archive *ar, const struct instance_ref *ref, const struct part_sums *s, uint64_t from, void *p, size_t n, struct err *e) {
    struct err why = {0};
    if (from > ref->loc.length || n > ref->loc.length - from) return err_set(e, ERR_BAD_INPUT, "retrieve", "read past the end of an object");
    return read_checked(ar, ref, s, from, p, n, &why) || (!is_final(ar, ref, &why, e) && read_checked(ar, ref, s, from, p, n, e));
}
