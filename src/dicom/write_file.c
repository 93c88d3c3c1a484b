// Part 10 files (PS3.10 7): preamble, meta header, and the data set, deflated when the transfer syntax says so (PS3.5 A.5).
#include "dicom/write.h"

#define ZLIB_CONST
#include <zlib.h>

enum { PREAMBLE_BYTES = 128, META_BYTES_MAX = 4096, DEFLATED_BYTES = 16 * 1024 };

static bool meta_elements(struct dcm_dataset *meta, struct str sop_class_uid, struct str sop_instance_uid, struct str ts_uid, struct str source_aet,
                          struct err *e) {
    static const uint8_t version[2] = {0, 1};
    return dcm_put_bytes(meta, DCM_FileMetaInformationVersion, DCM_VR_OB, version, sizeof version, e) &&
           dcm_put_text(meta, DCM_MediaStorageSOPClassUID, DCM_VR_UI, dcm_uid_trim(sop_class_uid), e) &&
           dcm_put_text(meta, DCM_MediaStorageSOPInstanceUID, DCM_VR_UI, dcm_uid_trim(sop_instance_uid), e) &&
           dcm_put_text(meta, DCM_TransferSyntaxUID, DCM_VR_UI, dcm_uid_trim(ts_uid), e) &&
           dcm_putz(meta, DCM_ImplementationClassUID, GANTRY_IMPLEMENTATION_CLASS_UID, e) &&
           dcm_putz(meta, DCM_ImplementationVersionName, GANTRY_IMPLEMENTATION_VERSION, e) &&
           (source_aet.n == 0 || dcm_put_text(meta, DCM_SourceApplicationEntityTitle, DCM_VR_AE, source_aet, e));
}

static bool write_meta(struct arena *a, struct str sop_class_uid, struct str sop_instance_uid, struct str ts_uid, struct str source_aet, struct buf *to,
                       struct err *e) {
    struct dcm_dataset *meta = dcm_dataset_new(a, e);
    if (!meta || !meta_elements(meta, sop_class_uid, sop_instance_uid, ts_uid, source_aet, e)) return false;
    static const char preamble[PREAMBLE_BYTES];
    buf_add(to, preamble, sizeof preamble);
    buf_addz(to, "DICM");
    size_t from = to->n;
    buf_add(to, "\x02\x00\x00\x00UL\x04\x00\x00\x00\x00\x00", 12); // the group length, known when the group is written
    if (!dcm_write_dataset(meta, dcm_ts_explicit_le, NULL, dcm_sink_buf(to), e)) return false;
    size_t length = to->n - from - 12;
    for (unsigned i = 0; i < 4; i++) to->p[from + 8 + i] = (char)(length >> (8 * i));
    return true;
}

bool dcm_write_meta(struct str sop_class_uid, struct str sop_instance_uid, struct str ts_uid, struct str source_aet, struct buf *to, struct err *e) {
    struct arena a;
    arena_init(&a, META_BYTES_MAX * 4);
    bool ok = write_meta(&a, sop_class_uid, sop_instance_uid, ts_uid, source_aet, to, e);
    arena_deinit(&a);
    return ok;
}

// ---- deflating ----

struct deflater {
    struct dcm_sink to;
    z_stream z;
    uint64_t total;
    uint8_t bytes[DEFLATED_BYTES];
};

static bool deflate_all(struct deflater *d, int flush, struct err *e) {
    do {
        d->z.next_out = d->bytes;
        d->z.avail_out = sizeof d->bytes;
        if (deflate(&d->z, flush) == Z_STREAM_ERROR) return err_set(e, ERR_INTERNAL, "dicom", "deflating failed");
        size_t n = sizeof d->bytes - d->z.avail_out;
        d->total += n;
        if (n && !d->to.write(d->to.ctx, d->bytes, n, e)) return false;
    } while (d->z.avail_out == 0);
    return true;
}

static bool write_deflated(void *ctx, const void *p, size_t n, struct err *e) {
    struct deflater *d = ctx;
    const uint8_t *at = p;
    while (n) {
        uInt piece = n > UINT32_MAX / 2 ? UINT32_MAX / 2 : (uInt)n;
        d->z.next_in = at;
        d->z.avail_in = piece;
        if (!deflate_all(d, Z_NO_FLUSH, e)) return false;
        at += piece;
        n -= piece;
    }
    return true;
}

bool dcm_write_dataset_deflated(const struct dcm_dataset *ds, const struct dcm_ts *ts, const struct dcm_source *source, struct dcm_sink to, struct err *e) {
    struct deflater d = {.to = to};
    if (deflateInit2(&d.z, Z_DEFAULT_COMPRESSION, Z_DEFLATED, -MAX_WBITS, 8, Z_DEFAULT_STRATEGY) != Z_OK) return err_nomem(e, "dicom");
    bool ok = dcm_write_dataset(ds, ts, source, (struct dcm_sink){.write = write_deflated, .ctx = &d}, e) && deflate_all(&d, Z_FINISH, e);
    deflateEnd(&d.z);
    return ok && (d.total % 2 == 0 || to.write(to.ctx, "", 1, e)); // a NUL pads to even length
}

// ---- the file ----

bool dcm_write_part10(const struct dcm_dataset *ds, const struct dcm_ts *ts, const struct dcm_source *source, struct dcm_sink to, struct err *e) {
    struct str sop_class = dcm_text(ds, DCM_SOPClassUID), instance = dcm_text(ds, DCM_SOPInstanceUID);
    if (!sop_class.n || !instance.n)
        return err_set(e, ERR_BAD_INPUT, "dicom", "a file needs SOP Class UID (0008,0016) and SOP Instance UID (0008,0018) in its data set");
    struct buf meta;
    buf_init(&meta, META_BYTES_MAX);
    bool ok = dcm_write_meta(sop_class, instance, str_of(ts->uid), (struct str){NULL, 0}, &meta, e) && to.write(to.ctx, meta.p, meta.n, e);
    buf_deinit(&meta);
    if (!ok) return false;
    return ts->deflated ? dcm_write_dataset_deflated(ds, ts, source, to, e) : dcm_write_dataset(ds, ts, source, to, e);
}
