// One entry's headers in a volume: a pax header with what we know of it, a ustar header with its name and size.
//
// POSIX.1-2017 pax, "ustar Interchange Format" and "pax Header Block". Our facts are extended attributes (SCHILY.xattr.user.gantry.*, which
// tar programs take in silence): check, kind, sha256, at, durable, time, ts, source, realm, note. `check` covers every byte of both
// headers, `at` is the entry's own offset, so that neither a flipped bit nor a header that lies elsewhere passes for one of ours.
//
// Of an encrypted entry only check, at and durable can be read. All other facts and its names are records too, encrypted under the volume's key as one
// (sealed: a nonce, the text, a tag); its name in the archive is sealed/<nonce>, its time is 0. Its bytes are those of store/seal.h.
#ifndef GANTRY_STORE_TAR_H
#define GANTRY_STORE_TAR_H

#include "store/volume.h"

enum {
    TAR_BLOCK = 512,
    TAR_HEAD_MAX = 8192,           // both headers of one entry
    TAR_EOF_BYTES = 2 * TAR_BLOCK, // zeros that end an archive
    TAR_ENVELOPE = 64,             // before the bytes of an encrypted entry
};
struct vol_key;

struct tar_head {
    struct vol_entry entry; // borrows the bytes decoded; loc.volume is left 0
    uint64_t durable;       // everything before this offset was flushed when the entry was written
    struct str sealed;      // of an encrypted entry: what tar_unseal opens
};

enum tar_result {
    TAR_ENTRY,
    TAR_SEALED, // an encrypted one: of entry only sealed, loc and end are known
    TAR_END,    // a block of zeros
    TAR_BAD,    // neither: torn, damaged, or not ours
};

static inline uint64_t tar_round(uint64_t n) {
    return (n + TAR_BLOCK - 1) / TAR_BLOCK * TAR_BLOCK;
}

// True for what may be part of a path in a volume: 1 to 64 of [0-9.], beginning with a digit, no "..", no '.' at the end.
bool tar_uid_ok(struct str uid);
// ERR_BAD_INPUT when the entry's names may not stand in a volume.
bool tar_entry_check(const struct vol_entry *entry, struct err *e);

// What the entry's bytes take in the volume without their padding, an envelope included.
uint64_t tar_stored(const struct vol_entry *entry);

// Bytes of the shortest headers of the entry (loc.length is its size; sealed: it is to be encrypted).
size_t tar_head_min(const struct vol_entry *entry);
// Writes headers of exactly head_bytes (at least tar_head_min, at most TAR_HEAD_MAX, a multiple of TAR_BLOCK; a comment fills the rest) for an
// entry that begins at offset `at` of its volume. Control characters in source and note become spaces; both are cut at their ceilings.
// key: of the volume, for an entry that is sealed.
bool tar_encode_with(const struct vol_key *key, const struct vol_entry *entry, uint64_t at, uint64_t durable, size_t head_bytes, char *out, struct err *e);
static inline bool tar_encode(const struct vol_entry *entry, uint64_t at, uint64_t durable, size_t head_bytes, char *out, struct err *e) {
    return tar_encode_with(NULL, entry, at, durable, head_bytes, out, e);
}
// p: what lies at offset `at`, TAR_HEAD_MAX bytes or as many as there are.
enum tar_result tar_decode(const char *p, size_t n, uint64_t at, struct tar_head *out);
// The rest of a TAR_SEALED one; the entry borrows text (TAR_HEAD_MAX bytes). *result TAR_BAD: it is not what was written under this key.
bool tar_unseal(const struct vol_key *key, struct tar_head *head, char *text, enum tar_result *result, struct err *e);

#endif
