// Bodies whose every byte has its place before the first is sent: text, runs of stored objects, bytes that are made when they are needed.
//
// Their length is known, any part of them can be had by itself (HTTP ranges), and nothing of an object lies in memory.
#ifndef GANTRY_MOD_DICOMWEB_BODY_H
#define GANTRY_MOD_DICOMWEB_BODY_H

#include "core/retrieve.h"
#include "dicom/write.h"
#include "http/server.h"
#include "sys/digest.h"

struct dw_body;

struct dw_piece {
    uint64_t length;
    enum { DW_TEXT, DW_OBJECT, DW_SOURCE, DW_MADE, DW_WINDOW } kind;
    union {
        const char *text;                                                                      // DW_TEXT
        const struct instance_ref *ref;                                                        // DW_OBJECT: of the Part 10 file, from `offset`
        const struct dcm_source *source;                                                       // DW_SOURCE: from `offset`
        bool (*make)(struct dw_body *b, size_t piece, char *to, size_t length, struct err *e); // DW_MADE: all of it, at most DW_MADE_MAX bytes
        struct dw_body *body;                                                                  // DW_WINDOW: from `offset`
    };
    uint64_t offset;
    unsigned swap; // bytes of a unit to be turned round (values of big endian objects); 0 and 1: none
};

enum { DW_MADE_MAX = 4096 };

// One block of an object (RETRIEVE_BLOCK_BYTES), checked.
struct dw_block {
    const struct instance_ref *of; // NULL: none
    uint64_t from;                 // in the object
    size_t length;
    char *bytes; // in the body's arena
};

struct dw_body {
    struct arena *arena;
    struct archive *archive;
    struct dw_piece *pieces;
    uint64_t *ends; // of each, in the body
    size_t count, cap;
    uint64_t length;
    size_t at;              // the piece that was read last
    void *context;          // of make
    void (*end)(void *ctx); // of context, when the body was sent; may be NULL
    struct dw_block held;   // DW_OBJECT: that was last read for some of its bytes
    int fd;                 // lent by dw_body_locate, or -1
    uint32_t fd_volume;
};

// With room for this many pieces. Everything is in a.
bool dw_body_init(struct dw_body *b, struct arena *a, struct archive *ar, size_t pieces, struct err *e);
void dw_body_add(struct dw_body *b, const struct dw_piece *piece);
void dw_body_text(struct dw_body *b, struct str borrowed);
// printf into the arena.
bool dw_body_printf(struct dw_body *b, struct err *e, const char *format, ...) __attribute__((format(printf, 3, 4)));
void dw_body_object(struct dw_body *b, const struct instance_ref *ref, uint64_t offset, uint64_t length);
bool dw_body_read(struct dw_body *b, uint64_t position, void *p, size_t n, struct err *e);
// Reads the first byte of it that is not text: what cannot be sent is found out before the status goes out.
bool dw_body_probe(struct dw_body *b, uint64_t from, uint64_t length, struct err *e);
// An object that was taken as it came and cannot be read is no fault of the asker: bad input becomes ERR_UNDECODABLE. Always false.
bool dw_stored_err(struct err *e);
void dw_body_deinit(struct dw_body *b);

// What a representation is known by.
struct dw_version {
    uint8_t digest[DIGEST_BYTES]; // of all that goes into it
    int64_t changed_ms;           // 0: not told
};
// Of some objects in one form ("multipart application/dicom 1.2.840.10008.1.2.1"): equal when the answer would be equal byte for byte.
bool dw_version_of(const struct instance_list *list, const char *form, struct dw_version *out, struct err *e);
// A boundary that is the same for the same version.
enum { DW_BOUNDARY = 35 };
void dw_boundary_of(const struct dw_version *v, char out[DW_BOUNDARY]);

// *done: the conditions of the request (RFC 9110 13) were answered; else the validators are set.
bool dw_conditions(struct http_request *rq, struct http_response *rs, const struct dw_version *v, bool *done, struct err *e);
// Answers with it: conditions, ranges, HEAD. The body is taken, also on failure (b lives in the request's arena). v may be NULL: no conditions then, and no ranges.
bool dw_body_reply(struct http_request *rq, struct http_response *rs, struct dw_body *b, const char *type, const struct dw_version *v, struct err *e);

#endif
