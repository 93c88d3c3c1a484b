// Sums of blocks: the only includer of xxhash.h.
#include "sys/sums.h"

#include <xxhash.h>
#if defined(__x86_64__) && __has_include(<xxh_x86dispatch.h>)
#include <xxh_x86dispatch.h> // the widest vectors of the processor at hand: the plain functions use the narrowest
#define WIDE 1
#else
#define WIDE 0
#endif

#include "base/limits.h"

enum { LIST_BYTES_MAX = STORE_OBJECT_BYTES_MAX / SUMS_BLOCK_BYTES * sizeof(uint64_t) + 4096 };

#if WIDE
// The library leaves the upper halves of the vector registers in use, and as long as they are, whatever the thread does costs more, and what threads do that it
// starts: their 128-bit instructions have to keep those halves.
__attribute__((target("avx"))) static void clear_upper(void) {
    __builtin_ia32_vzeroupper();
}
#endif

uint64_t sum_of(const void *p, size_t n) {
    uint64_t sum = XXH3_64bits(p, n);
#if WIDE
    if (__builtin_cpu_supports("avx")) clear_upper();
#endif
    return sum;
}

void sums_init(struct sums *s) {
    *s = (struct sums){.state = NULL};
    buf_init(&s->list, LIST_BYTES_MAX);
}

void sums_deinit(struct sums *s) {
    XXH3_freeState(s->state);
    s->state = NULL;
    buf_deinit(&s->list);
}

static bool begin_block(struct sums *s) {
    if (!s->state) s->state = XXH3_createState();
    s->failed |= !s->state || XXH3_64bits_reset(s->state) != XXH_OK;
    return !s->failed;
}

static void end_block(struct sums *s) {
    uint64_t sum = XXH3_64bits_digest(s->state);
    buf_add(&s->list, &sum, sizeof sum);
    s->filled = 0;
}

void sums_add(struct sums *s, const void *p, size_t n) {
    const char *at = p;
    for (size_t take; n && !s->failed; at += take, n -= take) {
        take = SUMS_BLOCK_BYTES - s->filled < n ? SUMS_BLOCK_BYTES - s->filled : n;
        if (take == SUMS_BLOCK_BYTES) {
            uint64_t sum = sum_of(at, take);
            buf_add(&s->list, &sum, sizeof sum);
            continue;
        }
        if (s->filled == 0 && !begin_block(s)) return;
        s->failed |= XXH3_64bits_update(s->state, at, take) != XXH_OK;
        s->filled += take;
        if (s->filled == SUMS_BLOCK_BYTES) end_block(s);
    }
}

bool sums_final(struct sums *s, struct str *out, struct err *e) {
    if (s->failed) return err_nomem(e, "sums");
    if (s->filled) end_block(s);
    *out = buf_str(&s->list);
    return buf_ok(&s->list, e);
}
