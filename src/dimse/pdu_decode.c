// A-ASSOCIATE-RQ and -AC from bytes: every item inside its parent, every count under its ceiling.
#include <string.h>

#include "base/limits.h"
#include "dicom/uid.h"
#include "dimse/pdu.h"

enum {
    FIXED_BYTES = 68, // version to the last reserved byte before the items
    ITEM_APPLICATION_CONTEXT = 0x10,
    ITEM_CONTEXT_RQ = 0x20,
    ITEM_CONTEXT_AC = 0x21,
    ITEM_ABSTRACT_SYNTAX = 0x30,
    ITEM_TRANSFER_SYNTAX = 0x40,
    ITEM_USER_INFORMATION = 0x50,
    ITEM_MAX_LENGTH = 0x51,
    ITEM_IMPLEMENTATION_UID = 0x52,
    ITEM_ASYNC = 0x53,
    ITEM_ROLE = 0x54,
    ITEM_IMPLEMENTATION_VERSION = 0x55,
    ITEM_EXTENDED = 0x56,
    ITEM_COMMON_EXTENDED = 0x57,
    ITEM_IDENTITY_RQ = 0x58,
    ITEM_IDENTITY_AC = 0x59,
};

struct item {
    uint8_t type;
    struct str body;
};

static const uint8_t *bytes(struct str s) {
    return (const uint8_t *)s.p;
}

static bool bad(struct err *e, const char *what) {
    return err_set(e, ERR_PEER, "dimse", "A-ASSOCIATE PDU: %s", what);
}

// The next item of *rest; false with *e untouched at the end, with *e set when the item leaves its parent.
static bool next_item(struct str *rest, struct item *out, bool *broken, struct err *e) {
    *broken = false;
    if (rest->n == 0) return false;
    *broken = true;
    if (rest->n < 4) return bad(e, "bytes are left over after the last item");
    size_t n = pdu_u16(bytes(*rest) + 2);
    if (n > rest->n - 4)
        return err_set(e, ERR_PEER, "dimse", "A-ASSOCIATE PDU: item 0x%02X declares %zu bytes, %zu are there", bytes(*rest)[0], n, rest->n - 4);
    *broken = false;
    *out = (struct item){bytes(*rest)[0], str_sub(*rest, 4, n)};
    *rest = str_sub(*rest, 4 + n, rest->n);
    return true;
}

// How many items of a type there are; checks that all items stand inside. more than max is an error.
static bool count_items(struct str rest, uint8_t type, unsigned max, const char *what, unsigned *count, struct err *e) {
    struct item it;
    bool broken;
    *count = 0;
    while (next_item(&rest, &it, &broken, e))
        if (it.type == type) ++*count;
    if (broken) return false;
    return *count <= max || err_set(e, ERR_TOO_LARGE, "dimse", "A-ASSOCIATE PDU: %u %s, %u are taken at most", *count, what, max);
}

// A length of 16 bits and that many bytes.
static bool take_counted(struct str *rest, struct str *out, const char *what, struct err *e) {
    if (rest->n < 2) return bad(e, what);
    size_t n = pdu_u16(bytes(*rest));
    if (n > rest->n - 2) return bad(e, what);
    *out = str_sub(*rest, 2, n);
    *rest = str_sub(*rest, 2 + n, rest->n);
    return true;
}

static bool decode_context(struct arena *a, struct str body, bool ac, struct pdu_context *c, struct err *e) {
    if (body.n < 4) return bad(e, "a presentation context item shorter than 4 bytes");
    c->id = bytes(body)[0];
    c->result = ac ? bytes(body)[2] : 0;
    if (c->id % 2 == 0) return err_set(e, ERR_PEER, "dimse", "A-ASSOCIATE PDU: presentation context identifier %u is even (PS3.8 9.3.2.2)", c->id);
    struct str rest = str_sub(body, 4, body.n);
    unsigned max = ac ? 1 : UL_TRANSFER_SYNTAXES_MAX;
    if (!count_items(rest, ITEM_TRANSFER_SYNTAX, max, "transfer syntaxes in one presentation context", &c->ts_count, e)) return false;
    c->ts = arena_zero(a, c->ts_count, sizeof *c->ts, e);
    if (!c->ts) return false;
    struct item it;
    bool broken;
    for (unsigned i = 0; next_item(&rest, &it, &broken, e);) {
        if (it.type == ITEM_TRANSFER_SYNTAX) c->ts[i++] = dcm_uid_trim(it.body);
        if (it.type == ITEM_ABSTRACT_SYNTAX) c->abstract_syntax = dcm_uid_trim(it.body);
    }
    if (!ac && c->abstract_syntax.n == 0) return err_set(e, ERR_PEER, "dimse", "A-ASSOCIATE PDU: presentation context %u has no abstract syntax", c->id);
    if (c->ts_count == 0 && (!ac || c->result == PDU_CONTEXT_ACCEPTED))
        return err_set(e, ERR_PEER, "dimse", "A-ASSOCIATE PDU: presentation context %u has no transfer syntax", c->id);
    return true;
}

static bool decode_contexts(struct arena *a, struct str items, bool ac, struct pdu_associate *out, struct err *e) {
    uint8_t type = ac ? ITEM_CONTEXT_AC : ITEM_CONTEXT_RQ;
    if (!count_items(items, type, UL_CONTEXTS_MAX, "presentation contexts", &out->context_count, e)) return false;
    out->contexts = arena_zero(a, out->context_count, sizeof *out->contexts, e);
    if (!out->contexts) return false;
    bool seen[256] = {false};
    struct item it;
    bool broken;
    for (unsigned i = 0; next_item(&items, &it, &broken, e);) {
        if (it.type != type) continue;
        struct pdu_context *c = &out->contexts[i++];
        if (!decode_context(a, it.body, ac, c, e)) return false;
        if (seen[c->id]) return err_set(e, ERR_PEER, "dimse", "A-ASSOCIATE PDU: presentation context identifier %u comes twice", c->id);
        seen[c->id] = true;
    }
    return true;
}

static bool decode_role(struct str body, struct pdu_role *out, struct err *e) {
    struct str uid;
    if (!take_counted(&body, &uid, "a role selection item whose UID leaves it", e)) return false;
    if (body.n != 2) return bad(e, "a role selection item without its two roles");
    *out = (struct pdu_role){dcm_uid_trim(uid), bytes(body)[0] == 1, bytes(body)[1] == 1};
    return true;
}

static bool decode_extended(struct str body, struct pdu_extended *out, struct err *e) {
    struct str uid;
    if (!take_counted(&body, &uid, "an extended negotiation item whose UID leaves it", e)) return false;
    *out = (struct pdu_extended){dcm_uid_trim(uid), body};
    return true;
}

static bool decode_common(struct arena *a, struct str body, struct pdu_common_extended *out, struct err *e) {
    struct str related, one;
    const char *what = "a common extended negotiation item whose parts leave it";
    if (!take_counted(&body, &out->uid, what, e) || !take_counted(&body, &out->service_class_uid, what, e) || !take_counted(&body, &related, what, e))
        return false;
    out->uid = dcm_uid_trim(out->uid);
    out->service_class_uid = dcm_uid_trim(out->service_class_uid);
    unsigned count = 0;
    for (struct str r = related; r.n; count++)
        if (!take_counted(&r, &one, what, e)) return false;
    out->related = arena_zero(a, count, sizeof *out->related, e);
    if (!out->related) return false;
    while (related.n && take_counted(&related, &one, what, e)) out->related[out->related_count++] = dcm_uid_trim(one);
    return true;
}

static bool decode_identity(struct str body, struct pdu_associate *out, struct err *e) {
    if (body.n < 2) return bad(e, "a user identity item shorter than its type");
    out->identity_type = bytes(body)[0];
    out->identity_wants_response = bytes(body)[1] == 1;
    body = str_sub(body, 2, body.n);
    const char *what = "a user identity item whose fields leave it";
    return take_counted(&body, &out->identity_primary, what, e) && take_counted(&body, &out->identity_secondary, what, e);
}

static bool decode_fixed_item(struct item it, struct pdu_associate *out, struct err *e) {
    switch (it.type) {
    case ITEM_MAX_LENGTH:
        if (it.body.n != 4) return bad(e, "a maximum length item that is not of 4 bytes");
        out->max_length = pdu_u32(bytes(it.body));
        return true;
    case ITEM_IMPLEMENTATION_UID:
        out->implementation_uid = dcm_uid_trim(it.body);
        return true;
    case ITEM_IMPLEMENTATION_VERSION:
        out->implementation_version = str_trim(it.body);
        return true;
    case ITEM_ASYNC:
        if (it.body.n != 4) return bad(e, "an asynchronous operations window item that is not of 4 bytes");
        out->async = true;
        out->async_invoked = pdu_u16(bytes(it.body));
        out->async_performed = pdu_u16(bytes(it.body) + 2);
        return true;
    case ITEM_IDENTITY_RQ:
        return decode_identity(it.body, out, e);
    case ITEM_IDENTITY_AC:
        out->identity_response = true;
        return take_counted(&it.body, &out->identity_server_response, "a user identity response that leaves its item", e);
    default:
        return true; // PS3.8 9.3.1: what is not known is ignored
    }
}

static bool decode_user_items(struct arena *a, struct str items, struct pdu_associate *out, struct err *e) {
    if (!count_items(items, ITEM_ROLE, UL_USER_ITEMS_MAX, "role selection items", &out->role_count, e) ||
        !count_items(items, ITEM_EXTENDED, UL_USER_ITEMS_MAX, "extended negotiation items", &out->extended_count, e) ||
        !count_items(items, ITEM_COMMON_EXTENDED, UL_USER_ITEMS_MAX, "common extended negotiation items", &out->common_count, e))
        return false;
    out->roles = arena_zero(a, out->role_count, sizeof *out->roles, e);
    out->extended = arena_zero(a, out->extended_count, sizeof *out->extended, e);
    out->common = arena_zero(a, out->common_count, sizeof *out->common, e);
    if (!out->roles || !out->extended || !out->common) return false;
    struct item it;
    bool broken;
    for (unsigned r = 0, x = 0, c = 0; next_item(&items, &it, &broken, e);) {
        bool ok = it.type == ITEM_ROLE              ? decode_role(it.body, &out->roles[r++], e)
                  : it.type == ITEM_EXTENDED        ? decode_extended(it.body, &out->extended[x++], e)
                  : it.type == ITEM_COMMON_EXTENDED ? decode_common(a, it.body, &out->common[c++], e)
                                                    : decode_fixed_item(it, out, e);
        if (!ok) return false;
    }
    return true;
}

bool pdu_associate_decode(struct arena *a, struct str body, bool ac, struct pdu_associate *out, struct err *e) {
    *out = (struct pdu_associate){0};
    if (body.n < FIXED_BYTES) return err_set(e, ERR_PEER, "dimse", "A-ASSOCIATE PDU of %zu bytes: its fixed fields alone are %d", body.n, FIXED_BYTES);
    out->version = pdu_u16(bytes(body));
    out->called = str_trim(str_sub(body, 4, PDU_AE_MAX));
    out->calling = str_trim(str_sub(body, 20, PDU_AE_MAX));
    struct str items = str_sub(body, FIXED_BYTES, body.n);
    if (!decode_contexts(a, items, ac, out, e)) return false;
    unsigned user_items;
    if (!count_items(items, ITEM_USER_INFORMATION, 1, "user information items", &user_items, e)) return false;
    struct item it;
    bool broken;
    while (next_item(&items, &it, &broken, e)) {
        if (it.type == ITEM_APPLICATION_CONTEXT) out->application_context = dcm_uid_trim(it.body);
        if (it.type == ITEM_USER_INFORMATION && !decode_user_items(a, it.body, out, e)) return false;
    }
    return true;
}
