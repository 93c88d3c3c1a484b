// Choice of the context, bytes by sendfile, conversion through a data set whose large values stay in the file.
#include "dimse/send.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/limits.h"
#include "codec/transcode.h"
#include "dicom/inflate.h"
#include "dicom/read.h"
#include "dicom/uids.h"
#include "sys/spool.h"

enum { CHUNK_BYTES = 16 * 1024, STREAM_BYTES = 1024 * 1024, WHOLE_ARENA_BYTES = 4 * DCM_HEADER_BYTES_MAX };

// In the order in which they are preferred: what everybody reads first.
static const char *const PLAIN[] = {DCM_UID_ExplicitVRLittleEndian, DCM_UID_ImplicitVRLittleEndian, DCM_UID_ExplicitVRBigEndian};
static const char *const COMPRESSED[] = {DCM_UID_JPEGLSLossless, DCM_UID_JPEGLosslessSV1,   DCM_UID_JPEG2000Lossless, DCM_UID_RLELossless,
                                         DCM_UID_HTJ2KLossless,  DCM_UID_HTJ2KLosslessRPCL, DCM_UID_JPEGLossless,     DCM_UID_DeflatedExplicitVRLittleEndian};
enum { PLAIN_COUNT = sizeof PLAIN / sizeof *PLAIN, COMPRESSED_COUNT = sizeof COMPRESSED / sizeof *COMPRESSED, TARGETS = PLAIN_COUNT + COMPRESSED_COUNT };

static const struct dcm_ts *target(unsigned i) {
    return dcm_ts_find(str_of(i < PLAIN_COUNT ? PLAIN[i] : COMPRESSED[i - PLAIN_COUNT]));
}

bool send_convertible(const char *ts_uid) {
    const struct dcm_ts *ts = dcm_ts_find(str_of(ts_uid));
    return ts && codec_can_decode(ts);
}

bool send_may_propose_more(const struct err *why) {
    return why->kind == ERR_NOT_ACCEPTABLE || why->kind == ERR_UNSUPPORTED;
}

// ---- what is proposed ----

static bool proposed(const struct scu_proposal *p, const char *class, const char *const *ts, unsigned n) {
    for (unsigned i = 0; i < p->context_count; i++)
        if (p->contexts[i].ts_count == n && str_eqz(p->contexts[i].abstract_syntax, class) && str_eqz(p->contexts[i].ts[0], ts[0])) return true;
    return false;
}

static bool propose_once(struct scu_proposal *p, const char *class, const char *const *ts, unsigned n, struct err *e) {
    return n == 0 || proposed(p, class, ts, n) || scu_propose(p, class, ts, n, e);
}

// Those of a list that can be made and are not the object's own.
static unsigned others(const char *const *list, unsigned count, const char *own, const char **out) {
    unsigned n = 0;
    for (unsigned i = 0; i < count; i++)
        if (strcmp(list[i], own) != 0 && codec_can_encode(dcm_ts_find(str_of(list[i])))) out[n++] = list[i];
    return n;
}

bool send_propose_how(struct scu_proposal *p, const char *sop_class_uid, const char *ts_uid, unsigned how, struct err *e) {
    const char *plain[PLAIN_COUNT], *compressed[COMPRESSED_COUNT];
    if (how == SEND_AS_IT_LIES && proposed(p, sop_class_uid, &ts_uid, 1)) return true;
    if (p->context_count + 3 > UL_CONTEXTS_MAX) return false;
    const char *class = arena_strz(p->arena, str_of(sop_class_uid), e), *own = arena_strz(p->arena, str_of(ts_uid), e);
    if (!class || !own || (how & SEND_AS_IT_LIES && !propose_once(p, class, &own, 1, e))) return false;
    if (!send_convertible(ts_uid)) return true;
    if (how & SEND_CONVERTED && !propose_once(p, class, plain, others(PLAIN, PLAIN_COUNT, own, plain), e)) return false;
    return !(how & SEND_COMPRESSED) || propose_once(p, class, compressed, others(COMPRESSED, COMPRESSED_COUNT, own, compressed), e);
}

bool send_propose(struct scu_proposal *p, const char *sop_class_uid, const char *ts_uid, struct err *e) {
    return send_propose_how(p, sop_class_uid, ts_uid, SEND_AS_IT_LIES | SEND_CONVERTED, e);
}

// ---- the object's file as a source ----

static bool read_at(void *ctx, uint64_t offset, void *p, size_t n, struct err *e) {
    const struct send_object *o = ctx;
    uint8_t *at = p;
    if (offset > o->length || n > o->length - offset) return err_set(e, ERR_CORRUPT, "dimse", "a value lies beyond the end of its object");
    if (o->source) return o->source->read_at(o->source->ctx, offset, p, n, e);
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

struct file_opener {
    const struct send_object *object;
    struct spool inflated;
};

static bool add_inflated(void *ctx, const void *p, size_t n, struct err *e) {
    return spool_add(ctx, p, n, e);
}

static bool read_inflated(void *ctx, uint64_t offset, void *p, size_t n, struct err *e) {
    return spool_read(ctx, offset, p, n, e);
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

static bool open_file(void *ctx, struct arena *a, struct send_whole *out, struct err *e) {
    struct file_opener *f = ctx;
    struct dcm_object object = {0};
    const struct dcm_source file = {read_at, (void *)f->object};
    if (!read_whole(f->object, a, &object, e)) return false;
    *out = (struct send_whole){.ts = object.ts, .dataset = object.dataset, .source = file};
    if (!object.ts->deflated) return true;
    uint64_t n;
    spool_init(&f->inflated);
    out->ts = dcm_ts_explicit_le;
    out->source = (struct dcm_source){read_inflated, &f->inflated};
    if (dcm_inflate(&file, object.dataset_offset, f->object->length, (struct dcm_sink){add_inflated, &f->inflated}, &n, e)) return true;
    spool_deinit(&f->inflated);
    return false;
}

static void close_file(void *ctx) {
    struct file_opener *f = ctx;
    spool_deinit(&f->inflated);
}

// ---- conversion ----

// The data set on its way; C-STORE-RQ goes out before the first of its bytes, which come when everything that can fail is done.
struct outgoing {
    struct dimse *d;
    uint8_t context;
    struct dimse_command *rq;
    bool begun;
};

static bool begin(struct outgoing *o, struct err *e) {
    o->begun = true;
    return dimse_stream_begin(o->d, o->context, o->rq, e);
}

static bool to_stream(void *ctx, const void *p, size_t n, struct err *e) {
    struct outgoing *o = ctx;
    return (o->begun || begin(o, e)) && dimse_stream_write(o->d, p, n, e);
}

// Half a data set that is out cannot be taken back.
static enum send_result sent(struct dimse *d, bool ok) {
    if (!ok) ul_abort(&d->ul);
    return ok ? SEND_DONE : SEND_BROKEN;
}

static enum send_result send_transcoded(struct dimse *d, const struct ul_context *c, const struct send_whole *whole, const struct dcm_ts *to,
                                        struct dimse_command *rq, struct err *e) {
    const struct transcode t = {.dataset = whole->dataset, .pixels = {.ts = whole->ts, .source = &whole->source, .frames = whole->frames}, .to = to};
    struct outgoing o = {.d = d, .context = c->id, .rq = rq};
    bool ok = transcode_write(&t, (struct dcm_sink){to_stream, &o}, e) && (o.begun || begin(&o, e));
    if (!o.begun) return SEND_IMPOSSIBLE;
    return sent(d, ok && dimse_stream_end(d, e));
}

// The context that serves the object best, of those that the peer accepted.
static const struct ul_context *choose(const struct dimse *d, const struct send_object *o, const struct send_whole *whole, const struct dcm_ts **to,
                                       struct err *e) {
    for (unsigned i = 0; i < TARGETS; i++) {
        *to = target(i);
        const struct ul_context *c = dimse_context(d, o->sop_class_uid, (*to)->uid, false);
        if (c && transcode_possible(whole->dataset, whole->ts, *to, e)) return c;
    }
    return NULL;
}

static bool takes_any(const struct dimse *d, const struct send_object *o) {
    for (unsigned i = 0; i < TARGETS && send_convertible(o->ts_uid); i++)
        if (dimse_context(d, o->sop_class_uid, target(i)->uid, false)) return true;
    return false;
}

static enum send_result send_converted(struct dimse *d, const struct send_object *o, struct send_report *report, const char *originator, uint16_t originator_id,
                                       struct err *e) {
    struct arena a;
    struct send_whole whole;
    struct file_opener file = {.object = o, .inflated = {.fd = -1}};
    const struct send_opener from_file = {open_file, close_file, &file}, *opener = o->opener ? o->opener : &from_file;
    const struct dcm_ts *to;
    enum send_result result = SEND_IMPOSSIBLE;
    arena_init(&a, WHOLE_ARENA_BYTES);
    if (opener->open(opener->ctx, &a, &whole, e)) {
        const struct ul_context *c = choose(d, o, &whole, &to, e);
        if (c) {
            struct dimse_command rq = dimse_store_request(d, c, o->sop_instance_uid, originator, originator_id);
            *report = (struct send_report){rq.message_id, to};
            result = send_transcoded(d, c, &whole, to, &rq, e);
        }
        opener->close(opener->ctx);
    }
    arena_deinit(&a);
    return result;
}

// ---- sending ----

static bool stream_source(struct dimse *d, const struct send_object *o, struct err *e) {
    uint8_t *chunk = malloc(STREAM_BYTES);
    bool ok = chunk || err_nomem(e, "dimse");
    for (uint64_t at = o->dataset_offset, n; ok && at < o->length; at += n) {
        n = STREAM_BYTES - at % STREAM_BYTES < o->length - at ? STREAM_BYTES - at % STREAM_BYTES : o->length - at;
        ok = read_at((void *)(uintptr_t)o, at, chunk, (size_t)n, e) && dimse_stream_write(d, chunk, (size_t)n, e);
    }
    free(chunk);
    return ok;
}

static bool stream_dataset(struct dimse *d, const struct send_object *o, struct err *e) {
    if (o->source) return stream_source(d, o, e);
    return dimse_stream_file(d, o->fd, o->offset + o->dataset_offset, o->length - o->dataset_offset, true, e);
}

static enum send_result send_as_it_lies(struct dimse *d, const struct ul_context *c, const struct send_object *o, struct dimse_command *rq, struct err *e) {
    if (o->dataset_offset >= o->length) {
        err_set(e, ERR_CORRUPT, "dimse", "the object has no data set");
        return SEND_IMPOSSIBLE;
    }
    return sent(d, dimse_stream_begin(d, c->id, rq, e) && stream_dataset(d, o, e) && dimse_stream_end(d, e));
}

enum send_result send_object(struct dimse *d, const struct send_object *o, const char *originator, uint16_t originator_id, struct send_report *report,
                             struct err *e) {
    const struct ul_context *c = dimse_context(d, o->sop_class_uid, o->ts_uid, false);
    *report = (struct send_report){0};
    if (c) {
        struct dimse_command rq = dimse_store_request(d, c, o->sop_instance_uid, originator, originator_id);
        report->message_id = rq.message_id;
        return send_as_it_lies(d, c, o, &rq, e);
    }
    if (takes_any(d, o)) return send_converted(d, o, report, originator, originator_id, e);
    const struct dcm_ts *ts = dcm_ts_find(str_of(o->ts_uid));
    const struct dcm_uid_entry *class = dcm_uid_find(str_of(o->sop_class_uid));
    err_set(e, ERR_NOT_ACCEPTABLE, "dimse", "the peer takes no %s of %s, and nothing that it may become without loss", ts ? ts->name : o->ts_uid,
            class ? class->name : o->sop_class_uid);
    return SEND_IMPOSSIBLE;
}
