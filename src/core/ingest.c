// Ingest: bytes are kept and digested as they come, the header is read on the way, and the commit waits for the group's flush.
#include "core/ingest.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/limits.h"
#include "base/log.h"
#include "codec/frames.h"
#include "core/audit.h"
#include "core/index.h"
#include "core/realm.h"
#include "core/scope.h"
#include "sys/digest.h"
#include "sys/sums.h"
#include "text/json.h"

enum {
    NOTE_BYTES_MAX = 8 * 1024,
    INGEST_OPEN_MAX = 2048,         // at once
    INGEST_MEMORY_BYTES = 24 << 20, // buffers of all together; beyond it objects wait in staging files
    INGEST_SMALL_BYTES = 32 * 1024, // what each may take whatever the others have
    INGEST_EAGER_BYTES = 64 * 1024, // digested as they come; the rest of what is in memory while the disk begins with it
    INGEST_KEPT_BYTES = 1 << 20,    // a buffer kept for the next object
    INGEST_ARENA_BYTES = 3 * DCM_HEADER_BYTES_MAX,
    BAD_DATA_SET = 0xC000,      // PS3.4 B.2.3: Cannot understand
    NOT_THE_SOP_CLASS = 0xA900, // Data Set does not match SOP Class (error)
    COERCED_CLASS = 0xB007,     // the same as a warning
};

#define MEDIA_STORAGE_DIRECTORY "1.2.840.10008.1.3.10"

struct ingest {
    struct archive *ar;
    struct arena arena;
    struct dcm_builder *builder;
    bool header_done, header_failed;
    struct err header_err;
    struct dcm_object object;
    struct digest digest;
    struct sums sums;
    struct buf meta;     // our preamble and meta header, of a bare data set
    struct buf body;     // the stream, while in memory
    size_t digested;     // of body
    struct str *sums_to; // where the sums go when the digest is made
    size_t accounted;
    struct vol_spool *spool; // else the whole file, meta included
    struct vol_spool *lent;  // the same, once the writer has it: readable until vol_append returns
    uint64_t total;          // of the stream
    struct codec_scan *scan; // of encapsulated pixel data
    uint64_t scan_from;      // in the stream
    bool bare;
    bool repeated; // it was there already, as an object, a conflicting copy or in quarantine
    char actor[256];
    struct str home;    // the sender's realm
    bool placed;        // it may store there
    struct scope store; // into which studies it may store
    char sop_class_uid[65], sop_instance_uid[65], ts_uid[65];
};

// ---- memory ----

void ingest_memory_init(struct archive *ar) {
    pthread_mutex_init(&ar->memory.lock, NULL);
}

void ingest_memory_deinit(struct archive *ar) {
    for (unsigned i = 0; i < ar->memory.kept_count; i++) buf_deinit(&ar->memory.kept[i]);
    pthread_mutex_destroy(&ar->memory.lock);
}

static void take_buffer(struct ingest_memory *m, struct ingest *in) {
    buf_init(&in->body, STORE_SPOOL_BYTES);
    pthread_mutex_lock(&m->lock);
    if (m->kept_count) in->body = m->kept[--m->kept_count];
    pthread_mutex_unlock(&m->lock);
    in->accounted = in->body.cap;
}

static void give_buffer(struct ingest_memory *m, struct ingest *in) {
    buf_clear(&in->body);
    pthread_mutex_lock(&m->lock);
    bool keep = in->body.cap && in->body.cap <= INGEST_KEPT_BYTES && m->kept_count < INGEST_BUFFERS_KEPT;
    if (keep) m->kept[m->kept_count++] = in->body;
    pthread_mutex_unlock(&m->lock);
    if (!keep) {
        buf_deinit(&in->body);
        m->bytes -= in->accounted;
    }
    in->accounted = 0;
    in->body = (struct buf){0};
}

static bool fits_memory(const struct ingest *in, size_t n) {
    size_t need = in->body.n + n;
    if (need > STORE_SPOOL_BYTES) return false;
    return need <= in->body.cap || need <= INGEST_SMALL_BYTES || in->ar->memory.bytes + need <= INGEST_MEMORY_BYTES;
}

static void account(struct ingest *in) {
    if (in->body.cap == in->accounted) return;
    in->ar->memory.bytes += in->body.cap - in->accounted;
    in->accounted = in->body.cap;
}

// ---- begin ----

// Piece by piece, so that what one of them has brought near is near for the other.
static void digest_bytes(struct ingest *in, const char *p, size_t n) {
    for (size_t part; n; p += part, n -= part) {
        part = n < SUMS_BLOCK_BYTES ? n : SUMS_BLOCK_BYTES;
        digest_add(&in->digest, p, part);
        sums_add(&in->sums, p, part);
    }
}

static void copy_uid(char to[65], struct str uid) {
    struct str trimmed = dcm_uid_trim(uid);
    to[0] = '\0';
    if (!dcm_uid_valid(trimmed, false)) return; // what cannot name anything is not written into a meta header
    memcpy(to, trimmed.p, trimmed.n);
    to[trimmed.n] = '\0';
}

static bool begin_bare(struct ingest *in, const struct actor *who, const struct ingest_hint *hint, struct err *e) {
    copy_uid(in->sop_class_uid, hint->sop_class_uid);
    copy_uid(in->sop_instance_uid, hint->sop_instance_uid);
    copy_uid(in->ts_uid, hint->ts_uid);
    if (!dcm_write_meta(str_of(in->sop_class_uid), str_of(in->sop_instance_uid), str_of(in->ts_uid), who->aet, &in->meta, e)) return false;
    digest_bytes(in, in->meta.p, in->meta.n);
    return buf_ok(&in->meta, e);
}

static bool begin(struct ingest *in, const struct actor *who, const struct ingest_hint *hint, struct err *e) {
    const struct dcm_ts *ts = NULL;
    if (!digest_init(&in->digest, e)) return false;
    in->bare = hint && hint->ts_uid.n;
    if (in->bare && !begin_bare(in, who, hint, e)) return false;
    // PS3.5 A.4: a transfer syntax that we do not know is explicit VR little endian, or it could not be read at all
    if (in->bare && !(ts = dcm_ts_find(dcm_uid_trim(hint->ts_uid)))) ts = dcm_ts_explicit_le;
    in->builder = dcm_builder_new(&in->arena, ts, DCM_STOP_AT_PIXELS, e);
    return in->builder;
}

struct ingest *ingest_begin(struct archive *a, const struct actor *who, const struct ingest_hint *hint, struct err *e) {
    if (a->read_only) return err_set(e, ERR_FORBIDDEN, "ingest", "the archive was opened for reading only"), NULL;
    if (a->memory.open >= INGEST_OPEN_MAX) return err_set(e, ERR_BUSY, "ingest", "%d objects are being received already", INGEST_OPEN_MAX), NULL;
    struct ingest *in = calloc(1, sizeof *in);
    if (!in) return err_nomem(e, "ingest"), NULL;
    in->ar = a;
    a->memory.open++;
    sums_init(&in->sums);
    arena_init(&in->arena, INGEST_ARENA_BYTES);
    buf_init(&in->meta, 64 * 1024);
    take_buffer(&a->memory, in);
    actor_text(who, in->actor);
    if (scope_of(who, ACCESS_STUDY_STORE, &in->arena, &in->store, e) && realm_home(who, &in->arena, &in->home, &in->placed, e) && begin(in, who, hint, e))
        return in;
    ingest_abort(in);
    return NULL;
}

void ingest_abort(struct ingest *in) {
    if (!in) return;
    if (in->spool) vol_spool_drop(in->spool);
    give_buffer(&in->ar->memory, in);
    codec_scan_free(in->scan);
    digest_deinit(&in->digest);
    sums_deinit(&in->sums);
    buf_deinit(&in->meta);
    arena_deinit(&in->arena);
    in->ar->memory.open--;
    free(in);
}

// ---- bytes ----

static void digest_body(struct ingest *in) {
    digest_bytes(in, in->body.p + in->digested, in->body.n - in->digested);
    in->digested = in->body.n;
}

static bool to_spool(struct ingest *in, struct err *e) {
    if (!vol_spool_open(in->ar->volumes, &in->spool, e)) return false;
    bool ok = (in->meta.n == 0 || vol_spool_write(in->spool, in->meta.p, in->meta.n, e)) &&
              (in->body.n == 0 || vol_spool_write(in->spool, in->body.p, in->body.n, e));
    digest_body(in);
    give_buffer(&in->ar->memory, in);
    return ok;
}

// Where the frames of encapsulated pixel data lie is found as they come. When there is no memory for it, it is found when it is asked for.
static void begin_scan(struct ingest *in) {
    const struct dcm_object *o = &in->object;
    const struct dcm_element *el = dcm_find(o->dataset, DCM_PixelData);
    if (!el || !(el->flags & DCM_UNDEFINED_LENGTH) || !o->ts || o->ts->deflated) return;
    in->scan_from = el->offset;
    in->scan = codec_scan_new(o->dataset, o->ts, el->offset - o->dataset_offset, NULL);
}

static void follow_frames(struct ingest *in, const char *p, size_t n) {
    uint64_t begin = in->total - n;
    if (!in->scan || in->total <= in->scan_from) return;
    size_t skip = in->scan_from > begin ? (size_t)(in->scan_from - begin) : 0;
    codec_scan_feed(in->scan, p + skip, n - skip);
}

static void read_header(struct ingest *in, const void *p, size_t n) {
    if (in->header_done || in->header_failed) return;
    enum dcm_step step = dcm_builder_feed(in->builder, p, n, &in->header_err);
    if (step == DCM_DONE) in->object = *dcm_builder_object(in->builder);
    in->header_done = step == DCM_DONE;
    in->header_failed = step == DCM_FAIL;
    if (in->header_done) begin_scan(in);
}

bool ingest_write(struct ingest *in, const void *p, size_t n, struct err *e) {
    if (n == 0) return true;
    in->total += n;
    if (in->total > (uint64_t)STORE_OBJECT_BYTES_MAX) return err_set(e, ERR_TOO_LARGE, "ingest", "object above %lld bytes", STORE_OBJECT_BYTES_MAX);
    read_header(in, p, n);
    follow_frames(in, p, n);
    if (!in->spool && !fits_memory(in, n) && !to_spool(in, e)) return false;
    if (in->spool) {
        digest_bytes(in, p, n);
        return vol_spool_write(in->spool, p, n, e);
    }
    buf_add(&in->body, p, n);
    account(in);
    if (in->body.n <= INGEST_EAGER_BYTES) digest_body(in);
    return buf_ok(&in->body, e);
}

// The file as it will lie in the volume: meta header and stream.
static bool read_file(void *ctx, uint64_t offset, void *p, size_t n, struct err *e) {
    struct ingest *in = ctx;
    struct vol_spool *spool = in->spool ? in->spool : in->lent;
    if (spool) return vol_spool_read_at(spool, offset, p, n, e);
    if (offset > in->meta.n + in->body.n || n > in->meta.n + in->body.n - offset)
        return err_set(e, ERR_BAD_INPUT, "ingest", "the object ends before its header does");
    size_t from_meta = offset < in->meta.n ? in->meta.n - (size_t)offset : 0;
    if (from_meta > n) from_meta = n;
    if (from_meta) memcpy(p, in->meta.p + offset, from_meta);
    if (n > from_meta) memcpy((char *)p + from_meta, in->body.p + (offset + from_meta - in->meta.n), n - from_meta);
    return true;
}

// ---- commit ----

static bool end_header(struct ingest *in) {
    if (!in->header_done && !in->header_failed) {
        enum dcm_step step = dcm_builder_end(in->builder, &in->object, &in->header_err);
        in->header_done = step == DCM_DONE;
        in->header_failed = step != DCM_DONE;
    }
    return in->header_done;
}

// Media Storage Directory Storage (PS3.10 8.6): its data set has no SOP Class UID of its own.
static bool is_directory(const struct ingest *in) {
    return in->object.meta && str_eqz(dcm_text(in->object.meta, DCM_MediaStorageSOPClassUID), MEDIA_STORAGE_DIRECTORY);
}

static void fill(struct ingest_result *out, const struct facts *f) {
    const struct {
        char *to;
        struct str from;
    } uids[] = {{out->sop_class_uid, f->sop_class_uid}, {out->sop_instance_uid, f->sop_uid}, {out->study_uid, f->study_uid}, {out->series_uid, f->series_uid}};
    for (unsigned i = 0; i < 4; i++)
        if (uids[i].from.n && uids[i].from.n < 65) snprintf(uids[i].to, 65, "%.*s", STR_FMT(uids[i].from));
}

// Whether the object is what its sender announced it to be.
static bool check_hint(const struct ingest *in, const struct facts *f, struct ingest_result *out, struct err *e) {
    if (!in->bare) return true;
    if (!str_eqz(f->sop_uid, in->sop_instance_uid)) {
        out->dimse_status = NOT_THE_SOP_CLASS;
        return err_set(e, ERR_BAD_INPUT, "ingest", "the data set is %.*s, but was announced as '%s'", STR_FMT(f->sop_uid), in->sop_instance_uid);
    }
    if (!str_eqz(f->sop_class_uid, in->sop_class_uid)) out->dimse_status = COERCED_CLASS;
    return true;
}

// Frames that cannot be told are no reason to refuse the object; why is kept.
static void end_scan(struct ingest *in, struct part_facts *to) {
    struct codec_frames frames;
    struct err why = {0};
    struct buf packed;
    if (!in->scan) return;
    buf_init(&packed, DCM_FRAGMENTS_MAX * 16UL);
    bool found = codec_scan_end(in->scan, &in->arena, &frames, &why);
    if (found && codec_frames_pack(&frames, &packed, NULL)) arena_dup(&in->arena, buf_str(&packed), &to->frames, NULL);
    if (!found && why.kind == ERR_UNDECODABLE && arena_dup(&in->arena, str_of(why.message), &to->frames_trouble, NULL)) to->frames = STR_LIT("");
    buf_deinit(&packed);
}

static bool prepare(struct ingest *in, const struct dcm_source *source, struct index_put *p, struct ingest_result *out, struct err *e) {
    uint64_t shift = in->bare ? in->meta.n : 0;
    bool ok = index_prepare(in->ar, &in->arena, &in->object, shift, source, in->total + in->meta.n, p, e);
    if (in->bare && in->ts_uid[0]) p->facts.ts_uid = str_of(in->ts_uid);
    if (ok) end_scan(in, &p->parts);
    fill(out, &p->facts);
    return ok && check_hint(in, &p->facts, out, e);
}

static bool not_the_objects_fault(enum err_kind kind) {
    return kind == ERR_NOMEM || kind == ERR_IO || kind == ERR_FULL || kind == ERR_BUSY || kind == ERR_INTERNAL;
}

static bool append(struct ingest *in, struct vol_put *put, struct err *e) {
    put->entry.source = str_of(in->actor);
    put->entry.received_ms = clock_wall_ms();
    put->entry.realm = in->home;
    if (in->spool) {
        put->spool = in->lent = in->spool;
        in->spool = NULL;
    } else {
        put->head = in->meta.p;
        put->head_n = in->meta.n;
        put->body = in->body.p;
        put->body_n = in->body.n;
    }
    return vol_append(in->ar->volumes, put, e);
}

static bool end_digest(void *ctx, uint8_t out[VOL_DIGEST_BYTES], struct err *e) {
    struct ingest *in = ctx;
    struct str unused;
    if (!in->spool && !in->lent) digest_body(in);
    return digest_final(&in->digest, out, e) && sums_final(&in->sums, in->sums_to ? in->sums_to : &unused, e);
}

// What cannot be understood is kept aside with its reason.
static bool quarantine(struct ingest *in, struct ingest_result *out, struct err *e) {
    struct index_put p = {0};
    struct vol_put put = {.entry = {.kind = VOL_QUARANTINE}, .user = &p};
    struct err why = *e;
    snprintf(out->reason, sizeof out->reason, "%.255s", why.message);
    put.entry.note = str_of(out->reason);
    if (!end_digest(in, put.entry.digest, e) || !append(in, &put, e)) return false;
    in->repeated = put.outcome == VOL_KNOWN;
    out->outcome = INGEST_QUARANTINED;
    if (out->dimse_status == 0 || out->dimse_status == COERCED_CLASS) out->dimse_status = BAD_DATA_SET;
    in->ar->quarantined++;
    err_set(e, ERR_BAD_INPUT, "ingest", "kept in quarantine: %s", out->reason);
    return false;
}

static void conclude(struct ingest *in, const struct vol_put *put, const struct index_put *p, struct ingest_result *out) {
    in->repeated = put->outcome == VOL_KNOWN;
    // Of what another tenant has nobody is told, neither that it is there nor that it is the same.
    if (p->apart) {
        out->outcome = INGEST_STORED;
        in->ar->conflicts++;
        return;
    }
    bool conflict = put->outcome == VOL_STORED_CONFLICT || p->known_conflict || (put->outcome == VOL_STORED && p->patient_conflict);
    out->outcome = conflict ? INGEST_CONFLICT : put->outcome == VOL_KNOWN ? INGEST_KNOWN : INGEST_STORED;
    if (conflict) snprintf(out->reason, sizeof out->reason, "%s", p->reason);
    if (conflict)
        in->ar->conflicts++;
    else if (put->outcome == VOL_KNOWN)
        in->ar->known++;
    else
        in->ar->stored++;
}

// A large object is compared with what is kept under its UID here, where it keeps nobody waiting, not on the writer's thread.
static bool compare_large(struct ingest *in, const struct vol_entry *en, struct index_put *p, struct err *e) {
    enum index_kept kept;
    if (!in->spool) return true;
    struct db *d = db_reader(in->ar->db, e);
    bool ok = d && index_compare(in->ar->index, d, en, p, &kept, e);
    db_return(in->ar->db, d);
    return ok;
}

static bool store(struct ingest *in, struct index_put *p, struct ingest_result *out, struct err *e) {
    const struct facts *f = &p->facts;
    struct vol_put put = {.entry = {.kind = VOL_OBJECT, .study = f->study_uid, .series = f->series_uid, .sop = f->sop_uid, .ts = f->ts_uid}, .user = p};
    bool later = in->digested < in->body.n;
    in->sums_to = &p->parts.sums;
    if (later) put.digest = end_digest, put.digest_ctx = in;
    if (!later && !end_digest(in, put.entry.digest, e)) return false;
    if (!compare_large(in, &put.entry, p, e) || !append(in, &put, e)) return false;
    conclude(in, &put, p, out);
    return true;
}

static bool commit(struct ingest *in, struct ingest_result *out, struct err *e) {
    struct index_put p = {.home = in->home, .placed = in->placed, .store = &in->store};
    struct dcm_source source = {read_file, in};
    if (in->total == 0) return err_set(e, ERR_BAD_INPUT, "ingest", "no bytes came");
    bool whole = end_header(in);
    if (is_directory(in)) return err_set(e, ERR_UNSUPPORTED, "ingest", "a DICOMDIR lists objects but is none");
    bool ok = whole ? prepare(in, &source, &p, out, e) : (*e = in->header_err, false);
    if (ok)
        ok = store(in, &p, out, e);
    else if (!not_the_objects_fault(e->kind))
        quarantine(in, out, e);
    index_put_deinit(&p);
    return ok;
}

static struct audit_note note_of(const struct ingest_result *r, bool known, const struct err *why, struct buf *b) {
    struct json_writer j;
    json_init(&j, b, false);
    json_begin_object(&j);
    json_put_strz(&j, "reason", known ? "it is kept already" : why->message);
    json_end_object(&j);
    return (struct audit_note){.type = known ? "instance.known" : "instance.refused",
                               .outcome = known                                                         ? AUDIT_SUCCESS
                                          : why->kind == ERR_FORBIDDEN || why->kind == ERR_UNAUTHORIZED ? AUDIT_DENIED
                                                                                                        : AUDIT_FAILED,
                               .study_uid = str_of(r->study_uid),
                               .series_uid = str_of(r->series_uid),
                               .sop_instance_uid = str_of(r->sop_instance_uid),
                               .detail = buf_ok(b, NULL) ? str_sub(buf_str(b), 1, b->n - 2) : (struct str){0}};
}

// What is stored anew has its event with its row; so that each object that came has one, so has what was known and what was refused.
static bool note_outcome(struct ingest *in, bool ok, const struct ingest_result *r, const struct err *why, struct err *e) {
    bool known = in->repeated;
    if (!known && (ok || r->outcome == INGEST_QUARANTINED)) return true;
    struct buf b;
    buf_init(&b, NOTE_BYTES_MAX);
    const struct audit_note n = note_of(r, known, why, &b);
    bool noted = audit_note_text(in->ar, str_of(in->actor), &n, e);
    buf_deinit(&b);
    return noted;
}

void ingest_note_refused(struct archive *ar, const struct actor *who, const struct ingest_result *of, const struct err *why) {
    struct err e = {0};
    struct buf b;
    if (ar->read_only) return;
    buf_init(&b, NOTE_BYTES_MAX);
    const struct audit_note n = note_of(of, false, why, &b);
    if (!audit_note(ar, who, &n, &e)) log_err(&e, "that an object was refused");
    buf_deinit(&b);
}

bool ingest_commit(struct ingest *in, struct ingest_result *out, struct err *e) {
    struct err own = {0};
    *out = (struct ingest_result){0};
    bool ok = commit(in, out, &own);
    struct err untold = {0};
    if (!note_outcome(in, ok, out, &own, &untold) && ok) ok = false, own = untold;
    if (own.kind == ERR_NET) own.kind = ERR_BUSY; // the database's or the bucket's: the sender may try again
    if (!ok && out->outcome != INGEST_QUARANTINED) {
        out->dimse_status = err_class_of(own.kind)->dimse;
        in->ar->failed++;
    }
    if (!ok && e) *e = own;
    ingest_abort(in);
    return ok;
}
