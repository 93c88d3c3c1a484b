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

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(objects_of_every_size_come_back_identical_also_after_reopening, make_dir, drop_dir),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
