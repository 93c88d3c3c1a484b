// Command sets (PS3.7 6.3.1, 9.3, 10.3, E): encoded in implicit VR little endian, decoded under ceilings, by one table of their elements.
#ifndef GANTRY_DIMSE_COMMAND_H
#define GANTRY_DIMSE_COMMAND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

enum dimse_field { // Command Field (0000,0100); a response has DIMSE_RESPONSE set
    DIMSE_C_STORE = 0x0001,
    DIMSE_C_GET = 0x0010,
    DIMSE_C_FIND = 0x0020,
    DIMSE_C_MOVE = 0x0021,
    DIMSE_C_ECHO = 0x0030,
    DIMSE_N_EVENT_REPORT = 0x0100,
    DIMSE_N_GET = 0x0110,
    DIMSE_N_SET = 0x0120,
    DIMSE_N_ACTION = 0x0130,
    DIMSE_N_CREATE = 0x0140,
    DIMSE_N_DELETE = 0x0150,
    DIMSE_C_CANCEL = 0x0FFF,
    DIMSE_RESPONSE = 0x8000
};

enum { DIMSE_PRIORITY_MEDIUM = 0, DIMSE_NO_DATA_SET = 0x0101, DIMSE_DATA_SET = 0x0000 };

enum dimse_status { // PS3.7 C, PS3.4
    DIMSE_SUCCESS = 0x0000,
    DIMSE_PROCESSING_FAILURE = 0x0110,
    DIMSE_NOT_AUTHORIZED = 0x0124,
    DIMSE_NO_SUCH_INSTANCE = 0x0112,
    DIMSE_NO_SUCH_EVENT = 0x0113,
    DIMSE_INVALID_ARGUMENT = 0x0115,
    DIMSE_INVALID_SOP_INSTANCE = 0x0117,
    DIMSE_NO_SUCH_SOP_CLASS = 0x0118,
    DIMSE_NO_SUCH_ACTION = 0x0123,
    DIMSE_UNRECOGNIZED_OPERATION = 0x0211,
    DIMSE_OUT_OF_RESOURCES = 0xA700,
    DIMSE_CANNOT_COUNT = 0xA701,        // C-MOVE, C-GET: number of matches
    DIMSE_CANNOT_SUBOPERATE = 0xA702,   // C-MOVE, C-GET: sub-operations
    DIMSE_DESTINATION_UNKNOWN = 0xA801, // C-MOVE
    DIMSE_MISMATCH = 0xA900,            // data set does not match SOP class
    DIMSE_SUBOPERATIONS_WARNING = 0xB000,
    DIMSE_CANNOT_UNDERSTAND = 0xC000,
    DIMSE_CANCEL = 0xFE00,
    DIMSE_PENDING = 0xFF00,
    DIMSE_PENDING_UNSUPPORTED_KEYS = 0xFF01
};

// Which elements a command set has: bits of dimse_command.has, in tag order.
enum dimse_has {
    DIMSE_HAS_AFFECTED_CLASS = 1 << 0,
    DIMSE_HAS_REQUESTED_CLASS = 1 << 1,
    DIMSE_HAS_FIELD = 1 << 2,
    DIMSE_HAS_MESSAGE_ID = 1 << 3,
    DIMSE_HAS_RESPONDED_ID = 1 << 4,
    DIMSE_HAS_MOVE_DESTINATION = 1 << 5,
    DIMSE_HAS_PRIORITY = 1 << 6,
    DIMSE_HAS_DATA_SET = 1 << 7,
    DIMSE_HAS_STATUS = 1 << 8,
    DIMSE_HAS_ERROR_COMMENT = 1 << 9,
    DIMSE_HAS_ERROR_ID = 1 << 10,
    DIMSE_HAS_AFFECTED_INSTANCE = 1 << 11,
    DIMSE_HAS_REQUESTED_INSTANCE = 1 << 12,
    DIMSE_HAS_EVENT_TYPE = 1 << 13,
    DIMSE_HAS_ACTION_TYPE = 1 << 14,
    DIMSE_HAS_REMAINING = 1 << 15,
    DIMSE_HAS_COMPLETED = 1 << 16,
    DIMSE_HAS_FAILED = 1 << 17,
    DIMSE_HAS_WARNING = 1 << 18,
    DIMSE_HAS_ORIGINATOR = 1 << 19,
    DIMSE_HAS_ORIGINATOR_ID = 1 << 20,
    DIMSE_HAS_SUBOPERATIONS = DIMSE_HAS_COMPLETED | DIMSE_HAS_FAILED | DIMSE_HAS_WARNING
};

struct dimse_command {
    uint32_t has; // enum dimse_has
    uint16_t field, message_id, responded_id, priority;
    uint16_t data_set; // Command Data Set Type: DIMSE_NO_DATA_SET, or anything else
    uint16_t status, error_id, event_type, action_type;
    uint16_t remaining, completed, failed, warning; // sub-operations
    uint16_t originator_id;
    char affected_class[65], requested_class[65], affected_instance[65], requested_instance[65];
    char move_destination[17], originator[17];
    char error_comment[65];
};

// Elements that are not known are skipped; a wrong group length is not trusted and harms nothing. ERR_PEER: an element leaves the set, a text is too long, the
// command field is missing.
bool dimse_command_decode(struct str bytes, struct dimse_command *out, struct err *e);
void dimse_command_encode(const struct dimse_command *c, struct buf *to);

// The beginnings of commands: field, ids and classes set, no data set.
struct dimse_command dimse_request(enum dimse_field field, uint16_t message_id, const char *sop_class_uid);
// Answers rq with its SOP class (and instance) as affected ones.
struct dimse_command dimse_response(const struct dimse_command *rq, uint16_t status);
// Error Comment (LO): cut to 64 characters of the default repertoire.
void dimse_comment(struct dimse_command *c, const char *text);

static inline bool dimse_is_response(const struct dimse_command *c) {
    return c->field & DIMSE_RESPONSE;
}
// FF00, FF01.
static inline bool dimse_is_pending(uint16_t status) {
    return (status & 0xFF00) == 0xFF00;
}
// Warnings (PS3.7 C.4): 0001, Bxxx, and 0107, 0116.
static inline bool dimse_is_warning(uint16_t status) {
    return status == 0x0001 || (status & 0xF000) == 0xB000 || status == 0x0107 || status == 0x0116;
}

// "C-STORE", "unknown operation".
const char *dimse_field_name(uint16_t field);
// What a status means in words; never NULL.
const char *dimse_status_text(uint16_t status);

#endif
