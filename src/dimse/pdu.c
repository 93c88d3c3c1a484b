// PDUs to bytes, and what their codes mean in words.
#include "dimse/pdu.h"

#include <stdio.h>
#include <string.h>

static void put8(struct buf *b, unsigned v) {
    buf_addc(b, (char)v);
}

static void put16(struct buf *b, unsigned v) {
    const uint8_t p[2] = {(uint8_t)(v >> 8), (uint8_t)v};
    buf_add(b, p, sizeof p);
}

static void put32(struct buf *b, uint32_t v) {
    put16(b, v >> 16);
    put16(b, v & 0xFFFF);
}

// Begins an item; its length is written by end_item. The return value goes to end_item.
static size_t begin_item(struct buf *b, uint8_t type) {
    put8(b, type);
    put8(b, 0);
    put16(b, 0);
    return b->n;
}

static void end_item(struct buf *b, size_t begin, bool *fits) {
    if (b->failed) return;
    size_t n = b->n - begin;
    if (n > 0xFFFF) *fits = false;
    b->p[begin - 2] = (char)(n >> 8);
    b->p[begin - 1] = (char)n;
}

static void put_item(struct buf *b, uint8_t type, struct str body, bool *fits) {
    size_t begin = begin_item(b, type);
    buf_add_str(b, body);
    end_item(b, begin, fits);
}

static void put_counted(struct buf *b, struct str s, bool *fits) {
    if (s.n > 0xFFFF) *fits = false;
    put16(b, (unsigned)s.n & 0xFFFF);
    buf_add_str(b, s);
}

static void put_ae(struct buf *b, struct str ae) {
    char padded[PDU_AE_MAX];
    memset(padded, ' ', sizeof padded);
    if (ae.n) memcpy(padded, ae.p, ae.n < PDU_AE_MAX ? ae.n : PDU_AE_MAX);
    buf_add(b, padded, sizeof padded);
}

static void put_context(struct buf *b, const struct pdu_context *c, bool ac, bool *fits) {
    size_t begin = begin_item(b, ac ? 0x21 : 0x20);
    put8(b, c->id);
    put8(b, 0);
    put8(b, ac ? c->result : 0);
    put8(b, 0);
    if (!ac) put_item(b, 0x30, c->abstract_syntax, fits);
    for (unsigned i = 0; i < c->ts_count; i++) put_item(b, 0x40, c->ts[i], fits);
    end_item(b, begin, fits);
}

static void put_common(struct buf *b, const struct pdu_common_extended *c, bool *fits) {
    size_t begin = begin_item(b, 0x57);
    put_counted(b, c->uid, fits);
    put_counted(b, c->service_class_uid, fits);
    size_t related = b->n + 2;
    put16(b, 0);
    for (unsigned i = 0; i < c->related_count; i++) put_counted(b, c->related[i], fits);
    end_item(b, related, fits);
    end_item(b, begin, fits);
}

static void put_identity(struct buf *b, const struct pdu_associate *in, bool ac, bool *fits) {
    if (!ac && in->identity_type != PDU_IDENTITY_NONE) {
        size_t begin = begin_item(b, 0x58);
        put8(b, in->identity_type);
        put8(b, in->identity_wants_response);
        put_counted(b, in->identity_primary, fits);
        put_counted(b, in->identity_secondary, fits);
        end_item(b, begin, fits);
    }
    if (ac && in->identity_response) {
        size_t begin = begin_item(b, 0x59);
        put_counted(b, in->identity_server_response, fits);
        end_item(b, begin, fits);
    }
}

static void put_negotiated(struct buf *b, const struct pdu_associate *in, bool *fits) {
    for (unsigned i = 0; i < in->role_count; i++) {
        size_t begin = begin_item(b, 0x54);
        put_counted(b, in->roles[i].uid, fits);
        put8(b, in->roles[i].scu);
        put8(b, in->roles[i].scp);
        end_item(b, begin, fits);
    }
    for (unsigned i = 0; i < in->extended_count; i++) {
        size_t begin = begin_item(b, 0x56);
        put_counted(b, in->extended[i].uid, fits);
        buf_add_str(b, in->extended[i].info);
        end_item(b, begin, fits);
    }
}

static void put_user_information(struct buf *b, const struct pdu_associate *in, bool ac, bool *fits) {
    size_t begin = begin_item(b, 0x50);
    put8(b, 0x51);
    put8(b, 0);
    put16(b, 4);
    put32(b, in->max_length);
    put_item(b, 0x52, in->implementation_uid, fits);
    if (in->async) {
        put8(b, 0x53);
        put8(b, 0);
        put16(b, 4);
        put16(b, in->async_invoked);
        put16(b, in->async_performed);
    }
    put_negotiated(b, in, fits);
    if (in->implementation_version.n) put_item(b, 0x55, in->implementation_version, fits);
    if (!ac)
        for (unsigned i = 0; i < in->common_count; i++) put_common(b, &in->common[i], fits);
    put_identity(b, in, ac, fits);
    end_item(b, begin, fits);
}

bool pdu_associate_encode(const struct pdu_associate *in, bool ac, struct buf *to, struct err *e) {
    static const char zeros[32];
    size_t start = to->n;
    bool fits = true;
    put8(to, ac ? PDU_ASSOCIATE_AC : PDU_ASSOCIATE_RQ);
    put8(to, 0);
    put32(to, 0);
    put16(to, in->version);
    put16(to, 0);
    put_ae(to, in->called);
    put_ae(to, in->calling);
    buf_add(to, zeros, sizeof zeros);
    put_item(to, 0x10, in->application_context, &fits);
    for (unsigned i = 0; i < in->context_count; i++) put_context(to, &in->contexts[i], ac, &fits);
    put_user_information(to, in, ac, &fits);
    if (!buf_ok(to, e)) return false;
    if (!fits) return err_set(e, ERR_TOO_LARGE, "dimse", "the association's items do not fit their 16-bit lengths; propose fewer presentation contexts");
    uint32_t n = (uint32_t)(to->n - start - PDU_HEADER_BYTES);
    for (unsigned i = 0; i < 4; i++) to->p[start + 2 + i] = (char)(n >> (24 - 8 * i));
    return true;
}

void pdu_short_encode(uint8_t out[10], enum pdu_type type, uint8_t b7, uint8_t b8, uint8_t b9) {
    const uint8_t p[10] = {(uint8_t)type, 0, 0, 0, 0, 4, 0, b7, b8, b9};
    memcpy(out, p, sizeof p);
}

void pdu_data_header(uint8_t out[PDU_HEADER_BYTES + PDV_HEADER_BYTES], uint32_t n, uint8_t context_id, uint8_t flags) {
    uint32_t pdv = n + 2, pdu = n + 6;
    const uint8_t p[12] = {PDU_DATA_TF,          0,
                           (uint8_t)(pdu >> 24), (uint8_t)(pdu >> 16),
                           (uint8_t)(pdu >> 8),  (uint8_t)pdu,
                           (uint8_t)(pdv >> 24), (uint8_t)(pdv >> 16),
                           (uint8_t)(pdv >> 8),  (uint8_t)pdv,
                           context_id,           flags};
    memcpy(out, p, sizeof p);
}

const struct pdu_reject PDU_REJECT_NO_REASON = {1, 1, 1}, PDU_REJECT_CONTEXT_NAME = {1, 1, 2}, PDU_REJECT_CALLING = {1, 1, 3}, PDU_REJECT_CALLED = {1, 1, 7},
                        PDU_REJECT_VERSION = {1, 2, 2}, PDU_REJECT_CONGESTION = {2, 3, 1}, PDU_REJECT_LIMIT = {2, 3, 2};

static const struct {
    uint8_t source, reason;
    const char *text;
} REJECT_TEXT[] = {
    {1, 1, "no reason given"},
    {1, 2, "application context name not supported"},
    {1, 3, "calling AE title not recognised"},
    {1, 7, "called AE title not recognised"},
    {2, 1, "no reason given by the service provider"},
    {2, 2, "protocol version not supported"},
    {3, 1, "temporary congestion"},
    {3, 2, "local limit exceeded"},
};

const char *pdu_reject_text(struct pdu_reject r, char *out, size_t n) {
    const char *why = "a reason that the standard reserves";
    for (size_t i = 0; i < sizeof REJECT_TEXT / sizeof *REJECT_TEXT; i++)
        if (REJECT_TEXT[i].source == r.source && REJECT_TEXT[i].reason == r.reason) why = REJECT_TEXT[i].text;
    snprintf(out, n, "%s (%s)", why, r.result == 2 ? "rejected-transient: try again later" : "rejected-permanent");
    return out;
}

const char *pdu_abort_text(uint8_t source, uint8_t reason) {
    static const char *const REASONS[] = {"no reason given",          "unrecognised PDU",     "unexpected PDU", "reserved reason", "unrecognised PDU parameter",
                                          "unexpected PDU parameter", "invalid PDU parameter"};
    if (source == PDU_ABORT_USER) return "aborted by the peer's application";
    return reason < sizeof REASONS / sizeof *REASONS ? REASONS[reason] : "reserved reason";
}

const char *pdu_foreign(const uint8_t *p, size_t n) {
    static const char *const METHODS[] = {"GET ", "HEAD ", "POST ", "PUT ", "DELETE ", "OPTIONS ", "PATCH ", "CONNECT ", "TRACE ", "PRI * HTTP", "HTTP/1."};
    struct str s = {(const char *)p, n};
    if (n >= 3 && p[0] == 0x16 && p[1] == 3 && p[2] <= 4) return "a TLS handshake";
    if (n >= 3 && p[0] == 0x15 && p[1] == 3 && p[2] <= 4) return "a TLS alert";
    for (size_t i = 0; i < sizeof METHODS / sizeof *METHODS; i++) {
        struct str m = str_of(METHODS[i]);
        if (n >= 4 && str_starts(s, str_sub(m, 0, n < m.n ? n : m.n)))
            return i + 1 == sizeof METHODS / sizeof *METHODS ? "an HTTP response" : "an HTTP request";
    }
    if (n >= 4 && str_starts(s, STR_LIT("SSH-"))) return "an SSH greeting";
    return NULL;
}

bool pdu_ae_valid(struct str ae) {
    if (ae.n == 0 || ae.n > PDU_AE_MAX) return false;
    for (size_t i = 0; i < ae.n; i++)
        if ((unsigned char)ae.p[i] < 0x20 || (unsigned char)ae.p[i] > 0x7E || ae.p[i] == '\\') return false;
    return str_trim(ae).n > 0;
}
