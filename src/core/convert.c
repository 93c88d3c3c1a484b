// From a stored object to its conversion: what the index knows decides first, the header next; pixels last.
#include "core/convert.h"

#include "base/limits.h"
#include "codec/transcode.h"
#include "sys/spool.h"

enum { CONVERT_ARENA_BYTES = 3 * DCM_HEADER_BYTES_MAX };

static bool as_stored(const struct instance_ref *ref, const struct dcm_ts *to) {
    return str_eqz(ref->ts_uid, to->uid);
}

static bool allowed(const struct dcm_ts *to, const struct convert_options *o, struct err *e) {
    if (!to->encapsulated || !to->lossy || (o && o->lossy)) return true;
    return err_set(e, ERR_NOT_ACCEPTABLE, "convert", "%s would lose what is stored: it has to be asked for by name", to->name);
}

// A deflated data set is explicit VR little endian when it is read.
static const struct dcm_ts *as_read(const struct dcm_ts *ts) {
    return ts->deflated ? dcm_ts_explicit_le : ts;
}

static bool possible_by_header(struct archive *ar, const struct instance_ref *ref, const struct dcm_ts *from, const struct dcm_ts *to, struct err *e) {
    struct arena a;
    struct dcm_dataset *header;
    arena_init(&a, CONVERT_ARENA_BYTES);
    bool ok = retrieve_header(ar, &a, ref, &header, e) && transcode_possible(header, as_read(from), to, e);
    arena_deinit(&a);
    return ok;
}

bool convert_possible(struct archive *ar, const struct instance_ref *ref, const struct dcm_ts *to, const struct convert_options *o, struct err *e) {
    const struct dcm_ts *from = dcm_ts_find(ref->ts_uid);
    if (as_stored(ref, to)) return true;
    if (!from) return err_set(e, ERR_UNSUPPORTED, "convert", "the object is stored in %.*s, which is not known here", STR_FMT(ref->ts_uid));
    return allowed(to, o, e) && possible_by_header(ar, ref, from, to, e);
}

static bool write_stored(struct archive *ar, const struct instance_ref *ref, struct dcm_sink sink, struct err *e) {
    char piece[32 * 1024];
    for (uint64_t at = 0; at < ref->loc.length; at += sizeof piece) {
        size_t n = ref->loc.length - at < sizeof piece ? (size_t)(ref->loc.length - at) : sizeof piece;
        if (!retrieve_read(ar, ref, at, piece, n, e) || !sink.write(sink.ctx, piece, n, e)) return false;
    }
    return true;
}

static bool write_converted(struct retrieve_object *o, struct arena *a, const struct dcm_ts *to, const struct convert_options *options, struct dcm_sink sink,
                            struct err *e) {
    struct dcm_dataset *ds;
    if (!retrieve_dataset(o, a, &ds, e)) return false;
    const struct transcode t = {.dataset = ds,
                                .pixels = {.ts = o->ts,
                                           .source = &o->source,
                                           .frames = o->frames.count ? &o->frames : NULL,
                                           .options = options ? options->codec : (struct codec_options){0}},
                                .to = to};
    return transcode_part10(&t, sink, e);
}

bool convert_part10(struct archive *ar, const struct instance_ref *ref, const struct dcm_ts *to, const struct convert_options *o, struct dcm_sink sink,
                    struct err *e) {
    struct arena a;
    struct retrieve_object object;
    if (as_stored(ref, to)) return write_stored(ar, ref, sink, e);
    if (!allowed(to, o, e)) return false;
    arena_init(&a, CONVERT_ARENA_BYTES);
    bool ok = retrieve_open(ar, &a, ref, &object, e);
    if (ok) {
        ok = write_converted(&object, &a, to, o, sink, e);
        retrieve_close(&object);
    }
    arena_deinit(&a);
    return ok;
}

static bool to_spool(void *ctx, const void *p, size_t n, struct err *e) {
    return spool_add(ctx, p, n, e);
}

bool convert_spooled(struct archive *ar, const struct instance_ref *ref, const struct dcm_ts *to, const struct convert_options *o, int *fd, uint64_t *length,
                     struct err *e) {
    struct spool s;
    spool_init(&s);
    bool ok = convert_part10(ar, ref, to, o, (struct dcm_sink){to_spool, &s}, e);
    *length = s.n;
    ok = ok && spool_take_fd(&s, fd, e);
    spool_deinit(&s);
    return ok;
}
