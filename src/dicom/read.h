// Reading: a token reader over a stream of bytes, and the data set builder that is its first client.
//
// The token reader never sees a file: bytes are fed to it as they come (a socket, a body part, a mapping), it keeps at most one element
// header and asks for more. Memory is O(depth), whatever the object's size. PS3.5 7, PS3.10 7.
#ifndef GANTRY_DICOM_READ_H
#define GANTRY_DICOM_READ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/limits.h"
#include "dicom/dataset.h"
#include "dicom/uid.h"

enum dcm_step { DCM_MORE, DCM_TOKEN, DCM_DONE, DCM_FAIL };

enum dcm_token_kind {
    DCM_ELEMENT_BEGIN, // tag, vr, length (DCM_LENGTH_UNDEFINED possible), offset of the value
    DCM_VALUE,         // a run of the value's bytes, borrowed from what was fed
    DCM_ELEMENT_END,
    DCM_SEQUENCE_BEGIN, // in place of ELEMENT_BEGIN for SQ (and UN of undefined length, read as implicit VR: PS3.5 6.2.2)
    DCM_ITEM_BEGIN,
    DCM_ITEM_END,
    DCM_SEQUENCE_END,
    DCM_FRAGMENTS_BEGIN, // encapsulated pixel data
    DCM_FRAGMENT_BEGIN,  // followed by DCM_VALUE runs and DCM_FRAGMENT_END
    DCM_FRAGMENT_END,
    DCM_FRAGMENTS_END,
};

#define DCM_LENGTH_UNDEFINED 0xFFFFFFFFu

struct dcm_token {
    enum dcm_token_kind kind;
    uint32_t tag;
    uint16_t vr;
    uint16_t flags;       // enum dcm_element_flag
    uint16_t stream_vr;   // as it stood; 0 in implicit VR
    uint32_t length;      // as declared
    uint64_t offset;      // of the value (or of the run, for DCM_VALUE) from the start of the stream
    unsigned depth;       // 0 at the top level
    bool item_follows;    // ELEMENT_BEGIN of a private attribute of unknown VR: its value begins with an item tag
    const uint8_t *bytes; // DCM_VALUE only
    size_t n;
};

// One open sequence, item or run of fragments.
struct dcm_frame {
    uint64_t end; // stream offset, or UINT64_MAX when of undefined length
    uint32_t tag; // of the sequence or fragments
    uint8_t kind;
    bool implicit; // VR form and byte order of what is inside
    bool big_endian;
    bool unknown; // of a sequence that stood as UN: each item is looked at for its VR form
};

struct dcm_reader {
    uint64_t offset;     // consumed so far
    uint64_t value_left; // of the element or fragment being read
    uint64_t end;        // of the innermost frame
    unsigned depth;      // open frames
    unsigned elements;   // elements and items so far
    uint8_t state;
    bool implicit; // current VR form and byte order
    bool big_endian;
    bool fresh;            // no element of this item was read yet
    bool items_big_endian; // of the element begun last, when items follow in it
    bool cut_short;        // the last failure was only a lack of bytes
    uint32_t tag;
    uint16_t vr;
    uint32_t last_tag;  // of the top level: the one before, for telling padding from elements
    unsigned sequences; // open sequences: the depth that DCM_DEPTH_MAX bounds
    struct dcm_frame stack[DCM_DEPTH_MAX * 2 + 2];
};

// ts decides byte order and VR form; a deflated one must have been inflated by the caller (dcm_builder does).
void dcm_reader_init(struct dcm_reader *r, const struct dcm_ts *ts, uint64_t offset);
// At the top level, with a whole element behind: the next bytes are an element header.
bool dcm_reader_between_elements(const struct dcm_reader *r);
// Right after DCM_ELEMENT_BEGIN of a defined length: reads the value as a sequence (an implicit VR private attribute that the caller knows
// to be one). The element counts as begun by DCM_SEQUENCE_BEGIN. false with ERR_BAD_INPUT when too deep.
bool dcm_reader_enter(struct dcm_reader *r, struct err *e);
// Right after DCM_ELEMENT_BEGIN of a defined length whose value the caller has taken itself from what it feeds: no DCM_VALUE, no DCM_ELEMENT_END.
void dcm_reader_skip(struct dcm_reader *r);
// Takes from [p, p + n); *used is what was consumed. final: no more bytes will follow.
// DCM_MORE: feed again with the unconsumed rest (less than DCM_LOOK_AHEAD bytes) and more behind it. DCM_DONE: the stream ended where it may.
// DCM_FAIL: ERR_BAD_INPUT; when final and the stream was merely cut short, *e says so and r->state is unchanged.
enum { DCM_LOOK_AHEAD = 24 };
enum dcm_step dcm_reader_next(struct dcm_reader *r, const uint8_t *p, size_t n, bool final, size_t *used, struct dcm_token *t, struct err *e);

// ---- data set builder ----

// What the object was found to be: filled as bytes come.
struct dcm_object {
    struct dcm_dataset *meta; // group 2, or NULL when the object came without (a DIMSE data set)
    struct dcm_dataset *dataset;
    // As found: where a native one was declared but the data set is in another, that one; of an unregistered UID, explicit VR little endian under that UID.
    const struct dcm_ts *ts;
    uint64_t dataset_offset;  // where the data set begins in the stream (0 without meta; for deflated: where the deflate stream begins,
                              // and offsets in the data set count inflated bytes from there: dicom/inflate.h)
    uint64_t bytes;           // of the whole stream, once done
    bool preamble;            // 128 bytes and DICM
    bool truncated;           // the stream ended inside an element; what was whole is there
    char truncated_where[96]; // "(7FE0,0010) declares 524288 bytes, 1024 are there"
};

enum dcm_build_stop {
    DCM_STOP_NOWHERE, // read all; values over DCM_VALUE_IN_MEMORY_MAX by reference
    // Done at the first element at or beyond (7FE0,0008) at the top level (the extended offset table before it is read): its tag, vr, length, offset are
    // recorded with DCM_BY_REFERENCE, value NULL; with DCM_UNDEFINED_LENGTH too when its fragments follow, length then is DCM_LENGTH_UNDEFINED.
    DCM_STOP_AT_PIXELS,
};

struct dcm_builder;

// ts NULL: a Part 10 stream (preamble and meta header; without them the encoding is guessed). ts given: a bare data set.
// Everything is allocated in a; bytes fed are copied into it, except by-reference ones. NULL on ERR_NOMEM.
struct dcm_builder *dcm_builder_new(struct arena *a, const struct dcm_ts *ts, enum dcm_build_stop stop, struct err *e);
// Feeds all n bytes. DCM_MORE: go on. DCM_DONE: the stop was reached (later bytes need not be fed). DCM_FAIL.
enum dcm_step dcm_builder_feed(struct dcm_builder *b, const void *p, size_t n, struct err *e);
// No more bytes. An object cut short is DCM_FAIL with out->truncated set and out still filled, for those who salvage.
enum dcm_step dcm_builder_end(struct dcm_builder *b, struct dcm_object *out, struct err *e);
// The object so far (after DCM_DONE of feed).
const struct dcm_object *dcm_builder_object(const struct dcm_builder *b);

// ---- whole sources ----

// Bytes in memory (a mapping): values are borrowed from it, nothing is copied but swapped or inflated parts.
bool dcm_read_memory(struct arena *a, const void *p, size_t n, const struct dcm_ts *ts, enum dcm_build_stop stop, struct dcm_object *out, struct err *e);
// A file descriptor, read from its current position to the end or the stop; values over DCM_VALUE_IN_MEMORY_MAX by reference.
bool dcm_read_fd(struct arena *a, int fd, enum dcm_build_stop stop, struct dcm_object *out, struct err *e);

#endif
