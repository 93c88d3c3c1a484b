// Look-up in the generated pinyin table.
#include "dicom/pinyin.h"

#include <stddef.h>

#include "dicom/pinyin_table.h"

bool pinyin_is_han(uint32_t c) {
    return (c >= 0x4E00 && c <= 0x9FFF) || (c >= 0x3400 && c <= 0x4DBF) || (c >= 0x20000 && c <= 0x3FFFF) || (c >= 0xF900 && c <= 0xFAFF) || c == 0x3007;
}

// Index of the first entry of the code point or of what follows it.
static uint32_t lower_bound(const uint32_t *table, uint32_t count, uint32_t code_point) {
    uint32_t low = 0, high = count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (table[middle] >> PINYIN_SYLLABLE_BITS < code_point)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static void add(const char **readings, unsigned *count, unsigned syllable) {
    if (syllable == 0 || *count == PINYIN_READINGS_MAX) return;
    for (unsigned i = 0; i < *count; i++)
        if (readings[i] == pinyin_syllables[syllable]) return;
    readings[(*count)++] = pinyin_syllables[syllable];
}

static void add_from(const uint32_t *table, uint32_t table_count, uint32_t code_point, const char **readings, unsigned *count) {
    for (uint32_t i = lower_bound(table, table_count, code_point); i < table_count && table[i] >> PINYIN_SYLLABLE_BITS == code_point; i++)
        add(readings, count, table[i] & ((1u << PINYIN_SYLLABLE_BITS) - 1));
}

unsigned pinyin_readings(uint32_t c, bool surname, const char *readings[PINYIN_READINGS_MAX]) {
    unsigned count = 0;
    if (surname) add_from(pinyin_surname, pinyin_surname_count, c, readings, &count);
    if (c >= PINYIN_DENSE_FIRST && c <= PINYIN_DENSE_LAST)
        add(readings, &count, pinyin_dense[c - PINYIN_DENSE_FIRST]);
    else
        add_from(pinyin_sparse, pinyin_sparse_count, c, readings, &count);
    add_from(pinyin_other, pinyin_other_count, c, readings, &count);
    return count;
}

bool pinyin_compound_surname(uint32_t first, uint32_t second, const char *readings[2]) {
    if (first > 0xFFFF || second > 0xFFFF) return false;
    uint32_t wanted = first << 16 | second, low = 0, high = pinyin_compound_count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        const struct pinyin_compound *c = &pinyin_compounds[middle];
        uint32_t here = (uint32_t)c->characters[0] << 16 | c->characters[1];
        if (here == wanted) {
            readings[0] = pinyin_syllables[c->syllables[0]];
            readings[1] = pinyin_syllables[c->syllables[1]];
            return true;
        }
        if (here < wanted)
            low = middle + 1;
        else
            high = middle;
    }
    return false;
}
