// The Native DICOM Model (PS3.19 A.1), out and in: what PS3.18 calls application/dicom+xml.
#ifndef GANTRY_DICOM_XML_H
#define GANTRY_DICOM_XML_H

#include "dicom/json.h"

#define DCM_XML_NAMESPACE "http://dicom.nema.org/PS3.19/models/NativeDICOM"

// Appends one document, <NativeDicomModel>. The options are those of dcm_json_write and mean the same (no drain). A private attribute is
// written with its creator and without its block: (0009,1002) of GEMS_IDEN_01 is tag="00090002" privateCreator="GEMS_IDEN_01".
bool dcm_xml_write(const struct dcm_dataset *ds, const struct dcm_json_options *o, struct arena *scratch, struct buf *to, struct err *e);

// One document to a data set in UTF-8, as dcm_json_read. Private attributes find the block of their creator, or get one. Values go by their number, gaps
// are empty values.
bool dcm_xml_read(struct arena *a, struct str xml, dcm_on_bulk *on_bulk, void *ctx, struct dcm_dataset **out, struct err *e);

// Whether it is a Native DICOM Model document at all: well-formed XML with that root.
bool dcm_xml_check(struct str xml, struct err *e);

#endif
