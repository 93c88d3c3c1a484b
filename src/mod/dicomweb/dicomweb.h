// DICOMweb (PS3.18): the door of studies over HTTP. Mounted at "/dicom-web" with a struct dicomweb as context.
#ifndef GANTRY_MOD_DICOMWEB_DICOMWEB_H
#define GANTRY_MOD_DICOMWEB_DICOMWEB_H

#include "core/archive.h"
#include "http/server.h"

#define DICOMWEB_ROOT "/dicom-web"

struct dicomweb {
    struct archive *archive;
};

extern const struct http_route DICOMWEB_ROUTES[];
// The URI service (PS3.18 9) at "/wado", with the same context. Mounted at "".
extern const struct http_route WADO_URI_ROUTES[];

#endif
