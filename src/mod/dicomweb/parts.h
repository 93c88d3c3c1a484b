// multipart/related of parts that are made one after the other while they are sent: their lengths are not known before.
#ifndef GANTRY_MOD_DICOMWEB_PARTS_H
#define GANTRY_MOD_DICOMWEB_PARTS_H

#include "mod/dicomweb/body.h"

struct dw_part {
    const char *type;    // Content-Type
    struct str location; // Content-Location; may be absent
    struct dw_body body; // its end is called when the part was sent
};

enum dw_part_step { DW_PART, DW_PARTS_END, DW_PART_FAILED };

struct dw_parts {
    // Makes the next part; what it takes from a goes with the part.
    enum dw_part_step (*next)(void *context, struct arena *a, struct dw_part *out, struct err *e);
    void (*end)(void *context); // once, however it ends
    void *context;
    const char *type; // of the parts: "application/dicom"
    const char *none; // said when there is not one part: ERR_NOT_FOUND
    const char *ts;   // that all of them have when it is not the default; may be NULL
    struct archive *archive;
};

// Status 200. The first part is made before: its failure is the answer. HEAD makes nothing.
bool dw_parts_reply(struct http_request *rq, struct http_response *rs, const struct dw_parts *p, struct err *e);
// "multipart/related; type="..."[; transfer-syntax=...]; boundary=..." in a.
char *dw_parts_type(struct arena *a, const char *type, const char *ts, const char *boundary, struct err *e);

#endif
