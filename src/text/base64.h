// Base64 (RFC 4648 section 4), whole or in pieces.
#ifndef GANTRY_TEXT_BASE64_H
#define GANTRY_TEXT_BASE64_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/str.h"

// Appends the encoding of n bytes, padded.
void base64_encode(const void *p, size_t n, struct buf *to);

// Pieces: bytes that do not make a group of three wait for the next piece.
struct base64_stream {
    uint8_t held[3];
    unsigned held_count;
};
void base64_feed(struct base64_stream *s, const void *p, size_t n, struct buf *to);
void base64_end(struct base64_stream *s, struct buf *to);

// Decoded bytes in a. Blanks and line ends are skipped; other characters, wrong padding and set bits after the end are ERR_BAD_INPUT.
bool base64_decode(struct arena *a, struct str text, struct str *out, struct err *e);

#endif
