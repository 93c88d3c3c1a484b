// A short list of buffers kept warm; the rest are mapped and unmapped, so that a thousand resting connections hold nothing.
#include "net/iobuf.h"

#include <pthread.h>
#include <stddef.h>
#include <sys/mman.h>

enum { KEPT_MAX = 16 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static uint8_t *kept[KEPT_MAX];
static unsigned kept_count;

uint8_t *net_iobuf_get(void) {
    uint8_t *p = NULL;
    pthread_mutex_lock(&lock);
    if (kept_count) p = kept[--kept_count];
    pthread_mutex_unlock(&lock);
    if (p) return p;
    p = mmap(NULL, NET_IOBUF_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return p == MAP_FAILED ? NULL : p;
}

void net_iobuf_put(uint8_t *p) {
    if (!p) return;
    pthread_mutex_lock(&lock);
    if (kept_count < KEPT_MAX) {
        kept[kept_count++] = p;
        p = NULL;
    }
    pthread_mutex_unlock(&lock);
    if (p) munmap(p, NET_IOBUF_BYTES);
}
