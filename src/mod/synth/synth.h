// Digital phantoms as valid DICOM objects, each study with its truth in a sidecar JSON file.
#ifndef GANTRY_MOD_SYNTH_SYNTH_H
#define GANTRY_MOD_SYNTH_SYNTH_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"

enum { SYNTH_NODULES_MAX = 32 };

struct synth_options {
    uint64_t seed;
    const char *out;        // folder; made when it is not there
    const char *charset;    // defined term(s) of (0008,0005), backslash separated
    const char *name;       // UTF-8 person name; NULL: one of the seed's
    const char *patient_id; // NULL: one of the seed's
    unsigned size;          // rows and columns of CT, MR, PET slices
    unsigned slices;
    unsigned nodule_count;
    double nodule_mm[SYNTH_NODULES_MAX]; // diameters at the first date
    double growth;                       // diameter at the second date over that at the first
};

struct synth_kind {
    const char *name;    // "chest-ct"
    const char *summary; // one line for help
    bool (*make)(struct arena *a, const struct synth_options *o, struct err *e);
};

// Ends with a NULL name.
extern const struct synth_kind SYNTH_KINDS[];

// NULL when there is none of that name.
const struct synth_kind *synth_kind_find(struct str name);

#endif
