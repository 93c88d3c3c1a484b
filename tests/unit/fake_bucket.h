// A bucket in memory that is slow, refuses, lies and falls silent on purpose, and an index of volumes that any number of sets share.
#ifndef GANTRY_TESTS_FAKE_BUCKET_H
#define GANTRY_TESTS_FAKE_BUCKET_H

#include <pthread.h>
#include <stdatomic.h>

#include "store/bucket.h"
#include "store/volume.h"

enum { FAKE_OBJECTS = 2048, FAKE_ROWS = 2048 };

struct fake_object {
    char key[64];
    char *p;
    uint64_t n;
    bool archived, held;
    int refusal; // enum err_kind of every read; 0: none
    unsigned restores;
};

struct fake_bucket {
    pthread_mutex_t lock;
    struct fake_object objects[FAKE_OBJECTS];
    unsigned n;
    struct bucket_ops ops;
    // What goes wrong; changed at any time.
    _Atomic bool silent; // nothing is answered: ERR_NET after silent_ms
    _Atomic unsigned silent_ms;
    _Atomic bool cancelled; // calls end at once
    _Atomic unsigned put_ms, get_ms;
    _Atomic bool hold_puts;          // a put waits until it is over
    _Atomic unsigned refuse_puts;    // the next so many: refusal
    _Atomic int refusal;             // enum err_kind
    _Atomic unsigned lose_answers;   // the next so many puts are done and not answered
    _Atomic unsigned flip_gets;      // the next so many bodies have a bit that is another
    _Atomic bool ignores_create;     // what is there is put over
    _Atomic bool no_locks;           // it has no object lock
    _Atomic unsigned uploads;        // never finished
    _Atomic int64_t stale_before_ms; // of the last abort_stale
    // What came.
    _Atomic unsigned puts, gets, heads, removes, lists, putting, most_putting, getting, most_getting;
    _Atomic uint64_t bytes_got;
};

void fake_bucket_init(struct fake_bucket *b);
void fake_bucket_deinit(struct fake_bucket *b);
struct fake_object *fake_bucket_find(struct fake_bucket *b, uint32_t volume);

struct fake_row {
    char sop[65];
    uint8_t digest[VOL_DIGEST_BYTES];
    struct vol_loc loc;
};

struct fake_volume {
    uint32_t volume;
    enum vol_place place;
    uint64_t size;
    char *p; // VOL_IN_INDEX
};

// What core and its database do.
struct fake_index {
    pthread_mutex_t lock;
    struct fake_row rows[FAKE_ROWS];
    struct fake_volume volumes[FAKE_OBJECTS];
    unsigned row_count, volume_count;
    uint32_t counter;
    _Atomic unsigned commits, refuse_commits, inside, overlaps, fetches;
    _Atomic bool away; // every call fails
    struct fake_keys {
        uint32_t first;
        char *p;
        size_t n;
    } keys[64];
    unsigned key_count;
};
// As an index that was made anew.
void fake_index_lose_keys(struct fake_index *x);

void fake_index_init(struct fake_index *x);
void fake_index_deinit(struct fake_index *x);
// The callbacks of one set. overlaps counts when two threads of any set are in classify or commit at once: of one set there are to be none.
struct vol_index fake_index_of(struct fake_index *x);
bool fake_index_find(struct fake_index *x, const char *sop, struct fake_row *out);
uint64_t fake_index_kept(struct fake_index *x);

#endif
