// Protocol data units of the upper layer (PS3.8 9.3, PS3.7 D.3.3): encoding and checked decoding.
#ifndef GANTRY_DIMSE_PDU_H
#define GANTRY_DIMSE_PDU_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

enum pdu_type { PDU_ASSOCIATE_RQ = 1, PDU_ASSOCIATE_AC = 2, PDU_ASSOCIATE_RJ = 3, PDU_DATA_TF = 4, PDU_RELEASE_RQ = 5, PDU_RELEASE_RP = 6, PDU_ABORT = 7 };

enum { PDU_HEADER_BYTES = 6, PDV_HEADER_BYTES = 6, PDU_AE_MAX = 16 };

// Message control header of a PDV (PS3.8 E.2).
enum { PDV_COMMAND = 1, PDV_LAST = 2 };

// Result of a presentation context (PS3.8 9.3.3.2).
enum pdu_context_result {
    PDU_CONTEXT_ACCEPTED = 0,
    PDU_CONTEXT_USER_REJECTED = 1,
    PDU_CONTEXT_NO_REASON = 2,
    PDU_CONTEXT_ABSTRACT_SYNTAX = 3,
    PDU_CONTEXT_TRANSFER_SYNTAXES = 4
};

struct pdu_context {
    uint8_t id;                 // odd
    uint8_t result;             // enum pdu_context_result; AC only
    struct str abstract_syntax; // RQ only
    struct str *ts;             // transfer syntaxes; AC: the one accepted
    unsigned ts_count;
};

struct pdu_role { // SCP/SCU role selection (PS3.7 D.3.3.4)
    struct str uid;
    bool scu, scp;
};

struct pdu_extended { // SOP class extended negotiation (PS3.7 D.3.3.5)
    struct str uid;
    struct str info;
};

struct pdu_common_extended { // SOP class common extended negotiation (PS3.7 D.3.3.6)
    struct str uid, service_class_uid;
    struct str *related;
    unsigned related_count;
};

enum { PDU_IDENTITY_NONE, PDU_IDENTITY_USERNAME, PDU_IDENTITY_PASSCODE, PDU_IDENTITY_KERBEROS, PDU_IDENTITY_SAML, PDU_IDENTITY_JWT };

// A-ASSOCIATE-RQ and -AC. Decoded text is borrowed from the bytes given, UIDs without padding.
struct pdu_associate {
    uint16_t version;           // bit 0: version 1
    struct str called, calling; // at most 16 bytes, trimmed
    struct str application_context;
    struct pdu_context *contexts;
    unsigned context_count;
    uint32_t max_length; // bytes of a P-DATA-TF PDU after its header that the sender takes; 0: no limit
    struct str implementation_uid, implementation_version;
    bool async;
    uint16_t async_invoked, async_performed; // 0: unlimited
    struct pdu_role *roles;
    unsigned role_count;
    struct pdu_extended *extended;
    unsigned extended_count;
    struct pdu_common_extended *common; // RQ only
    unsigned common_count;
    uint8_t identity_type; // RQ
    bool identity_wants_response;
    struct str identity_primary, identity_secondary;
    bool identity_response; // AC
    struct str identity_server_response;
};

#define PDU_APPLICATION_CONTEXT "1.2.840.10008.3.1.1.1"

// body: what follows the 6 bytes of header. ac: an A-ASSOCIATE-AC. Lists are in a. ERR_PEER with what is wrong: lengths that do not add up, an even or
// repeated context identifier, too many contexts or transfer syntaxes. A missing application context or a strange version are left to the caller.
bool pdu_associate_decode(struct arena *a, struct str body, bool ac, struct pdu_associate *out, struct err *e);
// The whole PDU with its header. false when it does not fit its buffer or its 16-bit item lengths.
bool pdu_associate_encode(const struct pdu_associate *in, bool ac, struct buf *to, struct err *e);

// A-ASSOCIATE-RJ (PS3.8 9.3.4).
struct pdu_reject {
    uint8_t result; // 1 permanent, 2 transient
    uint8_t source; // 1 service-user, 2 service-provider (ACSE), 3 service-provider (presentation)
    uint8_t reason;
};
extern const struct pdu_reject PDU_REJECT_NO_REASON, PDU_REJECT_CONTEXT_NAME, PDU_REJECT_CALLING, PDU_REJECT_CALLED, PDU_REJECT_VERSION, PDU_REJECT_CONGESTION,
    PDU_REJECT_LIMIT;
// "called AE title not recognised (rejected-permanent)"; never NULL.
const char *pdu_reject_text(struct pdu_reject r, char *out, size_t n);

// A-ABORT (PS3.8 9.3.8).
enum { PDU_ABORT_USER = 0, PDU_ABORT_PROVIDER = 2 };
enum {
    PDU_ABORT_NOT_SPECIFIED = 0,
    PDU_ABORT_UNRECOGNIZED_PDU = 1,
    PDU_ABORT_UNEXPECTED_PDU = 2,
    PDU_ABORT_UNRECOGNIZED_PARAMETER = 4,
    PDU_ABORT_UNEXPECTED_PARAMETER = 5,
    PDU_ABORT_INVALID_PARAMETER = 6
};
const char *pdu_abort_text(uint8_t source, uint8_t reason);

// PDUs of 10 bytes: type, and what stands in the last three (RJ: result, source, reason; ABORT: 0, source, reason; RELEASE: 0, 0, 0).
void pdu_short_encode(uint8_t out[10], enum pdu_type type, uint8_t b7, uint8_t b8, uint8_t b9);
// Headers of a P-DATA-TF PDU with one PDV of n bytes.
void pdu_data_header(uint8_t out[PDU_HEADER_BYTES + PDV_HEADER_BYTES], uint32_t n, uint8_t context_id, uint8_t flags);

// What the first bytes of a connection are when they are not DICOM: "a TLS ClientHello", "an HTTP request"; NULL when nothing known.
const char *pdu_foreign(const uint8_t *p, size_t n);

// An AE title as PS3.5 6.2 wants it: 1..16 of the default repertoire, no backslash, no control characters, not all spaces.
bool pdu_ae_valid(struct str ae);

static inline uint16_t pdu_u16(const uint8_t *p) {
    return (uint16_t)(p[0] << 8 | p[1]);
}
static inline uint32_t pdu_u32(const uint8_t *p) {
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

#endif
