// Promises of the store that hold whatever the disk does: cuts of the power, failing calls, short writes, a full disk.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
// cmocka needs the four above first
#include <cmocka.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "encrypted.h"
#include "fake_disk.h"
#include "store/tar.h"
#include "store/volume.h"
#include "sys/digest.h"

enum { SENDERS = 3, OBJECTS = 10, SIZE_MAX_ = 24 << 10, POSITIONS = 256 };

struct object {
    char sop[65];
    unsigned char *p;
    size_t n;
    bool sent, acknowledged;
    unsigned seen;
    struct vol_entry entry;
};

struct position {
    uint32_t volume;
    uint64_t end;
};

// One life of an archive on a failing disk, and what its senders were told.
struct life {
    char dir[64], after[64];
    struct disk *disk;
    struct vol_set *vs;
    struct object objects[SENDERS][OBJECTS];
    struct position positions[POSITIONS]; // as the index would have committed them, in order
    unsigned position_n, position_kept;
    unsigned alarms;
    unsigned seed;
    struct err e;
};

static unsigned mix(unsigned a, unsigned b) {
    unsigned x = a * 2654435761u ^ (b + 0x9e3779b9u) * 2246822519u;
    x ^= x >> 15;
    x *= 2246822519u;
    return x ^ x >> 13;
}

static bool commit(void *ctx, struct vol_put *const *puts, size_t n, const struct vol_written *w, struct err *e) {
    (void)puts, (void)n, (void)e;
    struct life *l = ctx;
    if (l->position_n < POSITIONS) l->positions[l->position_n++] = (struct position){w->volume, w->end};
    return true;
}

static uint64_t known_end(void *ctx, uint32_t volume) {
    struct life *l = ctx;
    uint64_t end = 0;
    for (unsigned i = 0; i < l->position_kept; i++) {
        if (l->positions[i].volume == volume) end = l->positions[i].end;
    }
    return end;
}

static void alarm_rings(void *ctx, const struct err *e) {
    (void)e;
    __atomic_add_fetch(&((struct life *)ctx)->alarms, 1, __ATOMIC_RELAXED);
}

static struct vol_options options(struct life *l, const char *dir, const struct sys_file_ops *files) {
    return (struct vol_options){.dir = dir,
                                .encryption = encrypted(),
                                .volume_bytes = 192 << 10,
                                .own_volume_bytes = 16 << 10,
                                .index = {.ctx = l, .commit = commit},
                                .known_end = known_end,
                                .alarm = alarm_rings,
                                .files = files};
}

static void object_fill(struct object *o, unsigned seed, unsigned sender, unsigned number) {
    unsigned r = mix(seed, sender * 1000 + number);
    o->n = r % 8 == 0 ? r / 8 % SIZE_MAX_ : r / 8 % 6000;
    o->p = malloc(o->n + 1);
    for (size_t i = 0; i < o->n; i++) o->p[i] = (unsigned char)((r = r * 1664525u + 1013904223u) >> 24);
    snprintf(o->sop, sizeof o->sop, "1.2.%u.%u.%u", seed + 1, sender + 1, number + 1);
    o->entry = (struct vol_entry){.kind = VOL_OBJECT, .study = STR_LIT("1.2.840.1"), .series = STR_LIT("1.2.840.1.1"), .sop = str_of(o->sop)};
    assert_true(digest_of(o->p, o->n, o->entry.digest, NULL));
}

// Late enough, now and then, for the bytes to be written before it is there.
static bool digest_late(void *ctx, uint8_t out[VOL_DIGEST_BYTES], struct err *e) {
    struct object *o = ctx;
    if (o->n % 4 < 2) usleep(500);
    return digest_of(o->p, o->n, out, e);
}

static void send(struct life *l, struct object *o) {
    struct err e = {0};
    struct vol_put put = {.entry = o->entry, .head = o->p, .head_n = o->n};
    if (o->n % 2) put.digest = digest_late, put.digest_ctx = o;
    __atomic_store_n(&o->sent, true, __ATOMIC_RELAXED);
    if (o->n > 8000) {
        size_t head = o->n % 3 ? 0 : 700; // sometimes with the meta header apart
        put.head_n = head;
        if (!vol_spool_open(l->vs, &put.spool, &e)) return;
        if (!vol_spool_write(put.spool, o->p + head, o->n - head, &e)) {
            vol_spool_drop(put.spool);
            return;
        }
    }
    o->acknowledged = vol_append(l->vs, &put, &e);
    if (o->acknowledged) o->entry = put.entry;
}

struct sender {
    struct life *life;
    unsigned number;
};

static void *sender_run(void *arg) {
    struct sender *s = arg;
    for (unsigned i = 0; i < OBJECTS; i++) send(s->life, &s->life->objects[s->number][i]);
    return NULL;
}

// All at once, or one after the other.
static void send_all(struct life *l) {
    pthread_t t[SENDERS];
    struct sender s[SENDERS];
    if (l->seed % 4 == 0) {
        for (unsigned i = 0; i < SENDERS; i++) sender_run(&(struct sender){l, i});
        return;
    }
    for (unsigned i = 0; i < SENDERS; i++) {
        s[i] = (struct sender){l, i};
        assert_int_equal(pthread_create(&t[i], NULL, sender_run, &s[i]), 0);
    }
    for (unsigned i = 0; i < SENDERS; i++) pthread_join(t[i], NULL);
}

static void make_dirs(const char *dir) {
    char sub[128];
    assert_int_equal(mkdir(dir, 0700), 0);
    snprintf(sub, sizeof sub, "%s/volumes", dir);
    assert_int_equal(mkdir(sub, 0700), 0);
    snprintf(sub, sizeof sub, "%s/keys", dir);
    assert_int_equal(mkdir(sub, 0700), 0);
    snprintf(sub, sizeof sub, "%s/staging", dir);
    assert_int_equal(mkdir(sub, 0700), 0);
}

static struct life *life_new(unsigned seed) {
    struct life *l = calloc(1, sizeof *l);
    const char *base = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
    snprintf(l->dir, sizeof l->dir, "%s/gantry-cut-XXXXXX", base);
    assert_non_null(mkdtemp(l->dir));
    snprintf(l->after, sizeof l->after, "%.50s-after", l->dir);
    l->seed = seed;
    l->disk = disk_new(seed);
    for (unsigned i = 0; i < SENDERS; i++) {
        for (unsigned j = 0; j < OBJECTS; j++) object_fill(&l->objects[i][j], seed, i, j);
    }
    return l;
}

static void life_free(struct life *l) {
    vol_close(l->vs);
    disk_free(l->disk);
    char command[256];
    snprintf(command, sizeof command, "rm -rf %s %s", l->dir, l->after);
    assert_int_equal(system(command), 0);
    for (unsigned i = 0; i < SENDERS; i++) {
        for (unsigned j = 0; j < OBJECTS; j++) free(l->objects[i][j].p);
    }
    free(l);
}

static bool see(void *ctx, const struct vol_entry *en, bool damaged, struct err *e) {
    (void)e;
    struct life *l = ctx;
    if (damaged)
        fail_msg("seed %u: %.*s at %llu of volume %u is visible but damaged", l->seed, STR_FMT(en->sop), (unsigned long long)en->loc.offset, en->loc.volume);
    for (unsigned i = 0; i < SENDERS * OBJECTS; i++) {
        struct object *o = &l->objects[i / OBJECTS][i % OBJECTS];
        if (!str_eqz(en->sop, o->sop)) continue;
        assert_true(o->sent);
        assert_int_equal(en->loc.length, o->n);
        assert_memory_equal(en->digest, o->entry.digest, VOL_DIGEST_BYTES);
        unsigned char *back = malloc(o->n + 1);
        assert_true(vol_read_at(l->vs, en->loc, 0, back, o->n, &l->e));
        assert_memory_equal(back, o->p, o->n);
        free(back);
        o->seen++;
        return true;
    }
    fail_msg("an object that nobody sent");
    return true;
}

// Every acknowledged object is there, whole; nothing is there in part; nothing that was not sent.
static void assert_promises(struct life *l) {
    uint32_t *numbers;
    size_t n;
    for (unsigned i = 0; i < SENDERS * OBJECTS; i++) l->objects[i / OBJECTS][i % OBJECTS].seen = 0;
    assert_true(vol_list(l->vs, &numbers, &n, &l->e));
    for (size_t i = 0; i < n; i++) {
        if (!vol_scan(l->vs, numbers[i], 0, true, see, l, NULL, &l->e)) fail_msg("%s", l->e.message);
    }
    free(numbers);
    for (unsigned i = 0; i < SENDERS * OBJECTS; i++) {
        struct object *o = &l->objects[i / OBJECTS][i % OBJECTS];
        if (o->acknowledged && !o->seen) fail_msg("seed %u: %s was acknowledged and is lost", l->seed, o->sop);
    }
}

static void open_after(struct life *l, const char *dir) {
    struct vol_options o = options(l, dir, NULL);
    l->position_kept = l->position_n ? mix(l->seed, 99) % (l->position_n + 1) : 0; // the index may have lost its last commits
    if (!vol_open(&o, &l->vs, &l->e)) fail_msg("seed %u: %s", l->seed, l->e.message);
}

static void one_cut(unsigned seed) {
    struct life *l = life_new(seed);
    struct vol_options o = options(l, l->dir, disk_ops(l->disk));
    assert_true(vol_open(&o, &l->vs, &l->e));
    disk_cut(l->disk, 1 + mix(seed, 7) % 70);
    send_all(l);
    vol_close(l->vs);
    l->vs = NULL;
    make_dirs(l->after);
    assert_true(disk_image(l->disk, l->dir, l->after));
    open_after(l, l->after);
    assert_promises(l);
    // And it goes on: what was refused is sent again, over the torn end, and another start finds all of it.
    for (unsigned i = 0; i < OBJECTS; i++) {
        if (!l->objects[0][i].acknowledged) send(l, &l->objects[0][i]);
        assert_true(l->objects[0][i].acknowledged);
    }
    vol_close(l->vs);
    open_after(l, l->after);
    assert_promises(l);
    vol_close(l->vs);
    struct vol_options whole = {.dir = l->after, .encryption = encrypted(), .read_only = true}; // looks behind the end of the volume that grows, too
    assert_true(vol_open(&whole, &l->vs, &l->e));
    assert_promises(l);
    life_free(l);
}

// POWER_CUTS="FIRST_SEED COUNT" in the environment asks for others than the 500, and for no other test.
static void nothing_acknowledged_is_lost_by_500_cuts_of_the_power(void **state) {
    (void)state;
    const char *asked = getenv("POWER_CUTS");
    unsigned first = 0, count = 500;
    if (asked && sscanf(asked, "%u %u", &first, &count) != 2) fail_msg("POWER_CUTS is two numbers");
    for (unsigned i = 0; i < count; i++) one_cut(first + i);
}

// After a cut the next start meets a disk that fails at its n-th call: it starts or says why not, and a start on a sound disk still finds everything.
static bool one_failing_recovery(unsigned seed, unsigned n, unsigned kinds, int code) {
    struct life *l = life_new(seed);
    struct vol_options o = options(l, l->dir, disk_ops(l->disk));
    assert_true(vol_open(&o, &l->vs, &l->e));
    disk_cut(l->disk, 20 + mix(seed, 7) % 50);
    send_all(l);
    vol_close(l->vs);
    make_dirs(l->after);
    assert_true(disk_image(l->disk, l->dir, l->after));
    struct disk *second = disk_new(seed);
    disk_fail(second, n, kinds, code, false);
    o = options(l, l->after, disk_ops(second));
    if (!vol_open(&o, &l->vs, &l->e)) {
        assert_true(l->e.kind != ERR_NONE && l->e.message[0]);
        l->vs = NULL;
    }
    // The next volume is made ready by a thread of its own, which a busy machine may keep waiting.
    for (int ms = 0; n == 1 && l->vs && !disk_failed(second) && ms < 60000; ms += 10) nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
    bool happened = disk_failed(second);
    vol_close(l->vs);
    disk_free(second);
    open_after(l, l->after);
    assert_promises(l);
    life_free(l);
    return happened;
}

static void a_start_after_a_cut_may_fail_at_any_call_and_loses_nothing(void **state) {
    (void)state;
    static const struct {
        unsigned kinds;
        int code;
    } FAILURES[] = {{DISK_READ, EIO},
                    {DISK_WRITE, EIO},
                    {DISK_FLUSH, EIO},
                    {DISK_OPEN, EMFILE},
                    {DISK_RESERVE | DISK_RESIZE, ENOSPC},
                    {DISK_RENAME | DISK_UNLINK | DISK_FLUSH_DIR, EIO}};
    for (size_t i = 0; i < sizeof FAILURES / sizeof *FAILURES; i++) {
        unsigned met = 0;
        for (unsigned n = 1; n <= 16; n++) met += one_failing_recovery(2000 + n, n, FAILURES[i].kinds, FAILURES[i].code);
        assert_true(met > 0);
    }
}

// *happened: the failure was met before the script ended.
static void one_failure(unsigned n, unsigned kinds, int code, bool sticky, bool *happened) {
    struct life *l = life_new(n);
    struct vol_options o = options(l, l->dir, disk_ops(l->disk));
    disk_fail(l->disk, n, kinds, code, sticky);
    if (vol_open(&o, &l->vs, &l->e)) {
        send_all(l);
        *happened = disk_failed(l->disk);
        disk_fail(l->disk, 0, 0, 0, false);
        assert_promises(l);
        vol_close(l->vs);
        l->vs = NULL;
    } else {
        *happened = disk_failed(l->disk);
        assert_true(l->e.kind != ERR_NONE && l->e.message[0]);
    }
    open_after(l, l->dir);
    assert_promises(l);
    send(l, &l->objects[1][0]);
    assert_true(l->objects[1][0].acknowledged);
    life_free(l);
}

static void fail_each(unsigned kinds, int code, bool sticky) {
    bool happened = true;
    for (unsigned n = 1; happened && n < 400; n++) one_failure(n, kinds, code, sticky, &happened);
    assert_false(happened); // the script is shorter than that
}

static void the_nth_write_may_fail(void **state) {
    (void)state;
    fail_each(DISK_WRITE, EIO, false);
    fail_each(DISK_WRITE, ENOSPC, false);
}

static void the_nth_flush_may_fail(void **state) {
    (void)state;
    fail_each(DISK_FLUSH, EIO, false);
}

static void any_other_nth_call_may_fail(void **state) {
    (void)state;
    fail_each(DISK_OPEN, EMFILE, false);
    fail_each(DISK_RESERVE | DISK_RESIZE, ENOSPC, false);
    fail_each(DISK_RENAME | DISK_UNLINK | DISK_FLUSH_DIR, EIO, false);
}

static void a_disk_that_stays_broken_breaks_no_promise(void **state) {
    (void)state;
    for (unsigned n = 1; n < 60; n += 4) {
        bool happened;
        one_failure(n, DISK_CHANGES, EIO, true, &happened);
        one_failure(n, DISK_CHANGES, ENOSPC, true, &happened);
    }
}

// The linker gives us every allocation of the store (--wrap): the n-th one fails.

void *__real_malloc(size_t n);
void *__real_calloc(size_t k, size_t n);
void *__real_realloc(void *p, size_t n);
void *__real_aligned_alloc(size_t align, size_t n);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t k, size_t n);
void *__wrap_realloc(void *p, size_t n);
void *__wrap_aligned_alloc(size_t align, size_t n);

static int allocations_left; // 0: all succeed

static bool refuse_allocation(void) {
    if (__atomic_load_n(&allocations_left, __ATOMIC_RELAXED) <= 0) return false;
    return __atomic_sub_fetch(&allocations_left, 1, __ATOMIC_RELAXED) == 0;
}

void *__wrap_malloc(size_t n) {
    return refuse_allocation() ? NULL : __real_malloc(n);
}

void *__wrap_calloc(size_t k, size_t n) {
    return refuse_allocation() ? NULL : __real_calloc(k, n);
}

void *__wrap_realloc(void *p, size_t n) {
    return refuse_allocation() ? NULL : __real_realloc(p, n);
}

void *__wrap_aligned_alloc(size_t align, size_t n) {
    return refuse_allocation() ? NULL : __real_aligned_alloc(align, n);
}

static bool count_entry(void *ctx, const struct vol_entry *en, bool damaged, struct err *e) {
    (void)en, (void)damaged, (void)e;
    ++*(unsigned *)ctx;
    return true;
}

static void life_in_little_memory(struct life *l, int n) {
    struct vol_options o = options(l, l->dir, NULL);
    unsigned seen = 0;
    uint32_t *numbers;
    size_t count = 0;
    __atomic_store_n(&allocations_left, n, __ATOMIC_RELAXED);
    if (!vol_open(&o, &l->vs, &l->e)) {
        assert_int_equal(l->e.kind, ERR_NOMEM);
        return;
    }
    for (unsigned i = 0; i < OBJECTS; i++) send(l, &l->objects[0][i]);
    if (!vol_list(l->vs, &numbers, &count, &l->e)) assert_int_equal(l->e.kind, ERR_NOMEM);
    for (size_t i = 0; i < count; i++) {
        if (!vol_scan(l->vs, numbers[i], 0, true, count_entry, &seen, NULL, &l->e)) assert_int_equal(l->e.kind, ERR_NOMEM);
    }
    free(numbers);
    vol_close(l->vs);
    l->vs = NULL;
}

static void the_nth_allocation_may_fail(void **state) {
    (void)state;
    bool happened = true;
    for (int n = 1; happened && n < 400; n++) {
        struct life *l = life_new((unsigned)n);
        life_in_little_memory(l, n);
        happened = __atomic_exchange_n(&allocations_left, 0, __ATOMIC_RELAXED) <= 0;
        open_after(l, l->dir);
        assert_promises(l);
        life_free(l);
    }
    assert_false(happened);
}

static void the_nth_read_may_fail_and_nothing_is_taken_for_damaged(void **state) {
    (void)state;
    bool happened = true;
    for (unsigned n = 1; happened && n < 400; n++) {
        struct life *l = life_new(n);
        struct vol_options o = options(l, l->dir, disk_ops(l->disk));
        unsigned seen = 0;
        assert_true(vol_open(&o, &l->vs, &l->e));
        for (unsigned i = 0; i < OBJECTS; i++) send(l, &l->objects[0][i]);
        vol_close(l->vs);
        disk_fail(l->disk, n, DISK_READ, EIO, false);
        if (vol_open(&o, &l->vs, &l->e)) {
            if (!vol_scan(l->vs, 1, 0, true, count_entry, &seen, NULL, &l->e)) assert_int_equal(l->e.kind, ERR_IO);
            if (l->objects[0][1].acknowledged && !vol_verify(l->vs, &l->objects[0][1].entry, &l->e)) assert_int_equal(l->e.kind, ERR_IO);
        }
        happened = disk_failed(l->disk);
        disk_fail(l->disk, 0, 0, 0, false);
        vol_close(l->vs);
        open_after(l, l->dir);
        assert_promises(l);
        life_free(l);
    }
    assert_false(happened);
}

static void short_writes_are_finished(void **state) {
    (void)state;
    struct life *l = life_new(4711);
    struct vol_options o = options(l, l->dir, disk_ops(l->disk));
    disk_short_writes(l->disk, true);
    assert_true(vol_open(&o, &l->vs, &l->e));
    send_all(l);
    for (unsigned i = 0; i < SENDERS * OBJECTS; i++) assert_true(l->objects[i / OBJECTS][i % OBJECTS].acknowledged);
    assert_promises(l);
    assert_int_equal(l->alarms, 0);
    life_free(l);
}

static void a_failed_flush_seals_the_volume_rings_and_the_next_put_goes_to_another(void **state) {
    (void)state;
    struct life *l = life_new(5);
    struct vol_options o = options(l, l->dir, disk_ops(l->disk));
    struct vol_stats st;
    struct object *a = &l->objects[0][1], *b = &l->objects[0][2], *c = &l->objects[0][3];
    a->n = b->n = c->n = 0;
    for (unsigned i = 1; i <= 3; i++) assert_true(digest_of("", 0, l->objects[0][i].entry.digest, NULL));
    assert_true(vol_open(&o, &l->vs, &l->e));
    send(l, a);
    for (unsigned before = 0; before != disk_changes(l->disk); usleep(400000)) before = disk_changes(l->disk); // the background has nothing left to flush
    disk_fail(l->disk, 1, DISK_FLUSH, EIO, false);
    send(l, b);
    send(l, c);
    assert_true(a->acknowledged && !b->acknowledged && c->acknowledged);
    assert_int_not_equal(a->entry.loc.volume, c->entry.loc.volume);
    vol_stats_get(l->vs, &st);
    assert_int_equal(st.sealed, 1);
    assert_false(st.read_only);
    assert_int_equal(l->alarms, 1);
    assert_promises(l);
    life_free(l);
}

static void a_disk_that_fails_again_and_again_ends_in_read_only_and_still_reads(void **state) {
    (void)state;
    struct life *l = life_new(6);
    struct vol_options o = options(l, l->dir, disk_ops(l->disk));
    struct vol_stats st;
    assert_true(vol_open(&o, &l->vs, &l->e));
    send(l, &l->objects[0][0]);
    assert_true(l->objects[0][0].acknowledged);
    disk_fail(l->disk, 1, DISK_FLUSH, EIO, true);
    for (unsigned i = 1; i < OBJECTS; i++) {
        send(l, &l->objects[0][i]);
        assert_false(l->objects[0][i].acknowledged);
    }
    vol_stats_get(l->vs, &st);
    assert_true(st.read_only && l->alarms > 0);
    assert_promises(l);
    life_free(l);
}

static void want_of_descriptors_is_passing_and_no_failure_of_the_disk(void **state) {
    (void)state;
    struct life *l = life_new(8);
    struct vol_options o = options(l, l->dir, disk_ops(l->disk));
    struct vol_stats st;
    disk_fail(l->disk, 1, DISK_OPEN, EMFILE, true);
    assert_true(vol_open(&o, &l->vs, &l->e));
    for (unsigned i = 0; i < 5; i++) {
        send(l, &l->objects[0][i]);
        assert_false(l->objects[0][i].acknowledged);
    }
    disk_fail(l->disk, 0, 0, 0, false);
    vol_stats_get(l->vs, &st);
    assert_false(st.read_only);
    send(l, &l->objects[0][5]);
    assert_true(l->objects[0][5].acknowledged);
    assert_int_equal(l->alarms, 0);
    assert_promises(l);
    life_free(l);
}

static void a_full_disk_refuses_reads_on_and_recovers_by_itself(void **state) {
    (void)state;
    struct life *l = life_new(7);
    struct vol_options o = options(l, l->dir, disk_ops(l->disk));
    struct vol_stats st;
    disk_set_room(l->disk, (4 << 20) + (200 << 10)); // 4 MiB of it are the index's
    assert_true(vol_open(&o, &l->vs, &l->e));
    struct object big[40];
    unsigned stored = 0;
    for (unsigned i = 0; i < 40; i++) {
        big[i] = (struct object){.n = 12000, .p = calloc(1, 12000)};
        snprintf(big[i].sop, sizeof big[i].sop, "1.9.%u", i);
        big[i].entry = (struct vol_entry){.kind = VOL_OBJECT, .study = STR_LIT("1.9"), .series = STR_LIT("1.9.9"), .sop = str_of(big[i].sop)};
        assert_true(digest_of(big[i].p, big[i].n, big[i].entry.digest, NULL));
        struct vol_put put = {.entry = big[i].entry, .head = big[i].p, .head_n = big[i].n};
        bool ok = vol_append(l->vs, &put, &l->e);
        stored += ok;
        if (!ok) assert_int_equal(l->e.kind, ERR_FULL);
        big[i].entry = put.entry;
        big[i].acknowledged = ok;
    }
    assert_in_range(stored, 5, 30);
    vol_stats_get(l->vs, &st);
    assert_true(st.full && !st.read_only);
    assert_int_equal(st.sealed, 0);
    for (unsigned i = 0; i < 40; i++) {
        if (big[i].acknowledged) assert_true(vol_verify(l->vs, &big[i].entry, &l->e));
    }
    disk_set_room(l->disk, 64 << 20);
    struct vol_put again = {.entry = big[39].entry, .head = big[39].p, .head_n = big[39].n};
    assert_true(vol_append(l->vs, &again, &l->e));
    vol_stats_get(l->vs, &st);
    assert_false(st.full);
    for (unsigned i = 0; i < 40; i++) free(big[i].p);
    life_free(l);
}

static void whole_objects_behind_a_torn_end_are_kept_aside_before_it_is_cleared(void **state) {
    (void)state;
    if (encrypted()) skip(); // looks into the headers
    struct life *l = life_new(8);
    char command[256], volume[128];
    uint64_t first_end = 0;
    open_after(l, l->dir);
    for (unsigned i = 1; i < 4; i++) {
        send(l, &l->objects[0][i]);
        if (i == 1) first_end = l->objects[0][i].entry.end;
    }
    assert_int_equal(l->objects[0][3].entry.loc.volume, 1);
    vol_close(l->vs);
    // The last of them gets a flush mark as if it had been of the same flush as the second: `durable` of store/tar.h.
    snprintf(volume, sizeof volume, "%s/volumes/v00000001.tar", l->dir);
    FILE *f = fopen(volume, "r+b");
    assert_non_null(f);
    char head[8192];
    struct vol_entry *en = &l->objects[0][3].entry;
    uint64_t at = l->objects[0][2].entry.end;
    assert_true(tar_encode(en, at, first_end, (size_t)(en->loc.offset - at), head, &l->e));
    assert_int_equal(fseek(f, (long)at, SEEK_SET), 0);
    assert_int_equal(fwrite(head, (size_t)(en->loc.offset - at), 1, f), 1);
    assert_int_equal(fseek(f, (long)first_end + 600, SEEK_SET), 0);
    assert_int_equal(fwrite("torn", 4, 1, f), 1);
    assert_int_equal(fclose(f), 0);
    l->position_n = 0; // the index has seen nothing
    l->objects[0][2].acknowledged = l->objects[0][3].acknowledged = false;
    open_after(l, l->dir);
    assert_int_equal(l->alarms, 1);
    assert_promises(l);
    snprintf(command, sizeof command, "grep -q '%s' %s/lost/v00000001-%llu.bin", l->objects[0][3].sop, l->dir, (unsigned long long)first_end);
    assert_int_equal(system(command), 0);
    life_free(l);
}

int main(void) {
    log_set_level(LOG_ERROR + 1); // the failures are asked for
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_acknowledged_is_lost_by_500_cuts_of_the_power),
        cmocka_unit_test(a_start_after_a_cut_may_fail_at_any_call_and_loses_nothing),
        cmocka_unit_test(the_nth_write_may_fail),
        cmocka_unit_test(the_nth_flush_may_fail),
        cmocka_unit_test(any_other_nth_call_may_fail),
        cmocka_unit_test(a_disk_that_stays_broken_breaks_no_promise),
        cmocka_unit_test(the_nth_allocation_may_fail),
        cmocka_unit_test(the_nth_read_may_fail_and_nothing_is_taken_for_damaged),
        cmocka_unit_test(short_writes_are_finished),
        cmocka_unit_test(a_failed_flush_seals_the_volume_rings_and_the_next_put_goes_to_another),
        cmocka_unit_test(a_disk_that_fails_again_and_again_ends_in_read_only_and_still_reads),
        cmocka_unit_test(whole_objects_behind_a_torn_end_are_kept_aside_before_it_is_cleared),
        cmocka_unit_test(want_of_descriptors_is_passing_and_no_failure_of_the_disk),
        cmocka_unit_test(a_full_disk_refuses_reads_on_and_recovers_by_itself),
    };
    if (getenv("POWER_CUTS")) cmocka_set_test_filter("nothing_acknowledged*");
    return cmocka_run_group_tests(tests, NULL, NULL);
}
