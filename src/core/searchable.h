// Declared attributes: any attribute becomes a quick search key later, from the headers that the index keeps; objects are not touched.
#ifndef GANTRY_CORE_SEARCHABLE_H
#define GANTRY_CORE_SEARCHABLE_H

#include "base/arena.h"
#include "core/archive.h"
#include "db/db.h"
#include "dicom/dataset.h"

// What was read in one transaction: the declared attributes, and the time of the last study.
enum { SEARCHABLE_MAX = 256 };
struct searchable_now {
    uint64_t transaction;
    uint32_t tags[SEARCHABLE_MAX];
    unsigned count;
    int64_t study, at;
};

// Adds the declared attributes' values of one stored header to the keys of its study. Cheap when nothing is declared. Called by ingest for every
// new instance in the writer's transaction, after query_index_study when the study is new. scratch is rewound. now: kept from call to call, zeroed at first.
bool searchable_index_instance(struct db *writer, struct searchable_now *now, struct arena *scratch, int64_t study, const struct dcm_dataset *header,
                               struct err *e);

// Declares tag searchable and indexes every stored header, in short transactions, so that ingest goes on. Called again it completes what was
// interrupted. progress may be NULL. ERR_UNSUPPORTED for attributes that cannot be keys (bulk values, sequences); true at once for those that are keys
// of every study.
bool searchable_declare(struct archive *ar, uint32_t tag, void (*progress)(void *ctx, uint64_t done, uint64_t total), void *ctx, struct err *e);
// The attribute is searched by walking again. Its keys are dropped. ERR_NOT_FOUND when it was not declared.
bool searchable_withdraw(struct archive *ar, uint32_t tag, struct err *e);
// The declared tags that are complete, in a.
bool searchable_list(struct archive *ar, struct arena *a, uint32_t **tags, unsigned *count, struct err *e);

// ---- for queries ----

// Whether a tag is found by keys or rows of its own, and so never declared.
bool searchable_is_key(uint32_t tag);
// As searchable_list, with a connection at hand.
bool searchable_read(struct db *d, struct arena *a, uint32_t **tags, unsigned *count, struct err *e);
// The key of a value, or of the beginning of one.
bool searchable_key(struct arena *a, uint32_t tag, uint16_t vr, struct str value, struct str *key, struct err *e);

#endif
