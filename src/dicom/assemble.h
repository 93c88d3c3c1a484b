// Tokens to data sets: what dcm_builder does with the token reader, apart from preamble, meta header and inflating.
#ifndef GANTRY_DICOM_ASSEMBLE_H
#define GANTRY_DICOM_ASSEMBLE_H

#include "dicom/read.h"

// One data set being filled: its elements lie on a stack that all levels share and are moved to their own place when it ends.
struct dcm_level {
    struct dcm_dataset *ds;
    uint32_t first;      // of its elements on the stack
    uint32_t first_item; // of its open sequence's items on the item stack
    uint32_t signedness; // 1 + index on the stack of its Pixel Representation, or 0
    bool in_sequence;    // its last element is a sequence that has not ended
    bool unsorted;
    bool us_or_ss;      // holds elements whose VR Pixel Representation decides
    uint32_t block;     // private block looked up last: group and creator element
    struct str creator; // its creator
};

struct dcm_assembler {
    struct arena *arena;
    struct dcm_reader reader;
    struct dcm_element *elements; // the stack
    uint32_t count, capacity;
    struct dcm_dataset **items;
    uint32_t item_count, item_capacity;
    struct dcm_fragment *fragments;
    uint32_t fragment_count, fragment_capacity;
    unsigned depth;
    bool borrow; // the bytes fed outlive the data set
    bool stop_at_pixels;
    bool in_fragments;
    size_t value_max; // a longer value is kept by reference
    size_t bytes;     // copied so far
    uint8_t *value;   // of the last element, while its bytes are collected; NULL when they are not wanted
    size_t value_n;
    struct dcm_level levels[DCM_DEPTH_MAX + 1];
};

// Items are kept in arrays of a power of two, so that dcm_put_item knows when it must grow one.
static inline uint32_t dcm_items_capacity(uint32_t n) {
    return n < 2 ? n : 1u << (32 - __builtin_clz(n - 1));
}

// Begins a data set; false on ERR_NOMEM.
bool dcm_assembler_begin(struct dcm_assembler *a, const struct dcm_ts *ts, uint64_t offset, struct err *e);
// Takes tokens until bytes run out (DCM_MORE), the stop or the end (DCM_DONE), or DCM_FAIL.
// group, when not 0: done before the first top-level element of another group.
enum dcm_step dcm_assembler_run(struct dcm_assembler *a, const uint8_t *p, size_t n, bool final, uint16_t group, size_t *used, struct err *e);
// The finished data set. After a failure: what was whole.
bool dcm_assembler_finish(struct dcm_assembler *a, struct dcm_dataset **out, struct err *e);

#endif
