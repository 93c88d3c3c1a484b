// An object's header as the index keeps it: the bytes before its pixels, compressed, without the bulk values among them.
#ifndef GANTRY_CORE_HEADER_H
#define GANTRY_CORE_HEADER_H

#include "base/arena.h"
#include "base/buf.h"
#include "core/facts.h"

enum header_kind {
    HEADER_ABSENT,    // could not be kept: read from the object
    HEADER_AS_STORED, // bytes of the object's own transfer syntax
    HEADER_EXPLICIT,  // encoded anew in explicit VR little endian (the object is deflated)
};

// The header in its uncompressed form, in a. *kind says what it is; {NULL, 0} for HEADER_ABSENT.
bool header_pack(struct arena *a, const struct facts *f, const struct dcm_source *source, enum header_kind *kind, struct str *out, struct err *e);
// Back to a data set: offsets count from the start of the object's data set, bulk values and pixels are by reference. The packed bytes are borrowed.
bool header_unpack(struct arena *a, struct str packed, enum header_kind kind, struct str ts_uid, struct dcm_dataset **out, struct err *e);

// ---- from the index ----

struct archive;
struct db;

// What is kept between the reads of headers that share a base.
struct header_cache {
    int64_t id;
    struct buf base, plain;
};
void header_cache_init(struct header_cache *c);
void header_cache_deinit(struct header_cache *c);
// The header of a row of instances, in a: as header_unpack, or read from the object when the index does not keep it.
bool header_read(struct archive *ar, struct db *d, struct arena *a, int64_t instance, struct header_cache *c, struct dcm_dataset **out, struct err *e);

#endif
