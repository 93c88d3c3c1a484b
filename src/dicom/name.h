// Person names (PS3.5 6.2.1): component groups, components, and the keys by which a name is found.
#ifndef GANTRY_DICOM_NAME_H
#define GANTRY_DICOM_NAME_H

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"
#include "text/fold.h" // text_fold: how names are compared

enum { PN_ALPHABETIC, PN_IDEOGRAPHIC, PN_PHONETIC, PN_GROUPS };
enum { PN_FAMILY, PN_GIVEN, PN_MIDDLE, PN_PREFIX, PN_SUFFIX, PN_COMPONENTS };

struct pn {
    struct str group[PN_GROUPS]; // whole groups as they stand, UTF-8, {NULL, 0} when absent
    struct str component[PN_GROUPS][PN_COMPONENTS];
};

// Splits one value (UTF-8, no backslash). Never fails: what is missing is absent.
void pn_parse(struct str utf8, struct pn *out);

// Pinyin of Chinese characters, lower case, no tones, without separators between syllables ("chenwei"); other characters are folded as they are.
// A family name takes its surname reading (Unihan kMandarin and surname readings: data/pinyin.tsv). separate: a space between syllables.
bool text_pinyin(struct arena *a, struct str utf8, bool surname, bool separate, struct str *out, struct err *e);

// The alphabetic group that serves as the missing one for a name with characters only: "陈^伟" gives "chen^wei". {NULL, 0} when the name has its own
// or has no Chinese characters in any group.
bool pn_pinyin_group(struct arena *a, const struct pn *name, struct str *out, struct err *e);

// Exact-ish matching (PS3.4 C.2.2.2): pattern with * and ?, case- and accent-insensitive, against any component group of value, or its pinyin as the
// missing alphabetic group. A pattern without components matches as a prefix only when it ends in *; trailing empty components do not count.
bool pn_match(struct arena *a, struct str pattern, struct str value, bool *match, struct err *e);
// Fuzzy: every word of query matches a word of value, in any order, by prefix, by pinyin (together or apart), or all at once by initials ("cw").
bool pn_match_fuzzy(struct arena *a, struct str query, struct str value, bool *match, struct err *e);

// Every folded key under which a name is found in the index, each once: words of all groups, whole groups with spaces for separators, pinyin of each component
// together, pinyin of the whole name together, initials. keys[i] are in a; at most PN_KEYS_MAX.
enum { PN_KEYS_MAX = 48 };
bool pn_keys(struct arena *a, struct str value, struct str keys[PN_KEYS_MAX], unsigned *count, struct err *e);

#endif
