// The bytes of an encrypted entry: its own key, wrapped under the volume's, and segments that are encrypted and checked one by one. Private to src/store.
//
// Behind the tar headers: an envelope of 64 bytes ("GSE1", a nonce of 12, the entry's key encrypted, its tag of 16), then the
// segments, each 64 KiB of the object (the last one what is left) and its tag of 16. An entry's place (vol_loc) is where its first segment begins and
// the length of the object: 64 bytes past a multiple of 512, where no bytes of a plain entry ever begin. So every place says itself which kind it is.
//
// Every entry has a key of its own from the system's random numbers, used for these segments only, with nonces that count them and mark the last:
// what is written over a torn tail or at a second try never meets a nonce again. What is under the volume's key (envelopes, headers) has random nonces.
#ifndef GANTRY_STORE_SEAL_H
#define GANTRY_STORE_SEAL_H

#include <sys/uio.h>

#include "store/keys.h"
#include "store/tar.h"

enum {
    SEAL_SEGMENT = 64 * 1024,
    SEAL_UNIT = SEAL_SEGMENT + CIPHER_TAG_BYTES, // a segment as it lies
    SEAL_KEYS_MAX = 1024,                        // entries' keys that are remembered
};

static inline uint64_t seal_segments(uint64_t length) {
    return length / SEAL_SEGMENT + (length % SEAL_SEGMENT != 0);
}
// What an object's segments take.
static inline uint64_t seal_bytes(uint64_t length) {
    return length + seal_segments(length) * CIPHER_TAG_BYTES;
}
// The length of the object whose segments take n bytes; false when no object's do.
bool seal_length(uint64_t n, uint64_t *length);

// Keys of entries that were lately read. One per set.
struct seal_cache {
    pthread_mutex_t lock;
    struct seal_slot {
        struct vol_loc loc; // volume 0: free
        enum cipher_kind kind;
        uint8_t key[CIPHER_KEY_MAX];
    } slots[SEAL_KEYS_MAX];
};

// An entry being written, from its first segment to its last.
struct sealing {
    struct cipher *cipher;
    enum cipher_kind kind;
    uint64_t next; // number of the segment that comes
    uint8_t key[CIPHER_KEY_MAX];
};
bool sealing_begin(struct sealing *s, enum cipher_kind kind, struct err *e);
void sealing_end(struct sealing *s); // once more is fine
// parts: SEAL_SEGMENT bytes together, of the last one what is left; out: as many, and a tag.
bool sealing_add(struct sealing *s, const struct iovec *parts, int n, bool last, uint8_t *out, struct err *e);
// Everything at once; the iovecs are used up.
bool sealing_all(struct sealing *s, struct iovec *parts, int n, uint64_t length, uint8_t *out, struct err *e);
// at: where the entry's first segment lies in the volume.
bool seal_envelope(const struct vol_key *key, const struct sealing *s, uint64_t at, uint8_t out[TAR_ENVELOPE], struct err *e);

// An entry being read.
bool unseal_begin(struct vol_set *vs, struct vol_loc loc, const uint8_t envelope[TAR_ENVELOPE], struct cipher **out, struct err *e);
// One segment of an object of this length from n + tag bytes. ERR_CORRUPT.
bool unseal_segment(struct cipher *c, uint64_t length, uint64_t number, const uint8_t *unit, uint8_t *out, struct err *e);
// How many bytes of the object a segment has.
size_t seal_segment_bytes(uint64_t length, uint64_t number);

// Bytes of an encrypted object, read through the driver.
bool sealed_read(struct vol_set *vs, struct vol_loc loc, uint64_t from, void *p, size_t n, struct err *e);

// An object's bytes in order, whether they are encrypted or not, as a reader of its volume gives them.
struct payload {
    struct volume_reader *reader;
    struct vol_loc loc;
    struct cipher *cipher; // NULL: plain
    uint8_t *unit;         // SEAL_UNIT
};
bool payload_open(struct payload *p, struct volume_reader *r, struct vol_loc loc, struct err *e);
void payload_close(struct payload *p);
// From a multiple of SEAL_SEGMENT on; a length that is none ends the object. *got: fewer when the volume ends before.
bool payload_read(struct payload *p, uint64_t from, void *to, size_t n, size_t *got, struct err *e);

#endif
