// The data set of a deflated object as bytes (PS3.5 A.5).
#ifndef GANTRY_DICOM_INFLATE_H
#define GANTRY_DICOM_INFLATE_H

#include "dicom/write.h"

// Inflates the raw deflate stream at [from, end) of the source into the sink, piece by piece. *out counts the bytes, also after a failure: ERR_BAD_INPUT
// when the stream is damaged or cut short, ERR_TOO_LARGE beyond DCM_DEFLATED_BYTES_MAX.
bool dcm_inflate(const struct dcm_source *source, uint64_t from, uint64_t end, struct dcm_sink to, uint64_t *out, struct err *e);

#endif
