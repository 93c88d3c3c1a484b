// Numbers that count what somebody may not see (events, rows), as text that tells nothing: sealed by a secret of the archive, and read back.
#ifndef GANTRY_CORE_VEIL_H
#define GANTRY_CORE_VEIL_H

#include "core/archive.h"

enum { VEIL_BYTES = 17, VEIL_KEY_BYTES = 32 }; // 16 hexadecimal digits and a NUL

struct veil {
    uint8_t key[VEIL_KEY_BYTES];
};

// The archive's secret, made by whoever needs it first.
bool veil_open(struct archive *ar, struct veil *out, struct err *e);
// The same number gives the same text, on every node and for as long as the archive's settings are kept.
bool veil_put(const struct veil *v, int64_t n, char out[VEIL_BYTES], struct err *e);
// ERR_BAD_INPUT for what veil_put cannot have written.
bool veil_take(const struct veil *v, struct str text, int64_t *n, struct err *e);

#endif
