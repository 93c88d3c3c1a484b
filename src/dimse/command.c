// The table of command elements, and everything that follows from it.
#include "dimse/command.h"

#include <stdio.h>
#include <string.h>

#include "base/limits.h"

enum { FIELD_NUMBER, FIELD_UID, FIELD_TEXT };

// One row per bit of enum dimse_has, in tag order (PS3.7 E.1). size: of the text with its NUL.
static const struct element {
    uint16_t element;
    uint8_t kind;
    uint16_t offset;
    uint16_t size;
    const char *name;
} ELEMENTS[] = {
#define NUMBER(tag, member, name) \
    { tag, FIELD_NUMBER, offsetof(struct dimse_command, member), 2, name }
#define TEXT(tag, kind, member, name) \
    { tag, kind, offsetof(struct dimse_command, member), sizeof((struct dimse_command *)0)->member, name }
    TEXT(0x0002, FIELD_UID, affected_class, "AffectedSOPClassUID"),
    TEXT(0x0003, FIELD_UID, requested_class, "RequestedSOPClassUID"),
    NUMBER(0x0100, field, "CommandField"),
    NUMBER(0x0110, message_id, "MessageID"),
    NUMBER(0x0120, responded_id, "MessageIDBeingRespondedTo"),
    TEXT(0x0600, FIELD_TEXT, move_destination, "MoveDestination"),
    NUMBER(0x0700, priority, "Priority"),
    NUMBER(0x0800, data_set, "CommandDataSetType"),
    NUMBER(0x0900, status, "Status"),
    TEXT(0x0902, FIELD_TEXT, error_comment, "ErrorComment"),
    NUMBER(0x0903, error_id, "ErrorID"),
    TEXT(0x1000, FIELD_UID, affected_instance, "AffectedSOPInstanceUID"),
    TEXT(0x1001, FIELD_UID, requested_instance, "RequestedSOPInstanceUID"),
    NUMBER(0x1002, event_type, "EventTypeID"),
    NUMBER(0x1008, action_type, "ActionTypeID"),
    NUMBER(0x1020, remaining, "NumberOfRemainingSuboperations"),
    NUMBER(0x1021, completed, "NumberOfCompletedSuboperations"),
    NUMBER(0x1022, failed, "NumberOfFailedSuboperations"),
    NUMBER(0x1023, warning, "NumberOfWarningSuboperations"),
    TEXT(0x1030, FIELD_TEXT, originator, "MoveOriginatorApplicationEntityTitle"),
    NUMBER(0x1031, originator_id, "MoveOriginatorMessageID"),
#undef NUMBER
#undef TEXT
};
enum { ELEMENT_COUNT = sizeof ELEMENTS / sizeof *ELEMENTS };

static uint32_t le32(const uint8_t *p) {
    return (uint32_t)p[3] << 24 | (uint32_t)p[2] << 16 | (uint32_t)p[1] << 8 | p[0];
}

static bool take_element(struct dimse_command *c, unsigned i, struct str value, struct err *e) {
    const struct element *el = &ELEMENTS[i];
    char *at = (char *)c + el->offset;
    if (el->kind == FIELD_NUMBER) {
        if (value.n == 0) return true;
        if (value.n != 2) return err_set(e, ERR_PEER, "dimse", "command set: %s has %zu bytes instead of 2", el->name, value.n);
        uint16_t v = (uint16_t)((uint8_t)value.p[0] | (uint8_t)value.p[1] << 8);
        memcpy(at, &v, sizeof v);
    } else {
        value = str_trim(value);
        if (value.n >= el->size && strcmp(el->name, "ErrorComment") == 0) value.n = el->size - 1u;
        if (value.n >= el->size) return err_set(e, ERR_PEER, "dimse", "command set: %s of %zu bytes, %d are allowed", el->name, value.n, el->size - 1);
        if (value.n && memchr(value.p, 0, value.n)) return err_set(e, ERR_PEER, "dimse", "command set: %s holds a NUL", el->name);
        if (value.n) memcpy(at, value.p, value.n);
        at[value.n] = '\0';
    }
    c->has |= 1u << i;
    return true;
}

bool dimse_command_decode(struct str bytes, struct dimse_command *out, struct err *e) {
    memset(out, 0, sizeof *out);
    while (bytes.n) {
        const uint8_t *p = (const uint8_t *)bytes.p;
        if (bytes.n < 8) return err_set(e, ERR_PEER, "dimse", "command set: %zu bytes are left over after the last element", bytes.n);
        uint16_t group = (uint16_t)(p[0] | p[1] << 8), element = (uint16_t)(p[2] | p[3] << 8);
        uint32_t n = le32(p + 4);
        if (n > bytes.n - 8)
            return err_set(e, ERR_PEER, "dimse", "command set: element (%04X,%04X) declares %u bytes, %zu are there", group, element, n, bytes.n - 8);
        if (group != 0) return err_set(e, ERR_PEER, "dimse", "command set: element (%04X,%04X) is not a command element", group, element);
        struct str value = str_sub(bytes, 8, n);
        for (unsigned i = 0; i < ELEMENT_COUNT; i++)
            if (ELEMENTS[i].element == element && !take_element(out, i, value, e)) return false;
        bytes = str_sub(bytes, 8 + (size_t)n, bytes.n);
    }
    if (out->has & DIMSE_HAS_FIELD) return true;
    return err_set(e, ERR_PEER, "dimse", "command set: CommandField is missing");
}

static void put_header(struct buf *to, uint16_t element, uint32_t n) {
    const uint8_t p[8] = {0, 0, (uint8_t)element, (uint8_t)(element >> 8), (uint8_t)n, (uint8_t)(n >> 8), (uint8_t)(n >> 16), (uint8_t)(n >> 24)};
    buf_add(to, p, sizeof p);
}

void dimse_command_encode(const struct dimse_command *c, struct buf *to) {
    size_t start = to->n;
    static const char zeros[4];
    put_header(to, 0, 4);
    buf_add(to, zeros, 4);
    for (unsigned i = 0; i < ELEMENT_COUNT; i++) {
        const struct element *el = &ELEMENTS[i];
        const char *at = (const char *)c + el->offset;
        if (!(c->has & 1u << i)) continue;
        if (el->kind == FIELD_NUMBER) {
            uint16_t v;
            memcpy(&v, at, sizeof v);
            const uint8_t p[2] = {(uint8_t)v, (uint8_t)(v >> 8)};
            put_header(to, el->element, 2);
            buf_add(to, p, 2);
        } else {
            size_t n = strlen(at), padded = (n + 1) & ~(size_t)1;
            put_header(to, el->element, (uint32_t)padded);
            buf_add(to, at, n);
            if (padded > n) buf_addc(to, el->kind == FIELD_UID ? '\0' : ' ');
        }
    }
    if (to->failed) return;
    uint32_t n = (uint32_t)(to->n - start - 12);
    for (unsigned i = 0; i < 4; i++) to->p[start + 8 + i] = (char)(n >> (8 * i));
}

struct dimse_command dimse_request(enum dimse_field field, uint16_t message_id, const char *sop_class_uid) {
    struct dimse_command c = {
        .has = DIMSE_HAS_FIELD | DIMSE_HAS_MESSAGE_ID | DIMSE_HAS_DATA_SET, .field = (uint16_t)field, .message_id = message_id, .data_set = DIMSE_NO_DATA_SET};
    bool requested = field == DIMSE_N_GET || field == DIMSE_N_SET || field == DIMSE_N_ACTION || field == DIMSE_N_DELETE;
    snprintf(requested ? c.requested_class : c.affected_class, sizeof c.affected_class, "%s", sop_class_uid);
    c.has |= requested ? DIMSE_HAS_REQUESTED_CLASS : DIMSE_HAS_AFFECTED_CLASS;
    if (field == DIMSE_C_STORE || field == DIMSE_C_FIND || field == DIMSE_C_MOVE || field == DIMSE_C_GET) c.has |= DIMSE_HAS_PRIORITY;
    return c;
}

struct dimse_command dimse_response(const struct dimse_command *rq, uint16_t status) {
    struct dimse_command c = {.has = DIMSE_HAS_FIELD | DIMSE_HAS_RESPONDED_ID | DIMSE_HAS_DATA_SET | DIMSE_HAS_STATUS,
                              .field = rq->field | DIMSE_RESPONSE,
                              .responded_id = rq->message_id,
                              .data_set = DIMSE_NO_DATA_SET,
                              .status = status};
    const char *class = rq->has & DIMSE_HAS_AFFECTED_CLASS ? rq->affected_class : rq->requested_class;
    const char *instance = rq->has & DIMSE_HAS_AFFECTED_INSTANCE ? rq->affected_instance : rq->requested_instance;
    memcpy(c.affected_class, class, sizeof c.affected_class);
    memcpy(c.affected_instance, instance, sizeof c.affected_instance);
    if (*class) c.has |= DIMSE_HAS_AFFECTED_CLASS;
    if (*instance) c.has |= DIMSE_HAS_AFFECTED_INSTANCE;
    c.event_type = rq->event_type;
    c.action_type = rq->action_type;
    c.has |= rq->has & (DIMSE_HAS_EVENT_TYPE | DIMSE_HAS_ACTION_TYPE);
    return c;
}

void dimse_comment(struct dimse_command *c, const char *text) {
    size_t n = 0;
    for (; n < sizeof c->error_comment - 1 && text[n]; n++) {
        unsigned char ch = (unsigned char)text[n];
        c->error_comment[n] = ch < 0x20 || ch > 0x7E || ch == '\\' ? '?' : (char)ch;
    }
    c->error_comment[n] = '\0';
    if (n) c->has |= DIMSE_HAS_ERROR_COMMENT;
}

const char *dimse_field_name(uint16_t field) {
    static const struct {
        uint16_t field;
        const char *name;
    } NAMES[] = {{DIMSE_C_STORE, "C-STORE"},
                 {DIMSE_C_GET, "C-GET"},
                 {DIMSE_C_FIND, "C-FIND"},
                 {DIMSE_C_MOVE, "C-MOVE"},
                 {DIMSE_C_ECHO, "C-ECHO"},
                 {DIMSE_N_GET, "N-GET"},
                 {DIMSE_N_EVENT_REPORT, "N-EVENT-REPORT"},
                 {DIMSE_N_SET, "N-SET"},
                 {DIMSE_N_ACTION, "N-ACTION"},
                 {DIMSE_N_CREATE, "N-CREATE"},
                 {DIMSE_N_DELETE, "N-DELETE"},
                 {DIMSE_C_CANCEL, "C-CANCEL"}};
    for (size_t i = 0; i < sizeof NAMES / sizeof *NAMES; i++)
        if (NAMES[i].field == (field & ~DIMSE_RESPONSE)) return NAMES[i].name;
    return "unknown operation";
}

const char *dimse_status_text(uint16_t status) {
    static const struct {
        uint16_t mask, status;
        const char *text;
    } TEXTS[] = {
        {0xFFFF, 0x0000, "success"},
        {0xFFFE, 0xFF00, "pending"},
        {0xFFFF, 0xFE00, "cancelled"},
        {0xFFFF, 0x0105, "no such attribute"},
        {0xFFFF, 0x0110, "processing failure"},
        {0xFFFF, 0x0111, "duplicate SOP instance"},
        {0xFFFF, 0x0112, "no such SOP instance"},
        {0xFFFF, 0x0113, "no such event type"},
        {0xFFFF, 0x0114, "no such argument"},
        {0xFFFF, 0x0115, "invalid argument value"},
        {0xFFFF, 0x0117, "invalid SOP instance UID"},
        {0xFFFF, 0x0118, "no such SOP class"},
        {0xFFFF, 0x0119, "class-instance conflict"},
        {0xFFFF, 0x0122, "SOP class not supported"},
        {0xFFFF, 0x0123, "no such action type"},
        {0xFFFF, 0x0124, "not authorised"},
        {0xFFFF, 0x0211, "unrecognised operation"},
        {0xFFFF, 0x0213, "resource limitation"},
        {0xFFFF, 0xA701, "out of resources: the matches cannot be counted"},
        {0xFFFF, 0xA702, "out of resources: sub-operations cannot be done"},
        {0xFFFF, 0xA801, "move destination unknown"},
        {0xFF00, 0xA700, "out of resources"},
        {0xFF00, 0xA900, "data set does not match the SOP class"},
        {0xFFFF, 0xB000, "warning: coerced, or some sub-operations failed"},
        {0xFFFF, 0xB007, "warning: data set does not match the SOP class"},
        {0xFFFF, 0xB006, "warning: elements discarded"},
        {0xF000, 0xB000, "warning"},
        {0xF000, 0xC000, "cannot understand or unable to process"},
    };
    for (size_t i = 0; i < sizeof TEXTS / sizeof *TEXTS; i++)
        if ((status & TEXTS[i].mask) == TEXTS[i].status) return TEXTS[i].text;
    return "failure";
}
