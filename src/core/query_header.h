// Stored headers for queries: by instance row, text repaired and in UTF-8.
#ifndef GANTRY_CORE_QUERY_HEADER_H
#define GANTRY_CORE_QUERY_HEADER_H

#include "base/arena.h"
#include "core/archive.h"
#include "db/db.h"
#include "core/header.h"
#include "dicom/dataset.h"

// *out is NULL when the instance is gone or its header was not kept.
bool query_header(struct archive *ar, struct db *d, struct arena *a, int64_t instance, struct header_cache *c, struct dcm_dataset **out, struct err *e);

#endif
