// One request per object over HTTP; one association per worker over DIMSE, opened anew when an object needs a context that it lacks.
#include "app/import_to.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/limits.h"
#include "dicom/read.h"
#include "dimse/send.h"
#include "http/client.h"
#include "sys/file.h"

enum { HEADER_ARENA_BYTES = 2 * DCM_HEADER_BYTES_MAX, CHUNK_BYTES = 64 * 1024, KINDS_MAX = 60 };

#define BOUNDARY "gantry-import-7d3f1c"
#define MEDIA_DIRECTORY "1.2.840.10008.1.3.10"

struct destination {
    char *url;
    const char *token, *ca, *calling;
    struct scu_target ae;
};

// ---- STOW-RS ----

struct body {
    const struct import_item *item;
    uint64_t at; // of head, object and tail together
};
static const char HEAD[] = "--" BOUNDARY "\r\nContent-Type: application/dicom\r\n\r\n";
static const char TAIL[] = "\r\n--" BOUNDARY "--\r\n";
enum { HEAD_N = sizeof HEAD - 1, TAIL_N = sizeof TAIL - 1 };

static int64_t read_body(void *context, void *p, size_t n) {
    struct body *b = context;
    uint64_t size = b->item->size;
    const char *text = b->at < HEAD_N ? HEAD + b->at : b->at >= HEAD_N + size ? TAIL + (b->at - HEAD_N - size) : NULL;
    uint64_t end = b->at < HEAD_N ? HEAD_N : b->at < HEAD_N + size ? HEAD_N + size : HEAD_N + size + TAIL_N;
    if (n > end - b->at) n = (size_t)(end - b->at);
    if (text)
        memcpy(p, text, n);
    else if (!import_read(b->item, b->at - HEAD_N, p, n, NULL))
        return -1;
    b->at += n;
    return (int64_t)n;
}

// The one object's outcome as our servers tell it; another's success is STORED.
static enum import_outcome outcome_of(const struct http_result *r, struct err *why) {
    if (strstr(r->wanted, "quarantined=1")) return err_set(why, ERR_PEER, "import", "kept in the server's quarantine"), IMPORT_QUARANTINED;
    if (r->status != 200 && r->status != 202) {
        err_set(why, ERR_PEER, "import", "the server answered %u", r->status);
        return r->status == 409 ? IMPORT_QUARANTINED : IMPORT_FAILED;
    }
    if (strstr(r->wanted, "conflicting=1")) return err_set(why, ERR_CONFLICT, "import", "kept beside what the server has under the same UID"), IMPORT_CONFLICT;
    return strstr(r->wanted, "known=1") ? IMPORT_KNOWN : IMPORT_STORED;
}

struct poster {
    const struct destination *to;
    struct http_pool *pool;
};

static enum import_outcome stow_put(void *worker, const struct import_item *item, struct err *why) {
    const struct poster *poster = worker;
    const struct destination *to = poster->to;
    struct body b = {.item = item};
    struct http_result r;
    const struct http_call call = {
        .method = "POST",
        .url = to->url,
        .headers = {"Content-Type: multipart/related; type=\"application/dicom\"; boundary=" BOUNDARY, "Accept: application/dicom+json"},
        .bearer = to->token,
        .want = "Gantry-Outcome",
        .pool = poster->pool,
        .read = read_body,
        .body_length = (int64_t)(HEAD_N + item->size + TAIL_N),
        .context = &b};
    if (!http_call(&call, &r, why)) return IMPORT_FAILED;
    return outcome_of(&r, why);
}

static void stow_close(void *worker) {
    struct poster *p = worker;
    http_pool_close(p->pool);
    free(p);
}

static void *stow_open(void *shared, struct err *e) {
    struct poster *p = calloc(1, sizeof *p);
    if (!p) return err_nomem(e, "import"), NULL;
    p->to = shared;
    if (http_pool_open(&(struct http_pool_options){.ca_file = p->to->ca}, &p->pool, e)) return p;
    free(p);
    return NULL;
}

static bool stow_url(struct arena *a, const char *to, struct destination *d, struct err *e) {
    struct str url = str_of(to);
    while (url.n && url.p[url.n - 1] == '/') url.n--;
    bool whole = str_ends(url, STR_LIT("/studies"));
    bool rooted = whole || str_find(url, '/', 8) < url.n;
    d->url = arena_printf(a, e, "%.*s%s", STR_FMT(url), whole ? "" : rooted ? "/studies" : "/dicom-web/studies");
    return d->url;
}

// ---- C-STORE ----

struct kind {
    char sop_class_uid[65], ts_uid[65];
};

struct sender {
    const struct destination *to;
    struct arena arena; // of the association
    struct dimse dimse;
    bool open;
    struct kind kinds[KINDS_MAX]; // proposed
    unsigned count;
};

static void *ae_open(void *shared, struct err *e) {
    struct sender *s = calloc(1, sizeof *s);
    if (!s) return err_nomem(e, "import"), NULL;
    s->to = shared;
    arena_init(&s->arena, 8 << 20);
    return s;
}

static void hang_up(struct sender *s) {
    if (s->open) scu_close(&s->dimse);
    s->open = false;
    arena_reset(&s->arena);
}

static void ae_close(void *worker) {
    struct sender *s = worker;
    hang_up(s);
    arena_deinit(&s->arena);
    free(s);
}

static bool dial(struct sender *s, struct err *e) {
    struct scu_proposal *p = arena_zero(&s->arena, 1, sizeof *p, e);
    struct ul_timers timers = {0};
    if (!p) return false;
    scu_proposal_init(p, &s->arena);
    for (unsigned i = 0; i < s->count; i++)
        if (!send_propose(p, s->kinds[i].sop_class_uid, s->kinds[i].ts_uid, e)) return false;
    bool ok = scu_open(&s->dimse, &s->to->ae, s->to->calling, p, &timers, e);
    if (!ok) scu_close(&s->dimse);
    s->open = ok;
    return ok;
}

// An association that was offered this kind of object.
static bool ready_for(struct sender *s, const struct kind *k, struct err *e) {
    for (unsigned i = 0; i < s->count; i++)
        if (strcmp(s->kinds[i].sop_class_uid, k->sop_class_uid) == 0 && strcmp(s->kinds[i].ts_uid, k->ts_uid) == 0) return s->open || dial(s, e);
    hang_up(s);
    if (s->count == KINDS_MAX) s->count = 0;
    s->kinds[s->count++] = *k;
    return dial(s, e);
}

static bool describe(struct arena *a, const struct import_item *item, struct kind *k, char instance[65], uint64_t *dataset_offset, struct err *e) {
    struct dcm_builder *b = dcm_builder_new(a, NULL, DCM_STOP_AT_PIXELS, e);
    char *chunk = b ? arena_alloc(a, CHUNK_BYTES, e) : NULL;
    struct dcm_object o = {0};
    enum dcm_step step = DCM_MORE;
    if (!chunk) return false;
    for (uint64_t at = 0, n; step == DCM_MORE && at < item->size; at += n) {
        n = item->size - at < CHUNK_BYTES ? item->size - at : CHUNK_BYTES;
        if (!import_read(item, at, chunk, n, e)) return false;
        step = dcm_builder_feed(b, chunk, n, e);
    }
    if (step == DCM_MORE)
        step = dcm_builder_end(b, &o, e);
    else
        o = *dcm_builder_object(b);
    if (step != DCM_DONE) return false;
    struct str class = dcm_text(o.dataset, DCM_SOPClassUID), sop = dcm_text(o.dataset, DCM_SOPInstanceUID);
    if (!dcm_uid_valid(class, false) || !dcm_uid_valid(sop, false)) return err_set(e, ERR_BAD_INPUT, "import", "no SOP Class or Instance UID");
    snprintf(k->sop_class_uid, sizeof k->sop_class_uid, "%.*s", STR_FMT(class));
    snprintf(k->ts_uid, sizeof k->ts_uid, "%s", o.ts->uid);
    snprintf(instance, 65, "%.*s", STR_FMT(sop));
    *dataset_offset = o.dataset_offset;
    return true;
}

// An archive's entry gets a file of its own, in memory, for what sends from descriptors.
static bool descriptor_of(const struct import_item *item, int *fd, struct err *e) {
    *fd = item->fd;
    if (item->fd >= 0) return true;
    *fd = memfd_create("import", MFD_CLOEXEC);
    if (*fd < 0) return err_errno(e, ERR_IO, "import", "memory file");
    return sys_write_at(NULL, *fd, item->bytes, item->size, 0, e);
}

static enum import_outcome send_item(struct sender *s, const struct import_item *item, const struct send_object *o, struct err *why) {
    struct send_report report;
    struct dimse_command rsp;
    (void)item;
    enum send_result r = send_object(&s->dimse, o, NULL, 0, &report, why);
    if (r == SEND_IMPOSSIBLE) return IMPORT_FAILED;
    if (r == SEND_BROKEN || !scu_response(&s->dimse, report.message_id, &rsp, NULL, why)) {
        hang_up(s);
        return IMPORT_FAILED;
    }
    if (rsp.status == 0 || rsp.status >> 12 == 0xB) return IMPORT_STORED;
    err_set(why, ERR_PEER, "import", "status %04X", rsp.status);
    return rsp.status >> 12 == 0xC ? IMPORT_QUARANTINED : IMPORT_FAILED;
}

static enum import_outcome ae_put(void *worker, const struct import_item *item, struct err *why) {
    struct sender *s = worker;
    struct arena a;
    struct kind k;
    char instance[65];
    struct send_object o = {.length = item->size, .fd = -1};
    enum import_outcome outcome = IMPORT_FAILED;
    arena_init(&a, HEADER_ARENA_BYTES);
    if (!describe(&a, item, &k, instance, &o.dataset_offset, why) || strcmp(k.sop_class_uid, MEDIA_DIRECTORY) == 0) {
        outcome = IMPORT_NOT_DICOM;
    } else if (ready_for(s, &k, why) && descriptor_of(item, &o.fd, why)) {
        o.sop_class_uid = k.sop_class_uid;
        o.sop_instance_uid = instance;
        o.ts_uid = k.ts_uid;
        outcome = send_item(s, item, &o, why);
    }
    if (o.fd != item->fd) sys_close(NULL, o.fd);
    arena_deinit(&a);
    return outcome;
}

bool import_to(struct arena *a, const struct import_server *server, struct import_target *out, struct err *e) {
    struct destination *d = arena_zero(a, 1, sizeof *d, e);
    const char *to = server->to;
    if (!d) return false;
    d->token = server->token;
    d->ca = server->ca;
    d->calling = server->calling;
    if (strncmp(to, "http://", 7) == 0 || strncmp(to, "https://", 8) == 0) {
        *out = (struct import_target){stow_open, stow_put, stow_close, d};
        return stow_url(a, to, d, e);
    }
    *out = (struct import_target){ae_open, ae_put, ae_close, d};
    if (!scu_target_parse(str_of(to), &d->ae, e)) return false;
    d->ae.tls = server->tls;
    d->ae.tls_name = server->tls_name;
    return true;
}
