// Buckets in a small table; nothing in it grows.
#include "net/pace.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/clock.h"

enum { SETS = 512, WAYS = 8, TELL_MS = 60 * 1000 };

struct bucket {
    uint8_t key[16]; // IPv6; IPv4 mapped into it
    int64_t seen_ms; // 0: nobody's
    int64_t told_ms;
    int64_t left; // thousandths of a connection
};

struct net_pace {
    pthread_mutex_t lock;
    unsigned per_second;
    bool spare_loopback;
    uint64_t seed; // so that nobody outside can choose who shares a set with whom
    struct bucket all[SETS][WAYS];
};

bool net_pace_open(unsigned per_second, struct net_pace **out, struct err *e) {
    struct net_pace *p = calloc(1, sizeof *p);
    if (!p) return err_nomem(e, "net");
    p->per_second = per_second ? per_second : NET_PACE_DEFAULT;
    p->spare_loopback = per_second == 0;
    if (getrandom(&p->seed, sizeof p->seed, 0) != sizeof p->seed) p->seed = (uint64_t)clock_mono_us();
    pthread_mutex_init(&p->lock, NULL);
    *out = p;
    return true;
}

void net_pace_close(struct net_pace *p) {
    if (!p) return;
    pthread_mutex_destroy(&p->lock);
    free(p);
}

// false: no address, or one of this machine where these are spared.
static bool key_of(const struct net_pace *p, const char *address, uint8_t key[16]) {
    static const uint8_t LOOPBACK[16] = {[15] = 1};
    memset(key, 0, 16);
    if (inet_pton(AF_INET, address, key + 12) == 1) {
        key[10] = key[11] = 0xFF;
        return !p->spare_loopback || key[12] != 127;
    }
    if (inet_pton(AF_INET6, address, key) != 1) return false;
    if (memcmp(key, LOOPBACK, 16) == 0) return !p->spare_loopback;
    memset(key + 8, 0, 8);
    return true;
}

static unsigned set_of(const struct net_pace *p, const uint8_t key[16]) {
    uint64_t a, b;
    memcpy(&a, key, 8);
    memcpy(&b, key + 8, 8);
    a = (a ^ p->seed) * 0x9E3779B97F4A7C15U;
    b = (b ^ a ^ (a >> 29)) * 0xBF58476D1CE4E5B9U;
    return (unsigned)((b ^ (b >> 31)) % SETS);
}

// The address's bucket, else the one of its set that was used longest ago.
static struct bucket *find(struct net_pace *p, const uint8_t key[16], int64_t now_ms) {
    struct bucket *set = p->all[set_of(p, key)], *oldest = set;
    for (unsigned i = 0; i < WAYS; i++) {
        if (set[i].seen_ms && memcmp(set[i].key, key, 16) == 0) return &set[i];
        if (set[i].seen_ms < oldest->seen_ms) oldest = &set[i];
    }
    *oldest = (struct bucket){.seen_ms = now_ms, .left = (int64_t)p->per_second * NET_PACE_BURST_S * 1000};
    memcpy(oldest->key, key, 16);
    return oldest;
}

bool net_pace_take(struct net_pace *p, const char *address, bool *tell) {
    uint8_t key[16];
    *tell = false;
    if (!key_of(p, address, key)) return true;
    const int64_t now_ms = clock_mono_ms() + 1, most = (int64_t)p->per_second * NET_PACE_BURST_S * 1000;
    pthread_mutex_lock(&p->lock);
    struct bucket *b = find(p, key, now_ms);
    int64_t passed_ms = now_ms - b->seen_ms < NET_PACE_BURST_S * 1000 ? now_ms - b->seen_ms : NET_PACE_BURST_S * 1000;
    b->left += passed_ms * p->per_second;
    if (b->left > most) b->left = most;
    b->seen_ms = now_ms;
    bool ok = b->left >= 1000;
    if (ok) b->left -= 1000;
    if (!ok && (b->told_ms == 0 || now_ms - b->told_ms >= TELL_MS)) {
        *tell = true;
        b->told_ms = now_ms;
    }
    pthread_mutex_unlock(&p->lock);
    return ok;
}
