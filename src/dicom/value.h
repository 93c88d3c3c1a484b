// The value bytes of an element as text, numbers and units: what JSON, listings and checks share.
#ifndef GANTRY_DICOM_VALUE_H
#define GANTRY_DICOM_VALUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"
#include "dicom/dataset.h"

// An unsigned number of 1, 2, 4 or 8 bytes.
uint64_t dcm_value_load(const uint8_t *p, unsigned unit, bool big_endian);
float dcm_value_float(uint32_t bits);
double dcm_value_double(uint64_t bits);

// The other byte order, unit by unit; a rest shorter than a unit stays.
void dcm_value_swap(uint8_t *p, size_t n, unsigned unit);

// US SS UL SL UV SV FL FD AT.
bool dcm_value_is_number(uint16_t vr);

// Without trailing spaces and NULs; AE, DS and IS also without leading ones, whose spaces mean nothing (PS3.5 6.2).
struct str dcm_value_trim(uint16_t vr, struct str value);

// Decoded text of raw bytes that stand in ds, all values with their backslashes: plain ASCII is borrowed, anything else is decoded into a.
bool dcm_value_utf8(struct arena *a, const struct dcm_dataset *ds, uint16_t vr, struct str raw, bool repair, struct str *out, struct err *e);

#endif
