// The keys of volumes: one for each, wrapped under a master key in runs of some dozens, and where these lie. Private to src/store.
//
// A run is a small text that says which volumes it is of, under which master key and with which cipher their entries are encrypted, and has their keys,
// wrapped together (AES-256-GCM over all that stands before). It lies twice in keys/ of a directory; of a remote set in the index and, before the first of
// its volumes is put, beside them in the bucket, so that the bucket alone gives the archive back. A key of zeros is one that was destroyed, or none yet.
// Runs are read when the first of their volumes is, and stay in memory.
#ifndef GANTRY_STORE_KEYS_H
#define GANTRY_STORE_KEYS_H

#include <pthread.h>

#include "base/buf.h"
#include "store/master.h"
#include "store/volume.h"

enum { KEYS_RUN = 64, KEYS_TEXT_MAX = 8192, KEYS_MASTERS_MAX = 16 };

struct vol_key {
    uint32_t volume;
    enum cipher_kind kind;
    uint8_t bytes[CIPHER_KEY_MAX];
};

struct key_run {
    uint32_t first;
    unsigned n;
    enum cipher_kind kind;
    bool beside; // of a remote set: it is known to lie in the bucket
    char master[MASTER_ID + 1];
    uint8_t keys[KEYS_RUN][CIPHER_KEY_MAX];
};

struct keys {
    struct master *masters[KEYS_MASTERS_MAX]; // the first wraps, all open
    unsigned master_count;
    enum cipher_kind kind; // of what is written
    bool writes;           // new entries are encrypted
    const struct key_place *place;
    pthread_mutex_t lock;  // all below
    struct key_run **runs; // in memory, ascending
    size_t count, cap;
};

// Where runs lie, each twice: a driver's. get: ERR_NOT_FOUND. put replaces; durable when it returns.
enum { KEYS_COPIES = 2 };
struct key_place {
    // The run that a volume may be of; 0: there is none.
    bool (*run_of)(struct vol_set *vs, uint32_t volume, uint32_t *first, struct err *e);
    bool (*get)(struct vol_set *vs, uint32_t first, int copy, struct buf *out, struct err *e);
    bool (*put)(struct vol_set *vs, uint32_t first, int copy, struct str text, struct err *e);
    bool (*remove)(struct vol_set *vs, uint32_t first, int copy, struct err *e);
    bool (*each)(struct vol_set *vs, bool (*visit)(void *ctx, uint32_t first, struct err *e), void *ctx, struct err *e); // ascending
    // Where a new run that begins with this volume has to end.
    bool (*end_of)(struct vol_set *vs, uint32_t volume, uint32_t *end, struct err *e);
    bool (*last)(struct vol_set *vs, uint32_t *first, struct err *e); // the run that was made last; 0: none is known
    bool later;                                                       // the second copy is made when it is needed (keys_beside)
};

// o NULL: nothing new is encrypted, and what is cannot be read.
bool keys_open(struct vol_set *vs, const struct key_place *place, const struct vol_encryption *o, struct err *e);
void keys_close(struct vol_set *vs);
// Before anything is written: ERR_BUSY when there are keys and no master key opens them.
bool keys_known(struct vol_set *vs, struct err *e);

// For reading. ERR_BUSY: it is not there, or under a master key that is not; ERR_NOT_FOUND: it was destroyed.
bool keys_find(struct vol_set *vs, uint32_t volume, struct vol_key *out, struct err *e);
// For writing: it is made, with those of the next volumes, when there is none. Durable when it returns.
bool keys_make(struct vol_set *vs, uint32_t volume, struct vol_key *out, struct err *e);
// The same for the volumes [first, first + n), which nobody else makes keys for.
bool keys_make_run(struct vol_set *vs, uint32_t first, unsigned n, struct err *e);
// Sees that the volume's run lies where its second copy belongs.
bool keys_beside(struct vol_set *vs, uint32_t volume, struct err *e);
// Another set's, of a volume that is copied under its number.
bool keys_take(struct vol_set *vs, const struct vol_key *key, struct err *e);
// One that there is not is no error.
bool keys_destroy(struct vol_set *vs, uint32_t volume, struct err *e);

extern const struct key_place directory_keys, remote_keys;

#endif
