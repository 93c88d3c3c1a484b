// Which representation of a resource an asker gets: the Selected Media Type and Transfer Syntax of PS3.18 8.7.8.
#ifndef GANTRY_MOD_DICOMWEB_ACCEPT_H
#define GANTRY_MOD_DICOMWEB_ACCEPT_H

#include "dicom/uid.h"
#include "http/media.h"
#include "http/server.h"

// ---- the media types of compressed pixel data (PS3.18 Table 8.7.3-5) ----

struct dw_media_type {
    const char *media;
    const char *ts;
    bool by_default; // the transfer syntax of that media type when none is named
};
extern const struct dw_media_type DW_MEDIA_TYPES[]; // ends with media NULL
// "image/jp2" of a transfer syntax; NULL when it has none.
const char *dw_media_of(const struct dcm_ts *ts);

// Whether a transfer syntax may be asked for: Implicit VR and Big Endian "shall not be used with Web Services" (8.7.3).
bool dw_ts_for_web(const struct dcm_ts *ts);

// ---- choosing ----

// One representation that a resource may have.
struct dw_offer {
    const char *media; // of a part, or of the whole: "application/dicom"
    const char *ts;    // by default; NULL: none is meant (archives, documents)
    bool multipart;    // as parts of multipart/related
    bool single;       // alone
};

// What the asker takes, by one range of what it sent.
struct dw_choice {
    const struct dw_offer *offer;
    bool multipart;
    bool any_ts;             // transfer-syntax=*
    bool named_ts;           // the asker named ts itself
    const struct dcm_ts *ts; // named, or the offer's default; NULL with any_ts and where none is meant
};

// Whether that can be had of this resource; may refine the choice (ts). Not called for what no offer matches.
typedef bool dw_fits(void *context, struct dw_choice *choice);

// Ranges of the accept query parameter go before those of the Accept header; no header takes the first offer (RFC 9110 12.5.1). offers: ends with media NULL, the
// default first. ERR_NOT_ACCEPTABLE tells what can be had: of the offers, and `more`. ERR_BAD_INPUT: malformed.
bool dw_choose(const struct http_request *rq, const struct dw_offer *offers, dw_fits *fits, void *context, const char *more, struct dw_choice *out,
               struct err *e);
// ERR_BAD_INPUT when both DICOM and rendered media types are named (8.7.5).
bool dw_accept_is_pure(const struct http_request *rq, struct err *e);

#endif
