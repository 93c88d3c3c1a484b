// Short bytes of DICOM for tests, as literals: B("...") is a struct str whose length is the literal's.
#ifndef GANTRY_TESTS_DICOM_BYTES_H
#define GANTRY_TESTS_DICOM_BYTES_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "dicom/read.h"

#define B(s) ((struct str){(s), sizeof(s) - 1})

enum { TEST_ARENA_BYTES = 16 << 20 };

// Reads a bare data set that must be readable.
static inline struct dcm_object read_well(struct arena *a, struct str bytes, const struct dcm_ts *ts) {
    struct dcm_object o;
    struct err e = {0};
    if (!dcm_read_memory(a, bytes.p, bytes.n, ts, DCM_STOP_NOWHERE, &o, &e)) fail_msg("%s", e.message);
    return o;
}

static inline void assert_text(const struct dcm_dataset *ds, uint32_t tag, const char *expected) {
    struct str s = dcm_text(ds, tag);
    if (!str_eqz(s, expected)) fail_msg("(%08X) is '%.*s', not '%s'", tag, STR_FMT(s), expected);
}

#endif
