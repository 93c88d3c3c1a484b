// Compression for what is kept in the index (zstd), optionally against a prefix that both sides have.
#ifndef GANTRY_SYS_ZSTD_H
#define GANTRY_SYS_ZSTD_H

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

// Appends one frame to `to`. prefix: earlier content that src resembles ({NULL, 0} for none). Any thread; contexts are pooled and bounded.
bool zstd_compress(struct str src, struct str prefix, struct buf *to, struct err *e);
// Appends the content of one frame to `to`, whose ceiling is the bound. ERR_CORRUPT when it is not a frame, or was made with another prefix.
bool zstd_decompress(struct str src, struct str prefix, struct buf *to, struct err *e);

#endif
