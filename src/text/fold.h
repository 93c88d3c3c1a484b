// Text folded for comparison: what people see as the same spelling becomes the same bytes.
#ifndef GANTRY_TEXT_FOLD_H
#define GANTRY_TEXT_FOLD_H

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"

// Compatibility decomposition (full-width forms become ASCII, half-width katakana full-width), full case folding, without the accents of Latin, Greek,
// Cyrillic, Hebrew and Arabic letters; ø ł đ æ and their like become ASCII; runs of spaces become one, none at the ends. Hangul and kana stay whole
// characters. Ill-formed input is taken as U+FFFD. out is NUL-terminated in a.
bool text_fold(struct arena *a, struct str utf8, struct str *out, struct err *e);

#endif
