// What every DICOMweb resource needs: who asks, which study, series and instance, and where they are found.
#ifndef GANTRY_MOD_DICOMWEB_RESOURCE_H
#define GANTRY_MOD_DICOMWEB_RESOURCE_H

#include "core/archive.h"
#include "core/retrieve.h"
#include "dicom/dataset.h"
#include "http/server.h"
#include "mod/dicomweb/dicomweb.h"

struct dw_target {
    struct archive *archive;
    struct actor actor;
    enum permission permission;         // what is wanted of it; ACCESS_UNDECLARED: to be read
    struct str study, series, instance; // valid UIDs; {NULL, 0} when the path has none
};

// ERR_BAD_INPUT when a UID of the path is none.
bool dw_target_of(const struct http_request *rq, struct dw_target *out, struct err *e);
// The objects of the target; ERR_NOT_FOUND when there are none.
bool dw_list(const struct dw_target *t, struct arena *a, struct instance_list *out, struct err *e);
// "/dicom-web/studies/1[/series/2[/instances/3]]": as far as the UIDs are given. {NULL, 0} when there is no memory.
struct str dw_url(struct arena *a, struct str study, struct str series, struct str instance);
// The same as the asker sees it, behind a proxy too: absolute, for Retrieve URL and Location.
struct str dw_link(const struct http_request *rq, struct str study, struct str series, struct str instance);
// The path of an object with the prefix that a proxy gives it (http_prefix), in a: for bulk data and Content-Location.
struct str dw_place(struct arena *a, struct str prefix, const struct instance_ref *ref);
// The accept query parameter, which goes before the Accept header where anything it names can be had (PS3.18 8.3.3.1, 8.7.8.1); {NULL, 0}: there is none.
struct str dw_accept_parameter(const struct http_request *rq);
// Whether the charset query parameter, when there is one, names what text is answered in: UTF-8. ERR_BAD_INPUT (PS3.18 8.3.3.2).
bool dw_charset_fits(const struct http_request *rq, struct err *e);
// How data sets are to be answered (PS3.18 8.7.3.2): DICOM JSON (the default), JSON, or one part each of multipart/related; type="application/dicom+xml".
// *type: the media type of JSON or of each part. ERR_NOT_ACCEPTABLE.
bool dw_wants_metadata(const struct http_request *rq, const char **type, bool *xml, struct err *e);
// Sets a strong ETag of a digest; true when the asker has that already and the answer is 304.
bool dw_not_modified(const struct http_request *rq, struct http_response *rs, const uint8_t digest[32]);

#endif
