// The generated table (scripts/gen_pinyin.py from data/pinyin.tsv) as pinyin.c sees it.
#ifndef GANTRY_DICOM_PINYIN_TABLE_H
#define GANTRY_DICOM_PINYIN_TABLE_H

#include <stdint.h>

enum { PINYIN_DENSE_FIRST = 0x3400, PINYIN_DENSE_LAST = 0x9FFF, PINYIN_SYLLABLE_BITS = 9 };

struct pinyin_compound {
    uint16_t characters[2];
    uint16_t syllables[2];
};

extern const char pinyin_syllables[][7]; // [0] is none
extern const uint16_t pinyin_dense[];    // syllable of PINYIN_DENSE_FIRST..PINYIN_DENSE_LAST
extern const uint32_t pinyin_sparse[];   // code point << 9 | syllable, ascending; so are the next two
extern const uint32_t pinyin_sparse_count;
extern const uint32_t pinyin_surname[]; // readings as a family name where they differ
extern const uint32_t pinyin_surname_count;
extern const uint32_t pinyin_other[]; // further readings
extern const uint32_t pinyin_other_count;
extern const struct pinyin_compound pinyin_compounds[]; // by characters
extern const uint32_t pinyin_compound_count;

#endif
