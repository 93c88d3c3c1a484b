// Prepared metadata: the DICOM JSON of a series as a piece that is kept compressed and joined with others as it lies.
#ifndef GANTRY_CORE_METADATA_H
#define GANTRY_CORE_METADATA_H

#include "base/buf.h"
#include "core/archive.h"
#include "text/gzip.h"

struct db;

enum { METADATA_BYTES_MAX = 1 << 30 };

struct metadata_series {
    int64_t id, version;
    char study_uid[65], series_uid[65];
};

// Makes the piece of a series as d's snapshot has it: its instances' objects with commas between them. packed is appended to.
bool metadata_make(struct archive *ar, struct db *d, const struct metadata_series *s, struct buf *packed, struct gzip_piece *out, struct err *e);
// Prepares a series if it is not prepared as it is now; what goes wrong is left to whoever asks for it.
void metadata_prepare(struct archive *ar, struct str study_uid, struct str series_uid);

#endif
