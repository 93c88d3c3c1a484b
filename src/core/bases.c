// A small direct-mapped table of shared, counted bases.
#include "core/bases.h"

#include <stdlib.h>

void bases_init(struct bases *b) {
    *b = (struct bases){.lock = PTHREAD_MUTEX_INITIALIZER};
}

void bases_deinit(struct bases *b) {
    bases_clear(b);
    pthread_mutex_destroy(&b->lock);
}

static unsigned slot_of(const uint8_t place[FACTS_PLACE_BYTES]) {
    return place[0] % BASES_MAX;
}

struct base *bases_get(struct bases *b, const uint8_t place[FACTS_PLACE_BYTES]) {
    pthread_mutex_lock(&b->lock);
    struct base *found = b->slots[slot_of(place)];
    if (found && memcmp(found->place, place, FACTS_PLACE_BYTES) != 0) found = NULL;
    if (found) found->refs++;
    pthread_mutex_unlock(&b->lock);
    return found;
}

void bases_release(struct base *base) {
    if (base && atomic_fetch_sub(&base->refs, 1) == 1) free(base);
}

void bases_put(struct bases *b, const uint8_t place[FACTS_PLACE_BYTES], int64_t id, struct str bytes) {
    struct base *fresh = malloc(sizeof *fresh + bytes.n);
    if (!fresh) return;
    *fresh = (struct base){.id = id, .bytes = {(char *)(fresh + 1), bytes.n}, .refs = 1};
    memcpy(fresh->place, place, FACTS_PLACE_BYTES);
    if (bytes.n) memcpy(fresh + 1, bytes.p, bytes.n);
    pthread_mutex_lock(&b->lock);
    struct base *old = b->slots[slot_of(place)];
    b->slots[slot_of(place)] = fresh;
    pthread_mutex_unlock(&b->lock);
    bases_release(old);
}

void bases_clear(struct bases *b) {
    pthread_mutex_lock(&b->lock);
    for (unsigned i = 0; i < BASES_MAX; i++) {
        if (!b->slots[i]) continue;
        b->slots[i]->stale = true;
        bases_release(b->slots[i]);
        b->slots[i] = NULL;
    }
    pthread_mutex_unlock(&b->lock);
}
