// What the files of STOW-RS share: a request under way, its parts and their fates.
#ifndef GANTRY_MOD_DICOMWEB_STOW_H
#define GANTRY_MOD_DICOMWEB_STOW_H

#include "base/buf.h"
#include "core/ingest.h"
#include "dicom/read.h"
#include "http/multipart.h"
#include "mod/dicomweb/crew.h"
#include "mod/dicomweb/resource.h"
#include "store/volume.h"

// Failure reasons (PS3.18 table I.2-2).
enum {
    FAILURE_PROCESSING = 0x0110,
    FAILURE_SOP_CLASS = 0x0122,
    FAILURE_NOT_OF_CLASS = 0xA900, // what the codestream says is not what the attributes say
    FAILURE_NOT_UNDERSTOOD = 0xC000,
    FAILURE_TRANSFER_SYNTAX = 0xC122,
    FAILURE_OTHER_STUDY = 0xC409,  // of the Cxxx family: the instance is not of the study that the path names
    FAILURE_BULK_MISSING = 0xC410, // likewise: no part holds the bulk data that an attribute refers to
};

// One instance and its fate.
struct stored {
    char sop_class_uid[65], sop_instance_uid[65], study_uid[65], series_uid[65];
    uint16_t failure; // 0: stored
    uint16_t warning;
    enum err_kind kind;
    enum ingest_outcome outcome;
    struct ingest *ingest; // to be committed
    struct stored *next;
};

// A part that is neither an object nor metadata: its bytes lie in the spool, followed by a NUL when their number is odd.
struct stow_bulk {
    struct str location, type, ts_uid; // Content-Location (or Content-ID), media type, its transfer-syntax parameter
    struct str path;                   // of the location
    size_t number;                     // in the order of coming
    uint64_t offset, length;
    struct stow_bulk *next;
};

enum stow_form { STOW_PART10, STOW_JSON, STOW_XML };

// A part of metadata as it came.
struct stow_document {
    enum stow_form form;
    size_t offset, length; // in documents
    struct stow_document *next;
};

struct stow {
    struct dw_target target;
    struct http_request *rq;
    struct arena *arena;
    const char *type; // of the answer
    enum stow_form form;
    struct multipart multipart;
    enum { STOW_IN_NOTHING, STOW_IN_OBJECT, STOW_IN_DOCUMENT, STOW_IN_BULK } in; // what the part under way is
    struct ingest *ingest;                                                       // of the part that is under way
    struct dcm_builder *builder;                                                 // of the same, to check its study and SOP class
    struct arena builder_arena;
    bool builder_done;
    struct buf documents;
    struct stow_document *document, **last_document, *first_document;
    struct vol_spool *spool;
    struct stow_bulk *bulk, **last_bulk, *first_bulk;
    struct stow_bulk **bulk_by_path; // when the body is whole
    size_t bulk_count;
    uint64_t bulk_used; // bytes of values so far
    struct crew crew;   // commits the instances that are whole while later ones come
    struct stored *current, *first, **last;
    unsigned ok, failed, warned; // counted at the end
    unsigned of[INGEST_QUARANTINED + 1];
    bool broken; // the body itself: what follows is not looked at
    struct err broken_why;
};

// stow.c
// A new instance, the current one. NULL: ERR_NOMEM.
struct stored *stow_new(struct stow *s, struct err *e);
// The current instance will not be kept; what still comes of it is dropped. The first reason counts, and is noted.
void stow_fail(struct stow *s, uint16_t reason, const struct err *why);
// Takes the UIDs and fails the current instance when its study or SOP class is not what may be stored here.
void stow_check(struct stow *s, const struct dcm_dataset *ds);
// Commits the current instance in the background, if it has not failed.
void stow_commit(struct stow *s);

// stow_metadata.c: the documents and bulk parts of a whole body become instances. false: ERR_BAD_INPUT, a document that is none, before anything is stored.
bool stow_metadata(struct stow *s, struct err *e);

// stow_bulk.c
// Once, when the body is whole.
bool stow_bulk_sort(struct stow *s, struct err *e);
// The parts that a BulkDataURI names, in the order in which they came; how many. Only parts of the body: nothing is ever fetched from elsewhere.
size_t stow_bulk_find(const struct stow *s, struct str uri, const struct stow_bulk *const **out);
// Counts bytes that a value takes of the parts. false: ERR_TOO_LARGE, since parts are shared so often that a small body would fill the disk.
bool stow_bulk_use(struct stow *s, uint64_t length, struct err *e);

// stow_answer.c: the Store Instances Response Module (PS3.18 Annex I) and its status.
bool stow_answer(struct stow *s, struct http_response *rs, struct err *e);

#endif
