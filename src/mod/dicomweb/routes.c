// The resources of DICOMweb (PS3.18 10), each with what the asker must be allowed to do.
#include "core/access.h"
#include "mod/dicomweb/dicomweb.h"
#include "mod/dicomweb/handlers.h"

#define STUDY "/studies/{study}"
#define SERIES STUDY "/series/{series}"
#define INSTANCE SERIES "/instances/{instance}"
#define STORE dw_store, dw_store_begin, dw_store_body, dw_store_end

const struct http_route DICOMWEB_ROUTES[] = {
    // Capabilities (8.9)
    {HTTP_GET, ACCESS_OPEN, "/", dw_capabilities},
    {HTTP_OPTIONS, ACCESS_OPEN, "/", dw_capabilities},
    // Search (10.6)
    {HTTP_GET, ACCESS_STUDY_FIND, "/studies", dw_query_studies},
    {HTTP_GET, ACCESS_STUDY_FIND, "/series", dw_query_series},
    {HTTP_GET, ACCESS_STUDY_FIND, "/instances", dw_query_instances},
    {HTTP_GET, ACCESS_STUDY_FIND, STUDY "/series", dw_query_series},
    {HTTP_GET, ACCESS_STUDY_FIND, STUDY "/instances", dw_query_instances},
    {HTTP_GET, ACCESS_STUDY_FIND, SERIES "/instances", dw_query_instances},
    // Retrieve (10.4)
    {HTTP_GET, ACCESS_STUDY_READ, STUDY, dw_retrieve},
    {HTTP_GET, ACCESS_STUDY_READ, SERIES, dw_retrieve},
    {HTTP_GET, ACCESS_STUDY_READ, INSTANCE, dw_retrieve},
    {HTTP_GET, ACCESS_STUDY_READ, STUDY "/metadata", dw_metadata},
    {HTTP_GET, ACCESS_STUDY_READ, SERIES "/metadata", dw_metadata},
    {HTTP_GET, ACCESS_STUDY_READ, INSTANCE "/metadata", dw_metadata},
    {HTTP_GET, ACCESS_STUDY_READ, STUDY "/bulkdata", dw_bulkdata_all},
    {HTTP_GET, ACCESS_STUDY_READ, SERIES "/bulkdata", dw_bulkdata_all},
    {HTTP_GET, ACCESS_STUDY_READ, INSTANCE "/bulkdata", dw_bulkdata_all},
    {HTTP_GET, ACCESS_STUDY_READ, INSTANCE "/bulkdata/{path*}", dw_bulkdata},
    {HTTP_GET, ACCESS_STUDY_READ, STUDY "/pixeldata", dw_pixeldata_all},
    {HTTP_GET, ACCESS_STUDY_READ, SERIES "/pixeldata", dw_pixeldata_all},
    {HTTP_GET, ACCESS_STUDY_READ, INSTANCE "/pixeldata", dw_pixeldata_all},
    {HTTP_GET, ACCESS_STUDY_READ, INSTANCE "/frames/{frames}", dw_frames},
    {HTTP_GET, ACCESS_STUDY_READ, STUDY "/rendered", dw_rendered},
    {HTTP_GET, ACCESS_STUDY_READ, SERIES "/rendered", dw_rendered},
    {HTTP_GET, ACCESS_STUDY_READ, INSTANCE "/rendered", dw_rendered},
    {HTTP_GET, ACCESS_STUDY_READ, INSTANCE "/frames/{frames}/rendered", dw_rendered},
    {HTTP_GET, ACCESS_STUDY_READ, STUDY "/thumbnail", dw_thumbnail},
    {HTTP_GET, ACCESS_STUDY_READ, SERIES "/thumbnail", dw_thumbnail},
    {HTTP_GET, ACCESS_STUDY_READ, INSTANCE "/thumbnail", dw_thumbnail},
    {HTTP_GET, ACCESS_STUDY_READ, INSTANCE "/frames/{frames}/thumbnail", dw_thumbnail},
    // Store (10.5)
    {HTTP_POST, ACCESS_STUDY_STORE, "/studies", STORE},
    {HTTP_POST, ACCESS_STUDY_STORE, STUDY, STORE},
    // Delete
    {HTTP_DELETE, ACCESS_STUDY_DELETE, STUDY, dw_delete},
    {HTTP_DELETE, ACCESS_STUDY_DELETE, SERIES, dw_delete},
    {HTTP_DELETE, ACCESS_STUDY_DELETE, INSTANCE, dw_delete},
    {.pattern = NULL},
};

const struct http_route WADO_URI_ROUTES[] = {
    {HTTP_GET, ACCESS_STUDY_READ, "/wado", dw_wado_uri},
    {.pattern = NULL},
};
