// One stored object onto an association: as it lies, or converted between uncompressed transfer syntaxes.
#include <stdio.h>

#include "dicom/read.h"
#include "dicom/write.h"
#include "mod/dicom/internal.h"

enum { CHUNK_BYTES = 16 * 1024 };

static bool is_plain(const struct dcm_ts *ts) {
    return ts && !ts->encapsulated && !ts->deflated;
}

// An accepted context of the SOP class in an uncompressed transfer syntax.
static const struct ul_context *plain_context(const struct dimse *d, const char *sop_class_uid) {
    static const char *const ORDER[] = {"1.2.840.10008.1.2.1", "1.2.840.10008.1.2", "1.2.840.10008.1.2.2"};
    for (unsigned i = 0; i < sizeof ORDER / sizeof *ORDER; i++) {
        const struct ul_context *c = dimse_context(d, sop_class_uid, ORDER[i], false);
        if (c) return c;
    }
    return NULL;
}

struct reading {
    struct archive *archive;
    const struct instance_ref *ref;
};

static bool read_at(void *ctx, uint64_t offset, void *p, size_t n, struct err *e) {
    const struct reading *r = ctx;
    return retrieve_read(r->archive, r->ref, offset, p, n, e);
}

static bool to_stream(void *ctx, const void *p, size_t n, struct err *e) {
    return dimse_stream_write(ctx, p, n, e);
}

// The whole data set; large values by reference.
static bool read_object(const struct reading *r, struct arena *a, struct dcm_object *out, struct err *e) {
    struct dcm_builder *b = dcm_builder_new(a, NULL, DCM_STOP_NOWHERE, e);
    uint8_t chunk[CHUNK_BYTES];
    for (uint64_t at = 0; b && at < r->ref->loc.length;) {
        uint64_t left = r->ref->loc.length - at;
        size_t n = left < sizeof chunk ? (size_t)left : sizeof chunk;
        if (!retrieve_read(r->archive, r->ref, at, chunk, n, e) || dcm_builder_feed(b, chunk, n, e) == DCM_FAIL) return false;
        at += n;
    }
    return b && dcm_builder_end(b, out, e) == DCM_DONE;
}

static enum send_result send_converted(struct archive *ar, struct dimse *d, const struct ul_context *c, const struct instance_ref *ref,
                                       struct dimse_command *rq, struct err *e) {
    struct arena a;
    struct dcm_object object = {0};
    struct reading r = {ar, ref};
    const struct dcm_source source = {read_at, &r};
    enum send_result result = SEND_IMPOSSIBLE;
    arena_init(&a, DCM_HEADER_BYTES_MAX * 2);
    if (read_object(&r, &a, &object, e)) {
        bool ok = dimse_stream_begin(d, c->id, rq, e) &&
                  dcm_write_dataset(object.dataset, dcm_ts_find(str_of(c->transfer_syntax)), &source, (struct dcm_sink){to_stream, d}, e) &&
                  dimse_stream_end(d, e);
        if (!ok) ul_abort(&d->ul); // half a data set is out
        result = ok ? SEND_DONE : SEND_BROKEN;
    }
    arena_deinit(&a);
    return result;
}

static enum send_result send_as_it_lies(struct archive *ar, struct dimse *d, const struct ul_context *c, const struct instance_ref *ref,
                                        struct dimse_command *rq, struct err *e) {
    struct vol_set *volumes = archive_volumes(ar);
    int fd;
    if (ref->dataset_offset >= ref->loc.length) {
        err_set(e, ERR_CORRUPT, "dicom", "the object has no data set");
        return SEND_IMPOSSIBLE;
    }
    if (!vol_fd(volumes, ref->loc.volume, &fd, e)) return SEND_IMPOSSIBLE;
    bool ok = dimse_stream_begin(d, c->id, rq, e) &&
              dimse_stream_file(d, fd, ref->loc.offset + ref->dataset_offset, ref->loc.length - ref->dataset_offset, true, e) && dimse_stream_end(d, e);
    vol_fd_release(volumes, ref->loc.volume);
    if (!ok) ul_abort(&d->ul);
    return ok ? SEND_DONE : SEND_BROKEN;
}

enum send_result instance_send(struct archive *ar, struct dimse *d, const struct instance_ref *ref, const char *originator, uint16_t originator_id,
                               uint16_t *message_id, struct err *e) {
    char class[65], instance[65], ts_uid[65];
    snprintf(class, sizeof class, "%.*s", STR_FMT(ref->sop_class_uid));
    snprintf(instance, sizeof instance, "%.*s", STR_FMT(ref->sop_instance_uid));
    snprintf(ts_uid, sizeof ts_uid, "%.*s", STR_FMT(ref->ts_uid));
    const struct dcm_ts *ts = dcm_ts_find(ref->ts_uid);
    const struct ul_context *c = dimse_context(d, class, ts_uid, false);
    bool as_it_lies = c != NULL;
    if (!c && is_plain(ts)) c = plain_context(d, class);
    if (!c) {
        err_set(e, ERR_NOT_ACCEPTABLE, "dicom", "the peer takes no %s", ts ? ts->name : ts_uid);
        return SEND_IMPOSSIBLE;
    }
    struct dimse_command rq = dimse_store_request(d, c, instance, originator, originator_id);
    *message_id = rq.message_id;
    return as_it_lies ? send_as_it_lies(ar, d, c, ref, &rq, e) : send_converted(ar, d, c, ref, &rq, e);
}
