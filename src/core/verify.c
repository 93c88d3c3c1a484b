// What is served is what was stored: objects are digested before their first byte goes out.
//
// An object is digested when a read of it begins, and is then trusted as long as its volume was not written to (by its modification time) and at
// most for TRUST_MS. The volume that is being filled changes all the time; there only large objects are trusted between the
// pieces of one retrieval, and for a short time, since digesting them for each piece would cost their whole length.
#include "base/clock.h"
#include "core/retrieve.h"
#include "core/state.h"
#include "sys/digest.h"
#include "sys/file.h"

enum {
    TRUST_MS = 60 * 60 * 1000,
    LARGE_BYTES = 8 << 20,
    LARGE_TRUST_MS = 60 * 1000, // of an object in a growing volume
    SETTLED_NS = 50 * 1000000,  // a volume written to within this may change again under the same time stamp
    CHUNK_BYTES = 128 * 1024,
};

static struct verified_entry *slot(struct archive *ar, struct vol_loc loc) {
    uint64_t h = (loc.offset / 512 + loc.volume * 7919ULL) * 0x9E3779B97F4A7C15ULL;
    return &ar->verified.entries[(h >> 32) % VERIFIED_MAX];
}

static bool volume_mtime(struct archive *ar, uint32_t volume, int64_t *mtime_ns, struct err *e) {
    struct sys_stat st;
    int fd;
    if (!vol_fd(ar->volumes, volume, &fd, e)) return false;
    bool ok = sys_stat_fd(fd, &st, e);
    vol_fd_release(ar->volumes, volume);
    *mtime_ns = ok ? st.mtime_ns : 0;
    return ok;
}

static bool is_trusted(struct archive *ar, struct vol_loc loc, int64_t mtime_ns, bool begins) {
    struct verified_entry *v = slot(ar, loc);
    pthread_mutex_lock(&ar->verified.lock);
    bool mine = v->volume == loc.volume && v->offset == loc.offset && v->at_ms;
    int64_t age_ms = clock_mono_ms() - v->at_ms;
    bool unchanged = v->mtime_ns == mtime_ns && age_ms < TRUST_MS;
    bool continues = !begins && loc.length > LARGE_BYTES && age_ms < LARGE_TRUST_MS;
    pthread_mutex_unlock(&ar->verified.lock);
    return mine && (unchanged || continues);
}

static void distrust(struct archive *ar, struct vol_loc loc) {
    struct verified_entry *v = slot(ar, loc);
    pthread_mutex_lock(&ar->verified.lock);
    if (v->volume == loc.volume && v->offset == loc.offset) v->at_ms = 0;
    pthread_mutex_unlock(&ar->verified.lock);
}

static void trust(struct archive *ar, struct vol_loc loc, int64_t mtime_ns) {
    struct verified_entry *v = slot(ar, loc);
    if (clock_wall_ms() * 1000000 - mtime_ns < SETTLED_NS) mtime_ns = -1; // never equal: only the pieces of this retrieval
    pthread_mutex_lock(&ar->verified.lock);
    *v = (struct verified_entry){loc.volume, loc.offset, mtime_ns, clock_mono_ms()};
    pthread_mutex_unlock(&ar->verified.lock);
}

static bool digest_object(struct archive *ar, struct vol_loc loc, char *chunk, uint8_t out[VOL_DIGEST_BYTES], struct err *e) {
    struct digest d = {0};
    bool ok = digest_init(&d, e);
    for (uint64_t at = 0, n; ok && at < loc.length; at += n) {
        n = loc.length - at < CHUNK_BYTES ? loc.length - at : CHUNK_BYTES;
        ok = vol_read_at(ar->volumes, loc, at, chunk, n, e);
        if (ok) digest_add(&d, chunk, n);
    }
    ok = ok && digest_final(&d, out, e);
    digest_deinit(&d);
    return ok;
}

static bool check(struct archive *ar, const struct instance_ref *ref, bool begins, struct err *e) {
    int64_t mtime_ns;
    uint8_t digest[VOL_DIGEST_BYTES];
    if (!volume_mtime(ar, ref->loc.volume, &mtime_ns, e)) return false;
    if (is_trusted(ar, ref->loc, mtime_ns, begins)) return true;
    char chunk[CHUNK_BYTES]; // of THREAD_STACK_BYTES
    if (!digest_object(ar, ref->loc, chunk, digest, e)) return false;
    if (memcmp(digest, ref->digest, VOL_DIGEST_BYTES) != 0)
        return err_set(
            e, ERR_CORRUPT, "retrieve",
            "object %.*s is damaged in volume %u at byte %llu: its bytes are not those that were stored. Run 'gantry fsck'; sending it again heals it",
            STR_FMT(ref->sop_instance_uid), ref->loc.volume, (unsigned long long)ref->loc.offset);
    trust(ar, ref->loc, mtime_ns);
    return true;
}

bool retrieve_check(struct archive *ar, const struct instance_ref *ref, struct err *e) {
    return check(ar, ref, true, e);
}

bool retrieve_read(struct archive *ar, const struct instance_ref *ref, uint64_t from, void *p, size_t n, struct err *e) {
    if (from == 0 && n == ref->loc.length) { // the very bytes that go out are digested
        uint8_t digest[VOL_DIGEST_BYTES];
        if (!vol_read_at(ar->volumes, ref->loc, 0, p, n, e) || !digest_of(p, n, digest, e)) return false;
        if (memcmp(digest, ref->digest, VOL_DIGEST_BYTES) == 0) return true;
        distrust(ar, ref->loc); // however good they were a moment ago
    }
    return check(ar, ref, from == 0, e) && vol_read_at(ar->volumes, ref->loc, from, p, n, e);
}

bool retrieve_verify(struct archive *ar, const struct instance_ref *ref, struct err *e) {
    struct vol_entry entry = {.kind = VOL_OBJECT, .loc = ref->loc};
    memcpy(entry.digest, ref->digest, VOL_DIGEST_BYTES);
    return vol_verify(ar->volumes, &entry, e) || err_wrap(e, "object %.*s", STR_FMT(ref->sop_instance_uid));
}
