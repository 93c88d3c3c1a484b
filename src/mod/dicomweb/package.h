// Objects as one file: application/zip and application/x-tar of a study, series or instance, each entry as it is stored.
//
// The same objects give the same bytes, and where each byte lies is known before the first is sent, so that a download that was cut off is resumed by range.
#ifndef GANTRY_MOD_DICOMWEB_PACKAGE_H
#define GANTRY_MOD_DICOMWEB_PACKAGE_H

#include "mod/dicomweb/body.h"
#include "mod/dicomweb/resource.h"

bool dw_reply_package(struct http_request *rq, struct http_response *rs, const struct dw_target *t, const struct instance_list *list, bool zip, struct err *e);

// The pieces of each form; the objects of the list must outlive the body.
bool dw_zip_body(struct dw_body *b, struct arena *a, struct archive *ar, const struct instance_list *list, struct err *e);
bool dw_tar_body(struct dw_body *b, struct arena *a, struct archive *ar, const struct instance_list *list, struct err *e);

// "<study>/<series>/<sop>.dcm"
enum { DW_ENTRY_NAME = 3 * 64 + 7 };
size_t dw_entry_name(const struct instance_ref *ref, char out[DW_ENTRY_NAME]);

#endif
