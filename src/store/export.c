// A volume as one that is not encrypted.
#include <stdlib.h>
#include <string.h>

#include "store/seal.h"
#include "store/set.h"

enum { EXPORT_BYTES = 4 * SEAL_SEGMENT };

struct exporting {
    struct vol_set *vs;
    struct volume_reader reader;
    vol_export_write *write;
    void *ctx;
    uint64_t at; // written so far
    uint64_t *entries, *damaged;
    char *chunk; // EXPORT_BYTES
};

static bool give(struct exporting *x, const void *p, size_t n, struct err *e) {
    x->at += n;
    return n == 0 || x->write(x->ctx, p, n, e);
}

static bool give_bytes(struct exporting *x, const struct vol_entry *en, struct err *e) {
    uint64_t length = en->loc.length;
    struct payload p;
    bool ok = payload_open(&p, &x->reader, en->loc, e);
    for (uint64_t at = 0; ok && at < length;) {
        size_t got, n = length - at < EXPORT_BYTES ? (size_t)(length - at) : EXPORT_BYTES;
        ok = payload_read(&p, at, x->chunk, n, &got, e) && (got == n || err_set(e, ERR_CORRUPT, "store", "volume %u ends within an entry", en->loc.volume)) &&
             give(x, x->chunk, n, e);
        at += n;
    }
    payload_close(&p);
    return ok && give(x, x->vs->zeros, (size_t)(tar_round(length) - length), e);
}

// Its digest was checked by the scan just before.
static bool export_one(void *ctx, const struct vol_entry *entry, bool damaged, struct err *e) {
    struct exporting *x = ctx;
    struct vol_entry en = *entry;
    char head[TAR_HEAD_MAX];
    if (damaged) {
        ++*x->damaged;
        return true;
    }
    en.sealed = false;
    size_t n = tar_head_min(&en);
    ++*x->entries;
    return tar_encode(&en, x->at, 0, n, head, e) && give(x, head, n, e) && give_bytes(x, entry, e);
}

bool vol_export(struct vol_set *vs, uint32_t volume, vol_export_write *write, void *ctx, uint64_t *entries, uint64_t *damaged, struct err *e) {
    struct exporting x = {.vs = vs, .reader = {.vs = vs, .volume = volume}, .write = write, .ctx = ctx, .entries = entries, .damaged = damaged};
    *entries = *damaged = 0;
    x.chunk = malloc(EXPORT_BYTES);
    if (!x.chunk) return err_nomem(e, "store");
    bool ok = vs->driver->reader_open(&x.reader, e);
    if (ok) {
        ok = vol_scan(vs, volume, 0, true, export_one, &x, NULL, e) && give(&x, vs->zeros, TAR_EOF_BYTES, e);
        vs->driver->reader_close(&x.reader);
    }
    free(x.chunk);
    return ok || err_wrap(e, "export volume %u", volume);
}
