// Values of objects as bodies: what one bulk data request and the bulk data of whole studies have in common.
#ifndef GANTRY_MOD_DICOMWEB_BULK_H
#define GANTRY_MOD_DICOMWEB_BULK_H

#include "mod/dicomweb/accept.h"
#include "mod/dicomweb/body.h"
#include "mod/dicomweb/resource.h"

// Bytes of a unit that is to be turned round to be little endian; 1: none.
unsigned dw_value_unit(const struct dcm_dataset *ds, const struct dcm_element *el);
// The first length bytes of a value; the object must outlive the body. ERR_UNDECODABLE: the object ends before it.
bool dw_value_add(struct dw_body *b, const struct retrieve_object *o, const struct dcm_element *el, uint64_t length, struct err *e);

// All bulk data of some objects, each value a part under its BulkDataURI (10.4.3.3.5); pixels_only: their pixel data. c: of application/octet-stream.
bool dw_reply_bulk(struct http_request *rq, struct http_response *rs, const struct dw_target *t, const struct instance_list *list, const struct dw_choice *c,
                   bool pixels_only, struct err *e);

#endif
