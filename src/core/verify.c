// What is served is what was stored: bytes are checked by the sums of their blocks before they go out.
//
// Bytes that are read here are checked as they are read, each time. For those who send from the file itself, an object is checked when the sending
// begins, and is then trusted as long as its volume was not written to (by its modification time) and at most for TRUST_MS.
#include "base/clock.h"
#include "core/damage.h"
#include "core/moved.h"
#include "core/parts.h"
#include "core/retrieve.h"
#include "core/state.h"
#include "sys/sums.h"

enum {
    TRUST_MS = 60 * 60 * 1000,
    SETTLED_NS = 50 * 1000000, // a volume written to within this may change again under the same time stamp
    CHUNK_BYTES = 2 * SUMS_BLOCK_BYTES,
    FILE_TRIES = 3,
};

static struct verified_entry *slot(struct archive *ar, struct vol_loc loc) {
    uint64_t h = (loc.offset / 512 + loc.volume * 7919ULL) * 0x9E3779B97F4A7C15ULL;
    return &ar->verified.entries[(h >> 32) % VERIFIED_MAX];
}

// Where the object lies, and when that volume was written to.
static bool volume_mtime(struct archive *ar, const struct instance_ref *ref, struct vol_loc *at, int64_t *mtime_ns, struct err *e) {
    struct vol_state st = {0};
    bool ok = moved_state(ar, ref, at, &st, e);
    *mtime_ns = st.stamp;
    return ok;
}

static bool is_trusted(struct archive *ar, struct vol_loc loc, int64_t mtime_ns) {
    struct verified_entry *v = slot(ar, loc);
    pthread_mutex_lock(&ar->verified.lock);
    bool mine = v->volume == loc.volume && v->offset == loc.offset && v->at_ms;
    bool unchanged = v->mtime_ns == mtime_ns && clock_mono_ms() - v->at_ms < TRUST_MS;
    pthread_mutex_unlock(&ar->verified.lock);
    return mine && unchanged;
}

static void distrust(struct archive *ar, struct vol_loc loc) {
    struct verified_entry *v = slot(ar, loc);
    pthread_mutex_lock(&ar->verified.lock);
    if (v->volume == loc.volume && v->offset == loc.offset) v->at_ms = 0;
    pthread_mutex_unlock(&ar->verified.lock);
}

static void trust(struct archive *ar, struct vol_loc loc, int64_t mtime_ns) {
    struct verified_entry *v = slot(ar, loc);
    if (clock_wall_ms() * 1000000 - mtime_ns < SETTLED_NS) return;
    pthread_mutex_lock(&ar->verified.lock);
    *v = (struct verified_entry){loc.volume, loc.offset, mtime_ns, clock_mono_ms()};
    pthread_mutex_unlock(&ar->verified.lock);
}

static bool check_blocks(struct archive *ar, const struct instance_ref *ref, const struct part_sums *s, uint64_t from, uint64_t n, struct err *e) {
    char chunk[CHUNK_BYTES]; // of THREAD_STACK_BYTES
    uint64_t end = from + n;
    end += (SUMS_BLOCK_BYTES - end % SUMS_BLOCK_BYTES) % SUMS_BLOCK_BYTES;
    if (end > ref->loc.length) end = ref->loc.length;
    for (uint64_t at = from - from % SUMS_BLOCK_BYTES, part; at < end; at += part) {
        part = end - at < sizeof chunk ? end - at : sizeof chunk;
        if (!parts_read(ar, ref, s, at, chunk, part, e)) return false;
    }
    return true;
}

static bool check(struct archive *ar, const struct instance_ref *ref, struct vol_loc at, uint64_t from, uint64_t n, struct err *e) {
    struct part_sums *s;
    if (!parts_sums(ar, ref, &s, e)) return false;
    bool ok = check_blocks(ar, ref, s, from, n, e);
    parts_release(s);
    if (!ok) distrust(ar, at);
    return ok;
}

// What failed because of what is stored is noted.
static bool ended(struct archive *ar, const struct instance_ref *ref, bool ok, const struct err *why, struct err *e) {
    if (ok) return true;
    damage_found(ar, ref, why);
    if (e) *e = *why;
    return false;
}

static bool check_and_note(struct archive *ar, const struct instance_ref *ref, struct vol_loc at, uint64_t from, uint64_t n, struct err *e) {
    struct err why = {0};
    return ended(ar, ref, check(ar, ref, at, from, n, &why), &why, e);
}

bool retrieve_check(struct archive *ar, const struct instance_ref *ref, struct err *e) {
    struct vol_loc at;
    int64_t mtime_ns;
    struct err why = {0};
    if (!volume_mtime(ar, ref, &at, &mtime_ns, &why)) return ended(ar, ref, false, &why, e);
    if (is_trusted(ar, at, mtime_ns)) return true;
    if (!check_and_note(ar, ref, at, 0, ref->loc.length, e)) return false;
    trust(ar, at, mtime_ns);
    return true;
}

bool retrieve_check_range(struct archive *ar, const struct instance_ref *ref, uint64_t from, uint64_t n, struct err *e) {
    struct vol_loc at;
    int64_t mtime_ns;
    if (from > ref->loc.length || n > ref->loc.length - from) return err_set(e, ERR_BAD_INPUT, "retrieve", "range past the end of an object");
    struct err why = {0};
    if (!volume_mtime(ar, ref, &at, &mtime_ns, &why)) return ended(ar, ref, false, &why, e);
    return is_trusted(ar, at, mtime_ns) || check_and_note(ar, ref, at, from, n, e);
}

bool retrieve_read(struct archive *ar, const struct instance_ref *ref, uint64_t from, void *p, size_t n, struct err *e) {
    struct part_sums *s;
    struct err why = {0};
    if (!parts_sums(ar, ref, &s, &why)) return ended(ar, ref, false, &why, e);
    bool ok = parts_read(ar, ref, s, from, p, n, &why);
    parts_release(s);
    if (!ok) distrust(ar, moved_place(ar, ref)); // however good it was a moment ago
    return ended(ar, ref, ok, &why, e);
}

bool retrieve_verify(struct archive *ar, const struct instance_ref *ref, struct err *e) {
    struct err why = {0};
    return ended(ar, ref, moved_verify(ar, ref, &why), &why, e) || err_wrap(e, "object %.*s", STR_FMT(ref->sop_instance_uid));
}

bool retrieve_fd(struct archive *ar, const struct instance_ref *ref, uint64_t from, uint64_t n, struct vol_loc *at, int *fd, struct err *e) {
    if (from > ref->loc.length || n > ref->loc.length - from) return err_set(e, ERR_BAD_INPUT, "retrieve", "range past the end of an object");
    // A cache may give its file up at any time: what was checked and what is sent are the same only when it did not.
    for (int i = 0; i < FILE_TRIES; i++) {
        struct vol_state before, after = {0};
        struct vol_loc place;
        bool whole = from == 0 && n == ref->loc.length;
        struct err why = {0};
        if (!moved_state(ar, ref, &place, &before, &why)) return ended(ar, ref, false, &why, e);
        if (vol_is_encrypted(place)) return err_set(e, ERR_UNSUPPORTED, "retrieve", "volume %u is encrypted: its objects are read", place.volume);
        if (!(whole ? retrieve_check(ar, ref, e) : retrieve_check_range(ar, ref, from, n, e)) || !moved_fd(ar, ref, from, n, at, fd, e)) return false;
        if (place.volume == at->volume && vol_state_get(ar->volumes, at->volume, &after, e) && before.file == after.file) return true;
        vol_fd_release(ar->volumes, at->volume, *fd);
    }
    return err_set(e, ERR_BUSY, "retrieve", "the cache gives files up as fast as they are read: make it larger");
}
