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

// ---- pieces that are joined without being packed again ----

// A run of deflate blocks (RFC 1951) that begins and ends at a byte and refers to nothing before it.
struct gzip_piece {
    struct str packed;
    uint32_t crc; // of what it inflates to
    uint64_t size;
};
// Appends the blocks to out; *piece borrows nothing: packed is set by the caller, who knows where out ends up.
bool gzip_piece_pack(struct str in, int level, struct buf *out, struct gzip_piece *piece, struct err *e);

// Pieces and short texts, one after the other, as one gzip member (head, any number of them, end), or without head and end as a larger piece.
struct gzip_join {
    struct buf *to; // failures show there
    uint32_t crc;
    uint64_t size;
};
void gzip_join_init(struct gzip_join *j, struct buf *to);
void gzip_join_head(struct gzip_join *j);
void gzip_join_text(struct gzip_join *j, struct str text); // kept as it is; at most 65535 bytes
void gzip_join_piece(struct gzip_join *j, const struct gzip_piece *piece);
void gzip_join_end(struct gzip_join *j);

#endif
