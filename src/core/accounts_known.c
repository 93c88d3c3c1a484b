// What was lately found about sessions and tokens, believed for some seconds so that requests ask the index seldom.
#include "base/clock.h"
#include "core/accounts_part.h"

uint64_t known_epoch(struct accounts *a) {
    pthread_mutex_lock(&a->lock);
    uint64_t epoch = a->epoch;
    pthread_mutex_unlock(&a->lock);
    return epoch;
}

static struct known *set_of(struct accounts *a, const uint8_t digest[DIGEST_BYTES]) {
    return a->known[digest[0] % KNOWN_SETS];
}

static bool is(const struct known *k, enum known_kind kind, const uint8_t digest[DIGEST_BYTES]) {
    return k->kind == kind && memcmp(k->digest, digest, DIGEST_BYTES) == 0;
}

// ---- copies ----

static bool copy_scope(struct arena *a, const struct access_scope *from, struct access_scope *to, struct err *e) {
    to->kind = from->kind;
    return arena_dup(a, from->realm.tenant, &to->realm.tenant, e) && arena_dup(a, from->realm.site, &to->realm.site, e) &&
           arena_dup(a, from->realm.department, &to->realm.department, e) && arena_dup(a, from->label, &to->label, e);
}

static bool copy_grants(struct arena *a, const struct principal *from, struct principal *to, struct err *e) {
    struct access_grant *grants = arena_zero(a, from->grant_count + 1, sizeof *grants, e);
    to->grants = grants;
    for (unsigned i = 0; grants && i < from->grant_count; i++) {
        grants[i] = from->grants[i];
        if (!arena_dup(a, from->grants[i].role, &grants[i].role, e) || !copy_scope(a, &from->grants[i].scope, &grants[i].scope, e)) return false;
    }
    return grants;
}

static bool copy_principal(struct arena *a, const struct principal *from, const struct principal **out, struct err *e) {
    struct principal *to = arena_zero(a, 1, sizeof *to, e);
    if (!to) return false;
    *to = *from;
    *out = to;
    return arena_dup(a, from->name, &to->name, e) && arena_dup(a, from->display, &to->display, e) && arena_dup(a, from->glass, &to->glass, e) &&
           arena_dup(a, from->home.tenant, &to->home.tenant, e) && arena_dup(a, from->home.site, &to->home.site, e) &&
           arena_dup(a, from->home.department, &to->home.department, e) && copy_grants(a, from, to, e);
}

static bool copy(struct arena *a, const struct account_session *from, struct account_session *to, struct err *e) {
    *to = *from;
    return copy_principal(a, from->principal, &to->principal, e) && arena_dup(a, from->issuer, &to->issuer, e) &&
           arena_dup(a, from->id_token_hint, &to->id_token_hint, e);
}

// ---- getting and putting ----

bool known_get(struct accounts *a, enum known_kind kind, const uint8_t digest[DIGEST_BYTES], struct arena *arena, struct account_session *out, bool *note,
               struct err *e) {
    int64_t every = a->idle_ms / 4 < SEEN_EVERY_MS ? a->idle_ms / 4 : SEEN_EVERY_MS, now = clock_wall_ms();
    bool found = false;
    *note = false;
    pthread_mutex_lock(&a->lock);
    struct known *set = set_of(a, digest);
    for (unsigned i = 0; i < KNOWN_WAYS && !found; i++) {
        struct known *k = &set[i];
        bool fresh = is(k, kind, digest) && k->epoch == a->epoch && clock_mono_ms() < k->until_mono_ms && (!k->what.until_ms || now < k->what.until_ms);
        if (!fresh || !copy(arena, &k->what, out, e)) continue;
        found = true;
        *note = now - k->noted_ms >= every;
        if (*note) k->noted_ms = now;
    }
    pthread_mutex_unlock(&a->lock);
    return found;
}

// The place of this digest, else the one that is believed for the shortest time.
static struct known *place_for(struct known *set, enum known_kind kind, const uint8_t digest[DIGEST_BYTES]) {
    struct known *best = &set[0];
    for (unsigned i = 0; i < KNOWN_WAYS; i++) {
        if (is(&set[i], kind, digest)) return &set[i];
        if (set[i].until_mono_ms < best->until_mono_ms) best = &set[i];
    }
    return best;
}

void known_put(struct accounts *a, enum known_kind kind, const uint8_t digest[DIGEST_BYTES], uint64_t epoch, int64_t noted_ms,
               const struct account_session *what) {
    pthread_mutex_lock(&a->lock);
    struct known *k = place_for(set_of(a, digest), kind, digest);
    arena_deinit(&k->arena);
    arena_init(&k->arena, KNOWN_BYTES_MAX);
    k->kind = KNOWN_FREE;
    if (copy(&k->arena, what, &k->what, NULL)) {
        k->kind = kind;
        memcpy(k->digest, digest, DIGEST_BYTES);
        k->epoch = epoch;
        k->noted_ms = noted_ms;
        k->until_mono_ms = clock_mono_ms() + ACCOUNTS_BELIEVE_MS;
    }
    pthread_mutex_unlock(&a->lock);
}
