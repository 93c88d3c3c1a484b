// The data set builder: preamble, meta header, the encoding that is really there, inflating; then dicom/assemble.h (PS3.10 7, PS3.5 10 and A.5).
#include "dicom/read.h"

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define ZLIB_CONST
#include <zlib.h>

#include "dicom/assemble.h"

enum {
    PREAMBLE_BYTES = 128,
    PREFIX_BYTES = 4,
    START_BYTES = PREAMBLE_BYTES + PREFIX_BYTES + 8, // enough to see the first element behind the prefix
    CARRY_BYTES = START_BYTES + DCM_LOOK_AHEAD,
    INFLATE_BYTES = 64 * 1024,
    READ_BYTES = 32 * 1024, // most headers fit
};

// Bytes that wait for more.
struct carry {
    uint8_t bytes[CARRY_BYTES];
    size_t n;
};

enum phase { AT_START, IN_META, AT_DATASET, IN_DATASET, IN_DEFLATED, FINISHED };

struct dcm_builder {
    struct arena *arena;
    enum phase phase;
    bool bare; // a data set alone, in a given transfer syntax
    bool meta_open;
    bool at_inflated_start;
    enum dcm_build_stop stop;
    uint64_t offset; // of the next byte that is not taken yet
    struct dcm_object object;
    struct dcm_assembler assembler;
    bool failed;
    struct carry fed;
    struct carry out; // of inflating
    z_stream z;
    uint8_t *inflated;
    uint64_t inflated_total;
};

// ---- which encoding is it ----

static uint16_t group_at(const uint8_t *p, bool big) {
    return (uint16_t)(big ? p[0] << 8 | p[1] : p[1] << 8 | p[0]);
}

static uint32_t first_tag(const uint8_t *p, bool big) {
    return (uint32_t)group_at(p, big) << 16 | group_at(p + 2, big);
}

// An attribute that a data set may begin with. Retired repeating ones would let nearly anything pass.
static bool is_known(uint32_t tag) {
    if (DCM_ELEMENT(tag) == 0) return DCM_GROUP(tag) < 0x0100;
    if (dcm_tag_is_private(tag)) return DCM_ELEMENT(tag) >= 0x10 && DCM_ELEMENT(tag) <= 0xFF;
    const struct dcm_dict_entry *d = dcm_dict_find(tag);
    return d && d->mask == UINT32_MAX;
}

static bool has_vr(const uint8_t *p) {
    return dcm_vr_find(DCM_VR_CODE(p[4], p[5])) != NULL;
}

static const struct dcm_ts implicit_be = {"", "Implicit VR Big Endian", .big_endian = true};

static const struct dcm_ts *native(bool explicit_vr, bool big) {
    if (explicit_vr) return big ? dcm_ts_explicit_be : dcm_ts_explicit_le;
    return big ? &implicit_be : dcm_ts_implicit_le;
}

// Without a declared transfer syntax: the first element tells. NULL when it is no element that anybody would begin with.
static const struct dcm_ts *guess(const uint8_t *p, size_t n) {
    if (n < 8) return NULL;
    uint32_t le = first_tag(p, false), be = first_tag(p, true);
    bool explicit_vr = has_vr(p);
    if (!explicit_vr) {
        uint32_t length = (uint32_t)group_at(p + 6, false) << 16 | group_at(p + 4, false);
        bool sane = length < 0x01000000 || length == DCM_LENGTH_UNDEFINED;
        if (is_known(le) && sane && (le != 0 || length == 4)) return native(false, false);
        return be != 0 && is_known(be) && p[4] == 0 ? native(false, true) : NULL;
    }
    if (is_known(le) && (!is_known(be) || le < be)) return native(true, false);
    if (is_known(be)) return native(true, true);
    return DCM_GROUP(le) < 0x0400 ? native(true, false) : NULL;
}

// What is declared is not always what is there: a known tag in the other byte order, or a VR where none should be, or none where one should be.
static const struct dcm_ts *as_found(const struct dcm_ts *declared, const uint8_t *p, size_t n) {
    if (n < 8) return declared;
    bool big = declared->big_endian, explicit_vr = declared->explicit_vr;
    uint32_t here = first_tag(p, big), swapped = first_tag(p, !big);
    if (DCM_GROUP(here) == 0xFFFE) return declared;
    if (!is_known(here) && is_known(swapped) && group_at(p + 6, !big) <= group_at(p + 6, big)) big = !big;
    bool letters = p[4] >= 'A' && p[4] <= 'Z' && p[5] >= 'A' && p[5] <= 'Z';
    if (!explicit_vr && has_vr(p)) explicit_vr = true;
    if (explicit_vr && !letters && (group_at(p + 6, big) == 0 || group_at(p + 6, big) == 0xFFFF)) explicit_vr = false;
    if (big == declared->big_endian && explicit_vr == declared->explicit_vr) return declared;
    return native(explicit_vr, big);
}

// The transfer syntax of the meta header. An unregistered UID means explicit VR little endian, as every new one since 1995 did.
static bool declared_ts(struct dcm_builder *b, const struct dcm_ts **out, struct err *e) {
    *out = NULL;
    if (!b->object.meta) return true;
    struct str uid = dcm_text(b->object.meta, DCM_TransferSyntaxUID);
    if (!dcm_uid_valid(uid, false)) return true;
    *out = dcm_ts_find(uid);
    if (*out) return true;
    struct dcm_ts *ts = arena_zero(b->arena, 1, sizeof *ts, e);
    char *text = ts ? arena_strz(b->arena, uid, e) : NULL;
    if (!text) return false;
    *ts = (struct dcm_ts){.uid = text, .name = text, .explicit_vr = true, .encapsulated = true, .lossy = true};
    *out = ts;
    return true;
}

// ---- phases ----

static enum dcm_step begin_assembly(struct dcm_builder *b, const struct dcm_ts *ts, enum phase next, struct err *e) {
    if (!dcm_assembler_begin(&b->assembler, ts, b->phase == IN_DEFLATED ? 0 : b->offset, e)) return DCM_FAIL;
    if (next != IN_META) b->assembler.stop_at_pixels = b->stop == DCM_STOP_AT_PIXELS;
    if (b->phase != IN_DEFLATED) b->phase = next;
    return DCM_TOKEN;
}

static bool looks_like_meta(const uint8_t *p) {
    return p[0] == 2 && p[1] == 0 && p[3] == 0 && p[4] >= 'A' && p[4] <= 'Z' && p[5] >= 'A' && p[5] <= 'Z';
}

// Preamble and prefix; files begin with the meta header at once, or with the data set, or (rarely) with the prefix.
static enum dcm_step at_start(struct dcm_builder *b, const uint8_t *p, size_t n, bool final, size_t *used, struct err *e) {
    if (n < START_BYTES && !final) return DCM_MORE;
    size_t skip = 0;
    if (n >= PREAMBLE_BYTES + PREFIX_BYTES && memcmp(p + PREAMBLE_BYTES, "DICM", PREFIX_BYTES) == 0) {
        b->object.preamble = true;
        skip = PREAMBLE_BYTES + PREFIX_BYTES;
    } else if (n >= START_BYTES && !looks_like_meta(p) && looks_like_meta(p + PREAMBLE_BYTES + PREFIX_BYTES)) {
        skip = PREAMBLE_BYTES + PREFIX_BYTES; // a preamble with another prefix
    } else if (n >= PREFIX_BYTES + 8 && memcmp(p, "DICM", PREFIX_BYTES) == 0) {
        skip = PREFIX_BYTES;
    }
    *used = skip;
    b->offset += skip;
    bool meta = b->object.preamble || skip || (n >= 8 && group_at(p, false) == 2);
    if (!meta) {
        b->phase = AT_DATASET;
        return DCM_TOKEN;
    }
    b->meta_open = true;
    return begin_assembly(b, dcm_ts_explicit_le, IN_META, e);
}

static enum dcm_step run_assembler(struct dcm_builder *b, const uint8_t *p, size_t n, bool final, uint16_t group, size_t *used, struct err *e) {
    enum dcm_step step = dcm_assembler_run(&b->assembler, p, n, final, group, used, e);
    if (b->phase != IN_DEFLATED) b->offset += *used;
    return step;
}

static enum dcm_step in_meta(struct dcm_builder *b, const uint8_t *p, size_t n, bool final, size_t *used, struct err *e) {
    enum dcm_step step = run_assembler(b, p, n, final, 2, used, e);
    if (step != DCM_DONE) return step;
    if (!dcm_assembler_finish(&b->assembler, &b->object.meta, e)) return DCM_FAIL;
    b->meta_open = false;
    b->phase = AT_DATASET;
    return DCM_TOKEN;
}

static enum dcm_step not_dicom(struct dcm_builder *b, struct err *e) {
    err_set(e, ERR_BAD_INPUT, "dicom",
            b->object.meta ? "no transfer syntax is declared and the first element of the data set tells none"
                           : "not a DICOM object: no preamble, no meta header, and the first bytes are no data element");
    return DCM_FAIL;
}

static voidpf z_alloc(voidpf opaque, uInt items, uInt size) {
    return arena_zero(opaque, items, size, NULL);
}

static void z_free(voidpf opaque, voidpf address) {
    (void)opaque;
    (void)address;
}

static enum dcm_step begin_deflated(struct dcm_builder *b, struct err *e) {
    b->z = (z_stream){.zalloc = z_alloc, .zfree = z_free, .opaque = b->arena};
    b->inflated = arena_alloc(b->arena, INFLATE_BYTES, e);
    if (!b->inflated) return DCM_FAIL;
    if (inflateInit2(&b->z, -MAX_WBITS) != Z_OK) {
        err_nomem(e, "dicom");
        return DCM_FAIL;
    }
    // Whatever is borrowed elsewhere: inflated bytes pass by. What was in memory may be longer than what comes through a stream.
    if (b->assembler.borrow) b->assembler.value_max = DCM_HEADER_BYTES_MAX;
    b->assembler.borrow = false;
    b->phase = IN_DEFLATED;
    b->at_inflated_start = true;
    return DCM_TOKEN;
}

static enum dcm_step at_dataset(struct dcm_builder *b, const uint8_t *p, size_t n, bool final, struct err *e) {
    if (n < 8 && !final) return DCM_MORE;
    b->object.dataset_offset = b->offset;
    const struct dcm_ts *ts = b->object.ts;
    if (!b->bare && !declared_ts(b, &ts, e)) return DCM_FAIL;
    b->object.ts = ts;
    if (ts && ts->deflated) return begin_deflated(b, e);
    if (n == 0 && !ts && b->object.meta) ts = dcm_ts_implicit_le;
    if (!ts) ts = guess(p, n);
    if (!ts) return not_dicom(b, e);
    const struct dcm_ts *found = as_found(ts, p, n);
    bool registered_native = ts == dcm_ts_implicit_le || ts == dcm_ts_explicit_le || ts == dcm_ts_explicit_be;
    b->object.ts = registered_native ? found : ts;
    return begin_assembly(b, found, IN_DATASET, e);
}

// ---- inflating (PS3.5 A.5) ----

static enum dcm_step inflated_bytes(struct dcm_builder *b, const uint8_t *p, size_t n, bool final, struct err *e);

static enum dcm_step inflate_failed(struct dcm_builder *b, int code, struct err *e) {
    if (code == Z_MEM_ERROR)
        err_nomem(e, "dicom");
    else
        err_set(e, ERR_BAD_INPUT, "dicom", "the deflated data set is damaged at byte %llu: %s", (unsigned long long)b->offset,
                b->z.msg ? b->z.msg : "no message");
    return DCM_FAIL;
}

static enum dcm_step in_deflated(struct dcm_builder *b, const uint8_t *p, size_t n, size_t *used, struct err *e) {
    b->z.next_in = p;
    b->z.avail_in = n > UINT32_MAX ? UINT32_MAX : (uInt)n;
    size_t given = b->z.avail_in;
    for (;;) {
        b->z.next_out = b->inflated;
        b->z.avail_out = INFLATE_BYTES;
        int code = inflate(&b->z, Z_NO_FLUSH);
        bool damaged = code != Z_OK && code != Z_STREAM_END && code != Z_BUF_ERROR; // what came out before is taken all the same
        size_t out = INFLATE_BYTES - b->z.avail_out;
        b->inflated_total += out;
        if (b->inflated_total > DCM_DEFLATED_BYTES_MAX) {
            err_set(e, ERR_TOO_LARGE, "dicom", "the data set inflates to more than %lld bytes", (long long)DCM_DEFLATED_BYTES_MAX);
            return DCM_FAIL;
        }
        enum dcm_step step = inflated_bytes(b, b->inflated, out, code == Z_STREAM_END, e);
        *used = given - b->z.avail_in;
        if (step != DCM_MORE) return step;
        if (damaged) return inflate_failed(b, code, e);
        if (b->z.avail_in == 0 && out < INFLATE_BYTES) return given < n ? DCM_TOKEN : DCM_MORE;
    }
}

// ---- feeding ----

static enum dcm_step run(struct dcm_builder *b, const uint8_t *p, size_t n, bool final, size_t *used, struct err *e) {
    *used = 0;
    for (;;) {
        size_t taken = 0;
        enum dcm_step step = DCM_DONE;
        const uint8_t *at = p + *used;
        size_t left = n - *used;
        switch (b->phase) {
        case AT_START:
            step = at_start(b, at, left, final, &taken, e);
            break;
        case IN_META:
            step = in_meta(b, at, left, final, &taken, e);
            break;
        case AT_DATASET:
            step = at_dataset(b, at, left, final, e);
            break;
        case IN_DATASET:
            step = run_assembler(b, at, left, final, 0, &taken, e);
            break;
        case IN_DEFLATED:
            step = in_deflated(b, at, left, &taken, e);
            b->offset += taken;
            if (step == DCM_MORE && final) {
                b->assembler.reader.cut_short = true;
                err_set(e, ERR_BAD_INPUT, "dicom", "the deflated data set is cut short at byte %llu", (unsigned long long)b->offset);
                step = DCM_FAIL;
            }
            break;
        case FINISHED:
            return DCM_DONE;
        }
        *used += taken;
        if (step != DCM_TOKEN) return step;
    }
}

// The assembler's turn with inflated bytes, which begin like any data set.
static enum dcm_step assemble_inflated(struct dcm_builder *b, const uint8_t *p, size_t n, bool final, size_t *used, struct err *e) {
    *used = 0;
    if (b->at_inflated_start) {
        if (n < 8 && !final) return DCM_MORE;
        b->at_inflated_start = false;
        enum dcm_step step = begin_assembly(b, as_found(dcm_ts_explicit_le, p, n), IN_DEFLATED, e);
        if (step != DCM_TOKEN) return step;
    }
    return run_assembler(b, p, n, final, 0, used, e);
}

typedef enum dcm_step taker(struct dcm_builder *b, const uint8_t *p, size_t n, bool final, size_t *used, struct err *e);

// First what waits together with as much as it needs of what came, then the rest in place; a short rest waits.
static enum dcm_step feed_through_carry(struct dcm_builder *b, taker *take, struct carry *c, const uint8_t *p, size_t n, bool final, struct err *e) {
    size_t used = 0;
    while (c->n) {
        size_t room = sizeof c->bytes - c->n, add = n < room ? n : room;
        if (add) memcpy(c->bytes + c->n, p, add);
        enum dcm_step step = take(b, c->bytes, c->n + add, final && add == n, &used, e);
        if (step != DCM_MORE) return step;
        if (used >= c->n) {
            p += used - c->n;
            n -= used - c->n;
            c->n = 0;
            break;
        }
        memmove(c->bytes, c->bytes + used, c->n + add - used);
        c->n += add - used;
        p += add;
        n -= add;
        if (n == 0) return DCM_MORE;
    }
    enum dcm_step step = take(b, p, n, final, &used, e);
    if (step != DCM_MORE) return step;
    c->n = n - used;
    if (c->n) memcpy(c->bytes, p + used, c->n);
    return DCM_MORE;
}

static enum dcm_step inflated_bytes(struct dcm_builder *b, const uint8_t *p, size_t n, bool final, struct err *e) {
    return feed_through_carry(b, assemble_inflated, &b->out, p, n, final, e);
}

// ---- the object ----

static void tell_where(struct dcm_builder *b, const struct err *e) {
    const struct dcm_reader *r = &b->assembler.reader;
    const struct dcm_assembler *a = &b->assembler;
    b->object.truncated = r->cut_short;
    if (!b->object.truncated) return;
    if (r->value_left && a->count && !a->in_fragments) {
        const struct dcm_element *el = &a->elements[a->count - 1];
        snprintf(b->object.truncated_where, sizeof b->object.truncated_where, "(%04X,%04X) declares %llu bytes, %llu are there", DCM_GROUP(el->tag),
                 DCM_ELEMENT(el->tag), (unsigned long long)el->length, (unsigned long long)(el->length - r->value_left));
        return;
    }
    snprintf(b->object.truncated_where, sizeof b->object.truncated_where, "%.90s", e ? e->message : "");
}

// Fills the object with what there is: all of it, or what was whole when reading failed.
static bool settle(struct dcm_builder *b, struct err *e) {
    if (b->phase == FINISHED) return true;
    b->object.bytes = b->offset;
    bool ok = true;
    if (b->meta_open)
        ok = dcm_assembler_finish(&b->assembler, &b->object.meta, e);
    else if (b->phase == IN_DATASET || (b->phase == IN_DEFLATED && !b->at_inflated_start))
        ok = dcm_assembler_finish(&b->assembler, &b->object.dataset, e);
    if (ok && !b->object.dataset) b->object.dataset = dcm_dataset_new(b->arena, e);
    b->phase = FINISHED;
    return ok && b->object.dataset;
}

static enum dcm_step conclude(struct dcm_builder *b, enum dcm_step step, struct err *e) {
    b->failed = step == DCM_FAIL;
    if (b->failed) {
        struct err why = *e, ignored;
        tell_where(b, &why);
        settle(b, &ignored);
    }
    if (step == DCM_DONE && !settle(b, e)) {
        b->failed = true;
        return DCM_FAIL;
    }
    return step;
}

struct dcm_builder *dcm_builder_new(struct arena *a, const struct dcm_ts *ts, enum dcm_build_stop stop, struct err *e) {
    struct dcm_builder *b = arena_zero(a, 1, sizeof *b, e);
    if (!b) return NULL;
    b->arena = a;
    b->assembler.arena = a;
    b->assembler.value_max = DCM_VALUE_IN_MEMORY_MAX;
    b->stop = stop;
    b->bare = ts != NULL;
    b->object.ts = ts;
    b->phase = ts ? AT_DATASET : AT_START;
    return b;
}

static enum dcm_step feed(struct dcm_builder *b, const uint8_t *p, size_t n, bool final, struct err *e) {
    struct err here;
    if (!e) e = &here;
    if (b->failed) {
        err_set(e, ERR_BAD_INPUT, "dicom", "the object has failed to parse before");
        return DCM_FAIL;
    }
    if (b->phase == FINISHED) return DCM_DONE;
    return conclude(b, feed_through_carry(b, run, &b->fed, p, n, final, e), e);
}

enum dcm_step dcm_builder_feed(struct dcm_builder *b, const void *p, size_t n, struct err *e) {
    return feed(b, p, n, false, e);
}

enum dcm_step dcm_builder_end(struct dcm_builder *b, struct dcm_object *out, struct err *e) {
    enum dcm_step step = feed(b, (const uint8_t *)"", 0, true, e);
    *out = b->object;
    return step;
}

const struct dcm_object *dcm_builder_object(const struct dcm_builder *b) {
    return &b->object;
}

// ---- whole sources ----

bool dcm_read_memory(struct arena *a, const void *p, size_t n, const struct dcm_ts *ts, enum dcm_build_stop stop, struct dcm_object *out, struct err *e) {
    *out = (struct dcm_object){0};
    struct err here;
    if (!e) e = &here;
    struct dcm_builder *b = dcm_builder_new(a, ts, stop, e);
    if (!b) return false;
    b->assembler.borrow = true;
    size_t used;
    enum dcm_step step = conclude(b, run(b, p, n, true, &used, e), e);
    *out = b->object;
    return step == DCM_DONE;
}

// Bytes of a value kept by reference that need not be read.
static uint64_t unwanted(const struct dcm_builder *b) {
    const struct dcm_assembler *a = &b->assembler;
    return b->phase == IN_DATASET && b->fed.n == 0 && !a->value ? a->reader.value_left : 0;
}

// Jumps over them, as far as the file goes. A descriptor that cannot seek is read on.
static void jump(struct dcm_builder *b, int fd) {
    uint64_t n = unwanted(b);
    struct stat st;
    off_t here = n > READ_BYTES ? lseek(fd, 0, SEEK_CUR) : -1;
    if (here < 0 || fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) || st.st_size - here < (off_t)n) return;
    if (lseek(fd, (off_t)n, SEEK_CUR) < 0) return;
    b->assembler.reader.value_left = 0;
    b->assembler.reader.offset += n;
    b->offset += n;
}

bool dcm_read_fd(struct arena *a, int fd, enum dcm_build_stop stop, struct dcm_object *out, struct err *e) {
    *out = (struct dcm_object){0};
    struct err here;
    if (!e) e = &here;
    struct dcm_builder *b = dcm_builder_new(a, NULL, stop, e);
    uint8_t *chunk = b ? arena_alloc(a, READ_BYTES, e) : NULL;
    if (!chunk) return false;
    enum dcm_step step = DCM_MORE;
    while (step == DCM_MORE) {
        jump(b, fd);
        ssize_t n = read(fd, chunk, READ_BYTES);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return err_errno(e, ERR_IO, "dicom", "cannot read");
        step = n ? dcm_builder_feed(b, chunk, (size_t)n, e) : dcm_builder_end(b, out, e);
    }
    *out = b->object;
    return step == DCM_DONE;
}
