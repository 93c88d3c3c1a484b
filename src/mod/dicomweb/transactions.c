// The table of transactions.
#include "mod/dicomweb/transactions.h"

#include <string.h>

#include "mod/dicomweb/qido.h"

#define STUDY "/studies/{study}"
#define SERIES STUDY "/series/{series}"
#define INSTANCE SERIES "/instances/{instance}"

static const char *const CAPABILITIES[] = {"application/json", "application/vnd.sun.wadl+xml", NULL};
static const char *const DATA_SETS[] = {"application/dicom+json", "application/json", "multipart/related; type=\"application/dicom+xml\"", NULL};
static const char *const OBJECTS[] = {"multipart/related; type=\"application/dicom\"", "multipart/related; type=\"application/octet-stream\"",
                                      "application/zip", "application/x-tar", NULL};
static const char *const OBJECT[] = {"multipart/related; type=\"application/dicom\"",
                                     "application/dicom",
                                     "multipart/related; type=\"application/octet-stream\"",
                                     "application/zip",
                                     "application/x-tar",
                                     NULL};
static const char *const PIXELS[] = {"multipart/related; type=\"application/octet-stream\"",
                                     "multipart/related; type=\"image/jpeg\"",
                                     "multipart/related; type=\"image/jls\"",
                                     "multipart/related; type=\"image/jp2\"",
                                     "multipart/related; type=\"image/jphc\"",
                                     "multipart/related; type=\"image/dicom-rle\"",
                                     "multipart/related; type=\"video/mpeg\"",
                                     "multipart/related; type=\"video/mp4\"",
                                     NULL};
static const char *const BULK_ALL[] = {"multipart/related; type=\"application/octet-stream\"", NULL}; // values of many objects: parts only
static const char *const BULK[] = {"multipart/related; type=\"application/octet-stream\"", "application/octet-stream", NULL};
static const char *const RENDERED[] = {"image/jpeg", "image/png", "image/gif", "video/mp4", "text/html", "text/plain", "application/pdf", NULL};
static const char *const THUMBNAIL[] = {"image/jpeg", "image/png", "image/gif", NULL};
static const char *const STORE_IN[] = {"multipart/related; type=\"application/dicom\"", "multipart/related; type=\"application/dicom+json\"",
                                       "multipart/related; type=\"application/dicom+xml\"", NULL};
static const char *const STORE_OUT[] = {"application/dicom+json", "application/json", "application/dicom+xml", NULL};

static const char *const RENDER_PARAMS[] = {"window", "viewport", "quality", "annotation", "iccprofile", "accept", "charset", NULL};
static const char *const THUMBNAIL_PARAMS[] = {"window", "viewport", "quality", "accept", "charset", NULL};
static const char *const ACCEPT_PARAM[] = {"accept", NULL};
static const char *const COMMON_PARAMS[] = {"accept", "charset", NULL};
static const char *const DELETE_PARAMS[] = {"reason", NULL};

static const unsigned FOUND[] = {200, 304, 400, 404, 406, 412, 0};
static const unsigned RANGED[] = {200, 206, 304, 400, 404, 406, 412, 416, 422, 0};
static const unsigned SHOWN[] = {200, 304, 400, 404, 406, 412, 422, 0};
static const unsigned SEARCHED[] = {200, 204, 400, 406, 413, 0};
static const unsigned STORED[] = {200, 202, 400, 406, 409, 413, 415, 503, 507, 0};
static const unsigned DELETED[] = {204, 400, 403, 404, 0};
static const unsigned TOLD[] = {200, 406, 0};

static const struct dw_transaction TABLE[] = {
    {HTTP_GET, "/", "RetrieveCapabilities", "8.9", NULL, CAPABILITIES, NULL, TOLD},
    {HTTP_OPTIONS, "/", "RetrieveCapabilities", "8.9", NULL, CAPABILITIES, NULL, TOLD},
    {HTTP_GET, "/studies", "SearchForStudies", "10.6", NULL, DATA_SETS, DW_QUERY_PARAMETERS, SEARCHED},
    {HTTP_GET, "/series", "SearchForSeries", "10.6", NULL, DATA_SETS, DW_QUERY_PARAMETERS, SEARCHED},
    {HTTP_GET, "/instances", "SearchForInstances", "10.6", NULL, DATA_SETS, DW_QUERY_PARAMETERS, SEARCHED},
    {HTTP_GET, STUDY "/series", "SearchForStudySeries", "10.6", NULL, DATA_SETS, DW_QUERY_PARAMETERS, SEARCHED},
    {HTTP_GET, STUDY "/instances", "SearchForStudyInstances", "10.6", NULL, DATA_SETS, DW_QUERY_PARAMETERS, SEARCHED},
    {HTTP_GET, SERIES "/instances", "SearchForStudySeriesInstances", "10.6", NULL, DATA_SETS, DW_QUERY_PARAMETERS, SEARCHED},
    {HTTP_GET, STUDY, "RetrieveStudy", "10.4", NULL, OBJECTS, COMMON_PARAMS, RANGED},
    {HTTP_GET, SERIES, "RetrieveSeries", "10.4", NULL, OBJECTS, COMMON_PARAMS, RANGED},
    {HTTP_GET, INSTANCE, "RetrieveInstance", "10.4", NULL, OBJECT, COMMON_PARAMS, RANGED},
    {HTTP_GET, STUDY "/metadata", "RetrieveStudyMetadata", "10.4", NULL, DATA_SETS, COMMON_PARAMS, FOUND},
    {HTTP_GET, SERIES "/metadata", "RetrieveSeriesMetadata", "10.4", NULL, DATA_SETS, COMMON_PARAMS, FOUND},
    {HTTP_GET, INSTANCE "/metadata", "RetrieveInstanceMetadata", "10.4", NULL, DATA_SETS, COMMON_PARAMS, FOUND},
    {HTTP_GET, STUDY "/bulkdata", "RetrieveStudyBulkdata", "10.4", NULL, BULK_ALL, COMMON_PARAMS, RANGED},
    {HTTP_GET, SERIES "/bulkdata", "RetrieveSeriesBulkdata", "10.4", NULL, BULK_ALL, COMMON_PARAMS, RANGED},
    {HTTP_GET, INSTANCE "/bulkdata", "RetrieveInstanceBulkdata", "10.4", NULL, BULK_ALL, COMMON_PARAMS, RANGED},
    {HTTP_GET, INSTANCE "/bulkdata/{path*}", "RetrieveBulkdata", "10.4", NULL, BULK, COMMON_PARAMS, RANGED},
    {HTTP_GET, STUDY "/pixeldata", "RetrieveStudyPixelData", "10.4", NULL, BULK_ALL, COMMON_PARAMS, RANGED},
    {HTTP_GET, SERIES "/pixeldata", "RetrieveSeriesPixelData", "10.4", NULL, BULK_ALL, COMMON_PARAMS, RANGED},
    {HTTP_GET, INSTANCE "/pixeldata", "RetrieveInstancePixelData", "10.4", NULL, BULK_ALL, COMMON_PARAMS, RANGED},
    {HTTP_GET, INSTANCE "/frames/{frames}", "RetrieveFrames", "10.4", NULL, PIXELS, COMMON_PARAMS, RANGED},
    {HTTP_GET, STUDY "/rendered", "RetrieveRenderedStudy", "10.4", NULL, RENDERED, RENDER_PARAMS, SHOWN},
    {HTTP_GET, SERIES "/rendered", "RetrieveRenderedSeries", "10.4", NULL, RENDERED, RENDER_PARAMS, SHOWN},
    {HTTP_GET, INSTANCE "/rendered", "RetrieveRenderedInstance", "10.4", NULL, RENDERED, RENDER_PARAMS, SHOWN},
    {HTTP_GET, INSTANCE "/frames/{frames}/rendered", "RetrieveRenderedFrames", "10.4", NULL, RENDERED, RENDER_PARAMS, SHOWN},
    {HTTP_GET, STUDY "/thumbnail", "RetrieveStudyThumbnail", "10.4", NULL, THUMBNAIL, THUMBNAIL_PARAMS, SHOWN},
    {HTTP_GET, SERIES "/thumbnail", "RetrieveSeriesThumbnail", "10.4", NULL, THUMBNAIL, THUMBNAIL_PARAMS, SHOWN},
    {HTTP_GET, INSTANCE "/thumbnail", "RetrieveInstanceThumbnail", "10.4", NULL, THUMBNAIL, THUMBNAIL_PARAMS, SHOWN},
    {HTTP_GET, INSTANCE "/frames/{frames}/thumbnail", "RetrieveFramesThumbnail", "10.4", NULL, THUMBNAIL, THUMBNAIL_PARAMS, SHOWN},
    {HTTP_POST, "/studies", "StoreInstances", "10.5", STORE_IN, STORE_OUT, ACCEPT_PARAM, STORED},
    {HTTP_POST, STUDY, "StoreStudyInstances", "10.5", STORE_IN, STORE_OUT, ACCEPT_PARAM, STORED},
    {HTTP_DELETE, STUDY, "DeleteStudy", "-", NULL, NULL, DELETE_PARAMS, DELETED},
    {HTTP_DELETE, SERIES, "DeleteSeries", "-", NULL, NULL, DELETE_PARAMS, DELETED},
    {HTTP_DELETE, INSTANCE, "DeleteInstance", "-", NULL, NULL, DELETE_PARAMS, DELETED},
};

const struct dw_transaction *dw_transaction_of(const struct http_route *route) {
    for (size_t i = 0; i < sizeof TABLE / sizeof TABLE[0]; i++)
        if (TABLE[i].method == route->method && strcmp(TABLE[i].pattern, route->pattern) == 0) return &TABLE[i];
    return NULL;
}
