// Pinyin of single characters and of family names: look-up in the committed table.
#ifndef GANTRY_DICOM_PINYIN_H
#define GANTRY_DICOM_PINYIN_H

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"

enum { PINYIN_READINGS_MAX = 4 };

// A Chinese character: CJK Unified Ideographs with all extensions.
bool pinyin_is_han(uint32_t code_point);

// The readings of a character, without tones (v for u with diaeresis), most likely first; as the first character of a family name its surname reading
// is first. Returns how many; 0 when none is known.
unsigned pinyin_readings(uint32_t code_point, bool surname, const char *readings[PINYIN_READINGS_MAX]);

// Readings of a family name of two characters, or false.
bool pinyin_compound_surname(uint32_t first, uint32_t second, const char *readings[2]);

#endif
