// Filling an index with synthetic studies, for benchmarks: rows and keys without objects.
#ifndef GANTRY_CORE_SYNTH_INDEX_H
#define GANTRY_CORE_SYNTH_INDEX_H

#include "base/arena.h"
#include "core/archive.h"

// Adds studies of about 0.4 patients each over the ten years to the end of 2025: Chinese and English names as frequent as they are, usual modalities, counts in the
// study's row, no series and no instances. The same seed gives the same studies; ERR_CONFLICT when they are there already. progress may be NULL.
bool synth_index_fill(struct archive *ar, uint64_t studies, uint64_t seed, void (*progress)(void *ctx, uint64_t done, uint64_t total), void *ctx,
                      struct err *e);

// What the i-th study of a fill looks like, for benchmarks that ask for it: texts in a.
struct synth_index_study {
    struct str study_uid, date, time, accession_number, patient_id, patient_name;
};
bool synth_index_study(struct arena *a, uint64_t studies, uint64_t seed, uint64_t i, struct synth_index_study *out, struct err *e);

#endif
