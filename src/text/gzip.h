// gzip and deflate in memory (RFC 1951, 1952): the wrapper of zlib for answers and their reading.
#ifndef GANTRY_TEXT_GZIP_H
#define GANTRY_TEXT_GZIP_H

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

enum { GZIP_FAST = 1, GZIP_BEST = 9 };

// Appends one gzip member. level: GZIP_FAST .. GZIP_BEST.
bool gzip_pack(struct str in, int level, struct buf *out, struct err *e);
// Appends what a gzip (or zlib) stream inflates to, members one after the other. The ceiling of out bounds a bomb: ERR_TOO_LARGE.
bool gzip_unpack(struct str in, struct buf *out, struct err *e);
// The CRC-32 of gzip and ZIP: begin with 0, feed with what came out.
uint32_t gzip_crc32(uint32_t crc, const void *p, size_t n);

#endif
