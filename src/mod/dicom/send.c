// One stored object of the archive onto an association.
#include <stdio.h>

#include "mod/dicom/internal.h"

enum { FILE_MAX = 256 << 20 }; // a larger one is checked as it goes, so that its first byte does not wait for the last

struct opened {
    struct archive *archive;
    const struct instance_ref *ref;
    struct retrieve_object object;
};

// For a conversion: the data set and the frame table that the index knows.
static bool open_object(void *ctx, struct arena *a, struct send_whole *out, struct err *e) {
    struct opened *o = ctx;
    struct dcm_dataset *ds;
    if (!retrieve_open(o->archive, a, o->ref, &o->object, e)) return false;
    if (!retrieve_dataset(&o->object, a, &ds, e)) {
        retrieve_close(&o->object);
        return false;
    }
    *out = (struct send_whole){.ts = o->object.ts, .dataset = ds, .source = o->object.source, .frames = o->object.frames.count ? &o->object.frames : NULL};
    return true;
}

static void close_object(void *ctx) {
    struct opened *o = ctx;
    retrieve_close(&o->object);
}

static bool read_checked(void *ctx, uint64_t offset, void *p, size_t n, struct err *e) {
    const struct opened *o = ctx;
    return retrieve_read(o->archive, o->ref, offset, p, n, e);
}

enum send_result instance_send(struct archive *ar, struct dimse *d, const struct instance_ref *ref, const char *originator, uint16_t originator_id,
                               struct send_report *report, struct err *e) {
    char class[65], instance[65], ts[65];
    struct vol_loc place;
    struct opened opened = {.archive = ar, .ref = ref};
    const struct send_opener opener = {open_object, close_object, &opened};
    const struct dcm_source source = {read_checked, &opened};
    struct send_object o = {.sop_class_uid = class,
                            .sop_instance_uid = instance,
                            .ts_uid = ts,
                            .length = ref->loc.length,
                            .dataset_offset = ref->dataset_offset,
                            .opener = &opener};
    snprintf(class, sizeof class, "%.*s", STR_FMT(ref->sop_class_uid));
    snprintf(instance, sizeof instance, "%.*s", STR_FMT(ref->sop_instance_uid));
    snprintf(ts, sizeof ts, "%.*s", STR_FMT(ref->ts_uid));
    struct err why = {0};
    bool by_file = ref->loc.length <= FILE_MAX && retrieve_fd(ar, ref, 0, ref->loc.length, &place, &o.fd, &why);
    if (!by_file && why.kind != ERR_NONE && why.kind != ERR_UNSUPPORTED) {
        if (e) *e = why;
        return SEND_IMPOSSIBLE;
    }
    if (!by_file) {
        o.source = &source;
        if (!retrieve_check_range(ar, ref, 0, 1, e)) return SEND_IMPOSSIBLE; // what cannot be read at all ends no association
        return send_object(d, &o, originator, originator_id, report, e);
    }
    o.offset = place.offset;
    enum send_result result = send_object(d, &o, originator, originator_id, report, e);
    vol_fd_release(archive_volumes(ar), place.volume, o.fd);
    return result;
}
