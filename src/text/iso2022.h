// ISO 2022 code extension as DICOM uses it (PS3.5 6.1.2.5): escape sequences designate sets to G0 and G1.
#ifndef GANTRY_TEXT_ISO2022_H
#define GANTRY_TEXT_ISO2022_H

#include "text/charset.h"

struct text_iso2022 {
    enum text_set g0;         // at the start and after each delimiter: TEXT_ASCII (romaji is read as ASCII)
    enum text_set g1;         // likewise; TEXT_NONE when nothing is designated
    enum text_set g1_lenient; // for bytes above 0x7F while G1 holds nothing: what a sloppy sender meant, or TEXT_NONE
    bool reset_backslash;     // delimiters besides the control characters, at which the designations fall back: \ of multi-valued text,
    bool reset_name;          // and ^ = of person names
};

// Appends valid UTF-8. Unknown escape sequences and undefined bytes become U+FFFD and count in *bad.
void text_decode_iso2022(const struct text_iso2022 *how, struct str in, struct buf *out, unsigned *bad);

// Appends utf8 with the escape sequences that it needs; sets: what may be designated, in order of preference. false (out as it was)
// when a character is in none of them.
bool text_encode_iso2022(const struct text_iso2022 *how, const enum text_set *sets, unsigned count, struct str utf8, struct buf *out);

// Whether a known escape sequence is in the text.
bool text_has_designation(struct str s);

// Index of the first delimiter at or after from that is not a byte of a two-byte character, or s.n.
size_t text_find_iso2022(const struct text_iso2022 *how, struct str s, char delimiter, size_t from);

#endif
