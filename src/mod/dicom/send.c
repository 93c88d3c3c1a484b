// One stored object of the archive onto an association.
#include <stdio.h>

#include "mod/dicom/internal.h"

enum send_result instance_send(struct archive *ar, struct dimse *d, const struct instance_ref *ref, const char *originator, uint16_t originator_id,
                               uint16_t *message_id, struct err *e) {
    char class[65], instance[65], ts[65];
    struct vol_set *volumes = archive_volumes(ar);
    struct send_object o = {.sop_class_uid = class,
                            .sop_instance_uid = instance,
                            .ts_uid = ts,
                            .offset = ref->loc.offset,
                            .length = ref->loc.length,
                            .dataset_offset = ref->dataset_offset};
    snprintf(class, sizeof class, "%.*s", STR_FMT(ref->sop_class_uid));
    snprintf(instance, sizeof instance, "%.*s", STR_FMT(ref->sop_instance_uid));
    snprintf(ts, sizeof ts, "%.*s", STR_FMT(ref->ts_uid));
    if (!retrieve_check(ar, ref, e) || !vol_fd(volumes, ref->loc.volume, &o.fd, e)) return SEND_IMPOSSIBLE;
    enum send_result result = send_object(d, &o, originator, originator_id, message_id, e);
    vol_fd_release(volumes, ref->loc.volume);
    return result;
}
