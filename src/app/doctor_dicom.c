// An association with a peer, by hand: what it answers, why it refuses, what it takes.
//
// Unlike the SCU of dimse/scu.h this one goes on where something is wrong, in order to tell what.
#include <stdio.h>
#include <string.h>

#include "app/doctor.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/limits.h"
#include "dicom/uid.h"
#include "dimse/command.h"
#include "dimse/pdu.h"

enum { HEADER = PDU_HEADER_BYTES, ECHO_ID = 1, RELEASE_MS = 2000, PDVS_MAX = 64, SHORT_BODY = 4, CONTEXTS_MAX = 64, SHOWN_BYTES = 12 };

#define VERIFICATION "1.2.840.10008.1.1"
#define CT_STORAGE "1.2.840.10008.5.1.4.1.1.2"

static const struct service {
    const char *uid, *en, *zh;
} SERVICES[] = {
    {VERIFICATION, "C-ECHO", "C-ECHO"},
    {CT_STORAGE, "CT images", "CT 图像"},
    {"1.2.840.10008.5.1.4.1.1.4", "MR images", "MR 图像"},
    {"1.2.840.10008.5.1.4.1.1.1", "CR images", "CR 图像"},
    {"1.2.840.10008.5.1.4.1.1.1.1", "DX images", "DX 图像"},
    {"1.2.840.10008.5.1.4.1.1.1.2", "mammograms", "乳腺图像"},
    {"1.2.840.10008.5.1.4.1.1.6.1", "ultrasound", "超声图像"},
    {"1.2.840.10008.5.1.4.1.1.128", "PET images", "PET 图像"},
    {"1.2.840.10008.5.1.4.1.1.7", "secondary captures", "二次采集图像"},
    {"1.2.840.10008.5.1.4.1.1.88.11", "reports (SR)", "结构化报告"},
    {"1.2.840.10008.5.1.4.1.1.104.1", "PDF reports", "PDF 报告"},
    {"1.2.840.10008.5.1.4.1.2.2.1", "searches (C-FIND)", "查询（C-FIND）"},
    {"1.2.840.10008.5.1.4.1.2.2.2", "having studies sent (C-MOVE)", "发送检查（C-MOVE）"},
    {"1.2.840.10008.5.1.4.1.2.2.3", "fetching studies (C-GET)", "取回检查（C-GET）"},
    {"1.2.840.10008.1.20.1", "storage commitment", "存储确认"},
    {"1.2.840.10008.5.1.4.31", "a worklist", "检查工作列表"},
    {"1.2.840.10008.3.1.2.3.3", "procedure steps (MPPS)", "检查步骤（MPPS）"},
};
enum { SERVICE_COUNT = sizeof SERVICES / sizeof *SERVICES };

// Encodings of CT images that are asked for one by one.
static const struct syntax {
    const char *uid, *name;
} SYNTAXES[] = {
    {"1.2.840.10008.1.2.4.70", "JPEG lossless"},
    {"1.2.840.10008.1.2.4.80", "JPEG-LS lossless"},
    {"1.2.840.10008.1.2.4.90", "JPEG 2000 lossless"},
    {"1.2.840.10008.1.2.4.201", "HTJ2K lossless"},
    {"1.2.840.10008.1.2.5", "RLE"},
    {"1.2.840.10008.1.2.4.50", "JPEG baseline"},
    {"1.2.840.10008.1.2.4.91", "JPEG 2000"},
};
enum { SYNTAX_COUNT = sizeof SYNTAXES / sizeof *SYNTAXES };

static const struct str PLAIN[] = {{"1.2.840.10008.1.2.1", 19}, {"1.2.840.10008.1.2", 17}};

// One examination over one connection.
struct talk {
    struct doctor *d;
    const struct doctor_peer *p;
    struct net_conn *c;
    int64_t deadline_ms;
    bool quiet;
    struct str compressed[SYNTAX_COUNT];
    struct pdu_context contexts[CONTEXTS_MAX];
    unsigned context_count;
    uint8_t header[HEADER];
    size_t got; // of the header
    struct str body;
};

static bool read_all(struct talk *t, void *p, size_t n, size_t *got, enum net_status *st) {
    *st = NET_OK;
    for (*got = 0; *got < n;) {
        size_t k = 0;
        *st = net_read(t->c, (char *)p + *got, n - *got, false, t->deadline_ms, &k, NULL);
        if (*st != NET_OK) return false;
        *got += k;
    }
    return true;
}

// The next PDU, whole; false: *st says how it ended, or NET_OK when it is none.
static bool read_pdu(struct talk *t, enum net_status *st) {
    size_t got;
    t->body = (struct str){0};
    if (!read_all(t, t->header, HEADER, &t->got, st)) return false;
    uint32_t n = pdu_u32(t->header + 2);
    if (t->header[0] < PDU_ASSOCIATE_RQ || t->header[0] > PDU_ABORT || n > UL_ASSOCIATE_BYTES_MAX) return false;
    char *p = arena_alloc(t->d->arena, n, NULL);
    if (!p || !read_all(t, p, n, &got, st)) return false;
    t->body = (struct str){p, n};
    return true;
}

// ---- request ----

static void propose(struct talk *t, const char *abstract_syntax, struct str *ts, unsigned n) {
    t->contexts[t->context_count] =
        (struct pdu_context){.id = (uint8_t)(2 * t->context_count + 1), .abstract_syntax = str_of(abstract_syntax), .ts = ts, .ts_count = n};
    t->context_count++;
}

static bool request(struct talk *t) {
    static struct str plain[2];
    struct buf out;
    memcpy(plain, PLAIN, sizeof plain);
    for (unsigned i = 0; i < (t->quiet ? 1 : SERVICE_COUNT); i++) propose(t, SERVICES[i].uid, plain, 2);
    for (unsigned i = 0; i < (t->quiet ? 0 : SYNTAX_COUNT); i++) {
        t->compressed[i] = str_of(SYNTAXES[i].uid);
        propose(t, CT_STORAGE, &t->compressed[i], 1);
    }
    const struct pdu_associate rq = {.version = 1,
                                     .called = str_of(t->p->called),
                                     .calling = str_of(t->p->calling),
                                     .application_context = STR_LIT(PDU_APPLICATION_CONTEXT),
                                     .contexts = t->contexts,
                                     .context_count = t->context_count,
                                     .max_length = UL_ASSOCIATE_BYTES_MAX,
                                     .implementation_uid = STR_LIT(GANTRY_IMPLEMENTATION_CLASS_UID),
                                     .implementation_version = STR_LIT(GANTRY_IMPLEMENTATION_VERSION)};
    buf_init(&out, UL_ASSOCIATE_BYTES_MAX);
    bool ok = pdu_associate_encode(&rq, false, &out, NULL) && net_write(t->c, out.p, out.n, t->deadline_ms, NULL);
    buf_deinit(&out);
    return ok;
}

static void release(struct talk *t) {
    uint8_t pdu[10];
    enum net_status st;
    pdu_short_encode(pdu, PDU_RELEASE_RQ, 0, 0, 0);
    t->deadline_ms = clock_mono_ms() + RELEASE_MS;
    if (net_write(t->c, pdu, sizeof pdu, t->deadline_ms, NULL)) read_pdu(t, &st);
}

// ---- refusals ----

static const char *own_address(struct talk *t) {
    char address[NET_ADDRESS_MAX];
    net_own_address(t->c, address);
    return doctor_value(t->d, "%s", *address ? address : "?");
}

// Some ports of TLS reject, abort or close what comes without.
static bool say_wants_tls(struct talk *t) {
    if (!t->p->plain || !doctor_speaks_tls(t->d, t->p)) return false;
    SAY(t->d, DOC_WANTS_TLS, NULL);
    return true;
}

static void say_rejected(struct talk *t) {
    const uint8_t *p = (const uint8_t *)t->body.p;
    struct pdu_reject r = t->body.n == SHORT_BODY ? (struct pdu_reject){p[1], p[2], p[3]} : (struct pdu_reject){0};
    char text[128];
    pdu_reject_text(r, text, sizeof text);
    bool protocol = r.reason == 2 && (r.source == 1 || r.source == 2);
    if (protocol && say_wants_tls(t)) return;
    if (r.source == 1 && r.reason == 7)
        SAY(t->d, DOC_REJECTED_CALLED, t->p->called);
    else if (r.source == 1 && r.reason == 3)
        SAY(t->d, DOC_REJECTED_CALLING, t->p->calling, own_address(t));
    else if (r.reason == 1 && (r.source == 1 || r.source == 2))
        SAY(t->d, DOC_REJECTED_NO_REASON, t->p->calling, own_address(t), t->p->called);
    else if (r.source == 3 && (r.reason == 1 || r.reason == 2))
        SAY(t->d, DOC_REJECTED_BUSY, NULL);
    else if (protocol)
        SAY(t->d, DOC_REJECTED_PROTOCOL, doctor_value(t->d, "%s", text));
    else
        SAY(t->d, DOC_REJECTED_OTHER, doctor_value(t->d, "%s", text));
}

static void say_aborted(struct talk *t) {
    const uint8_t *p = (const uint8_t *)t->body.p;
    if (say_wants_tls(t)) return;
    SAY(t->d, DOC_ABORTED, t->body.n == SHORT_BODY ? pdu_abort_text(p[2], p[3]) : "?");
}

static const char *shown(struct talk *t) {
    char text[4 * SHOWN_BYTES + 1] = "";
    for (size_t i = 0; i < t->got && i < SHOWN_BYTES; i++) snprintf(text + 3 * i, 4, "%02x ", t->header[i]);
    return doctor_value(t->d, "%s", text);
}

// What came is no PDU.
static enum doctor_spoken say_foreign(struct talk *t, enum net_status st) {
    bool tls = t->got >= 2 && (t->header[0] == 0x15 || t->header[0] == 0x16) && t->header[1] == 3;
    bool http = t->got >= 5 && memcmp(t->header, "HTTP/", 5) == 0;
    bool ssh = t->got >= 4 && memcmp(t->header, "SSH-", 4) == 0;
    enum doctor_spoken spoken = tls ? DOCTOR_SPOKE_TLS : http ? DOCTOR_SPOKE_HTTP : t->got ? DOCTOR_SPOKE_OTHER : DOCTOR_SPOKE_NOTHING;
    if (t->quiet) return spoken;
    if (tls)
        SAY(t->d, DOC_WANTS_TLS, NULL);
    else if (http)
        SAY(t->d, DOC_NOT_DICOM_HTTP, NULL);
    else if (ssh)
        SAY(t->d, DOC_NOT_DICOM_SSH, NULL);
    else if (t->got)
        SAY(t->d, DOC_NOT_DICOM, shown(t));
    else if (st == NET_TIMEOUT)
        SAY(t->d, DOC_ASSOCIATION_SILENT, doctor_value(t->d, "%d", t->p->timeout_ms / 1000));
    else if (!say_wants_tls(t))
        SAY(t->d, doctor_speaks_http(t->d, t->p) ? DOC_NOT_DICOM_HTTP : DOC_ASSOCIATION_CLOSED, own_address(t));
    return spoken;
}

// ---- C-ECHO ----

static bool send_echo(struct talk *t, uint8_t context_id) {
    struct dimse_command rq = dimse_request(DIMSE_C_ECHO, ECHO_ID, VERIFICATION);
    uint8_t header[PDU_HEADER_BYTES + PDV_HEADER_BYTES];
    struct buf out;
    buf_init(&out, DIMSE_COMMAND_BYTES_MAX);
    dimse_command_encode(&rq, &out);
    pdu_data_header(header, (uint32_t)out.n, context_id, PDV_COMMAND | PDV_LAST);
    struct iovec iov[2] = {{header, sizeof header}, {out.p, out.n}};
    bool ok = buf_ok(&out, NULL) && net_writev(t->c, iov, 2, false, t->deadline_ms, NULL);
    buf_deinit(&out);
    return ok;
}

// The PDVs of one PDU; *last when the command is whole. false: lengths that do not add up.
static bool gather(struct str body, struct buf *command, bool *last) {
    while (body.n) {
        if (body.n < PDV_HEADER_BYTES) return false;
        uint32_t n = pdu_u32((const uint8_t *)body.p);
        if (n < 2 || n > body.n - 4) return false;
        uint8_t flags = (uint8_t)body.p[5];
        buf_add(command, body.p + PDV_HEADER_BYTES, n - 2);
        *last = *last || (flags & PDV_LAST);
        body = str_sub(body, 4 + n, body.n);
    }
    return true;
}

static const char *echo_fault(struct talk *t, struct buf *command) {
    enum net_status st;
    bool last = false;
    struct dimse_command rsp;
    struct err e = {0};
    for (unsigned i = 0; !last && i < PDVS_MAX; i++) {
        if (!read_pdu(t, &st)) return st == NET_TIMEOUT ? "no answer" : "the connection ends";
        if (t->header[0] == PDU_ABORT) return "A-ABORT";
        if (t->header[0] != PDU_DATA_TF || !gather(t->body, command, &last)) return "something else";
    }
    if (!buf_ok(command, &e) || !dimse_command_decode(buf_str(command), &rsp, &e)) return doctor_value(t->d, "%s", e.message);
    if (rsp.field != (DIMSE_C_ECHO | DIMSE_RESPONSE) || rsp.responded_id != ECHO_ID) return "an answer to something else";
    return rsp.status == DIMSE_SUCCESS ? NULL : doctor_value(t->d, "status %04X (%s)", rsp.status, dimse_status_text(rsp.status));
}

static void echo(struct talk *t, uint8_t context_id) {
    struct buf command;
    int64_t begin_us = clock_mono_us();
    buf_init(&command, DIMSE_COMMAND_BYTES_MAX);
    const char *fault = send_echo(t, context_id) ? echo_fault(t, &command) : "the connection ends";
    buf_deinit(&command);
    if (fault)
        SAY(t->d, DOC_ECHO_FAILED, fault);
    else
        SAY(t->d, DOC_ECHOED, doctor_value(t->d, "%.1f", (double)(clock_mono_us() - begin_us) / 1000));
}

// ---- what it takes ----

// syntax: the one that was proposed alone; a peer that answers another has not taken it.
static bool takes(const struct pdu_associate *ac, unsigned i, const char *syntax) {
    for (unsigned k = 0; k < ac->context_count; k++) {
        const struct pdu_context *c = &ac->contexts[k];
        if (c->id == 2 * i + 1) return c->result == PDU_CONTEXT_ACCEPTED && (!syntax || (c->ts_count && str_eqz(c->ts[0], syntax)));
    }
    return false;
}

static bool accepted(const struct pdu_associate *ac, unsigned i) {
    return takes(ac, i, NULL);
}

static const char *list(struct talk *t, const struct pdu_associate *ac, bool taken) {
    const char *text = "";
    for (unsigned i = 1; i < SERVICE_COUNT; i++)
        if (accepted(ac, i) == taken)
            text = doctor_value(t->d, "%s%s%s", text, !*text ? "" : t->d->chinese ? "、" : ", ", t->d->chinese ? SERVICES[i].zh : SERVICES[i].en);
    return text;
}

static void say_services(struct talk *t, const struct pdu_associate *ac) {
    const char *yes = list(t, ac, true), *no = list(t, ac, false), *compressed = "";
    for (unsigned i = 0; i < SYNTAX_COUNT; i++)
        if (takes(ac, SERVICE_COUNT + i, SYNTAXES[i].uid)) compressed = doctor_value(t->d, "%s%s%s", compressed, *compressed ? ", " : "", SYNTAXES[i].name);
    if (*yes) SAY(t->d, DOC_SERVICES, yes);
    if (*no) SAY(t->d, DOC_SERVICES_NOT, no, t->p->calling);
    if (*compressed)
        SAY(t->d, DOC_SYNTAXES, compressed);
    else if (accepted(ac, 1))
        SAY(t->d, DOC_SYNTAXES_PLAIN, NULL);
}

static void say_associated(struct talk *t) {
    struct pdu_associate ac;
    struct err e = {0};
    if (!pdu_associate_decode(t->d->arena, t->body, true, &ac, &e)) return SAY(t->d, DOC_ASSOCIATION_STRANGE, doctor_value(t->d, "%s", e.message));
    const struct str software = ac.implementation_version.n ? ac.implementation_version : ac.implementation_uid;
    SAY(t->d, DOC_ASSOCIATED, t->p->calling, t->p->called, doctor_value(t->d, "%.*s", STR_FMT(software)));
    if (accepted(&ac, 0))
        echo(t, 1);
    else
        SAY(t->d, DOC_ECHO_NOT_TAKEN, NULL);
    say_services(t, &ac);
}

static enum doctor_spoken talk(struct talk *t) {
    enum net_status st = NET_FAIL;
    bool sent = request(t);
    if (!read_pdu(t, &st) && !(sent && t->body.n)) return say_foreign(t, st);
    if (t->header[0] == PDU_ASSOCIATE_AC) {
        if (!t->quiet) say_associated(t);
        release(t);
    } else if (!t->quiet && t->header[0] == PDU_ASSOCIATE_RJ) {
        say_rejected(t);
    } else if (!t->quiet && t->header[0] == PDU_ABORT) {
        say_aborted(t);
    } else if (!t->quiet) {
        SAY(t->d, DOC_ASSOCIATION_STRANGE, shown(t));
    }
    return DOCTOR_SPOKE_DICOM;
}

enum doctor_spoken doctor_associate(struct doctor *d, const struct doctor_peer *p, struct net_conn *c, bool quiet) {
    struct talk t = {.d = d, .p = p, .c = c, .deadline_ms = clock_mono_ms() + p->timeout_ms, .quiet = quiet};
    enum doctor_spoken spoken = talk(&t);
    net_close(c);
    return spoken;
}

void doctor_dicom(struct doctor *d, const struct doctor_peer *p) {
    struct net_conn c;
    if (!doctor_connect(d, p, true, &c)) return;
    if (p->plain) {
        doctor_associate(d, p, &c, false);
        return;
    }
    net_close(&c);
    switch (doctor_tls(d, p, &c)) {
    case DOCTOR_BY_TLS:
        doctor_associate(d, p, &c, false);
        break;
    case DOCTOR_BY_PLAIN:
        if (p->tls)
            net_close(&c);
        else
            doctor_associate(d, p, &c, false);
        break;
    case DOCTOR_BY_NONE:
        break;
    }
}
