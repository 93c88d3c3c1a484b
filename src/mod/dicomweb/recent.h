// Pictures that were lately made, by the digest of all that decides what they look like: who pages to and fro, and who comes next, gets them as they are.
#ifndef GANTRY_MOD_DICOMWEB_RECENT_H
#define GANTRY_MOD_DICOMWEB_RECENT_H

#include "base/buf.h"
#include "sys/digest.h"

enum { RECENT_SLOTS = 4096, RECENT_BYTES = 16 << 20, RECENT_PICTURE_BYTES = 1 << 20 };

// Appends the picture; false when it is not there.
bool dw_recent_find(const uint8_t key[DIGEST_BYTES], struct buf *to);
// Remembers it as long as there is room; a larger one than RECENT_PICTURE_BYTES is not.
void dw_recent_keep(const uint8_t key[DIGEST_BYTES], struct str bytes);

#endif
