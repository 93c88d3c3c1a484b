// Two nodes, as two archives of one process, over one index on PostgreSQL: the outcome is that of one node.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
// cmocka needs the four above first
#include <cmocka.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "core/index.h"
#include "core/scope.h"
#include "core_fixture.h"
#include "db/db.h"
#include "dicom/read.h"
#include "sys/digest.h"

enum { A, B, NODES };

struct nodes {
    struct fixture *at[NODES];
};

// By a name of its own, so that its connections can be told from those of other tests.
static void open_node(struct fixture *f, const char *which) {
    struct archive_options o = fixture_options(f);
    struct err e = {0};
    char name[32];
    snprintf(name, sizeof name, "core-%ld-%s", (long)getpid(), which);
    o.node = name;
    if (!archive_open(&o, &f->ar, &e)) fail_msg("%s", e.message);
}

static int setup(void **state) {
    struct nodes *n = calloc(1, sizeof *n);
    if (!postgres_url()) return -1;
    for (int i = 0; i < NODES; i++) {
        struct fixture *f = n->at[i] = calloc(1, sizeof *f);
        snprintf(f->dir, sizeof f->dir, "%s/gantry-nodes-XXXXXX", access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
        if (!mkdtemp(f->dir)) return -1;
        f->remote = true;
        arena_init(&f->arena, 256 << 20);
        buf_init(&f->object, 64 << 20);
    }
    postgres_new_schema(n->at[A]->schema);
    memcpy(n->at[B]->schema, n->at[A]->schema, sizeof n->at[B]->schema);
    open_node(n->at[A], "a");
    open_node(n->at[B], "b");
    *state = n;
    return 0;
}

static int teardown(void **state) {
    struct nodes *n = *state;
    char command[128];
    for (int i = 0; i < NODES; i++) fixture_close(n->at[i]);
    postgres_drop_schema(n->at[A]->schema);
    for (int i = 0; i < NODES; i++) {
        struct fixture *f = n->at[i];
        arena_deinit(&f->arena);
        buf_deinit(&f->object);
        snprintf(command, sizeof command, "rm -rf %s", f->dir);
        if (system(command) != 0) return -1;
        free(f);
    }
    free(n);
    return 0;
}

// ---- what must hold whatever happened ----

static void check_whole(struct fixture *f) {
    struct err e = {0};
    int64_t checked;
    static const char *const none[] = {
        "SELECT count(*) FROM studies s WHERE instance_count <> (SELECT count(*) FROM instances i JOIN series r ON r.id = i.series WHERE r.study = s.id)",
        "SELECT count(*) FROM series s WHERE instance_count <> (SELECT count(*) FROM instances WHERE series = s.id) OR instance_count = 0",
        "SELECT count(*) FROM studies s WHERE series_count <> (SELECT count(*) FROM series WHERE study = s.id) OR series_count = 0",
        "SELECT count(*) FROM patients p WHERE study_count <> (SELECT count(*) FROM studies WHERE patient = p.id) OR study_count = 0",
        "SELECT count(*) FROM instances i WHERE NOT EXISTS (SELECT 1 FROM series WHERE id = i.series)",
        "SELECT count(*) FROM instances i WHERE header_base <> 0 AND NOT EXISTS (SELECT 1 FROM header_bases WHERE id = i.header_base)",
        "SELECT count(*) FROM instance_parts p WHERE NOT EXISTS (SELECT 1 FROM instances WHERE id = p.instance)",
        "SELECT count(*) FROM study_keys k WHERE NOT EXISTS (SELECT 1 FROM studies WHERE id = k.study)",
        "SELECT count(*) FROM study_months m WHERE studies <> (SELECT count(*) FROM study_keys WHERE month = m.month AND key = '')",
        "SELECT count(*) FROM figures WHERE name = 'instances' AND value <> (SELECT count(*) FROM instances)",
        "SELECT count(*) FROM figures WHERE name = 'series' AND value <> (SELECT count(*) FROM series)",
        "SELECT count(*) FROM figures WHERE name = 'studies' AND value <> (SELECT count(*) FROM studies)",
        "SELECT count(*) FROM figures WHERE name = 'patients' AND value <> (SELECT count(*) FROM patients)",
        "SELECT count(*) FROM figures WHERE name = 'conflicts' AND value <> (SELECT count(*) FROM conflicts)",
        "SELECT count(*) FROM figures WHERE name = 'bytes' AND value <> (SELECT CAST(coalesce(sum(length), 0) AS BIGINT) FROM instances)",
        "SELECT count(*) FROM instances i WHERE EXISTS (SELECT 1 FROM dead d WHERE d.volume = i.volume AND d.\"offset\" = i.\"offset\")",
    };
    for (unsigned i = 0; i < sizeof none / sizeof *none; i++)
        if (count_rows(f, none[i]) != 0) fail_msg("%s", none[i]);
    if (!events_verify(f->ar, &checked, &e)) fail_msg("%s", e.message);
}

// ---- senders ----

struct sender {
    struct fixture *f;
    pthread_t thread;
    int from, to, study;
    unsigned fill;
    unsigned outcomes[4], refused; // by enum ingest_outcome
    bool wrong;
};

static void name(int study, int i, char uid[32], char series[32], char sop[64]) {
    snprintf(uid, 32, "1.2.%d", study);
    snprintf(series, 32, "1.2.%d.1", study);
    snprintf(sop, 64, "1.2.%d.1.%d", study, i);
}

static void make(struct fixture *f, int study, int i, unsigned fill) {
    char uid[32], series[32], sop[64];
    name(study, i, uid, series, sop);
    arena_reset(&f->arena);
    make_object(f, &(struct sample){.study = uid, .series = series, .sop = sop, .number = i, .fill = fill});
}

// Each sender has a fixture of its own for its object; the archive is the node's.
static void *send_all(void *arg) {
    struct sender *s = arg;
    struct fixture own = {.ar = s->f->ar};
    arena_init(&own.arena, 64 << 20);
    buf_init(&own.object, 1 << 20);
    for (int i = s->from; i < s->to; i++) {
        struct ingest_result r = {0};
        struct err e = {0};
        make(&own, s->study, i, s->fill);
        if (ingest_object(&own, &r, &e))
            s->outcomes[r.outcome]++;
        else if (err_class_of(e.kind)->retry)
            s->refused++;
        else
            s->wrong = true, fprintf(stderr, "%s\n", e.message);
    }
    arena_deinit(&own.arena);
    buf_deinit(&own.object);
    return NULL;
}

static void run(struct sender *s, int n) {
    for (int i = 0; i < n; i++) assert_int_equal(pthread_create(&s[i].thread, NULL, send_all, &s[i]), 0);
    for (int i = 0; i < n; i++) pthread_join(s[i].thread, NULL);
    for (int i = 0; i < n; i++) assert_false(s[i].wrong);
}

static void one_study_that_comes_over_both_is_one_study(void **state) {
    struct nodes *n = *state;
    struct sender s[] = {
        {.f = n->at[A], .from = 0, .to = 40, .study = 1},
        {.f = n->at[B], .from = 40, .to = 80, .study = 1},
        {.f = n->at[A], .from = 80, .to = 120, .study = 1},
        {.f = n->at[B], .from = 120, .to = 160, .study = 1},
    };
    run(s, 4);
    for (int i = 0; i < 4; i++) assert_int_equal(s[i].outcomes[INGEST_STORED], 40);
    assert_int_equal(count_rows(n->at[A], "SELECT count(*) FROM patients"), 1);
    assert_int_equal(count_rows(n->at[A], "SELECT count(*) FROM studies"), 1);
    assert_int_equal(count_rows(n->at[A], "SELECT count(*) FROM series"), 1);
    assert_int_equal(count_rows(n->at[A], "SELECT count(*) FROM header_bases"), 1);
    assert_int_equal(count_rows(n->at[A], "SELECT count(*) FROM instances"), 160);
    assert_int_equal(list_study(n->at[B], "1.2.1").count, 160);
    assert_true(events_wait(n->at[A]->ar, 159, 10000)); // the last may be of the other node
    assert_int_equal(events_last(n->at[A]->ar), 160);
    check_whole(n->at[B]);
}

static void an_object_that_comes_over_both_is_kept_once(void **state) {
    struct nodes *n = *state;
    struct sender s[] = {{.f = n->at[A], .from = 0, .to = 60, .study = 1}, {.f = n->at[B], .from = 0, .to = 60, .study = 1}};
    run(s, 2);
    assert_int_equal(s[0].outcomes[INGEST_STORED] + s[1].outcomes[INGEST_STORED], 60);
    assert_int_equal(s[0].outcomes[INGEST_KNOWN] + s[1].outcomes[INGEST_KNOWN], 60);
    assert_int_equal(count_rows(n->at[A], "SELECT count(*) FROM instances"), 60);
    assert_int_equal(count_rows(n->at[A], "SELECT count(*) FROM conflicts"), 0);
    check_whole(n->at[A]);
}

static void of_two_objects_under_one_uid_one_is_served_and_both_are_kept(void **state) {
    struct nodes *n = *state;
    struct sender s[] = {{.f = n->at[A], .from = 0, .to = 60, .study = 1, .fill = 1}, {.f = n->at[B], .from = 0, .to = 60, .study = 1, .fill = 2}};
    run(s, 2);
    assert_int_equal(s[0].outcomes[INGEST_STORED] + s[1].outcomes[INGEST_STORED], 60);
    assert_int_equal(s[0].outcomes[INGEST_CONFLICT] + s[1].outcomes[INGEST_CONFLICT], 60);
    assert_int_equal(count_rows(n->at[A], "SELECT count(*) FROM instances"), 60);
    assert_int_equal(count_rows(n->at[A], "SELECT count(*) FROM conflicts"), 60);
    assert_int_equal(
        count_rows(n->at[A], "SELECT count(*) FROM instances i JOIN conflicts c ON c.sop_instance_uid = i.sop_instance_uid AND c.digest <> i.digest"), 60);
    check_whole(n->at[A]);
    struct sender again[] = {{.f = n->at[B], .from = 0, .to = 60, .study = 1, .fill = 1}, {.f = n->at[A], .from = 0, .to = 60, .study = 1, .fill = 2}};
    run(again, 2); // all are known, the copies beside as such
    assert_int_equal(again[0].outcomes[INGEST_STORED] + again[1].outcomes[INGEST_STORED], 0);
    assert_int_equal(count_rows(n->at[A], "SELECT count(*) FROM instances"), 60);
    assert_int_equal(count_rows(n->at[A], "SELECT count(*) FROM conflicts"), 60);
}

struct deleter {
    struct fixture *f;
    pthread_t thread;
    _Atomic bool stop;
    unsigned deleted;
    bool wrong;
};

static void *delete_again_and_again(void *arg) {
    struct deleter *d = arg;
    while (!d->stop) {
        uint64_t count;
        struct err e = {0};
        if (archive_delete(d->f->ar, &TESTER, STR_LIT("1.2.1"), STR_LIT(""), STR_LIT(""), STR_LIT("x"), &count, &e))
            d->deleted += (unsigned)count;
        else if (e.kind != ERR_NOT_FOUND)
            d->wrong = true, fprintf(stderr, "%s\n", e.message);
        usleep(2000);
    }
    return NULL;
}

static void a_study_that_is_deleted_while_it_comes_is_there_or_gone_and_nothing_between(void **state) {
    struct nodes *n = *state;
    struct deleter d = {.f = n->at[B]};
    struct sender s[] = {{.f = n->at[A], .from = 0, .to = 150, .study = 1}, {.f = n->at[B], .from = 100, .to = 250, .study = 1}};
    assert_int_equal(pthread_create(&d.thread, NULL, delete_again_and_again, &d), 0);
    run(s, 2);
    d.stop = true;
    pthread_join(d.thread, NULL);
    assert_false(d.wrong);
    assert_true(d.deleted > 0);
    check_whole(n->at[A]);
    assert_int_equal(s[0].outcomes[INGEST_STORED] + s[1].outcomes[INGEST_STORED],
                     count_rows(n->at[A], "SELECT count(*) FROM events WHERE type = 'instance.stored'"));
    assert_int_equal(s[0].outcomes[INGEST_STORED] + s[1].outcomes[INGEST_STORED] - d.deleted, count_rows(n->at[A], "SELECT count(*) FROM instances"));
}

// ---- between the question whether it is known and the commit ----

enum { HEAD = 1536 };

static struct index_put sender; // whose put append_while makes; empty: the archive's own

static bool read_object(void *ctx, uint64_t offset, void *p, size_t n, struct err *e) {
    const struct buf *b = ctx;
    if (offset > b->n || n > b->n - offset) return err_set(e, ERR_BAD_INPUT, "test", "past the end");
    memcpy(p, b->p + offset, n);
    return true;
}

static void prepare_object(struct fixture *f, const struct dcm_source *source, struct index_put *p, struct vol_put *put) {
    struct err e = {0};
    struct dcm_object o = {0};
    *p = sender;
    if (!dcm_read_memory(&f->arena, f->object.p, f->object.n, NULL, DCM_STOP_AT_PIXELS, &o, &e) ||
        !index_prepare(f->ar, &f->arena, &o, 0, source, f->object.n, p, &e))
        fail_msg("%s", e.message);
    const struct facts *x = &p->facts;
    *put = (struct vol_put){
        .entry = {.kind = VOL_OBJECT, .study = x->study_uid, .series = x->series_uid, .sop = x->sop_uid, .ts = x->ts_uid, .source = STR_LIT("test")},
        .user = p};
    put->entry.received_ms = clock_wall_ms();
    assert_true(digest_of(f->object.p, f->object.n, put->entry.digest, &e));
}

// What the volume writer does with f->object of node A; between classify and commit something happens on node B.
static struct vol_put append_while(struct nodes *n, enum vol_outcome first, void (*meanwhile)(struct fixture *other), struct index_put *p) {
    struct fixture *f = n->at[A];
    struct err e = {0};
    struct dcm_source source = {read_object, &f->object};
    struct vol_index index = index_callbacks(f->ar);
    struct vol_put put, *puts[1] = {&put};
    prepare_object(f, &source, p, &put);
    index.look(index.ctx, puts, 1);
    if (!index.classify(index.ctx, &put, puts, 0, &e)) fail_msg("%s", e.message);
    assert_int_equal(put.outcome, first);
    meanwhile(n->at[B]);
    struct buf tar;
    buf_init(&tar, 1 << 20);
    memset(buf_reserve(&tar, HEAD), 0, HEAD);
    tar.n = HEAD;
    buf_add(&tar, f->object.p, f->object.n);
    const struct str contents = buf_str(&tar);
    struct vol_written written = {.end = tar.n, .place = VOL_IN_INDEX, .size = tar.n, .contents = &contents, .content_count = 1};
    assert_true(index.reserve(index.ctx, 1, &written.volume, &e));
    put.entry.loc = (struct vol_loc){written.volume, HEAD, f->object.n};
    put.entry.end = tar.n;
    if (!index.commit(index.ctx, puts, 1, &written, &e)) fail_msg("%s", e.message);
    buf_deinit(&tar);
    index_put_deinit(p);
    return put;
}

static void send_as(struct fixture *f, int study, int i, unsigned fill, enum ingest_outcome expected) {
    struct ingest_result r;
    struct err e = {0};
    make(f, study, i, fill);
    if (!ingest_object(f, &r, &e)) fail_msg("%s", e.message);
    assert_int_equal(r.outcome, expected);
}

static void send_same(struct fixture *f) {
    send_as(f, 1, 1, 7, INGEST_STORED);
}

static void send_other(struct fixture *f) {
    send_as(f, 1, 1, 8, INGEST_STORED);
}

static void remove_study(struct fixture *f) {
    uint64_t count;
    struct err e = {0};
    if (!archive_delete(f->ar, &TESTER, STR_LIT("1.2.1"), STR_LIT(""), STR_LIT(""), STR_LIT("x"), &count, &e)) fail_msg("%s", e.message);
}

static void what_another_node_stores_between_is_seen_by_the_commit(void **state) {
    struct nodes *n = *state;
    struct index_put p;
    make(n->at[A], 1, 1, 7);
    assert_int_equal(append_while(n, VOL_STORED, send_same, &p).outcome, VOL_KNOWN);
    assert_false(p.known_conflict);
    assert_int_equal(count_rows(n->at[A], "SELECT count(*) FROM instances"), 1);
    assert_int_equal(count_rows(n->at[A], "SELECT count(*) FROM dead WHERE why = 'duplicate'"), 1);
    check_whole(n->at[A]);
}

static void other_bytes_that_another_node_stores_between_come_first(void **state) {
    struct nodes *n = *state;
    struct index_put p;
    make(n->at[A], 1, 1, 7);
    struct vol_put put = append_while(n, VOL_STORED, send_other, &p);
    assert_int_equal(put.outcome, VOL_STORED_CONFLICT);
    assert_int_equal(put.entry.kind, VOL_OBJECT); // as it lies in the volume
    assert_true(p.reason[0]);
    int64_t conflict = count_rows(n->at[A], "SELECT volume FROM conflicts"), first = count_rows(n->at[A], "SELECT volume FROM instances");
    assert_int_equal(conflict, put.entry.loc.volume);
    assert_true(first != conflict);
    check_whole(n->at[A]);
    send_as(n->at[A], 1, 1, 7, INGEST_CONFLICT); // known beside the other
    assert_int_equal(count_rows(n->at[A], "SELECT count(*) FROM conflicts"), 1);
}

// Everything within one tenant.
static void send_of(struct fixture *f, const char *tenant, unsigned fill) {
    struct err e = {0};
    struct ingest_result r;
    struct access_grant grant = {.role = STR_LIT("test"), .permissions = ACCESS_ALL_BITS, .scope = {.kind = SCOPE_TENANT, .realm = {.tenant = str_of(tenant)}}};
    const struct principal who = {.kind = PRINCIPAL_USER, .id = 1, .name = str_of(tenant), .home = grant.scope.realm, .grants = &grant, .grant_count = 1};
    const struct actor actor = {.door = DOOR_DICOMWEB, .user = who.name, .principal = &who};
    make(f, 1, 1, fill);
    struct ingest *in = ingest_begin(f->ar, &actor, NULL, &e);
    if (!in || !ingest_write(in, f->object.p, f->object.n, &e) || !ingest_commit(in, &r, &e)) fail_msg("%s", e.message);
    assert_int_equal(r.outcome, INGEST_STORED);
}

static void send_same_of_another_tenant(struct fixture *f) {
    send_of(f, "B", 7);
}

static void send_other_of_another_tenant(struct fixture *f) {
    send_of(f, "B", 8);
}

static void send_same_of_both(struct fixture *f) {
    send_of(f, "B", 7);
    send_of(f, "A", 7);
}

// Each has what it sent, whichever node was faster, and hears nothing of the other.
static void come_after_another_tenant(struct nodes *n, void (*meanwhile)(struct fixture *other)) {
    static const struct scope reaches_nothing = {.keys = {"[]", 2}};
    struct index_put p;
    sender = (struct index_put){.home = STR_LIT("A"), .placed = true, .store = &reaches_nothing};
    make(n->at[A], 1, 1, 7);
    append_while(n, VOL_STORED, meanwhile, &p);
    sender = (struct index_put){0};
    assert_true(p.apart);
    assert_int_equal(count_rows(n->at[A], "SELECT count(*) FROM instances"), 1);
    assert_int_equal(count_rows(n->at[A], "SELECT count(*) FROM conflicts"), 1);
    assert_int_equal(count_rows(n->at[A], "SELECT count(*) FROM conflicts c JOIN realms r ON r.id = c.realm WHERE r.tenant = 'A' AND c.apart = 1"), 1);
    check_whole(n->at[A]);
}

static void the_same_that_another_tenant_stores_on_another_node_between_is_kept_for_both(void **state) {
    come_after_another_tenant(*state, send_same_of_another_tenant);
}

static void other_bytes_that_another_tenant_stores_on_another_node_between_are_not_told(void **state) {
    come_after_another_tenant(*state, send_other_of_another_tenant);
}

static void a_copy_that_the_own_tenant_stores_on_another_node_between_is_kept_once(void **state) {
    come_after_another_tenant(*state, send_same_of_both);
}

// The same data set with another meta header: its bytes must be read to be known.
static void send_over_another_door(struct fixture *f) {
    struct err e = {0};
    struct ingest_result r;
    make(f, 1, 1, 7);
    const struct ingest_hint hint = {STR_LIT("1.2.840.10008.5.1.4.1.1.2"), STR_LIT("1.2.1.1.1"), STR_LIT("1.2.840.10008.1.2.1")};
    struct ingest *in = ingest_begin(f->ar, &(struct actor){.door = DOOR_DIMSE, .principal = &PRINCIPAL_OF_LOCAL, .aet = STR_LIT("OTHER")}, &hint, &e);
    if (!in || !ingest_write(in, f->object.p + f->dataset_offset, f->object.n - f->dataset_offset, &e) || !ingest_commit(in, &r, &e)) fail_msg("%s", e.message);
    assert_int_equal(r.outcome, INGEST_STORED);
}

static void what_another_door_of_another_node_takes_between_is_read_and_known(void **state) {
    struct nodes *n = *state;
    struct index_put p;
    make(n->at[A], 1, 1, 7);
    assert_int_equal(append_while(n, VOL_STORED, send_over_another_door, &p).outcome, VOL_KNOWN);
    assert_true(p.has_twin);
    assert_int_equal(count_rows(n->at[A], "SELECT count(*) FROM instances"), 1);
    check_whole(n->at[A]);
}

static void a_study_that_another_node_deletes_between_begins_anew(void **state) {
    struct nodes *n = *state;
    struct index_put p;
    for (int i = 0; i < 3; i++) send_as(n->at[A], 1, 10 + i, 0, INGEST_STORED);
    make(n->at[A], 1, 1, 7);
    assert_int_equal(append_while(n, VOL_STORED, remove_study, &p).outcome, VOL_STORED);
    assert_int_equal(count_rows(n->at[A], "SELECT count(*) FROM instances"), 1);
    assert_int_equal(count_rows(n->at[A], "SELECT instance_count FROM studies"), 1);
    check_whole(n->at[A]);
}

static void a_copy_beside_an_object_that_another_node_deletes_between_is_asked_for_again(void **state) {
    struct nodes *n = *state;
    struct index_put p;
    send_as(n->at[B], 1, 1, 6, INGEST_STORED);
    make(n->at[A], 1, 1, 7);
    struct vol_put put = append_while(n, VOL_STORED_CONFLICT, remove_study, &p);
    assert_true(put.failed && err_class_of(put.err.kind)->retry);
    assert_int_equal(count_rows(n->at[A], "SELECT count(*) FROM conflicts"), 0);
    assert_int_equal(count_rows(n->at[A], "SELECT count(*) FROM instances"), 0);
    check_whole(n->at[A]);
    send_as(n->at[A], 1, 1, 7, INGEST_STORED);
}

// ---- what a process remembers ----

static void header_of(struct fixture *f, const char *sop) {
    struct err e = {0};
    struct instance_list list;
    struct dcm_dataset *header;
    if (!retrieve_list(f->ar, &TESTER, &f->arena, &(struct retrieve_query){.sop_instance_uids = str_of(sop)}, &list, &e)) fail_msg("%s", e.message);
    assert_int_equal(list.count, 1);
    if (!retrieve_header(f->ar, &f->arena, &list.refs[0], &header, &e)) fail_msg("%s", e.message);
    assert_true(str_eqz(dcm_text(header, DCM_SOPInstanceUID), sop));
}

static void what_a_node_remembers_of_a_series_goes_when_another_deletes_it(void **state) {
    struct nodes *n = *state;
    for (int round = 0; round < 3; round++) {
        send_as(n->at[A], 1, 1, 0, INGEST_STORED);
        send_as(n->at[A], 1, 2, 0, INGEST_STORED);
        send_as(n->at[B], 1, 3, 0, INGEST_STORED);
        send_as(n->at[B], 1, 4, 0, INGEST_STORED);
        header_of(n->at[A], "1.2.1.1.4");
        header_of(n->at[B], "1.2.1.1.2");
        assert_int_equal(count_rows(n->at[A], "SELECT count(*) FROM header_bases"), 1);
        assert_int_equal(count_rows(n->at[A], "SELECT count(*) FROM instances WHERE header_base > 0"), 2); // all but the first of each node
        remove_study(n->at[round % 2 ? A : B]);
        check_whole(n->at[A]);
    }
    assert_int_equal(count_rows(n->at[A], "SELECT count(*) FROM header_bases"), 0);
    send_as(n->at[B], 1, 1, 0, INGEST_STORED); // sent again, and again beside what was remembered
    send_as(n->at[A], 1, 2, 0, INGEST_STORED);
    header_of(n->at[B], "1.2.1.1.2");
    check_whole(n->at[B]);
}

static void metadata_that_one_node_prepared_is_made_again_when_another_stores(void **state) {
    struct nodes *n = *state;
    for (int i = 1; i <= 4; i++) {
        send_as(n->at[i % 2 ? A : B], 1, i, 0, INGEST_STORED);
        for (int k = 0; k < NODES; k++) {
            struct buf json;
            struct err e = {0};
            bool gzip;
            unsigned objects = 0;
            buf_init(&json, 1 << 20);
            if (!retrieve_series_metadata(n->at[k]->ar, &TESTER, STR_LIT("1.2.1"), STR_LIT("1.2.1.1"), false, &json, &gzip, &e)) fail_msg("%s", e.message);
            for (size_t at = 0; (at = str_find(buf_str(&json), '{', at)) < json.n; at++)
                objects += json.n - at > 11 && memcmp(json.p + at, "{\"00080016\"", 11) == 0;
            assert_int_equal(objects, i);
            buf_deinit(&json);
        }
    }
}

// ---- events ----

static void events_of_one_node_wake_those_who_wait_on_another(void **state) {
    struct nodes *n = *state;
    struct err e = {0};
    struct event *list;
    unsigned count;
    int64_t waited_us = 0;
    for (int i = 0; i < 5; i++) {
        struct fixture *from = n->at[i % 2 ? A : B], *to = n->at[i % 2 ? B : A];
        int64_t last = count_rows(from, "SELECT coalesce(max(seq), 0) FROM events");
        assert_true(events_wait(to->ar, last - 1, 60000)); // what was before is known
        send_as(from, 1, i, 0, INGEST_STORED);
        int64_t began = clock_mono_us();
        assert_true(events_wait(to->ar, last, 60000));
        waited_us += clock_mono_us() - began;
    }
    assert_true(waited_us < 15 * 1000 * 1000); // who is not woken looks every 5 s
    assert_true(events_after(n->at[A]->ar, &n->at[A]->arena, 0, 10, &list, &count, &e));
    assert_int_equal(count, 5);
    for (unsigned i = 0; i < count; i++) assert_int_equal(list[i].seq, i + 1);
    check_whole(n->at[B]);
}

// ---- the database goes away ----

// All connections of this test but the one that asks.
static void cut_all(struct fixture *f) {
    char sql[256];
    snprintf(sql, sizeof sql,
             "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND application_name LIKE 'gantry core-%ld-%%'",
             (long)getpid());
    count_rows(f, sql);
}

static void a_node_that_lost_its_connections_goes_on_and_misses_no_event(void **state) {
    struct nodes *n = *state;
    struct sender s = {.f = n->at[A], .from = 0, .to = 200, .study = 1};
    assert_int_equal(pthread_create(&s.thread, NULL, send_all, &s), 0);
    for (int i = 0; i < 5; i++) {
        usleep(30 * 1000);
        cut_all(n->at[B]);
    }
    pthread_join(s.thread, NULL);
    assert_false(s.wrong);
    // Those that were refused are sent again, until the pauses between connecting anew are over.
    struct sender again = {.refused = 1};
    for (int64_t until = clock_mono_us() + 60 * 1000 * 1000; again.refused && clock_mono_us() < until; usleep(200 * 1000)) {
        again = (struct sender){.f = n->at[A], .from = 0, .to = 200, .study = 1};
        run(&again, 1);
    }
    assert_int_equal(again.refused, 0);
    assert_int_equal(again.outcomes[INGEST_STORED] + again.outcomes[INGEST_KNOWN], 200);
    assert_int_equal(count_rows(n->at[A], "SELECT count(*) FROM instances"), 200);
    check_whole(n->at[A]);
    int64_t last = count_rows(n->at[A], "SELECT max(seq) FROM events");
    assert_true(events_wait(n->at[B]->ar, last - 1, 60000));
    assert_int_equal(events_last(n->at[B]->ar), last);
}

int main(void) {
#define TEST(t) cmocka_unit_test_setup_teardown(t, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(one_study_that_comes_over_both_is_one_study),
        TEST(an_object_that_comes_over_both_is_kept_once),
        TEST(of_two_objects_under_one_uid_one_is_served_and_both_are_kept),
        TEST(a_study_that_is_deleted_while_it_comes_is_there_or_gone_and_nothing_between),
        TEST(what_another_node_stores_between_is_seen_by_the_commit),
        TEST(other_bytes_that_another_node_stores_between_come_first),
        TEST(the_same_that_another_tenant_stores_on_another_node_between_is_kept_for_both),
        TEST(other_bytes_that_another_tenant_stores_on_another_node_between_are_not_told),
        TEST(a_copy_that_the_own_tenant_stores_on_another_node_between_is_kept_once),
        TEST(what_another_door_of_another_node_takes_between_is_read_and_known),
        TEST(a_study_that_another_node_deletes_between_begins_anew),
        TEST(a_copy_beside_an_object_that_another_node_deletes_between_is_asked_for_again),
        TEST(what_a_node_remembers_of_a_series_goes_when_another_deletes_it),
        TEST(metadata_that_one_node_prepared_is_made_again_when_another_stores),
        TEST(events_of_one_node_wake_those_who_wait_on_another),
        TEST(a_node_that_lost_its_connections_goes_on_and_misses_no_event),
    };
    if (!postgres_url()) {
        printf("SKIP GANTRY_TEST_POSTGRES names no server\n");
        return 77;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
