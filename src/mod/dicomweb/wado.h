// One stored object as a DICOM file, for the doors that name it otherwise than by a path.
#ifndef GANTRY_MOD_DICOMWEB_WADO_H
#define GANTRY_MOD_DICOMWEB_WADO_H

#include "mod/dicomweb/resource.h"

// application/dicom (without a transfer-syntax parameter) of the first of the list in a transfer syntax; named: the asker said so itself. ERR_NOT_ACCEPTABLE when it cannot be had so.
bool dw_reply_instance(struct http_request *rq, struct http_response *rs, const struct dw_target *t, const struct instance_list *list, const struct dcm_ts *ts,
                       bool named, struct err *e);

#endif
