// Retrieve: from UIDs to where the bytes lie, in the order in which they should be sent.
#ifndef GANTRY_CORE_RETRIEVE_H
#define GANTRY_CORE_RETRIEVE_H

#include "base/arena.h"
#include "base/buf.h"
#include "codec/frames.h"
#include "core/access.h"
#include "core/archive.h"
#include "dicom/dataset.h"
#include "store/volume.h"

// One stored object as the index knows it; text borrowed from the arena of the call.
struct instance_ref {
    int64_t id; // index row
    struct str study_uid, series_uid, sop_instance_uid, sop_class_uid, ts_uid;
    struct vol_loc loc;      // the Part 10 file
    uint64_t dataset_offset; // in the file: where the data set begins after the meta header
    uint64_t pixel_offset;   // in the file: value of (7FE0,0010) and siblings; 0 when there is none
    uint64_t pixel_length;   // 0xFFFFFFFF as declared when encapsulated
    uint8_t digest[VOL_DIGEST_BYTES];
    int64_t frames, rows, columns; // 0 when not an image
    int64_t received_ms;           // wall clock
};

struct instance_list {
    struct instance_ref *refs;
    size_t count;
};

// Which objects: level by the deepest UID given; several studies or series or instances are lists separated by backslash (C-MOVE). patient_id: Patient Root.
struct retrieve_query {
    struct str patient_id, issuer;
    struct str study_uids, series_uids, sop_instance_uids;
    enum permission permission; // what they are wanted for; ACCESS_UNDECLARED: to be read
};

// The objects served (conflicting copies and deleted ones are not), by study, series number, instance number. Empty list when there are none that the asker
// reaches with the permission; ERR_FORBIDDEN when it has it nowhere.
bool retrieve_list(struct archive *ar, const struct actor *who, struct arena *a, const struct retrieve_query *q, struct instance_list *out, struct err *e);
// UIDs of studies that the asker may export and that come after one, in the order of their bytes; "" is before all. *n: fewer than max at the end.
bool retrieve_studies_after(struct archive *ar, const struct actor *who, struct arena *a, struct str after, unsigned max, struct str *out, unsigned *n,
                            struct err *e);

// The header of an object (all before pixel data) from the index, as stored; offsets are those of the Part 10 file's data set.
bool retrieve_header(struct archive *ar, struct arena *a, const struct instance_ref *ref, struct dcm_dataset **out, struct err *e);
// Whether the object's bytes are what was stored: read and checked here by the sums of its blocks, unless they were a moment ago. To be called before the
// first byte goes out of whoever sends from vol_fd; retrieve_read does it itself. ERR_CORRUPT when they are not: nothing of it may be served.
bool retrieve_check(struct archive *ar, const struct instance_ref *ref, struct err *e);
// The same for whoever sends only n bytes from an offset: the blocks that they touch.
bool retrieve_check_range(struct archive *ar, const struct instance_ref *ref, uint64_t from, uint64_t n, struct err *e);
// n bytes of the Part 10 file from an offset, each block that they touch checked as it is read. Runs that begin and end at multiples of
// RETRIEVE_BLOCK_BYTES cost least: of others the blocks at their ends are read whole.
enum { RETRIEVE_BLOCK_BYTES = 64 * 1024 };
bool retrieve_read(struct archive *ar, const struct instance_ref *ref, uint64_t from, void *p, size_t n, struct err *e);
// A descriptor for n bytes of the object from an offset that were checked in this very file (as by retrieve_check), and where they lie now; for those who
// send from the file itself. Given back by vol_fd_release of at->volume. ERR_UNSUPPORTED: the object is encrypted there and has to be read (retrieve_read).
bool retrieve_fd(struct archive *ar, const struct instance_ref *ref, uint64_t from, uint64_t n, struct vol_loc *at, int *fd, struct err *e);
// Whole object re-read from the disk against its digest (storage commitment, fsck).
bool retrieve_verify(struct archive *ar, const struct instance_ref *ref, struct err *e);

// An object opened for its pixels, whatever its transfer syntax. Offsets of header, source and frames are those of the data set; that of a deflated object
// is inflated (in memory, or in an unlinked file when it is large), and ts is then Explicit VR Little Endian.
struct retrieve_object {
    const struct instance_ref *ref;
    const struct dcm_ts *ts;
    struct dcm_dataset *header; // up to the pixel data, which is by reference
    struct dcm_source source;   // reads are checked as retrieve_read's
    struct codec_frames frames; // of encapsulated pixel data; count 0 when they cannot be told (frames_err says why)
    struct err frames_err;
    struct retrieve_bytes *bytes; // private
};
// Everything is in a; *ref must outlive it. ERR_NOT_FOUND: no such bytes; ERR_CORRUPT.
bool retrieve_open(struct archive *ar, struct arena *a, const struct instance_ref *ref, struct retrieve_object *out, struct err *e);
void retrieve_close(struct retrieve_object *o);
// The whole data set, large values by reference to o->source: what is converted or edited on the way out.
bool retrieve_dataset(struct retrieve_object *o, struct arena *a, struct dcm_dataset **out, struct err *e);

// The DICOM JSON metadata of one series (an array of objects, bulk data as path-absolute URIs under /dicom-web, text repaired), prepared once
// and kept compressed; *gzip says whether *out is gzip (a whole member, to be sent as Content-Encoding: gzip) or identity. want_gzip: what the asker takes.
bool retrieve_series_metadata(struct archive *ar, const struct actor *who, struct str study_uid, struct str series_uid, bool want_gzip, struct buf *out,
                              bool *gzip, struct err *e);
// The same of a whole study: its series by number, joined as they were prepared.
bool retrieve_study_metadata(struct archive *ar, const struct actor *who, struct str study_uid, bool want_gzip, struct buf *out, bool *gzip, struct err *e);

#endif
