// Pictures in memory, of a bounded size together.
#include "mod/dicomweb/recent.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

struct picture {
    uint8_t key[DIGEST_BYTES];
    size_t n;
    char bytes[];
};

static struct {
    pthread_mutex_t lock;
    struct picture *slots[RECENT_SLOTS];
    size_t bytes;
    unsigned hand; // where room is made next
} recent = {.lock = PTHREAD_MUTEX_INITIALIZER};

static unsigned slot_of(const uint8_t key[DIGEST_BYTES]) {
    return ((unsigned)key[0] | (unsigned)key[1] << 8) % RECENT_SLOTS;
}

// Under the lock.
static void drop(unsigned slot) {
    if (!recent.slots[slot]) return;
    recent.bytes -= recent.slots[slot]->n;
    free(recent.slots[slot]);
    recent.slots[slot] = NULL;
}

bool dw_recent_find(const uint8_t key[DIGEST_BYTES], struct buf *to) {
    pthread_mutex_lock(&recent.lock);
    const struct picture *p = recent.slots[slot_of(key)];
    bool found = p && memcmp(p->key, key, DIGEST_BYTES) == 0;
    if (found) buf_add(to, p->bytes, p->n);
    pthread_mutex_unlock(&recent.lock);
    return found && buf_ok(to, NULL);
}

void dw_recent_keep(const uint8_t key[DIGEST_BYTES], struct str bytes) {
    struct picture *p = bytes.n <= RECENT_PICTURE_BYTES ? malloc(sizeof *p + bytes.n) : NULL;
    if (!p) return;
    p->n = bytes.n;
    memcpy(p->key, key, DIGEST_BYTES);
    if (bytes.n) memcpy(p->bytes, bytes.p, bytes.n);
    pthread_mutex_lock(&recent.lock);
    drop(slot_of(key));
    for (unsigned i = 0; i < RECENT_SLOTS && recent.bytes + p->n > RECENT_BYTES; i++) drop(recent.hand++ % RECENT_SLOTS);
    recent.slots[slot_of(key)] = p;
    recent.bytes += p->n;
    pthread_mutex_unlock(&recent.lock);
}
