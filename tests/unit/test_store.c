// Behaviour of the volume set: what is appended is durable, found again, readable by any tar program, and never half there.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
// cmocka needs the four above first
#include <cmocka.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/limits.h"
#include "base/log.h"
#include "encrypted.h"
#include "store/volume.h"
#include "sys/digest.h"
#include "sys/file.h"

struct fixture {
    char dir[64];
    struct vol_set *vs;
    struct err e;
};

static int make_dir(void **state) {
    struct fixture *f = calloc(1, sizeof *f);
    snprintf(f->dir, sizeof f->dir, "/tmp/gantry-store-XXXXXX");
    if (!mkdtemp(f->dir)) return -1;
    *state = f;
    return 0;
}

static int drop_dir(void **state) {
    struct fixture *f = *state;
    char command[128];
    vol_close(f->vs);
    snprintf(command, sizeof command, "rm -rf %s", f->dir);
    int code = system(command);
    free(f);
    return code;
}

static void open_set(struct fixture *f, struct vol_options o) {
    o.dir = f->dir;
    if (!o.encryption) o.encryption = encrypted();
    if (!o.volume_bytes) o.volume_bytes = 4 << 20;
    if (!vol_open(&o, &f->vs, &f->e)) fail_msg("%s", f->e.message);
}

static void reopen(struct fixture *f) {
    vol_close(f->vs);
    open_set(f, (struct vol_options){0});
}

// Bytes that no two objects share.
static void *bytes_for(unsigned seed, size_t n) {
    unsigned char *p = malloc(n ? n : 1);
    for (size_t i = 0; i < n; i++) p[i] = (unsigned char)((seed = seed * 1103515245u + 12345u) >> 16);
    return p;
}

struct object {
    char sop[65];
    void *p;
    size_t n;
    struct vol_put put;
};

static struct object *object_new(unsigned number, size_t n) {
    struct object *o = calloc(1, sizeof *o);
    snprintf(o->sop, sizeof o->sop, "1.2.3.4.%u", number);
    o->p = bytes_for(number, n);
    o->n = n;
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

static void put(struct fixture *f, struct object *o) {
    if (!vol_append(f->vs, &o->put, &f->e)) fail_msg("%s", f->e.message);
}

static void assert_stored(struct fixture *f, const struct object *o) {
    void *back = malloc(o->n + 1);
    struct vol_loc loc = o->put.entry.loc;
    assert_int_equal(loc.length, o->n);
    if (!vol_read_at(f->vs, loc, 0, back, o->n, &f->e)) fail_msg("%s", f->e.message);
    assert_memory_equal(back, o->p, o->n);
    assert_true(vol_verify(f->vs, &o->put.entry, &f->e));
    free(back);
}

struct seen {
    unsigned n, damaged;
    char last[65];
    struct vol_entry entry;
};

static bool see(void *ctx, const struct vol_entry *entry, bool damaged, struct err *e) {
    (void)e;
    struct seen *s = ctx;
    s->n++;
    s->damaged += damaged;
    s->entry = *entry;
    snprintf(s->last, sizeof s->last, "%.*s", STR_FMT(entry->sop));
    return true;
}

static struct seen scan_all(struct fixture *f, bool verify) {
    struct seen s = {0};
    uint32_t *numbers;
    size_t n;
    assert_true(vol_list(f->vs, &numbers, &n, &f->e));
    for (size_t i = 0; i < n; i++) {
        uint64_t end;
        if (!vol_scan(f->vs, numbers[i], 0, verify, see, &s, &end, &f->e)) fail_msg("%s", f->e.message);
    }
    free(numbers);
    return s;
}

static void objects_of_every_size_come_back_identical_also_after_reopening(void **state) {
    struct fixture *f = *state;
    const size_t sizes[] = {0, 1, 511, 512, 513, 4096, 10240, 526000, 2 << 20, 3 << 20, 5};
    enum { N = sizeof sizes / sizeof *sizes };
    struct object *o[N];
    open_set(f, (struct vol_options){0});
    for (unsigned i = 0; i < N; i++) put(f, o[i] = object_new(i + 1, sizes[i]));
    for (unsigned i = 0; i < N; i++) assert_stored(f, o[i]);
    reopen(f);
    for (unsigned i = 0; i < N; i++) assert_stored(f, o[i]);
    struct seen s = scan_all(f, true);
    assert_int_equal(s.n, N);
    assert_int_equal(s.damaged, 0);
    for (unsigned i = 0; i < N; i++) object_free(o[i]);
}

// A small index as core keeps it: first bytes of a SOP Instance UID stay, the same again are known, others are a conflict.
struct index {
    struct {
        char sop[65];
        uint8_t digest[VOL_DIGEST_BYTES];
    } rows[256];
    unsigned n, commits, known, refuse;
};

static int row_of(struct index *x, struct str sop) {
    for (unsigned i = 0; i < x->n; i++) {
        if (str_eqz(sop, x->rows[i].sop)) return (int)i;
    }
    return -1;
}

static void judge(struct vol_put *p, const uint8_t *first) {
    bool same = memcmp(first, p->entry.digest, VOL_DIGEST_BYTES) == 0;
    p->outcome = same ? VOL_KNOWN : VOL_STORED_CONFLICT;
    if (!same) p->entry.kind = VOL_CONFLICT;
}

static bool classify(void *ctx, struct vol_put *p, struct vol_put *const *earlier, size_t n, struct err *e) {
    (void)e;
    struct index *x = ctx;
    int row = row_of(x, p->entry.sop);
    if (row >= 0) judge(p, x->rows[row].digest);
    for (size_t i = 0; row < 0 && i < n; i++) {
        if (str_eq(earlier[i]->entry.sop, p->entry.sop)) return judge(p, earlier[i]->entry.digest), true;
    }
    return true;
}

static bool commit(void *ctx, struct vol_put *const *puts, size_t n, const struct vol_written *w, struct err *e) {
    struct index *x = ctx;
    x->commits++;
    if (x->refuse && x->refuse-- == 1) return err_set(e, ERR_FULL, "test", "the index has no room");
    for (size_t i = 0; i < n; i++) {
        x->known += puts[i]->outcome == VOL_KNOWN;
        if (puts[i]->outcome != VOL_STORED) continue;
        if (puts[i]->entry.loc.volume != w->volume || puts[i]->entry.end > w->end || x->n == 256) return err_set(e, ERR_INTERNAL, "test", "position");
        snprintf(x->rows[x->n].sop, 65, "%.*s", STR_FMT(puts[i]->entry.sop));
        memcpy(x->rows[x->n++].digest, puts[i]->entry.digest, VOL_DIGEST_BYTES);
    }
    return true;
}

static void the_same_bytes_are_kept_once_and_other_bytes_beside(void **state) {
    struct fixture *f = *state;
    struct index x = {0};
    struct object *first = object_new(1, 5000), *again = object_new(1, 5000), *other = object_new(2, 6000);
    struct vol_stats before, after;
    snprintf(other->sop, sizeof other->sop, "%s", first->sop);
    other->put.entry.sop = str_of(other->sop);
    open_set(f, (struct vol_options){.index = {.ctx = &x, .classify = classify, .commit = commit}});
    put(f, first);
    vol_stats_get(f->vs, &before);
    put(f, again);
    vol_stats_get(f->vs, &after);
    assert_int_equal(again->put.outcome, VOL_KNOWN);
    assert_int_equal(before.bytes_used, after.bytes_used);
    put(f, other);
    assert_int_equal(other->put.outcome, VOL_STORED_CONFLICT);
    assert_stored(f, first);
    assert_stored(f, other);
    struct seen s = scan_all(f, true);
    assert_int_equal(s.n, 2);
    assert_int_equal(s.entry.kind, VOL_CONFLICT);
    assert_string_equal(s.last, first->sop);
    assert_int_equal(x.known, 1);
    object_free(first);
    object_free(again);
    object_free(other);
}

static void a_put_that_the_index_cannot_commit_fails_and_the_next_one_goes_on(void **state) {
    struct fixture *f = *state;
    struct index x = {.refuse = 1};
    struct object *a = object_new(1, 100), *b = object_new(2, 100);
    open_set(f, (struct vol_options){.index = {.ctx = &x, .classify = classify, .commit = commit}});
    assert_false(vol_append(f->vs, &a->put, &f->e));
    assert_int_equal(f->e.kind, ERR_FULL);
    put(f, b);
    put(f, a);
    assert_stored(f, a);
    assert_stored(f, b);
    object_free(a);
    object_free(b);
}

enum { CROWD = 8, EACH = 25 };

struct crowd {
    struct fixture *f;
    unsigned first;
    struct object *o[EACH];
    unsigned failures;
};

static bool digest_late(void *ctx, uint8_t out[VOL_DIGEST_BYTES], struct err *e) {
    struct object *o = ctx;
    usleep(20000); // the writer is past the bytes
    return digest_of(o->p, o->n, out, e);
}

static bool digest_fails(void *ctx, uint8_t out[VOL_DIGEST_BYTES], struct err *e) {
    (void)ctx, (void)out;
    usleep(20000);
    return err_set(e, ERR_INTERNAL, "test", "no digest today");
}

static void make_late(struct object *o, bool (*digest)(void *ctx, uint8_t out[VOL_DIGEST_BYTES], struct err *e)) {
    memset(o->put.entry.digest, 0, sizeof o->put.entry.digest);
    o->put.digest = digest;
    o->put.digest_ctx = o;
}

static void a_digest_may_come_while_the_bytes_are_being_written(void **state) {
    struct fixture *f = *state;
    const size_t sizes[] = {0, 513, 526000, 3000, 1 << 20};
    enum { N = sizeof sizes / sizeof *sizes };
    struct object *o[N];
    open_set(f, (struct vol_options){0});
    for (unsigned i = 0; i < N; i++) {
        o[i] = object_new(i + 1, sizes[i]);
        if (i % 2 == 0) make_late(o[i], digest_late);
        put(f, o[i]);
    }
    for (int round = 0; round < 2; round++) {
        for (unsigned i = 0; i < N; i++) assert_stored(f, o[i]);
        struct seen s = scan_all(f, true);
        assert_int_equal(s.n, N);
        assert_int_equal(s.damaged, 0);
        reopen(f);
    }
    for (unsigned i = 0; i < N; i++) object_free(o[i]);
}

static void a_digest_that_fails_fails_its_object_and_leaves_nothing_of_it(void **state) {
    struct fixture *f = *state;
    struct object *bad = object_new(1, 300000), *good = object_new(2, 5000);
    open_set(f, (struct vol_options){0});
    make_late(bad, digest_fails);
    assert_false(vol_append(f->vs, &bad->put, &f->e));
    assert_non_null(strstr(f->e.message, "no digest today"));
    put(f, good);
    assert_stored(f, good);
    reopen(f);
    struct seen s = scan_all(f, true);
    assert_int_equal(s.n, 1);
    assert_int_equal(s.damaged, 0);
    assert_string_equal(s.last, good->sop);
    object_free(bad);
    object_free(good);
}

static void *crowd_run(void *arg) {
    struct crowd *c = arg;
    struct err e = {0};
    for (unsigned i = 0; i < EACH; i++) {
        c->failures += !vol_append(c->f->vs, &c->o[i]->put, &e);
        char back[64];
        struct vol_loc loc = c->o[i]->put.entry.loc;
        c->failures += !vol_read_at(c->f->vs, loc, 0, back, 64, &e) || memcmp(back, c->o[i]->p, 64) != 0;
    }
    return NULL;
}

static void many_senders_share_flushes_and_each_gets_its_own_bytes(void **state) {
    struct fixture *f = *state;
    struct crowd c[CROWD];
    pthread_t t[CROWD];
    struct vol_stats st;
    open_set(f, (struct vol_options){.volume_bytes = 1 << 20});
    for (unsigned i = 0; i < CROWD; i++) {
        c[i] = (struct crowd){.f = f};
        for (unsigned j = 0; j < EACH; j++) c[i].o[j] = object_new(1 + i * EACH + j, 64 + (i * 7919 + j * 104729) % 60000);
        assert_int_equal(pthread_create(&t[i], NULL, crowd_run, &c[i]), 0);
    }
    for (unsigned i = 0; i < CROWD; i++) pthread_join(t[i], NULL);
    vol_stats_get(f->vs, &st);
    assert_int_equal(st.objects, CROWD * EACH);
    assert_true(st.flushes < CROWD * EACH);
    assert_true(st.volumes > 3);
    for (unsigned i = 0; i < CROWD; i++) {
        assert_int_equal(c[i].failures, 0);
        for (unsigned j = 0; j < EACH; j++) {
            assert_stored(f, c[i].o[j]);
            object_free(c[i].o[j]);
        }
    }
    assert_int_equal(scan_all(f, true).n, CROWD * EACH);
}

static void spool_in_pieces(struct fixture *f, struct object *o, size_t head) {
    assert_true(vol_spool_open(f->vs, &o->put.spool, &f->e));
    o->put.head_n = head;
    for (size_t at = head; at < o->n; at += 70000) {
        size_t n = o->n - at < 70000 ? o->n - at : 70000;
        assert_true(vol_spool_write(o->put.spool, (char *)o->p + at, n, &f->e));
    }
    char back[16];
    assert_int_equal(vol_spool_size(o->put.spool), o->n - head);
    assert_true(vol_spool_read_at(o->put.spool, 100, back, sizeof back, &f->e));
    assert_memory_equal(back, (char *)o->p + head + 100, sizeof back);
    assert_false(vol_spool_read_at(o->put.spool, o->n, back, sizeof back, &f->e));
}

static void staged_objects_are_stored_whole_and_large_ones_become_volumes(void **state) {
    struct fixture *f = *state;
    struct object *small = object_new(1, 300000), *large = object_new(2, 3 << 20), *headed = object_new(3, (3 << 20) + 77), *next = object_new(4, 10);
    open_set(f, (struct vol_options){.own_volume_bytes = 1 << 20});
    spool_in_pieces(f, small, 333);
    put(f, small);
    spool_in_pieces(f, large, 0);
    put(f, large);
    spool_in_pieces(f, headed, 333);
    put(f, headed);
    put(f, next);
    struct vol_spool *dropped;
    assert_true(vol_spool_open(f->vs, &dropped, &f->e));
    vol_spool_drop(dropped);
    assert_int_equal(small->put.entry.loc.volume, next->put.entry.loc.volume);
    assert_int_not_equal(large->put.entry.loc.volume, headed->put.entry.loc.volume);
    reopen(f);
    assert_stored(f, small);
    assert_stored(f, large);
    assert_stored(f, headed);
    assert_int_equal(scan_all(f, true).n, 4);
    char staging[160];
    snprintf(staging, sizeof staging, "test -z \"$(ls %s/staging | grep ^s[0-9])\"", f->dir);
    assert_int_equal(system(staging), 0);
    object_free(small);
    object_free(large);
    object_free(headed);
    object_free(next);
}

static void an_object_too_long_for_a_group_is_taken_from_memory_too(void **state) {
    struct fixture *f = *state;
    struct object *o = object_new(1, STORE_GROUP_BYTES_MAX + 5);
    open_set(f, (struct vol_options){.volume_bytes = 1 << 20});
    put(f, o);
    assert_stored(f, o);
    object_free(o);
}

// Each member's bytes against the digest in its pax header, and each name once.
static const char PYTHON_CHECK[] = "import sys,tarfile,hashlib,glob\n"
                                   "names=[]\n"
                                   "for p in sorted(glob.glob(sys.argv[1]+'/volumes/*.tar')):\n"
                                   "  with tarfile.open(p) as t:\n"
                                   "    for m in t:\n"
                                   "      names.append(m.name)\n"
                                   "      k='SCHILY.xattr.user.gantry.'\n"
                                   "      assert hashlib.sha256(t.extractfile(m).read()).hexdigest()==m.pax_headers[k+'sha256'],m.name\n"
                                   "assert len(set(names))==len(names)==int(sys.argv[2]),names\n";

static void put_kind(struct fixture *f, struct object *o, enum vol_kind kind, const char *stem, const char *note) {
    o->put.entry.kind = kind;
    o->put.entry.sop = str_of(stem);
    o->put.entry.note = str_of(note);
    put(f, o);
}

static void volumes_are_read_by_tar_and_python_while_they_grow_and_after(void **state) {
    struct fixture *f = *state;
    char command[2048];
    open_set(f, (struct vol_options){.volume_bytes = 1 << 20, .own_volume_bytes = 1 << 20});
    struct object *o[12];
    for (unsigned i = 0; i < 12; i++) o[i] = object_new(i + 1, 150000 + i);
    put_kind(f, o[0], VOL_QUARANTINE, "ignored", "没有 SOP Instance UID\nsecond line");
    put_kind(f, o[1], VOL_TOMBSTONE, "0a1b2c3d-00ff", "");
    put_kind(f, o[2], VOL_RECORD, "abcdef", "");
    put_kind(f, o[3], VOL_CONFLICT, "1.2.3.4.5", "");
    for (unsigned i = 4; i < 11; i++) put_kind(f, o[i], VOL_OBJECT, o[i]->sop, "");
    object_free(o[11]);
    o[11] = object_new(12, 2 << 20);
    spool_in_pieces(f, o[11], 0);
    put(f, o[11]);
    for (int closed = 0; closed < 2; closed++) {
        snprintf(command, sizeof command,
                 "cd %s && rm -rf out && mkdir out && for v in volumes/*.tar; do tar tvf $v >/dev/null 2>err && test ! -s err && tar xf $v -C out || exit 1; "
                 "done && test \"$(find out -type f | wc -l)\" = 12%s",
                 f->dir, encrypted() ? "" : " && test -f out/1.2.3/1.2.3.4/1.2.3.4.5.dcm && test -f out/tombstone/0a1b2c3d-00ff.json");
        assert_int_equal(system(command), 0);
        snprintf(command, sizeof command, "python3 -c \"%s\" %s 12", PYTHON_CHECK, f->dir);
        assert_true(encrypted() || system(command) == 0);
        vol_close(f->vs);
        f->vs = NULL;
    }
    open_set(f, (struct vol_options){0});
    assert_int_equal(scan_all(f, true).n, 12);
    for (unsigned i = 0; i < 12; i++) object_free(o[i]);
}

static void names_that_are_no_identifiers_never_reach_a_path(void **state) {
    struct fixture *f = *state;
    char long_uid[66];
    memset(long_uid, '1', 65);
    long_uid[65] = '\0';
    const char *const bad[] = {"", ".", "..", "1..2", ".1", "1.", "1/2", "../../etc", "1.2a", "1.2\n", "1.2 ", "-1", "一", long_uid};
    open_set(f, (struct vol_options){0});
    for (unsigned i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct object *o = object_new(1, 10);
        struct str *const fields[] = {&o->put.entry.study, &o->put.entry.series, &o->put.entry.sop};
        for (unsigned j = 0; j < 3; j++) {
            struct str good = *fields[j];
            *fields[j] = str_of(bad[i]);
            assert_false(vol_append(f->vs, &o->put, &f->e));
            assert_int_equal(f->e.kind, ERR_BAD_INPUT);
            *fields[j] = good;
        }
        o->put.entry.kind = VOL_TOMBSTONE;
        o->put.entry.sop = str_of(bad[i]);
        bool hexadecimal = strcmp(bad[i], "-1") == 0;
        assert_int_equal(vol_append(f->vs, &o->put, &f->e), hexadecimal);
        object_free(o);
    }
}

// Volume 1 with count objects of about 20 KB, closed; the file's name in path.
static uint64_t volume_of(struct fixture *f, unsigned count, char path[128]) {
    open_set(f, (struct vol_options){0});
    struct vol_entry last = {0};
    for (unsigned i = 1; i <= count; i++) {
        struct object *o = object_new(i, 20000 + i);
        put(f, o);
        last = o->put.entry;
        object_free(o);
    }
    vol_close(f->vs);
    f->vs = NULL;
    snprintf(path, 128, "%s/volumes/v00000001.tar", f->dir);
    return last.end;
}

static void flip(const char *path, uint64_t at, unsigned bit) {
    unsigned char byte = 0;
    int fd = open(path, O_RDWR);
    assert_true(fd >= 0 && pread(fd, &byte, 1, (off_t)at) == 1);
    byte ^= (unsigned char)(1u << bit);
    assert_int_equal(pwrite(fd, &byte, 1, (off_t)at), 1);
    close(fd);
}

static void each_of_100_flipped_bits_is_found_and_costs_only_its_own_entry(void **state) {
    struct fixture *f = *state;
    char path[128];
    uint64_t end = volume_of(f, 10, path), rng = 42;
    struct vol_options o = {.dir = f->dir, .encryption = encrypted(), .read_only = true};
    for (unsigned i = 0; i < 100; i++) {
        rng = rng * 6364136223846793005u + 1442695040888963407u;
        uint64_t at = (rng >> 20) % end;
        if (i % 2) at = at / 20480 * 20480 + at % 1024; // every other one near the headers
        flip(path, at, i % 8);
        assert_true(vol_open(&o, &f->vs, &f->e));
        struct seen s = scan_all(f, true);
        assert_int_equal(s.damaged, 1);
        assert_int_equal(s.n, 10);
        vol_close(f->vs);
        f->vs = NULL;
        flip(path, at, i % 8);
    }
    assert_true(vol_open(&o, &f->vs, &f->e));
    assert_int_equal(scan_all(f, true).damaged, 0);
}

static unsigned alarms_rung;

static void ring(void *ctx, const struct err *e) {
    (void)ctx;
    assert_int_equal(e->kind, ERR_CORRUPT);
    alarms_rung++;
}

static void damage_in_the_flushed_part_is_told_at_start_and_takes_nothing_after_it_along(void **state) {
    struct fixture *f = *state;
    char path[128];
    uint64_t end = volume_of(f, 10, path);
    flip(path, 5, 1);     // the first entry's headers
    flip(path, 60000, 1); // a later entry's bytes
    alarms_rung = 0;
    open_set(f, (struct vol_options){.alarm = ring});
    assert_int_equal(alarms_rung, 1);
    struct object *o = object_new(99, 100);
    put(f, o);
    assert_true(o->put.entry.loc.offset > end);
    struct seen s = scan_all(f, true);
    assert_int_equal(s.n, 11);
    assert_int_equal(s.damaged, 2);
    object_free(o);
}

static void a_volume_that_is_removed_leaves_its_readers_alone_and_its_number_is_not_given_again(void **state) {
    struct fixture *f = *state;
    struct object *o[9];
    uint32_t highest = 0;
    int fd;
    char back[100];
    open_set(f, (struct vol_options){.volume_bytes = 64 << 10, .own_volume_bytes = 1 << 20});
    for (unsigned i = 0; i < 8; i++) put(f, o[i] = object_new(i + 1, 30000));
    assert_int_not_equal(o[0]->put.entry.loc.volume, o[7]->put.entry.loc.volume);
    assert_true(vol_fd(f->vs, o[0]->put.entry.loc, &fd, &f->e));
    for (int i = 0; i < 3000 && !vol_remove(f->vs, o[0]->put.entry.loc.volume, &f->e); i++) usleep(20000); // sealed in the background
    assert_int_equal(pread(fd, back, sizeof back, (off_t)o[0]->put.entry.loc.offset), sizeof back);
    if (!encrypted()) assert_memory_equal(back, o[0]->p, sizeof back);
    vol_fd_release(f->vs, o[0]->put.entry.loc.volume, fd);
    assert_false(vol_read_at(f->vs, o[0]->put.entry.loc, 0, back, 1, &f->e));
    assert_int_equal(f->e.kind, ERR_NOT_FOUND);
    assert_false(vol_remove(f->vs, o[7]->put.entry.loc.volume, &f->e));
    assert_int_equal(f->e.kind, ERR_BUSY);
    o[8] = object_new(9, 2 << 20);
    spool_in_pieces(f, o[8], 0);
    put(f, o[8]);
    highest = o[8]->put.entry.loc.volume;
    assert_true(vol_remove(f->vs, highest, &f->e));
    for (int i = 0; i < 2; i++) {
        reopen(f);
        object_free(o[8]);
        o[8] = object_new(9, 2 << 20);
        spool_in_pieces(f, o[8], 0);
        o[8]->put.entry.sop = STR_LIT("1.2.9");
        put(f, o[8]);
        assert_stored(f, o[7]);
    }
    struct object *late = object_new(77, 5 << 20);
    put(f, late);
    assert_true(late->put.entry.loc.volume > highest);
    object_free(late);
    for (unsigned i = 0; i < 9; i++) object_free(o[i]);
}

static void a_volume_is_built_of_entries_of_others_and_its_number_is_its_own(void **state) {
    struct fixture *f = *state;
    enum { N = 6 };
    struct object *o[N], *between = object_new(50, 20 << 20), *after = object_new(51, 5000);
    struct vol_build *b, *empty;
    struct vol_loc to[N];
    struct vol_info info;
    open_set(f, (struct vol_options){.volume_bytes = 1 << 20});
    for (unsigned i = 0; i < N; i++) put(f, o[i] = object_new(i + 1, i == 3 ? 900000 : 30000 + i));
    assert_true(vol_build_open(f->vs, &b, &f->e));
    for (unsigned i = 0; i < N; i++) {
        if (i == 2) put(f, between); // numbers go on meanwhile
        if (!vol_build_add(b, &o[i]->put.entry, &to[i], &f->e)) fail_msg("%s", f->e.message);
    }
    assert_false(vol_build_add(b, &(struct vol_entry){.loc = {to[0].volume + 100, 4096, 10}}, &to[0], &f->e));
    assert_int_equal(f->e.kind, ERR_NOT_FOUND);
    if (!vol_build_finish(b, &info, &f->e)) fail_msg("%s", f->e.message);
    vol_build_drop(b);
    assert_int_equal(info.place, VOL_IN_DIRECTORY);
    assert_int_not_equal(between->put.entry.loc.volume, info.volume);
    put(f, after);
    assert_true(vol_build_open(f->vs, &empty, &f->e));
    assert_false(vol_build_finish(empty, &info, &f->e));
    vol_build_drop(empty);
    for (int round = 0; round < 2; round++) {
        for (unsigned i = 0; i < N; i++) {
            struct vol_loc was = o[i]->put.entry.loc;
            assert_stored(f, o[i]);
            o[i]->put.entry.loc = to[i];
            assert_stored(f, o[i]);
            o[i]->put.entry.loc = was;
        }
        struct seen s = scan_all(f, true);
        assert_int_equal(s.n, 2 * N + 2);
        assert_int_equal(s.damaged, 0);
        reopen(f);
    }
    object_free(between);
    object_free(after);
    for (unsigned i = 0; i < N; i++) object_free(o[i]);
}

static void a_built_volume_that_is_removed_leaves_its_number_taken(void **state) {
    struct fixture *f = *state;
    struct object *o = object_new(1, 30000), *large = object_new(2, 20 << 20);
    struct vol_build *b;
    struct vol_loc to;
    struct vol_info info;
    open_set(f, (struct vol_options){0});
    put(f, o);
    for (int i = 0; i < 2; i++) { // a build that comes to nothing first
        assert_true(vol_build_open(f->vs, &b, &f->e));
        assert_true(vol_build_add(b, &o->put.entry, &to, &f->e));
        if (i) assert_true(vol_build_finish(b, &info, &f->e));
        vol_build_drop(b);
    }
    assert_true(vol_remove(f->vs, info.volume, &f->e));
    reopen(f);
    put(f, large);
    assert_true(large->put.entry.loc.volume > info.volume);
    object_free(o);
    object_free(large);
}

static void reading_only_changes_nothing(void **state) {
    struct fixture *f = *state;
    char path[128];
    volume_of(f, 2, path);
    struct vol_options o = {.dir = f->dir, .encryption = encrypted(), .read_only = true};
    struct object *n = object_new(9, 10);
    struct vol_spool *s;
    assert_true(vol_open(&o, &f->vs, &f->e));
    assert_false(vol_append(f->vs, &n->put, &f->e));
    assert_int_equal(f->e.kind, ERR_FORBIDDEN);
    assert_false(vol_spool_open(f->vs, &s, &f->e));
    assert_false(vol_remove(f->vs, 1, &f->e));
    assert_int_equal(scan_all(f, true).n, 2);
    object_free(n);
}

static void facts_of_an_entry_come_back_and_long_notes_end_with_a_whole_character(void **state) {
    struct fixture *f = *state;
    char note[2000];
    struct object *o = object_new(1, 10);
    for (unsigned i = 0; i + 3 < sizeof note; i += 3) memcpy(note + i, "影", 4);
    open_set(f, (struct vol_options){0});
    put_kind(f, o, VOL_OBJECT, o->sop, note);
    uint32_t volume = o->put.entry.loc.volume;
    uint64_t end;
    struct vol_entry seen = {0};
    struct seen s = scan_all(f, true);
    seen = s.entry;
    assert_true(vol_scan(f->vs, volume, 0, false, see, &s, &end, &f->e));
    assert_int_equal(end, o->put.entry.end);
    assert_int_equal(end % 4096, 0);
    assert_int_equal(seen.received_ms, o->put.entry.received_ms);
    assert_int_equal(seen.note.n, 1023);
    assert_int_equal(seen.loc.offset, o->put.entry.loc.offset);
    object_free(o);
}

static void what_is_not_ours_in_the_folder_is_left_alone(void **state) {
    struct fixture *f = *state;
    static const char *const FOREIGN[] = {"x00000009.tar", "v00000009.tgz", "v0000000x.tar", "v00000000.tar", "v000000009.tar", "v4294967295.tar", "v9.tar"};
    char path[128];
    uint32_t *numbers;
    size_t n;
    open_set(f, (struct vol_options){0});
    struct object *o = object_new(1, 4000);
    put(f, o);
    for (size_t i = 0; i < sizeof FOREIGN / sizeof *FOREIGN; i++) {
        snprintf(path, sizeof path, "%s/volumes/%s", f->dir, FOREIGN[i]);
        int fd = open(path, O_CREAT | O_WRONLY, 0600);
        assert_true(fd >= 0 && write(fd, "mine", 4) == 4);
        close(fd);
    }
    reopen(f);
    assert_stored(f, o);
    assert_true(vol_list(f->vs, &numbers, &n, &f->e));
    for (size_t i = 0; i < n; i++) assert_true(numbers[i] < 9);
    free(numbers);
    for (size_t i = 0; i < sizeof FOREIGN / sizeof *FOREIGN; i++) {
        struct stat st;
        snprintf(path, sizeof path, "%s/volumes/%s", f->dir, FOREIGN[i]);
        assert_true(stat(path, &st) == 0 && st.st_size == 4);
    }
    object_free(o);
}

static void reads_beyond_an_object_and_of_volumes_that_are_not_there_are_refused(void **state) {
    struct fixture *f = *state;
    char byte[8];
    open_set(f, (struct vol_options){0});
    struct object *o = object_new(1, 4000);
    put(f, o);
    struct vol_loc loc = o->put.entry.loc;
    assert_true(vol_read_at(f->vs, loc, 3999, byte, 1, &f->e));
    assert_false(vol_read_at(f->vs, loc, 4000, byte, 1, &f->e));
    assert_int_equal(f->e.kind, ERR_BAD_INPUT);
    assert_false(vol_read_at(f->vs, loc, UINT64_MAX, byte, 8, &f->e));
    assert_false(vol_remove(f->vs, loc.volume, &f->e));
    assert_int_equal(f->e.kind, ERR_BUSY);
    loc.volume = 77;
    assert_false(vol_read_at(f->vs, loc, 0, byte, 1, &f->e));
    assert_false(vol_remove(f->vs, 77, &f->e));
    struct vol_entry en = o->put.entry;
    en.loc.length = (uint64_t)STORE_OBJECT_BYTES_MAX + 1; // an index that lies
    assert_false(vol_verify(f->vs, &en, &f->e));
    assert_int_equal(f->e.kind, ERR_CORRUPT);
    en.loc.length = 4000;
    en.loc.offset = UINT64_MAX - 100;
    assert_false(vol_verify(f->vs, &en, &f->e));
    assert_false(vol_scan(f->vs, o->put.entry.loc.volume, 100, false, see, &(struct seen){0}, NULL, &f->e));
    object_free(o);
}

static void a_folder_that_cannot_be_is_refused_with_its_name(void **state) {
    struct fixture *f = *state;
    char long_path[3100];
    memset(long_path, 'x', sizeof long_path - 1);
    long_path[sizeof long_path - 1] = '\0';
    assert_false(vol_open(&(struct vol_options){.dir = long_path}, &f->vs, &f->e));
    assert_int_equal(f->e.kind, ERR_USAGE);
    assert_false(vol_open(&(struct vol_options){.dir = "/proc/no/such"}, &f->vs, &f->e));
    assert_non_null(strstr(f->e.message, "/proc/no/such"));
    f->vs = NULL;
}

static void descriptors_stay_few_however_many_volumes_are_read(void **state) {
    struct fixture *f = *state;
    open_set(f, (struct vol_options){.volume_bytes = 8 << 10});
    enum { MANY = STORE_DESCRIPTORS_MAX + 60 };
    char back;
    for (unsigned i = 0; i < MANY; i++) {
        struct object *o = object_new(i + 1, 4000);
        put(f, o);
        assert_true(vol_read_at(f->vs, o->put.entry.loc, 0, &back, 1, &f->e));
        object_free(o);
    }
    char command[128];
    snprintf(command, sizeof command, "test $(ls /proc/%d/fd | wc -l) -le %d", (int)getpid(), STORE_DESCRIPTORS_MAX + 40);
    int status = system(command);
    for (int i = 0; i < 1200 && status != 0; i++) { // volumes that have just ended are sealed beside
        usleep(50000);
        status = system(command);
    }
    assert_int_equal(status, 0);
    assert_int_equal(scan_all(f, true).n, MANY);
}

#define IN_DIR(test) cmocka_unit_test_setup_teardown(test, make_dir, drop_dir)

int main(void) {
    log_set_level(LOG_ERROR + 1); // damage is made on purpose
    const struct CMUnitTest tests[] = {
        IN_DIR(objects_of_every_size_come_back_identical_also_after_reopening),
        IN_DIR(the_same_bytes_are_kept_once_and_other_bytes_beside),
        IN_DIR(a_put_that_the_index_cannot_commit_fails_and_the_next_one_goes_on),
        IN_DIR(a_digest_may_come_while_the_bytes_are_being_written),
        IN_DIR(a_digest_that_fails_fails_its_object_and_leaves_nothing_of_it),
        IN_DIR(many_senders_share_flushes_and_each_gets_its_own_bytes),
        IN_DIR(staged_objects_are_stored_whole_and_large_ones_become_volumes),
        IN_DIR(an_object_too_long_for_a_group_is_taken_from_memory_too),
        IN_DIR(volumes_are_read_by_tar_and_python_while_they_grow_and_after),
        IN_DIR(names_that_are_no_identifiers_never_reach_a_path),
        IN_DIR(each_of_100_flipped_bits_is_found_and_costs_only_its_own_entry),
        IN_DIR(damage_in_the_flushed_part_is_told_at_start_and_takes_nothing_after_it_along),
        IN_DIR(a_volume_that_is_removed_leaves_its_readers_alone_and_its_number_is_not_given_again),
        IN_DIR(a_volume_is_built_of_entries_of_others_and_its_number_is_its_own),
        IN_DIR(a_built_volume_that_is_removed_leaves_its_number_taken),
        IN_DIR(reading_only_changes_nothing),
        IN_DIR(facts_of_an_entry_come_back_and_long_notes_end_with_a_whole_character),
        IN_DIR(what_is_not_ours_in_the_folder_is_left_alone),
        IN_DIR(reads_beyond_an_object_and_of_volumes_that_are_not_there_are_refused),
        IN_DIR(a_folder_that_cannot_be_is_refused_with_its_name),
        IN_DIR(descriptors_stay_few_however_many_volumes_are_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
