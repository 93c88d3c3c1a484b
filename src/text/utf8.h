// One character of UTF-8 at a time, checked (Unicode 15 3.9, table 3-7).
#ifndef GANTRY_TEXT_UTF8_H
#define GANTRY_TEXT_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/str.h"

// Bytes (1..4) of the well-formed character at p, with its code point in *cp; 0 when there is none (n is 0, or the bytes are malformed).
unsigned utf8_next(const char *p, size_t n, uint32_t *cp);

// Writes cp (a scalar value) and returns its bytes, 1..4.
unsigned utf8_put(char out[4], uint32_t cp);

bool utf8_valid(struct str s);
bool utf8_is_ascii(struct str s);

#define UTF8_REPLACEMENT 0xFFFDu

// Takes one code point from *rest; false at the end. Bytes that are no UTF-8 give U+FFFD, one for each maximal ill-formed run
// (Unicode 3.9, table 3-8), so that every input ends.
bool utf8_take(struct str *rest, uint32_t *cp);

void utf8_add(struct buf *to, uint32_t cp);

// s with every ill-formed run replaced; *bad counts them.
void utf8_add_clean(struct buf *to, struct str s, unsigned *bad);

#endif
