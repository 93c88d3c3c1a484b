// Coded character sets: bytes to UTF-8 and back, by iconv where a table is needed.
#ifndef GANTRY_TEXT_CHARSET_H
#define GANTRY_TEXT_CHARSET_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/str.h"

// Sets that stand alone, then those that exist only as an ISO 2022 designation (text/iso2022.h).
enum text_set {
    TEXT_ASCII,
    TEXT_LATIN1,   // ISO 8859-1
    TEXT_LATIN2,   // ISO 8859-2
    TEXT_LATIN3,   // ISO 8859-3
    TEXT_LATIN4,   // ISO 8859-4
    TEXT_CYRILLIC, // ISO 8859-5
    TEXT_ARABIC,   // ISO 8859-6
    TEXT_GREEK,    // ISO 8859-7
    TEXT_HEBREW,   // ISO 8859-8
    TEXT_LATIN5,   // ISO 8859-9
    TEXT_THAI,     // TIS 620 as ISO 8859-11
    TEXT_LATIN9,   // ISO 8859-15
    TEXT_JISX0201, // half-width katakana; the yen sign and overline positions are read as \ and ~, as everybody uses them
    TEXT_CP1252,   // ISO 8859-1 with letters and quotes in 0x80-0x9F
    TEXT_UTF8,
    TEXT_GBK, // read as GB18030, its superset
    TEXT_GB18030,
    TEXT_BIG5,
    TEXT_SHIFT_JIS,
    TEXT_EUC_KR,
    TEXT_JISX0208, // pairs of 0x21-0x7E
    TEXT_JISX0212, // pairs of 0x21-0x7E
    TEXT_KSX1001,  // pairs of 0xA1-0xFE
    TEXT_GB2312,   // pairs of 0xA1-0xFE
    TEXT_NONE,     // nothing designated: every byte is bad
    TEXT_SET_COUNT
};

// Appends valid UTF-8. A byte that means nothing in the set becomes U+FFFD and counts in *bad. Failure of the buffer stays in out.
void text_decode(enum text_set set, struct str in, struct buf *out, unsigned *bad);

// Appends utf8 in the set; false (out as it was) when a character is not in it.
bool text_encode(enum text_set set, struct str utf8, struct buf *out);

// Bytes of the character at p (n > 0 are there): 1 for what is no multi-byte character of the set, truncated ones included.
size_t text_char_length(enum text_set set, const char *p, size_t n);

#endif
