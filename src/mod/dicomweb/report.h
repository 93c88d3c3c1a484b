// Structured reports as pages: the content tree (PS3.3 C.17.3) as HTML or plain text.
#ifndef GANTRY_MOD_DICOMWEB_REPORT_H
#define GANTRY_MOD_DICOMWEB_REPORT_H

#include "base/arena.h"
#include "base/buf.h"
#include "dicom/dataset.h"

bool dw_is_report(struct str sop_class_uid);

// Appends a page in UTF-8; everything from the object is escaped. chinese: headings in Chinese, else in English.
bool dw_write_report(struct arena *a, const struct dcm_dataset *ds, bool html, bool chinese, struct buf *to, struct err *e);

#endif
