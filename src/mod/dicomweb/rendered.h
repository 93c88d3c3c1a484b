// Rendered forms of stored objects (PS3.18 8.3.5, 10.4.1.1.3): what WADO-RS and WADO-URI share.
#ifndef GANTRY_MOD_DICOMWEB_RENDERED_H
#define GANTRY_MOD_DICOMWEB_RENDERED_H

#include "core/retrieve.h"
#include "http/server.h"
#include "mod/dicomweb/resource.h"
#include "pixel/render.h"

// What is asked for; begin with DW_RENDER_DEFAULT.
struct dw_render {
    struct str accept;       // media ranges as an Accept header has them; {NULL, 0}: what is usual for the object
    struct str accept_after; // others, for when nothing of the first can be had
    struct px_options options;
    struct px_window window;                 // for options.window to point at
    int quality;                             // of lossy media types, 1..100
    const uint32_t *frames;                  // from 0
    unsigned frame_count;                    // 0: the object as a whole
    const struct instance_ref *presentation; // a presentation state to show it by, or NULL
    bool thumbnail;                          // one picture, whatever the object is
    bool chinese;                            // headings of reports
    bool single;                             // one picture and never multipart (WADO-URI)
    bool many;                               // a resource of many items: always multipart (10.4.4)
};
#define DW_RENDER_DEFAULT ((struct dw_render){.quality = 90})

// Answers with the rendered objects: one that is one picture by itself, several as multipart/related. Sets ETag (and answers 304), Vary and Content-Location.
// ERR_NOT_ACCEPTABLE says what can be had.
// t: who asks, of which archive. *wish is copied; refs and what it points at must live as long as the request.
bool dw_render_reply(struct http_request *rq, struct http_response *rs, const struct dw_target *t, const struct instance_ref *refs, size_t count,
                     const struct dw_render *wish, struct err *e);

// The parameters of PS3.18 8.3.5.1 as values; ERR_BAD_INPUT says what they take.
bool dw_take_window(struct str text, struct dw_render *out, struct err *e);     // center,width[,function]
bool dw_take_viewport(struct str text, struct dw_render *out, struct err *e);   // vw,vh[,sx,sy,sw,sh]
bool dw_take_quality(struct str text, struct dw_render *out, struct err *e);    // 1..100
bool dw_take_annotation(struct str text, struct dw_render *out, struct err *e); // patient,technique
bool dw_take_iccprofile(struct str text, struct dw_render *out, struct err *e); // no, yes, srgb; the others are refused

// Whether the object has pixel data to be shown.
bool dw_has_image(const struct instance_ref *ref);

#endif
