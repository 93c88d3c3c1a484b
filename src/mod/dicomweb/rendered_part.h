// One rendering of an answer: of which object, in which media type, and how it is made.
#ifndef GANTRY_MOD_DICOMWEB_RENDERED_PART_H
#define GANTRY_MOD_DICOMWEB_RENDERED_PART_H

#include "mod/dicomweb/rendered.h"

enum dw_part_media { DW_JPEG, DW_PNG, DW_GIF, DW_MP4, DW_MPEG, DW_HTML, DW_TEXT, DW_PDF, DW_PART_MEDIA };
extern const char *const DW_PART_TYPES[DW_PART_MEDIA]; // as Content-Type has them

struct dw_part {
    const struct instance_ref *ref;
    const struct instance_ref *presentation; // shown by it, or NULL
    enum dw_part_media media;
    uint32_t frame;  // from 0: of a still picture
    uint32_t frames; // of an animation, all from the first on; 0: a still picture
};

// Appends its bytes. ERR_UNDECODABLE: pixels that cannot be decoded.
bool dw_make_part(struct archive *ar, const struct dw_part *part, const struct dw_render *wish, struct buf *to, struct err *e);

// The same of stored video: it is never decoded here. NULL: it is none.
const enum dw_part_media *dw_video_media(const struct instance_ref *ref);

// Which media types an object without an image can be had as, best first, ended by DW_PART_MEDIA.
const enum dw_part_media *dw_document_media(const struct instance_ref *ref);

#endif
