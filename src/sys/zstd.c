// The only includer of zstd.h: a few contexts shared by all threads, so that memory does not grow with the threads.
#include "sys/zstd.h"

#include <pthread.h>
#include <zstd.h>

enum { LEVEL = 1, CONTEXTS = 4, PREFIX_WINDOW_LOG_MAX = 27 };

// Contexts of one kind; taken[i] says whether somebody works with slot[i].
struct contexts {
    pthread_mutex_t lock;
    pthread_cond_t freed;
    void *slot[CONTEXTS];
    bool taken[CONTEXTS];
};

static struct contexts compressors = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, {NULL}, {false}};
static struct contexts decompressors = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, {NULL}, {false}};

static unsigned take(struct contexts *c) {
    pthread_mutex_lock(&c->lock);
    for (;;) {
        for (unsigned i = 0; i < CONTEXTS; i++) {
            if (c->taken[i]) continue;
            c->taken[i] = true;
            pthread_mutex_unlock(&c->lock);
            return i;
        }
        pthread_cond_wait(&c->freed, &c->lock);
    }
}

static void give(struct contexts *c, unsigned i) {
    pthread_mutex_lock(&c->lock);
    c->taken[i] = false;
    pthread_cond_signal(&c->freed);
    pthread_mutex_unlock(&c->lock);
}

static bool compress(ZSTD_CCtx *z, struct str src, struct str prefix, struct buf *to, struct err *e) {
    size_t bound = ZSTD_compressBound(src.n);
    char *out = ZSTD_isError(bound) ? NULL : buf_reserve(to, bound);
    if (!out) return err_nomem(e, "zstd");
    ZSTD_CCtx_reset(z, ZSTD_reset_session_and_parameters);
    ZSTD_CCtx_setParameter(z, ZSTD_c_compressionLevel, LEVEL);
    ZSTD_CCtx_setParameter(z, ZSTD_c_checksumFlag, 1);
    if (prefix.n) ZSTD_CCtx_refPrefix(z, prefix.p, prefix.n);
    size_t n = ZSTD_compress2(z, out, bound, src.p, src.n);
    if (ZSTD_isError(n)) return err_set(e, ERR_INTERNAL, "zstd", "compress: %s", ZSTD_getErrorName(n));
    to->n += n;
    return true;
}

bool zstd_compress(struct str src, struct str prefix, struct buf *to, struct err *e) {
    unsigned i = take(&compressors);
    if (!compressors.slot[i]) compressors.slot[i] = ZSTD_createCCtx();
    bool ok = compressors.slot[i] ? compress(compressors.slot[i], src, prefix, to, e) : err_nomem(e, "zstd");
    give(&compressors, i);
    return ok;
}

static bool decompress(ZSTD_DCtx *z, struct str src, struct str prefix, struct buf *to, struct err *e) {
    unsigned long long size = ZSTD_getFrameContentSize(src.p, src.n);
    if (size == ZSTD_CONTENTSIZE_ERROR || size == ZSTD_CONTENTSIZE_UNKNOWN) return err_set(e, ERR_CORRUPT, "zstd", "not a compressed value of ours");
    if (size > to->ceiling - to->n) return err_set(e, ERR_TOO_LARGE, "zstd", "inflates to %llu bytes, more than the %zu allowed", size, to->ceiling - to->n);
    if (size == 0) return true;
    char *out = buf_reserve(to, (size_t)size);
    if (!out) return err_nomem(e, "zstd");
    ZSTD_DCtx_reset(z, ZSTD_reset_session_and_parameters);
    ZSTD_DCtx_setParameter(z, ZSTD_d_windowLogMax, PREFIX_WINDOW_LOG_MAX);
    if (prefix.n) ZSTD_DCtx_refPrefix(z, prefix.p, prefix.n);
    size_t n = ZSTD_decompressDCtx(z, out, (size_t)size, src.p, src.n);
    if (ZSTD_isError(n)) return err_set(e, ERR_CORRUPT, "zstd", "decompress: %s", ZSTD_getErrorName(n));
    to->n += n;
    return true;
}

bool zstd_decompress(struct str src, struct str prefix, struct buf *to, struct err *e) {
    unsigned i = take(&decompressors);
    if (!decompressors.slot[i]) decompressors.slot[i] = ZSTD_createDCtx();
    bool ok = decompressors.slot[i] ? decompress(decompressors.slot[i], src, prefix, to, e) : err_nomem(e, "zstd");
    give(&decompressors, i);
    return ok;
}
