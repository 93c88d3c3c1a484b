// One character of UTF-8 at a time, checked (Unicode 15 3.9, table 3-7).
#ifndef GANTRY_TEXT_UTF8_H
#define GANTRY_TEXT_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

// Bytes (1..4) of the well-formed character at p, with its code point in *cp; 0 when there is none (n is 0, or the bytes are malformed).
unsigned utf8_next(const char *p, size_t n, uint32_t *cp);

// Writes cp (a scalar value) and returns its bytes, 1..4.
unsigned utf8_put(char out[4], uint32_t cp);

bool utf8_valid(struct str s);

#endif
