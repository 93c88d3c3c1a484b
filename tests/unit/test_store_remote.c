// Promises of a set whose volumes are in a bucket and in the index: what is acknowledged survives, what is wrong is never read, and silence ends.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
// cmocka needs the four above first
#include <cmocka.h>
#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/limits.h"
#include "base/log.h"
#include "fake_bucket.h"
#include "sys/digest.h"
#include "sys/file.h"

struct fixture {
    char dir[64], other[80];
    struct fake_bucket bucket;
    struct fake_index index;
    struct vol_remote remote;
    struct vol_set *vs;
    struct err e;
};

static int setup(void **state) {
    struct fixture *f = calloc(1, sizeof *f);
    snprintf(f->dir, sizeof f->dir, "/tmp/gantry-remote-XXXXXX");
    if (!mkdtemp(f->dir)) return -1;
    snprintf(f->other, sizeof f->other, "%s-other", f->dir);
    fake_bucket_init(&f->bucket);
    fake_index_init(&f->index);
    f->remote = (struct vol_remote){.prefix = "t/", .small_bytes = 64 << 10, .bucket = &f->bucket.ops};
    *state = f;
    return 0;
}

static int teardown(void **state) {
    struct fixture *f = *state;
    char command[256];
    vol_close(f->vs);
    snprintf(command, sizeof command, "rm -rf %s %s", f->dir, f->other);
    int code = system(command);
    fake_bucket_deinit(&f->bucket);
    fake_index_deinit(&f->index);
    free(f);
    return code;
}

static struct vol_set *open_at(struct fixture *f, const char *dir) {
    struct vol_set *vs = NULL;
    f->bucket.cancelled = false;
    struct vol_options o = {.dir = dir, .remote = &f->remote, .index = fake_index_of(&f->index)};
    if (!vol_open(&o, &vs, &f->e)) fail_msg("%s", f->e.message);
    return vs;
}

static void open_set(struct fixture *f) {
    f->vs = open_at(f, f->dir);
}

// Without what it knew of volumes, as on another node.
static void reopen_empty(struct fixture *f) {
    char command[128];
    vol_close(f->vs);
    snprintf(command, sizeof command, "rm -rf %s/cache", f->dir);
    assert_int_equal(system(command), 0);
    open_set(f);
}

struct object {
    char sop[65];
    char *p;
    size_t n;
    struct vol_put put;
};

static struct object *object_new(unsigned number, size_t n) {
    struct object *o = calloc(1, sizeof *o);
    unsigned seed = number;
    snprintf(o->sop, sizeof o->sop, "1.2.3.4.%u", number);
    o->p = malloc(n ? n : 1);
    o->n = n;
    for (size_t i = 0; i < n; i++) o->p[i] = (char)((seed = seed * 1103515245u + 12345u) >> 16);
    o->put = (struct vol_put){.entry = {.kind = VOL_OBJECT, .study = STR_LIT("1.2.3"), .series = STR_LIT("1.2.3.4"), .received_ms = 1700000000000 + number},
                              .head = o->p,
                              .head_n = n};
    o->put.entry.sop = str_of(o->sop);
    o->put.entry.ts = STR_LIT("1.2.840.10008.1.2.1");
    o->put.entry.source = STR_LIT("CT1@10.0.0.5");
    assert_true(digest_of(o->p, n, o->put.entry.digest, NULL));
    return o;
}

static void object_free(struct object *o) {
    free(o->p);
    free(o);
}

struct seen {
    unsigned n, damaged, quarantined;
    char source[64];
};

static bool see(void *ctx, const struct vol_entry *entry, bool damaged, struct err *e) {
    struct seen *s = ctx;
    (void)e;
    s->n++;
    s->damaged += damaged;
    s->quarantined += entry->kind == VOL_QUARANTINE && str_eqz(entry->note, "不能理解");
    snprintf(s->source, sizeof s->source, "%.*s", STR_FMT(entry->source));
    return true;
}

static void put(struct fixture *f, struct object *o) {
    if (!vol_append(f->vs, &o->put, &f->e)) fail_msg("%s", f->e.message);
}

static bool reads(struct vol_set *vs, const struct object *o) {
    struct err e = {0};
    char *back = malloc(o->n + 1);
    bool ok = vol_read_at(vs, o->put.entry.loc, 0, back, o->n, &e) && memcmp(back, o->p, o->n) == 0;
    free(back);
    return ok;
}

static void assert_stored(struct fixture *f, const struct object *o) {
    assert_true(reads(f->vs, o));
    if (!vol_verify(f->vs, &o->put.entry, &f->e)) fail_msg("%s", f->e.message);
}

static void groups_go_to_the_index_or_the_bucket_by_their_size_and_are_read_by_any_node(void **state) {
    struct fixture *f = *state;
    const size_t sizes[] = {0, 1, 513, 40000, 300000, 1 << 20, 3 << 20, 9 << 20};
    enum { N = sizeof sizes / sizeof *sizes };
    struct object *o[N];
    open_set(f);
    for (unsigned i = 0; i < N; i++) put(f, o[i] = object_new(i + 1, sizes[i]));
    assert_int_equal(f->bucket.puts, 4);
    for (unsigned i = 0; i < N; i++) assert_stored(f, o[i]);
    struct vol_set *second = open_at(f, f->other);
    for (unsigned i = 0; i < N; i++) assert_true(reads(second, o[i]));
    vol_close(second);
    reopen_empty(f);
    for (unsigned i = 0; i < N; i++) assert_stored(f, o[i]);
    for (unsigned i = 0; i < N; i++) object_free(o[i]);
}

static void a_node_that_wrote_reads_without_asking_the_bucket(void **state) {
    struct fixture *f = *state;
    struct object *o = object_new(1, 3 << 20);
    open_set(f);
    put(f, o);
    assert_true(reads(f->vs, o));
    assert_int_equal(f->bucket.gets, 0);
    object_free(o);
}

// ---- many senders ----

enum { CROWD = 12, EACH = 6 };

struct sender {
    struct vol_set *vs;
    unsigned first;
    size_t size;
    unsigned each; // 0: EACH
    struct object *o[EACH];
    unsigned failed, wrong_kind;
    int64_t longest_ms;
    _Atomic bool begun;
};

static void *sender_run(void *arg) {
    struct sender *s = arg;
    for (unsigned i = 0; i < (s->each ? s->each : EACH); i++) {
        struct err e = {0};
        int64_t began = clock_mono_ms();
        if (!s->o[i]) s->o[i] = object_new(s->first + i, s->size);
        s->begun = true;
        bool ok = vol_append(s->vs, &s->o[i]->put, &e);
        if (clock_mono_ms() - began > s->longest_ms) s->longest_ms = clock_mono_ms() - began;
        s->failed += !ok;
        s->wrong_kind += !ok && !err_class_of(e.kind)->retry;
    }
    return NULL;
}

static void run_senders(struct sender *list, unsigned n) {
    pthread_t threads[2 * CROWD];
    for (unsigned i = 0; i < n; i++) assert_int_equal(pthread_create(&threads[i], NULL, sender_run, &list[i]), 0);
    for (unsigned i = 0; i < n; i++) pthread_join(threads[i], NULL);
}

static void senders_free(struct sender *list, unsigned n) {
    for (unsigned i = 0; i < n; i++)
        for (unsigned k = 0; k < EACH; k++) object_free(list[i].o[k]);
}

static void many_senders_share_puts_and_judgements_never_overlap(void **state) {
    struct fixture *f = *state;
    struct sender s[CROWD] = {0};
    f->bucket.put_ms = 150; // that others come meanwhile, on one busy processor too
    open_set(f);
    for (unsigned i = 0; i < CROWD; i++) {
        s[i] = (struct sender){.vs = f->vs};
        for (unsigned k = 0; k < EACH; k++) s[i].o[k] = object_new(100 * i + k, 200000);
    }
    run_senders(s, CROWD);
    for (unsigned i = 0; i < CROWD; i++) {
        assert_int_equal(s[i].failed, 0);
        for (unsigned k = 0; k < EACH; k++) assert_stored(f, s[i].o[k]);
    }
    assert_true(f->bucket.puts * 2 < CROWD * EACH);
    assert_true(f->bucket.most_putting <= 4);
    assert_int_equal(f->index.overlaps, 0);
    senders_free(s, CROWD);
}

static void two_nodes_that_get_the_same_objects_at_once_keep_each_once(void **state) {
    struct fixture *f = *state;
    struct sender s[8] = {0};
    f->bucket.put_ms = 10;
    open_set(f);
    struct vol_set *second = open_at(f, f->other);
    for (unsigned i = 0; i < 8; i++) s[i] = (struct sender){.vs = i % 2 ? second : f->vs, .first = 100 * (i / 2), .size = i < 4 ? 5000 : 100000};
    run_senders(s, 8);
    for (unsigned i = 0; i < 8; i++) assert_int_equal(s[i].failed, 0);
    assert_int_equal(f->index.row_count, 4 * EACH);
    for (unsigned i = 0; i < 8; i++) {
        for (unsigned k = 0; k < EACH; k++) {
            struct fake_row row;
            assert_true(fake_index_find(&f->index, s[i].o[k]->sop, &row));
            s[i].o[k]->put.entry.loc = row.loc;
            assert_true(reads(i % 2 ? f->vs : second, s[i].o[k]));
        }
    }
    vol_close(second);
    senders_free(s, 8);
}

// ---- a bucket that fails ----

static unsigned threads_now(void) {
    unsigned n = 0;
    DIR *d = opendir("/proc/self/task");
    for (struct dirent *entry; (entry = readdir(d));) n += entry->d_name[0] != '.';
    closedir(d);
    return n;
}

static void silence_fails_senders_soon_small_groups_go_on_and_all_recovers_by_itself(void **state) {
    struct fixture *f = *state;
    struct sender s[CROWD] = {0};
    unsigned threads = threads_now();
    f->bucket.silent_ms = 300;
    open_set(f);
    f->bucket.silent = true;
    for (unsigned i = 0; i < CROWD; i++) s[i] = (struct sender){.vs = f->vs, .first = 100 * i, .size = i < 4 ? 2000 : 300000};
    run_senders(s, CROWD);
    for (unsigned i = 0; i < CROWD; i++) {
        assert_int_equal(s[i].wrong_kind, 0);
        assert_true(s[i].longest_ms < 25000); // of a C-STORE's half minute
        if (i >= 4) assert_int_equal(s[i].failed, EACH);
    }
    assert_true(f->bucket.puts < 2 * CROWD); // the others were told without being tried
    struct object *lone = object_new(5000, 3000);
    put(f, lone);
    struct vol_stats st;
    vol_stats_get(f->vs, &st);
    assert_true(st.bucket_away);
    f->bucket.silent = false;
    for (int i = 0; i < 600 && st.bucket_away; i++) {
        usleep(100000);
        vol_stats_get(f->vs, &st);
    }
    assert_false(st.bucket_away);
    run_senders(s, CROWD);
    for (unsigned i = 0; i < CROWD; i++) {
        struct fake_row row;
        assert_true(fake_index_find(&f->index, s[i].o[0]->sop, &row));
    }
    assert_stored(f, lone);
    object_free(lone);
    senders_free(s, CROWD);
    f->bucket.silent = true;
    vol_close(f->vs);
    f->vs = NULL;
    for (int i = 0; i < 6000 && threads_now() > threads; i++) usleep(10000); // who was waited for is listed a moment longer, also before
    assert_true(threads_now() <= threads);
}

static void *close_run(void *arg) {
    vol_close(arg);
    return NULL;
}

static void closing_does_not_wait_for_a_bucket_that_hangs(void **state) {
    struct fixture *f = *state;
    struct sender s[2] = {0};
    pthread_t threads[3];
    f->bucket.silent_ms = 60000;
    open_set(f);
    f->bucket.silent = true;
    for (unsigned i = 0; i < 2; i++) s[i] = (struct sender){.vs = f->vs, .first = 100 * i, .size = 300000, .each = 1};
    for (unsigned i = 0; i < 2; i++) assert_int_equal(pthread_create(&threads[i], NULL, sender_run, &s[i]), 0);
    while (!s[0].begun || !s[1].begun || f->bucket.puts + f->bucket.lists == 0) usleep(1000);
    sleep(1); // both are at it
    int64_t began = clock_mono_ms();
    assert_int_equal(pthread_create(&threads[2], NULL, close_run, f->vs), 0);
    for (int i = 0; i < 3; i++) pthread_join(threads[i], NULL);
    assert_true(clock_mono_ms() - began < 45000);
    f->vs = NULL;
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(s[i].failed, 1);
        assert_int_equal(s[i].wrong_kind, 0);
        object_free(s[i].o[0]);
    }
}

static void every_refusal_of_a_put_is_one_that_may_pass(void **state) {
    struct fixture *f = *state;
    static const enum err_kind KINDS[] = {ERR_PEER, ERR_FORBIDDEN, ERR_FULL, ERR_CORRUPT, ERR_USAGE};
    struct object *o = object_new(1, 500000);
    for (unsigned i = 0; i < sizeof KINDS / sizeof *KINDS; i++) {
        open_set(f);
        f->bucket.refusal = (int)KINDS[i];
        f->bucket.refuse_puts = 1;
        assert_false(vol_append(f->vs, &o->put, &f->e));
        assert_true(err_class_of(f->e.kind)->retry);
        vol_close(f->vs);
    }
    open_set(f);
    put(f, o);
    assert_stored(f, o);
    object_free(o);
}

static void a_put_whose_answer_is_lost_leaves_an_orphan_that_is_listed_and_can_be_scanned(void **state) {
    struct fixture *f = *state;
    struct object *o = object_new(1, 500000);
    uint32_t *numbers;
    size_t n;
    open_set(f);
    f->bucket.lose_answers = 1;
    assert_false(vol_append(f->vs, &o->put, &f->e));
    assert_int_equal(f->e.kind, ERR_BUSY);
    usleep(1500000); // the bucket is left alone for a while
    put(f, o);
    assert_stored(f, o);
    assert_true(vol_list(f->vs, &numbers, &n, &f->e));
    assert_int_equal(n, 2);
    struct seen s = {0};
    for (size_t i = 0; i < n; i++) assert_true(vol_scan(f->vs, numbers[i], 0, true, see, &s, NULL, &f->e));
    assert_int_equal(s.n, 2);
    assert_int_equal(s.damaged, 0);
    assert_true(vol_remove(f->vs, numbers[0], &f->e));
    assert_stored(f, o);
    free(numbers);
    object_free(o);
}

// As after a restore of the database to an earlier time, under a service that puts over what is there.
static void an_index_that_was_set_back_puts_over_nothing(void **state) {
    struct fixture *f = *state;
    enum { N = 70 };
    struct object *o[N];
    f->bucket.ignores_create = true;
    f->remote.small_bytes = 0;
    open_set(f);
    for (unsigned i = 0; i < N; i++) {
        if (i == 3 || i == 68) f->index.counter = 0;        // at work, its numbers run out at 64; and again, below what it had
        if (i == 66) f->index.counter = 0, reopen_empty(f); // while it does not run
        put(f, o[i] = object_new(i + 1, 3000));
    }
    assert_true(f->bucket.lists <= 6);
    reopen_empty(f);
    for (unsigned i = 0; i < N; i++) {
        assert_stored(f, o[i]);
        object_free(o[i]);
    }
    assert_int_equal(f->bucket.n, N);
}

static void a_commit_that_fails_fails_its_senders_and_the_next_goes_on(void **state) {
    struct fixture *f = *state;
    struct object *small = object_new(1, 500), *large = object_new(2, 500000);
    open_set(f);
    f->index.refuse_commits = 2;
    assert_false(vol_append(f->vs, &small->put, &f->e));
    assert_false(vol_append(f->vs, &large->put, &f->e));
    assert_true(err_class_of(f->e.kind)->retry);
    put(f, small);
    put(f, large);
    assert_stored(f, small);
    assert_stored(f, large);
    object_free(small);
    object_free(large);
}

static void a_number_that_is_taken_in_the_bucket_is_passed_over(void **state) {
    struct fixture *f = *state;
    struct object *a = object_new(1, 500000), *b = object_new(2, 500000);
    open_set(f);
    put(f, a);
    f->index.counter = 0; // the index was set back to an older state
    vol_close(f->vs);
    open_set(f);
    put(f, b);
    assert_int_not_equal(b->put.entry.loc.volume, a->put.entry.loc.volume);
    assert_stored(f, b);
    assert_stored(f, a);
    object_free(a);
    object_free(b);
}

static void what_the_index_keeps_is_bounded(void **state) {
    struct fixture *f = *state;
    struct object *o[20];
    f->remote.index_bytes_max = 300000;
    open_set(f);
    for (unsigned i = 0; i < 20; i++) put(f, o[i] = object_new(i, 50000));
    assert_true(fake_index_kept(&f->index) <= 300000);
    assert_true(fake_index_kept(&f->index) > 200000);
    assert_true(f->bucket.puts >= 14);
    for (unsigned i = 0; i < 20; i++) {
        assert_stored(f, o[i]);
        object_free(o[i]);
    }
}

static void a_large_object_goes_from_its_staging_file_and_others_do_not_wait_for_it(void **state) {
    struct fixture *f = *state;
    struct object *large = object_new(1, 20 << 20), *small = object_new(2, 1000);
    struct sender s = {.first = 1, .size = 0};
    pthread_t thread;
    f->bucket.hold_puts = true;
    open_set(f);
    s.vs = f->vs;
    for (unsigned i = 0; i < EACH; i++) s.o[i] = i ? object_new(1, 20 << 20) : large; // the same again and again: known
    assert_int_equal(pthread_create(&thread, NULL, sender_run, &s), 0);
    while (f->bucket.putting == 0) usleep(1000);
    put(f, small);
    assert_int_equal(f->bucket.putting, 1); // still
    f->bucket.hold_puts = false;
    pthread_join(thread, NULL);
    assert_int_equal(s.failed, 0);
    assert_int_equal(f->bucket.puts, 1);
    assert_stored(f, large);
    assert_stored(f, small);
    reopen_empty(f);
    assert_true(reads(f->vs, large));
    object_free(small);
    for (unsigned i = 0; i < EACH; i++) object_free(s.o[i]);
}

// ---- reading ----

struct reader {
    struct vol_set *vs;
    const struct object *o;
    bool same;
};

static void *reader_run(void *arg) {
    struct reader *r = arg;
    r->same = reads(r->vs, r->o);
    return NULL;
}

static void many_readers_of_one_object_fetch_it_once(void **state) {
    struct fixture *f = *state;
    struct object *o = object_new(1, 3 << 20);
    struct reader r[16];
    pthread_t threads[16];
    open_set(f);
    put(f, o);
    reopen_empty(f);
    f->bucket.get_ms = 30;
    for (int i = 0; i < 16; i++) {
        r[i] = (struct reader){f->vs, o, false};
        assert_int_equal(pthread_create(&threads[i], NULL, reader_run, &r[i]), 0);
    }
    for (int i = 0; i < 16; i++) {
        pthread_join(threads[i], NULL);
        assert_true(r[i].same);
    }
    assert_int_equal(f->bucket.gets, 1);
    object_free(o);
}

static void reading_in_order_takes_few_requests_and_reading_a_piece_few_bytes(void **state) {
    struct fixture *f = *state;
    enum { N = 60 << 20, STEP = 64 << 10 };
    struct object *o = object_new(1, N);
    char *back = malloc(STEP);
    open_set(f);
    put(f, o);
    reopen_empty(f);
    assert_true(vol_read_at(f->vs, o->put.entry.loc, 40 << 20, back, 1000, &f->e));
    assert_memory_equal(back, o->p + (40 << 20), 1000);
    assert_int_equal(f->bucket.gets, 1);
    assert_true(f->bucket.bytes_got <= 2 << 20);
    for (uint64_t at = 0; at < N; at += STEP) {
        assert_true(vol_read_at(f->vs, o->put.entry.loc, at, back, STEP, &f->e));
        assert_memory_equal(back, o->p + at, STEP);
    }
    assert_true(f->bucket.gets < 16);
    assert_true(f->bucket.bytes_got < (N + (2 << 20)));
    free(back);
    object_free(o);
}

static uint64_t files_of_cache(struct fixture *f, char path[512]) {
    char dir[128];
    uint64_t n = 0;
    snprintf(dir, sizeof dir, "%s/cache", f->dir);
    DIR *d = opendir(dir);
    for (struct dirent *entry; (entry = readdir(d));) {
        if (entry->d_name[0] != 'v') continue;
        n++;
        if (path) snprintf(path, 512, "%s/%s", dir, entry->d_name);
    }
    closedir(d);
    return n;
}

static void the_cache_keeps_its_limit_and_a_held_descriptor_stays_good(void **state) {
    struct fixture *f = *state;
    enum { N = 24 };
    struct object *o[N];
    struct vol_stats st;
    int fd;
    char *back = malloc(1 << 20);
    f->remote.cache_bytes = 6 << 20;
    open_set(f);
    put(f, o[0] = object_new(1, 1 << 20));
    assert_true(vol_fd(f->vs, o[0]->put.entry.loc, &fd, &f->e));
    int own = dup(fd);
    for (unsigned i = 1; i < N; i++) put(f, o[i] = object_new(i + 1, 1 << 20));
    for (int round = 0; round < 2; round++)
        for (unsigned i = 1; i < N; i++) assert_true(reads(f->vs, o[i]));
    vol_stats_get(f->vs, &st);
    assert_true(st.cache_bytes <= 6 << 20);
    assert_true(st.cache_bytes > 3 << 20);
    assert_true(files_of_cache(f, NULL) <= 6);
    assert_int_equal(pread(own, back, 1 << 20, (off_t)o[0]->put.entry.loc.offset), 1 << 20);
    assert_memory_equal(back, o[0]->p, 1 << 20);
    vol_fd_release(f->vs, o[0]->put.entry.loc.volume, fd);
    assert_true(reads(f->vs, o[0]));
    assert_int_equal(pread(own, back, 1 << 20, (off_t)o[0]->put.entry.loc.offset), 1 << 20);
    assert_memory_equal(back, o[0]->p, 1 << 20);
    close(own);
    free(back);
    for (unsigned i = 0; i < N; i++) object_free(o[i]);
}

static void a_flipped_bit_of_the_cache_is_healed_from_the_bucket(void **state) {
    struct fixture *f = *state;
    struct object *o = object_new(1, 2 << 20);
    struct vol_state before, after;
    char path[512];
    open_set(f);
    put(f, o);
    assert_int_equal(files_of_cache(f, path), 1);
    assert_true(vol_state_get(f->vs, o->put.entry.loc.volume, &before, &f->e));
    FILE *file = fopen(path, "r+");
    fseek(file, (long)o->put.entry.loc.offset + 77, SEEK_SET);
    fputc(o->p[77] ^ 1, file);
    fclose(file);
    assert_false(reads(f->vs, o));
    assert_true(vol_verify(f->vs, &o->put.entry, &f->e)); // the bucket's are right
    assert_true(vol_refetch(f->vs, o->put.entry.loc));
    assert_true(reads(f->vs, o));
    assert_true(vol_state_get(f->vs, o->put.entry.loc.volume, &after, &f->e));
    assert_true(before.stamp != after.stamp && before.file != after.file);
    unsigned gets = f->bucket.gets;
    assert_true(vol_refetch(f->vs, o->put.entry.loc));
    assert_true(reads(f->vs, o));
    assert_int_equal(f->bucket.gets, gets); // it is not given up again and again
    object_free(o);
}

static void a_flipped_bit_of_the_bucket_is_found_by_verifying(void **state) {
    struct fixture *f = *state;
    struct object *o = object_new(1, 2 << 20);
    struct seen s = {0};
    open_set(f);
    put(f, o);
    fake_bucket_find(&f->bucket, o->put.entry.loc.volume)->p[o->put.entry.loc.offset + 99] ^= 1;
    assert_true(reads(f->vs, o)); // this node's copy is what was stored
    assert_false(vol_verify(f->vs, &o->put.entry, &f->e));
    assert_int_equal(f->e.kind, ERR_CORRUPT);
    assert_true(vol_scan(f->vs, o->put.entry.loc.volume, 0, true, see, &s, NULL, &f->e));
    assert_int_equal(s.n, 1);
    assert_int_equal(s.damaged, 1);
    object_free(o);
}

static ssize_t no_room(void *ctx, int fd, const struct iovec *iov, int n, off_t at) {
    (void)ctx, (void)fd, (void)iov, (void)n, (void)at;
    errno = ENOSPC;
    return -1;
}

static void a_restart_keeps_what_the_cache_had_and_only_that(void **state) {
    struct fixture *f = *state;
    struct object *a = object_new(1, 10 << 20), *b = object_new(2, 40000);
    char *back = malloc(10 << 20);
    open_set(f);
    put(f, a);
    put(f, b);
    reopen_empty(f);
    assert_true(vol_read_at(f->vs, a->put.entry.loc, 5 << 20, back, 2 << 20, &f->e));
    assert_true(reads(f->vs, b));
    unsigned gets = f->bucket.gets, fetches = f->index.fetches;
    vol_close(f->vs);
    // killed when a file had just been made
    char command[256];
    snprintf(command, sizeof command, "touch %s/cache/v%08u-99.bucket", f->dir, a->put.entry.loc.volume);
    assert_int_equal(system(command), 0);
    open_set(f);
    assert_true(vol_read_at(f->vs, a->put.entry.loc, 5 << 20, back, 2 << 20, &f->e));
    assert_memory_equal(back, a->p + (5 << 20), 2 << 20);
    assert_true(reads(f->vs, b));
    assert_int_equal(f->bucket.gets, gets);
    assert_int_equal(f->index.fetches, fetches);
    assert_true(reads(f->vs, a));
    assert_true(f->bucket.gets > gets);
    // after the machine was started anew, nothing is taken for good that was never flushed
    vol_close(f->vs);
    snprintf(command, sizeof command, "echo another > %s/cache/.boot", f->dir);
    assert_int_equal(system(command), 0);
    open_set(f);
    assert_int_equal(files_of_cache(f, NULL), 0);
    assert_true(reads(f->vs, a));
    free(back);
    object_free(a);
    object_free(b);
}

static void a_full_disk_fails_no_reading(void **state) {
    struct fixture *f = *state;
    struct object *o[3];
    static struct sys_file_ops files;
    int fd;
    char *back = malloc(3 << 20);
    open_set(f);
    for (unsigned i = 0; i < 3; i++) put(f, o[i] = object_new(i + 1, 3 << 20));
    vol_close(f->vs);
    files = sys_files;
    files.pwritev = no_room;
    struct vol_options opt = {.dir = f->other, .remote = &f->remote, .index = fake_index_of(&f->index), .files = &files};
    assert_true(vol_open(&opt, &f->vs, &f->e));
    for (unsigned i = 0; i < 3; i++) {
        assert_true(reads(f->vs, o[i]));
        assert_true(vol_fd(f->vs, o[i]->put.entry.loc, &fd, &f->e));
        assert_int_equal(pread(fd, back, 3 << 20, (off_t)o[i]->put.entry.loc.offset), 3 << 20);
        assert_memory_equal(back, o[i]->p, 3 << 20);
        vol_fd_release(f->vs, o[i]->put.entry.loc.volume, fd);
    }
    free(back);
    for (unsigned i = 0; i < 3; i++) object_free(o[i]);
}

static void an_archived_volume_is_asked_back_once_and_read_when_it_is_there(void **state) {
    struct fixture *f = *state;
    struct object *o = object_new(1, 2 << 20);
    int fd;
    open_set(f);
    put(f, o);
    assert_true(vol_set_class(f->vs, o->put.entry.loc.volume, "GLACIER", &f->e));
    reopen_empty(f);
    struct fake_object *lies = fake_bucket_find(&f->bucket, o->put.entry.loc.volume);
    for (int i = 0; i < 5; i++) {
        assert_false(vol_fd(f->vs, o->put.entry.loc, &fd, &f->e));
        assert_int_equal(f->e.kind, ERR_BUSY);
        assert_non_null(strstr(f->e.message, "archived"));
    }
    assert_int_equal(lies->restores, 1);
    struct vol_stats st;
    vol_stats_get(f->vs, &st);
    assert_false(st.bucket_away);
    lies->archived = false;
    assert_true(reads(f->vs, o));
    object_free(o);
}

static void a_volume_that_is_gone_is_not_found(void **state) {
    struct fixture *f = *state;
    struct object *o = object_new(1, 2 << 20);
    open_set(f);
    put(f, o);
    assert_true(vol_remove(f->vs, o->put.entry.loc.volume, &f->e));
    assert_false(reads(f->vs, o));
    assert_false(vol_read_at(f->vs, o->put.entry.loc, 0, &(char){0}, 1, &f->e));
    assert_int_equal(f->e.kind, ERR_NOT_FOUND);
    object_free(o);
}

// ---- all at once ----

enum { TROUBLED_MS = 3000, TROUBLED_MS_MAX = 90 * 1000, TROUBLED_SENDERS = 6, TROUBLED_EACH = 60 };

struct trouble {
    struct fixture *f;
    struct vol_set *nodes[2];
    _Atomic bool over;
    struct object *o[TROUBLED_SENDERS * TROUBLED_EACH];
    _Atomic bool sent[TROUBLED_SENDERS * TROUBLED_EACH];
    _Atomic unsigned refused, read, wrong;
    _Atomic unsigned next;
};

// What was acknowledged lies where the index has it.
static struct object acknowledged(struct trouble *t, unsigned i) {
    struct object o = *t->o[i];
    struct fake_row row;
    assert_true(fake_index_find(&t->f->index, o.sop, &row));
    o.put.entry.loc = row.loc;
    return o;
}

static void *troubled_sender(void *arg) {
    struct trouble *t = arg;
    unsigned self = t->next++;
    for (unsigned i = self * TROUBLED_EACH; i < (self + 1) * TROUBLED_EACH && !t->over; i++) {
        struct err e = {0};
        while (!vol_append(t->nodes[(self + i) % 2], &t->o[i]->put, &e) && !t->over) {
            t->refused++;
            if (!err_class_of(e.kind)->retry) t->wrong++;
            t->o[i]->put.entry.kind = VOL_OBJECT;
            usleep(20000);
        }
        t->sent[i] = !t->over;
        usleep(10000);
    }
    return NULL;
}

// As core reads: what is not what was stored is asked for once more, and else an error; here one that passes.
static void *troubled_reader(void *arg) {
    struct trouble *t = arg;
    unsigned seed = 77;
    while (!t->over) {
        unsigned i = (unsigned)rand_r(&seed) % (TROUBLED_SENDERS * TROUBLED_EACH);
        if (!t->sent[i]) continue;
        struct object o = acknowledged(t, i);
        struct vol_set *vs = t->nodes[seed % 2];
        t->read += reads(vs, &o) || (vol_refetch(vs, o.put.entry.loc) && reads(vs, &o));
    }
    return NULL;
}

static void *trouble_maker(void *arg) {
    struct trouble *t = arg;
    struct fake_bucket *b = &t->f->bucket;
    for (unsigned round = 0; !t->over; round++) {
        b->silent = round % 8 == 0;
        b->lose_answers = round % 8 == 5;
        b->refusal = ERR_PEER;
        b->refuse_puts = round % 8 == 6;
        b->flip_gets = round % 3 == 0;
        t->f->index.refuse_commits = round % 8 == 7;
        usleep(60000);
    }
    return NULL;
}

static unsigned sent_of(const struct trouble *t) {
    unsigned sent = 0;
    for (unsigned i = 0; i < TROUBLED_SENDERS * TROUBLED_EACH; i++) sent += t->sent[i];
    return sent;
}

// Enough for the test to say something, however slow the machine.
static bool much_happened(const struct trouble *t) {
    return sent_of(t) > 20 && t->refused > 0 && t->read > 20;
}

static void what_was_acknowledged_is_there_whatever_the_bucket_did(void **state) {
    struct fixture *f = *state;
    struct trouble *t = calloc(1, sizeof *t);
    void *(*const roles[])(void *) = {troubled_sender, troubled_sender, troubled_sender, troubled_sender, troubled_sender,
                                      troubled_sender, troubled_reader, troubled_reader, trouble_maker};
    enum { ROLES = sizeof roles / sizeof *roles };
    pthread_t threads[ROLES];
    t->f = f;
    f->remote.cache_bytes = 4 << 20;
    f->bucket.put_ms = 5;
    f->bucket.silent_ms = 50;
    for (unsigned i = 0; i < TROUBLED_SENDERS * TROUBLED_EACH; i++) t->o[i] = object_new(i, i % 5 == 0 ? 300000 + i : 2000 + i);
    for (int i = 0; i < 2; i++) t->nodes[i] = open_at(f, i ? f->other : f->dir);
    for (unsigned i = 0; i < ROLES; i++) assert_int_equal(pthread_create(&threads[i], NULL, roles[i], t), 0);
    for (unsigned ms = 0; ms < TROUBLED_MS || (ms < TROUBLED_MS_MAX && !much_happened(t)); ms += 100) usleep(100000);
    t->over = true;
    for (unsigned i = 0; i < ROLES; i++) pthread_join(threads[i], NULL);
    for (int i = 0; i < 2; i++) vol_close(t->nodes[i]);
    f->bucket.silent = false;
    f->bucket.flip_gets = 0;
    reopen_empty(f);
    for (unsigned i = 0; i < TROUBLED_SENDERS * TROUBLED_EACH; i++) {
        if (t->sent[i]) {
            struct object o = acknowledged(t, i);
            assert_stored(f, &o);
        }
        object_free(t->o[i]);
    }
    assert_int_equal(t->wrong, 0);
    assert_true(much_happened(t));
    free(t);
}

// ---- volumes made of others ----

static void a_built_volume_has_all_entries_with_all_their_facts(void **state) {
    struct fixture *f = *state;
    enum { N = 12 };
    struct object *o[N];
    struct vol_loc to[N];
    struct vol_build *b;
    struct vol_info info;
    struct seen s = {0};
    open_set(f);
    for (unsigned i = 0; i < N; i++) {
        o[i] = object_new(i + 1, i % 3 ? 3000 + i : 400000 + i);
        if (i == 5) o[i]->put.entry.kind = VOL_QUARANTINE, o[i]->put.entry.note = STR_LIT("不能理解");
        put(f, o[i]);
    }
    f->bucket.puts = 0;
    assert_true(vol_build_open(f->vs, &b, &f->e));
    for (unsigned i = 0; i < N; i++)
        if (!vol_build_add(b, &(struct vol_entry){.loc = o[i]->put.entry.loc}, &to[i], &f->e)) fail_msg("%s", f->e.message);
    if (!vol_build_finish(b, &info, &f->e)) fail_msg("%s", f->e.message);
    vol_build_drop(b);
    assert_int_equal(f->bucket.puts, 1);
    assert_int_equal(info.place, VOL_IN_BUCKET);
    assert_true(vol_scan(f->vs, info.volume, 0, true, see, &s, NULL, &f->e));
    assert_int_equal(s.n, N);
    assert_int_equal(s.damaged, 0);
    assert_int_equal(s.quarantined, 1);
    assert_string_equal(s.source, "CT1@10.0.0.5");
    reopen_empty(f);
    for (unsigned i = 0; i < N; i++) {
        assert_int_equal(to[i].volume, info.volume);
        o[i]->put.entry.loc = to[i];
        assert_stored(f, o[i]);
        object_free(o[i]);
    }
}

static void a_damaged_entry_is_not_built_into_a_volume(void **state) {
    struct fixture *f = *state;
    struct object *good = object_new(1, 300000), *bad = object_new(2, 300000), *last = object_new(3, 300);
    struct vol_build *b;
    struct vol_loc to;
    struct vol_info info;
    struct seen s = {0};
    open_set(f);
    put(f, good);
    put(f, bad);
    put(f, last);
    reopen_empty(f);
    fake_bucket_find(&f->bucket, bad->put.entry.loc.volume)->p[bad->put.entry.loc.offset + 9] ^= 1;
    assert_true(vol_build_open(f->vs, &b, &f->e));
    assert_true(vol_build_add(b, &good->put.entry, &to, &f->e));
    assert_false(vol_build_add(b, &bad->put.entry, &to, &f->e));
    assert_int_equal(f->e.kind, ERR_CORRUPT);
    assert_true(vol_build_add(b, &last->put.entry, &to, &f->e));
    assert_true(vol_build_finish(b, &info, &f->e));
    vol_build_drop(b);
    assert_true(vol_scan(f->vs, info.volume, 0, true, see, &s, NULL, &f->e));
    assert_int_equal(s.n, 2);
    assert_int_equal(s.damaged, 0);
    object_free(good);
    object_free(bad);
    object_free(last);
}

#define REMOTE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void) {
    log_set_level(LOG_ERROR + 1);
    const struct CMUnitTest tests[] = {
        REMOTE(groups_go_to_the_index_or_the_bucket_by_their_size_and_are_read_by_any_node),
        REMOTE(a_node_that_wrote_reads_without_asking_the_bucket),
        REMOTE(many_senders_share_puts_and_judgements_never_overlap),
        REMOTE(two_nodes_that_get_the_same_objects_at_once_keep_each_once),
        REMOTE(silence_fails_senders_soon_small_groups_go_on_and_all_recovers_by_itself),
        REMOTE(closing_does_not_wait_for_a_bucket_that_hangs),
        REMOTE(every_refusal_of_a_put_is_one_that_may_pass),
        REMOTE(a_put_whose_answer_is_lost_leaves_an_orphan_that_is_listed_and_can_be_scanned),
        REMOTE(an_index_that_was_set_back_puts_over_nothing),
        REMOTE(a_commit_that_fails_fails_its_senders_and_the_next_goes_on),
        REMOTE(a_number_that_is_taken_in_the_bucket_is_passed_over),
        REMOTE(what_the_index_keeps_is_bounded),
        REMOTE(a_large_object_goes_from_its_staging_file_and_others_do_not_wait_for_it),
        REMOTE(many_readers_of_one_object_fetch_it_once),
        REMOTE(reading_in_order_takes_few_requests_and_reading_a_piece_few_bytes),
        REMOTE(the_cache_keeps_its_limit_and_a_held_descriptor_stays_good),
        REMOTE(a_flipped_bit_of_the_cache_is_healed_from_the_bucket),
        REMOTE(a_flipped_bit_of_the_bucket_is_found_by_verifying),
        REMOTE(a_restart_keeps_what_the_cache_had_and_only_that),
        REMOTE(a_full_disk_fails_no_reading),
        REMOTE(an_archived_volume_is_asked_back_once_and_read_when_it_is_there),
        REMOTE(a_volume_that_is_gone_is_not_found),
        REMOTE(what_was_acknowledged_is_there_whatever_the_bucket_did),
        REMOTE(a_built_volume_has_all_entries_with_all_their_facts),
        REMOTE(a_damaged_entry_is_not_built_into_a_volume),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
