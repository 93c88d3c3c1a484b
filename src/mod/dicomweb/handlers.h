// The handlers behind the table of DICOMweb routes, by file.
#ifndef GANTRY_MOD_DICOMWEB_HANDLERS_H
#define GANTRY_MOD_DICOMWEB_HANDLERS_H

#include "http/server.h"

// capabilities.c
bool dw_capabilities(struct http_request *rq, struct http_response *rs, struct err *e);
// qido.c
bool dw_query_studies(struct http_request *rq, struct http_response *rs, struct err *e);
bool dw_query_series(struct http_request *rq, struct http_response *rs, struct err *e);
bool dw_query_instances(struct http_request *rq, struct http_response *rs, struct err *e);
// wado.c
bool dw_retrieve(struct http_request *rq, struct http_response *rs, struct err *e);
// metadata.c
bool dw_metadata(struct http_request *rq, struct http_response *rs, struct err *e);
// bulk.c
bool dw_bulkdata(struct http_request *rq, struct http_response *rs, struct err *e);
// bulk_all.c
bool dw_bulkdata_all(struct http_request *rq, struct http_response *rs, struct err *e);
bool dw_pixeldata_all(struct http_request *rq, struct http_response *rs, struct err *e);
// wado_uri.c
bool dw_wado_uri(struct http_request *rq, struct http_response *rs, struct err *e);
// frames.c
bool dw_frames(struct http_request *rq, struct http_response *rs, struct err *e);
// stow.c
bool dw_store_begin(struct http_request *rq, struct err *e);
bool dw_store_body(struct http_request *rq, const void *p, size_t n, struct err *e);
bool dw_store(struct http_request *rq, struct http_response *rs, struct err *e);
void dw_store_end(struct http_request *rq);
// delete.c
bool dw_delete(struct http_request *rq, struct http_response *rs, struct err *e);
// rendered.c
bool dw_rendered(struct http_request *rq, struct http_response *rs, struct err *e);
bool dw_thumbnail(struct http_request *rq, struct http_response *rs, struct err *e);

#endif
