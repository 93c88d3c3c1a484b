// Writing data sets and Part 10 files (PS3.5 7, PS3.10 7).
#ifndef GANTRY_DICOM_WRITE_H
#define GANTRY_DICOM_WRITE_H

#include "base/buf.h"
#include "dicom/dataset.h"
#include "dicom/uid.h"

// Where bytes go. write returns false with *e set to stop.
struct dcm_sink {
    bool (*write)(void *ctx, const void *p, size_t n, struct err *e);
    void *ctx;
};
struct dcm_sink dcm_sink_buf(struct buf *b); // b's ceiling is the bound

// Where by-reference values and fragments are read from (offsets are those of the source that the data set was read from).
struct dcm_source {
    bool (*read_at)(void *ctx, uint64_t offset, void *p, size_t n, struct err *e);
    void *ctx;
};

// A source over bytes in memory; *bytes must outlive it.
struct dcm_source dcm_source_memory(const struct str *bytes);
// A source over an open file; *fd must outlive it. Offsets are those of the file.
struct dcm_source dcm_source_fd(const int *fd);

// The data set in ts (not deflated). Undefined lengths are kept as they stood; byte order and VR form are converted. A data set read from a
// well-formed stream of the same ts is written back byte for byte: a VR that stood in the stream is written again even where vr says better
// (stream_vr), and a sequence that stood as UN keeps its form inside. Group lengths are dropped when the VR form changes, since they would lie.
// source may be NULL when nothing is by reference and there are no fragments.
bool dcm_write_dataset(const struct dcm_dataset *ds, const struct dcm_ts *ts, const struct dcm_source *source, struct dcm_sink to, struct err *e);

// The same as a raw deflate stream (PS3.5 A.5), padded to even length. ts: the deflated one.
bool dcm_write_dataset_deflated(const struct dcm_dataset *ds, const struct dcm_ts *ts, const struct dcm_source *source, struct dcm_sink to, struct err *e);

// Preamble, meta header (group length first; MediaStorageSOPClassUID and ...InstanceUID from the arguments, ts, implementation UID and
// version, source AE when given) and nothing more: the data set's bytes follow.
bool dcm_write_meta(struct str sop_class_uid, struct str sop_instance_uid, struct str ts_uid, struct str source_aet, struct buf *to, struct err *e);

// A whole Part 10 file from a data set; deflates when ts says so.
bool dcm_write_part10(const struct dcm_dataset *ds, const struct dcm_ts *ts, const struct dcm_source *source, struct dcm_sink to, struct err *e);

#endif
