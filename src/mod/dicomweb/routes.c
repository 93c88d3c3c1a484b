// The resources of DICOMweb (PS3.18 10), each with what the asker must be allowed to do.
#include "mod/dicomweb/dicomweb.h"
#include "mod/dicomweb/handlers.h"

#define STUDY "/studies/{study}"
#define SERIES STUDY "/series/{series}"
#define INSTANCE SERIES "/instances/{instance}"
#define STORE dw_store, dw_store_begin, dw_store_body, dw_store_end

const struct http_route DICOMWEB_ROUTES[] = {
    // Capabilities (8.9)
    {HTTP_GET, HTTP_OPEN, "/", dw_capabilities},
    {HTTP_OPTIONS, HTTP_OPEN, "/", dw_capabilities},
    // Search (10.6)
    {HTTP_GET, HTTP_READ, "/studies", dw_query_studies},
    {HTTP_GET, HTTP_READ, "/series", dw_query_series},
    {HTTP_GET, HTTP_READ, "/instances", dw_query_instances},
    {HTTP_GET, HTTP_READ, STUDY "/series", dw_query_series},
    {HTTP_GET, HTTP_READ, STUDY "/instances", dw_query_instances},
    {HTTP_GET, HTTP_READ, SERIES "/instances", dw_query_instances},
    // Retrieve (10.4)
    {HTTP_GET, HTTP_READ, STUDY, dw_retrieve},
    {HTTP_GET, HTTP_READ, SERIES, dw_retrieve},
    {HTTP_GET, HTTP_READ, INSTANCE, dw_retrieve},
    {HTTP_GET, HTTP_READ, STUDY "/metadata", dw_metadata},
    {HTTP_GET, HTTP_READ, SERIES "/metadata", dw_metadata},
    {HTTP_GET, HTTP_READ, INSTANCE "/metadata", dw_metadata},
    {HTTP_GET, HTTP_READ, STUDY "/bulkdata", dw_bulkdata_all},
    {HTTP_GET, HTTP_READ, SERIES "/bulkdata", dw_bulkdata_all},
    {HTTP_GET, HTTP_READ, INSTANCE "/bulkdata", dw_bulkdata_all},
    {HTTP_GET, HTTP_READ, INSTANCE "/bulkdata/{path*}", dw_bulkdata},
    {HTTP_GET, HTTP_READ, STUDY "/pixeldata", dw_pixeldata_all},
    {HTTP_GET, HTTP_READ, SERIES "/pixeldata", dw_pixeldata_all},
    {HTTP_GET, HTTP_READ, INSTANCE "/pixeldata", dw_pixeldata_all},
    {HTTP_GET, HTTP_READ, INSTANCE "/frames/{frames}", dw_frames},
    {HTTP_GET, HTTP_READ, STUDY "/rendered", dw_rendered},
    {HTTP_GET, HTTP_READ, SERIES "/rendered", dw_rendered},
    {HTTP_GET, HTTP_READ, INSTANCE "/rendered", dw_rendered},
    {HTTP_GET, HTTP_READ, INSTANCE "/frames/{frames}/rendered", dw_rendered},
    {HTTP_GET, HTTP_READ, STUDY "/thumbnail", dw_thumbnail},
    {HTTP_GET, HTTP_READ, SERIES "/thumbnail", dw_thumbnail},
    {HTTP_GET, HTTP_READ, INSTANCE "/thumbnail", dw_thumbnail},
    {HTTP_GET, HTTP_READ, INSTANCE "/frames/{frames}/thumbnail", dw_thumbnail},
    // Store (10.5)
    {HTTP_POST, HTTP_WRITE, "/studies", STORE},
    {HTTP_POST, HTTP_WRITE, STUDY, STORE},
    // Delete
    {HTTP_DELETE, HTTP_ADMIN, STUDY, dw_delete},
    {HTTP_DELETE, HTTP_ADMIN, SERIES, dw_delete},
    {HTTP_DELETE, HTTP_ADMIN, INSTANCE, dw_delete},
    {.pattern = NULL},
};

const struct http_route WADO_URI_ROUTES[] = {
    {HTTP_GET, HTTP_READ, "/wado", dw_wado_uri},
    {.pattern = NULL},
};
