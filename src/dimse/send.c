// Choice of the context, bytes by sendfile, conversion through a data set whose large values stay in the file.
#include "dimse/send.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/limits.h"
#include "dicom/read.h"
#include "dicom/write.h"

enum { CHUNK_BYTES = 16 * 1024 };

static const char *const PLAIN[] = {"1.2.840.10008.1.2.1", "1.2.840.10008.1.2", "1.2.840.10008.1.2.2"};
enum { PLAIN_COUNT = sizeof PLAIN / sizeof *PLAIN };

bool send_convertible(const char *ts_uid) {
    const struct dcm_ts *ts = dcm_ts_find(str_of(ts_uid));
    return ts && !ts->encapsulated && !ts->deflated;
}

static bool proposed(const struct scu_proposal *p, const char *class, const char *const *ts, unsigned n) {
    for (unsigned i = 0; i < p->context_count; i++)
        if (p->contexts[i].ts_count == n && str_eqz(p->contexts[i].abstract_syntax, class) && str_eqz(p->contexts[i].ts[0], ts[0])) return true;
    return false;
}

static bool propose_once(struct scu_proposal *p, const char *class, const char *const *ts, unsigned n, struct err *e) {
    return proposed(p, class, ts, n) || scu_propose(p, class, ts, n, e);
}

bool send_propose_how(struct scu_proposal *p, const char *sop_class_uid, const char *ts_uid, unsigned how, struct err *e) {
    const char *others[PLAIN_COUNT];
    unsigned n = 0;
    if (how & SEND_AS_IT_LIES && proposed(p, sop_class_uid, &ts_uid, 1)) return true;
    if (p->context_count + 2 > UL_CONTEXTS_MAX) return false;
    const char *class = arena_strz(p->arena, str_of(sop_class_uid), e), *own = arena_strz(p->arena, str_of(ts_uid), e);
    if (!class || !own || (how & SEND_AS_IT_LIES && !scu_propose(p, class, &own, 1, e))) return false;
    if (!(how & SEND_CONVERTED) || !send_convertible(ts_uid)) return true;
    for (unsigned i = 0; i < PLAIN_COUNT; i++)
        if (strcmp(PLAIN[i], own) != 0) others[n++] = PLAIN[i];
    return n == 0 || propose_once(p, class, others, n, e);
}

bool send_propose(struct scu_proposal *p, const char *sop_class_uid, const char *ts_uid, struct err *e) {
    return send_propose_how(p, sop_class_uid, ts_uid, SEND_AS_IT_LIES | SEND_CONVERTED, e);
}

static bool read_at(void *ctx, uint64_t offset, void *p, size_t n, struct err *e) {
    const struct send_object *o = ctx;
    uint8_t *at = p;
    if (offset > o->length || n > o->length - offset) return err_set(e, ERR_CORRUPT, "dimse", "a value lies beyond the end of its object");
    while (n) {
        ssize_t k = pread(o->fd, at, n, (off_t)(o->offset + offset));
        if (k < 0 && errno == EINTR) continue;
        if (k < 0) return err_errno(e, ERR_IO, "dimse", "read what is to be sent");
        if (k == 0) return err_set(e, ERR_CORRUPT, "dimse", "the file to be sent is shorter than was known");
        at += k;
        offset += (uint64_t)k;
        n -= (size_t)k;
    }
    return true;
}

static bool to_stream(void *ctx, const void *p, size_t n, struct err *e) {
    return dimse_stream_write(ctx, p, n, e);
}

// The whole data set; large values by reference.
static bool read_whole(const struct send_object *o, struct arena *a, struct dcm_object *out, struct err *e) {
    struct dcm_builder *b = dcm_builder_new(a, NULL, DCM_STOP_NOWHERE, e);
    uint8_t chunk[CHUNK_BYTES];
    for (uint64_t at = 0; b && at < o->length;) {
        uint64_t left = o->length - at;
        size_t n = left < sizeof chunk ? (size_t)left : sizeof chunk;
        if (!read_at((void *)o, at, chunk, n, e) || dcm_builder_feed(b, chunk, n, e) == DCM_FAIL) return false;
        at += n;
    }
    return b && dcm_builder_end(b, out, e) == DCM_DONE;
}

// Half a data set that is out cannot be taken back.
static enum send_result sent(struct dimse *d, bool ok) {
    if (!ok) ul_abort(&d->ul);
    return ok ? SEND_DONE : SEND_BROKEN;
}

static enum send_result send_converted(struct dimse *d, const struct ul_context *c, const struct send_object *o, struct dimse_command *rq, struct err *e) {
    struct arena a;
    struct dcm_object object = {0};
    const struct dcm_source source = {read_at, (void *)o};
    enum send_result result = SEND_IMPOSSIBLE;
    arena_init(&a, DCM_HEADER_BYTES_MAX * 2);
    if (read_whole(o, &a, &object, e)) {
        const struct dcm_ts *ts = dcm_ts_find(str_of(c->transfer_syntax));
        result = sent(d, dimse_stream_begin(d, c->id, rq, e) && dcm_write_dataset(object.dataset, ts, &source, (struct dcm_sink){to_stream, d}, e) &&
                             dimse_stream_end(d, e));
    }
    arena_deinit(&a);
    return result;
}

static enum send_result send_as_it_lies(struct dimse *d, const struct ul_context *c, const struct send_object *o, struct dimse_command *rq, struct err *e) {
    if (o->dataset_offset >= o->length) {
        err_set(e, ERR_CORRUPT, "dimse", "the object has no data set");
        return SEND_IMPOSSIBLE;
    }
    return sent(d, dimse_stream_begin(d, c->id, rq, e) && dimse_stream_file(d, o->fd, o->offset + o->dataset_offset, o->length - o->dataset_offset, true, e) &&
                       dimse_stream_end(d, e));
}

enum send_result send_object(struct dimse *d, const struct send_object *o, const char *originator, uint16_t originator_id, uint16_t *message_id,
                             struct err *e) {
    const struct ul_context *c = dimse_context(d, o->sop_class_uid, o->ts_uid, false);
    bool as_it_lies = c != NULL;
    for (unsigned i = 0; !c && i < PLAIN_COUNT && send_convertible(o->ts_uid); i++) c = dimse_context(d, o->sop_class_uid, PLAIN[i], false);
    if (!c) {
        const struct dcm_ts *ts = dcm_ts_find(str_of(o->ts_uid));
        const struct dcm_uid_entry *class = dcm_uid_find(str_of(o->sop_class_uid));
        err_set(e, ERR_NOT_ACCEPTABLE, "dimse", "the peer takes no %s of %s", ts ? ts->name : o->ts_uid, class ? class->name : o->sop_class_uid);
        return SEND_IMPOSSIBLE;
    }
    struct dimse_command rq = dimse_store_request(d, c, o->sop_instance_uid, originator, originator_id);
    *message_id = rq.message_id;
    return as_it_lies ? send_as_it_lies(d, c, o, &rq, e) : send_converted(d, c, o, &rq, e);
}
