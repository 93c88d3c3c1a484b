// How a name in Chinese characters is spelled in pinyin, with its other readings: for matching and for index keys.
#ifndef GANTRY_DICOM_NAME_SPELL_H
#define GANTRY_DICOM_NAME_SPELL_H

#include "base/buf.h"
#include "dicom/name.h"
#include "dicom/pinyin.h"

// PN_GLYPHS_MAX: characters of a group that are looked at; PN_VARIANTS_MAX: spellings by other readings; PN_UMLAUTS: v, u and yu for u with diaeresis
// (lv, lu and lyu are all in use: keyboards, old and new passports).
enum { PN_GLYPHS_MAX = 64, PN_VARIANTS_MAX = 8, PN_UMLAUTS = 3 };

struct pn_glyph {
    struct str raw;
    uint32_t code_point;
    const char *reading[PINYIN_READINGS_MAX];
    unsigned readings;  // 0: not a Chinese character
    unsigned component; // PN_FAMILY ...
};

struct pn_spelling {
    struct pn_glyph glyph[PN_GLYPHS_MAX];
    unsigned count;
    unsigned variants; // at least 1
    unsigned umlauts;  // 1, or PN_UMLAUTS when a reading has one
    bool han;          // there is a Chinese character with a known reading
};

// group: folded. A group without components is divided into family and given name when it is 2 to 4 Chinese characters.
void pn_spelling_of(struct str group, struct pn_spelling *out);

// Appends variant (0: the most likely) with these separators; "" joins.
void pn_spell(const struct pn_spelling *s, unsigned variant, unsigned umlaut, const char *between_components, const char *between_syllables, struct buf *to);
void pn_spell_initials(const struct pn_spelling *s, unsigned variant, struct buf *to);

// A character that parts words: space ^ = , . - and the dots of transliterated names.
bool pn_is_separator(uint32_t code_point);

// Components trimmed and without trailing empty ones, joined by ^.
bool pn_tidy_group(struct arena *a, struct str group, struct str *out, struct err *e);

// Words of folded text at separators, wild-card characters dropped: {NULL, 0} after the last.
struct str pn_next_word(struct str *rest);

#endif
