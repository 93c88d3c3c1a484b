// Signed marks of how far the chain had come: the head, which moves with it, and checkpoints, which stay. The chain alone does not show that its end was cut
// off, or that all of it was computed anew; a mark that was written outside of the database does.
//
// A mark is one line of text: "gantry-audit 1 KIND SEQ TIME_MS AT_MS HASH BOOT KEY SIGNATURE", hexadecimal in lower case, the signature (Ed25519) over all that
// is before its space. TIME_MS is the event's time, AT_MS the mark's. BOOT is the system's run in which a head counts that was not flushed, else "-".
#ifndef GANTRY_CORE_AUDIT_MARK_H
#define GANTRY_CORE_AUDIT_MARK_H

#include "base/buf.h"
#include "core/archive.h"
#include "sys/digest.h"
#include "sys/sign.h"

enum audit_mark_kind {
    MARK_CHECKPOINT,
    MARK_HEAD,   // what the index keeps even if the power goes
    MARK_SOFT,   // what it keeps as long as the system runs
    MARK_CLOSED, // as a head, and the archive was closed with it: nothing comes behind it until it is opened
    MARK_CUT,    // what was before and with it was taken away by a rule of retention
    MARK_BROKEN, // a head that the chain did not fit any more: kept as evidence
    MARK_KINDS
};
enum { AUDIT_MARK_BYTES = 512, AUDIT_BOOT_BYTES = 40 };

struct audit_mark {
    enum audit_mark_kind kind;
    int64_t seq, time_ms, at_ms;
    uint8_t hash[DIGEST_BYTES];
    char boot[AUDIT_BOOT_BYTES];
    uint8_t key[SIGN_ED25519_PUBLIC];
    bool holds; // its signature fits its key
};

struct audit_key {
    uint8_t secret[SIGN_ED25519_SEED], public_key[SIGN_ED25519_PUBLIC];
};

// Keys whose marks count.
enum { AUDIT_KEYS_MAX = 64 };
struct audit_trust {
    uint8_t keys[AUDIT_KEYS_MAX][SIGN_ED25519_PUBLIC];
    unsigned count;
};
bool audit_trust_add(struct audit_trust *t, struct str hex, struct err *e); // an empty text adds nothing
// Every line of the directory's key.pub: its own keys, and those that people added, such as of the other nodes of the archive.
bool audit_trust_read(struct audit_trust *t, const char *dir, struct err *e);
bool audit_trusts(const struct audit_trust *t, const uint8_t key[SIGN_ED25519_PUBLIC]);

const char *audit_mark_kind_name(enum audit_mark_kind kind);
// The key of a directory; made (0600, and its public key added to key.pub beside it) when it is not there and make says so. *there false: there is none.
bool audit_key_load(const char *dir, bool make, struct audit_key *out, bool *there, struct err *e);
// The line, with its end. m->key is set from key.
bool audit_mark_write(const struct audit_key *key, struct audit_mark *m, struct buf *to, struct err *e);
// false: it is no mark at all.
bool audit_mark_read(struct str line, struct audit_mark *out);
// The name of this run of the system.
void audit_boot(char out[AUDIT_BOOT_BYTES]);

// The file of heads in a directory: two that are flushed in turn, and one that is not.
bool audit_head_put(const char *dir, const struct audit_key *key, struct audit_mark *m, unsigned *turn, struct err *e);
// The latest that counts: by its signature with this key, and in this run of the system where it was not flushed. *found false: none.
bool audit_head_get(const char *dir, const uint8_t public_key[SIGN_ED25519_PUBLIC], struct audit_mark *out, bool *found, struct err *e);
// Adds a line to the file of checkpoints of a directory, durably.
bool audit_checkpoint_put(const char *dir, struct str line, struct err *e);
// Every mark of a directory, checkpoints and heads, in the order of their lines; those that are no marks are not told of.
bool audit_marks_each(const char *dir, bool (*visit)(void *ctx, const struct audit_mark *m, struct err *e), void *ctx, struct err *e);

#endif
