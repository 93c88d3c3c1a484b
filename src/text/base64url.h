// Base64 as URLs and JSON Web Signatures have it (RFC 4648 section 5, RFC 7515 section 2): '-' and '_', no padding.
#ifndef GANTRY_TEXT_BASE64URL_H
#define GANTRY_TEXT_BASE64URL_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/str.h"

void base64url_encode(const void *p, size_t n, struct buf *to);
// Decoded bytes in a. One encoding of each value and no other is taken: padding, blanks, other characters and set bits after the end are ERR_BAD_INPUT.
bool base64url_decode(struct arena *a, struct str text, struct str *out, struct err *e);

#endif
