// Base32 (RFC 4648 section 6): what people type and authenticators show.
#ifndef GANTRY_TEXT_BASE32_H
#define GANTRY_TEXT_BASE32_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

// Digits of n bytes, NUL not counted.
#define BASE32_DIGITS(n) (((n)*8 + 4) / 5)

// Without padding, NUL-terminated; out has room for BASE32_DIGITS(n) + 1.
void base32_encode(const uint8_t *p, size_t n, char *out);
// Of either case; blanks, hyphens and padding are skipped. *n: the bytes that were written, at most room; false on other characters and when there is no room.
bool base32_decode(struct str text, uint8_t *out, size_t room, size_t *n);

#endif
