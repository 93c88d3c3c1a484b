// The pixel data of one object as the bytes of its frames, native or compressed, whatever it is stored in.
//
// Frames are worked on by the codec workers some ahead of the one that is being sent, so that a list of them takes as long as the processors need.
#ifndef GANTRY_MOD_DICOMWEB_PIXELS_H
#define GANTRY_MOD_DICOMWEB_PIXELS_H

#include "codec/pool.h"
#include "codec/reader.h"
#include "core/retrieve.h"
#include "mod/dicomweb/accept.h"
#include "mod/dicomweb/body.h"

enum dw_pixel_form {
    DW_PIXELS_NATIVE,  // the stored bytes, which are native already
    DW_PIXELS_STORED,  // the stored codestreams
    DW_PIXELS_DECODED, // native, decoded (or put in order) frame by frame
    DW_PIXELS_CODED,   // compressed anew, frame by frame
};

enum { DW_AHEAD_MAX = 8 };

struct dw_pixels {
    struct archive *archive;
    struct arena *arena;
    struct retrieve_object object;
    const struct dcm_element *element;
    bool encapsulated;
    struct px_image image; // valid when image_err.kind is none
    struct err image_err;
    uint32_t frames;      // as declared, of video 1
    uint64_t frame_bytes; // native, to whole bytes; 0: not known
    bool aligned;         // native frames begin at whole bytes of the value, in the order in which they go out
    // chosen
    enum dw_pixel_form form;
    const struct dcm_ts *to; // DW_PIXELS_CODED
    char type[128];          // Content-Type of a part
    // the frames that will be sent, from 0, in this order (decoded and coded ones)
    const uint32_t *order;
    size_t count;
    // private: frames under way
    struct dw_frame_job *jobs;
    size_t jobs_n, begun;
    struct dcm_source native; // the decoded frames of order, one after the other
};

// Opens; ERR_NOT_FOUND when it has no pixel data.
bool dw_pixels_open(struct dw_pixels *p, struct archive *ar, struct arena *a, const struct instance_ref *ref, struct err *e);
void dw_pixels_close(struct dw_pixels *p);
void dw_pixels_end(void *pixels); // the same, for dw_body.end

// The offers of this object: application/octet-stream, the media type that it is stored in, all others. Room for DW_PIXEL_OFFERS of them.
enum { DW_PIXEL_OFFERS = 16 };
void dw_pixels_offers(const struct dw_pixels *p, bool single, struct dw_offer *out);
// dw_fits of dw_choose, with a struct dw_pixels: sets form, to and type.
bool dw_pixels_fit(void *pixels, struct dw_choice *c);

// The transfer syntax of the parts when it is not the default one.
const char *dw_pixels_outer_ts(const struct dw_pixels *p);

// All frames in their order.
bool dw_pixels_all(struct dw_pixels *p, struct arena *a, struct err *e);
// How many pieces the frames of the order take in a body.
size_t dw_pixels_pieces(const struct dw_pixels *p);
// The length of the i-th frame of the order as it goes out. false: not known before it is made (coded ones).
bool dw_pixels_length(const struct dw_pixels *p, size_t i, uint64_t *length);
// Adds the i-th frame of the order to a body. ERR_UNDECODABLE when it cannot be there.
bool dw_pixels_add(struct dw_pixels *p, struct dw_body *b, size_t i, struct err *e);
// The i-th frame made (DW_PIXELS_DECODED, DW_PIXELS_CODED): valid until the next is asked for. i ascends.
bool dw_pixels_make(struct dw_pixels *p, size_t i, struct str *out, struct err *e);

// Says why the frames cannot be told. Always false.
bool dw_no_frames(const struct dw_pixels *p, struct err *e);

// Answers with the frames of the order in the chosen form; p (in the request's arena) is closed, also on failure.
bool dw_reply_frames(struct http_request *rq, struct http_response *rs, struct dw_pixels *p, bool multipart, struct err *e);

#endif
