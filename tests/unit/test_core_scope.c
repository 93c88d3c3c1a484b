// What an asker does not reach is not there: in every service, by the same words; studies belong to who sent them, also after the index was made anew.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
// cmocka needs the four above first
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "core/graves.h"
#include "core/hold.h"
#include "core/mark.h"
#include "core/query.h"
#include "core/scope.h"
#include "core/veil.h"
#include "core/worklist.h"
#include "core_fixture.h"
#include "mod/admin/admin.h"

#define EVERY_PERMISSION ACCESS_ALL_BITS
#define NONE ((struct str){NULL, 0})

// Somebody with one grant of everything within a scope.
struct somebody {
    struct access_grant grant;
    struct principal principal;
    struct actor actor;
};

static void become(struct somebody *s, const char *name, const char *scope, uint64_t permissions) {
    struct err e = {0};
    *s = (struct somebody){.grant = {.role = {"test", 4}, .permissions = permissions}};
    if (!access_scope_parse(str_of(scope), &s->grant.scope, &e)) fail_msg("%s", e.message);
    s->principal = (struct principal){.kind = PRINCIPAL_USER, .id = 1, .name = str_of(name), .grants = &s->grant, .grant_count = 1};
    s->actor = (struct actor){.door = DOOR_DICOMWEB, .user = s->principal.name, .principal = &s->principal};
    if (s->grant.scope.kind >= SCOPE_TENANT && s->grant.scope.kind <= SCOPE_DEPARTMENT) s->principal.home = s->grant.scope.realm;
}

static enum ingest_outcome send_as(struct fixture *f, const struct actor *who, const struct sample *s) {
    struct err e = {0};
    struct ingest_result r;
    make_object(f, s);
    struct ingest *in = ingest_begin(f->ar, who, NULL, &e);
    if (!in || !ingest_write(in, f->object.p, f->object.n, &e) || !ingest_commit(in, &r, &e)) fail_msg("%s", e.message);
    if (r.outcome == INGEST_STORED) assert_string_equal(r.reason, "");
    return r.outcome;
}

static enum err_kind refused_as(struct fixture *f, const struct actor *who, const struct sample *s, char message[256]) {
    struct err e = {0};
    struct ingest_result r;
    make_object(f, s);
    struct ingest *in = ingest_begin(f->ar, who, NULL, &e);
    if (!in || !ingest_write(in, f->object.p, f->object.n, &e)) fail_msg("%s", e.message);
    assert_false(ingest_commit(in, &r, &e));
    snprintf(message, 256, "%.255s", e.message);
    char *at = strstr(message, s->study);
    if (at) *at = '\0';
    return e.kind;
}

static size_t count_found(struct fixture *f, const struct actor *who, const struct query_key *keys, unsigned n) {
    struct err e = {0};
    struct query_cursor *c;
    struct arena scratch;
    struct dcm_dataset *match;
    size_t found = 0;
    struct query_key copy[4];
    if (n) memcpy(copy, keys, n * sizeof *keys);
    const struct query q = {.level = QUERY_STUDY, .keys = copy, .key_count = n};
    if (!query_open(f->ar, who, &f->arena, &q, &c, &e)) fail_msg("%s", e.message);
    arena_init(&scratch, 64 << 20);
    enum query_step step;
    while ((step = query_next(c, &scratch, &match, &e)) == QUERY_ROW) found++;
    if (step == QUERY_FAIL) fail_msg("%s", e.message);
    query_close(c);
    arena_deinit(&scratch);
    return found;
}

static size_t studies_of(struct fixture *f, const struct actor *who, const char *uid) {
    const struct query_key key = {.path = {DCM_StudyInstanceUID}, .path_n = 1, .value = str_of(uid)};
    return count_found(f, who, &key, 1);
}

static size_t patients_of(struct fixture *f, const struct actor *who, const char *name) {
    const struct query_key key = {.path = {DCM_PatientName}, .path_n = 1, .value = str_of(name)};
    return count_found(f, who, &key, 1);
}

static size_t instances_of(struct fixture *f, const struct actor *who, const char *uid) {
    struct err e = {0};
    struct instance_list list;
    const struct retrieve_query q = {.study_uids = str_of(uid)};
    if (!retrieve_list(f->ar, who, &f->arena, &q, &list, &e)) fail_msg("%s", e.message);
    return list.count;
}

static size_t listed(struct fixture *f, const struct actor *who, const char *text, uint64_t *total) {
    struct err e = {0};
    struct worklist_page page;
    const struct worklist_filter filter = {.text = str_of(text)};
    if (!worklist_read(f->ar, who, &f->arena, &filter, STR_LIT(""), 100, &page, &e)) fail_msg("%s", e.message);
    if (total) *total = page.total;
    return page.count;
}

// Two tenants, and the own one: A with two sites, B with one.
struct people {
    struct somebody a, a1, a2, b, own;
};

static void fill(struct fixture *f, struct people *p) {
    become(&p->a, "a", "tenant:A", EVERY_PERMISSION);
    become(&p->a1, "a1", "site:A/East", EVERY_PERMISSION);
    become(&p->a2, "a2", "department:A/West/MR", EVERY_PERMISSION);
    become(&p->b, "b", "tenant:B", EVERY_PERMISSION);
    become(&p->own, "own", "tenant:", EVERY_PERMISSION);
    assert_int_equal(send_as(f, &p->a1.actor, &(struct sample){.study = "1.1", .series = "1.1.1", .sop = "1.1.1.1", .name = "Li^Wei"}), INGEST_STORED);
    assert_int_equal(send_as(f, &p->a2.actor, &(struct sample){.study = "1.2", .series = "1.2.1", .sop = "1.2.1.1", .name = "Li^Na"}), INGEST_STORED);
    assert_int_equal(send_as(f, &p->b.actor, &(struct sample){.study = "2.1", .series = "2.1.1", .sop = "2.1.1.1", .name = "Li^Wei"}), INGEST_STORED);
    assert_int_equal(send_as(f, &TESTER, &(struct sample){.study = "3.1", .series = "3.1.1", .sop = "3.1.1.1", .name = "Li^Ming"}), INGEST_STORED);
}

static void check_views(struct fixture *f, const struct people *p) {
    const struct {
        const struct somebody *who;
        bool sees[4];
    } views[] = {{&p->a, {true, true, false, false}},
                 {&p->a1, {true, false, false, false}},
                 {&p->a2, {false, true, false, false}},
                 {&p->b, {false, false, true, false}},
                 {&p->own, {false, false, false, true}}};
    static const char *const studies[] = {"1.1", "1.2", "2.1", "3.1"};
    for (size_t v = 0; v < 5; v++) {
        size_t n = 0;
        const struct actor *who = &views[v].who->actor;
        for (size_t i = 0; i < 4; i++) {
            assert_int_equal(studies_of(f, who, studies[i]), views[v].sees[i]);
            assert_int_equal(instances_of(f, who, studies[i]), views[v].sees[i]);
            n += views[v].sees[i];
        }
        uint64_t total;
        struct archive_figures figures;
        assert_int_equal(count_found(f, who, NULL, 0), n);
        assert_int_equal(patients_of(f, who, "Li*"), n);
        assert_int_equal(listed(f, who, "", &total), n);
        assert_int_equal(total, n);
        assert_int_equal(listed(f, who, "li", &total), n);
        assert_int_equal(total, n);
        assert_true(archive_figures_get(f->ar, who, &figures, NULL));
        assert_int_equal(figures.studies, n);
        assert_int_equal(figures.instances, n);
        assert_int_equal(figures.disk_free + figures.events + figures.stored_total, 0);
    }
    assert_int_equal(count_found(f, &TESTER, NULL, 0), 4);
}

static void a_study_is_seen_where_it_belongs_and_nowhere_else(void **state) {
    struct people p;
    fill(*state, &p);
    check_views(*state, &p);
}

static void a_new_index_knows_where_studies_belong(void **state) {
    struct fixture *f = *state;
    struct people p;
    fill(f, &p);
    fixture_close(f);
    fixture_lose_index(f);
    fixture_open(f);
    check_views(f, &p);
}

// ---- hidden is missing ----

static void say_no(struct fixture *f, const struct actor *who, const char *uid, char out[5][256]) {
    struct err e[5] = {{0}};
    struct buf b;
    bool gzip;
    uint64_t count;
    buf_init(&b, 1 << 20);
    assert_false(retrieve_study_metadata(f->ar, who, str_of(uid), false, &b, &gzip, &e[0]));
    assert_false(archive_delete(f->ar, who, str_of(uid), NONE, NONE, STR_LIT("why"), &count, &e[1]));
    assert_false(hold_set(f->ar, who, str_of(uid), true, STR_LIT("why"), &e[2]));
    assert_false(mark_set(f->ar, who, MARK_LABEL, str_of(uid), STR_LIT("trial"), true, &e[3]));
    assert_false(hold_set(f->ar, who, str_of(uid), false, STR_LIT("why"), &e[4]));
    buf_deinit(&b);
    for (int i = 0; i < 5; i++) {
        assert_int_equal(e[i].kind, ERR_NOT_FOUND);
        snprintf(out[i], 256, "%.255s", e[i].message);
        char *at = strstr(out[i], uid);
        if (at) *at = '\0';
    }
}

static void what_is_hidden_is_told_as_what_is_missing(void **state) {
    struct fixture *f = *state;
    struct people p;
    struct err e = {0};
    char hidden[5][256], missing[5][256];
    fill(f, &p);
    if (!hold_set(f->ar, &TESTER, STR_LIT("1.1"), true, STR_LIT("a court wants it"), &e)) fail_msg("%s", e.message);
    say_no(f, &p.b.actor, "1.1", hidden);
    say_no(f, &p.b.actor, "9.9", missing);
    for (int i = 0; i < 5; i++) assert_string_equal(hidden[i], missing[i]);
    assert_int_equal(instances_of(f, &TESTER, "1.1"), 1);
}

static void who_has_a_permission_nowhere_is_refused_whatever_is_asked_for(void **state) {
    struct fixture *f = *state;
    struct people p;
    struct somebody viewer;
    struct err there = {0}, missing = {0};
    uint64_t count;
    fill(f, &p);
    become(&viewer, "v", "tenant:A", access_role_find(STR_LIT("viewer"))->permissions);
    assert_false(archive_delete(f->ar, &viewer.actor, STR_LIT("1.1"), NONE, NONE, STR_LIT("x"), &count, &there));
    assert_false(archive_delete(f->ar, &viewer.actor, STR_LIT("9.9"), NONE, NONE, STR_LIT("x"), &count, &missing));
    assert_int_equal(there.kind, ERR_FORBIDDEN);
    assert_string_equal(there.message, missing.message);
    const struct actor nobody = {.door = DOOR_DICOMWEB};
    assert_null(ingest_begin(f->ar, &nobody, NULL, &there));
    assert_int_equal(there.kind, ERR_UNAUTHORIZED);
    assert_null(ingest_begin(f->ar, &viewer.actor, NULL, &there));
    assert_int_equal(there.kind, ERR_FORBIDDEN);
}

// ---- another tenant's UIDs ----

static size_t count_text(struct str in, const char *what) {
    size_t n = 0, length = strlen(what);
    for (const char *p = in.p; (p = memmem(p, in.n - (size_t)(p - in.p), what, length)); p += length) n++;
    return n;
}

// What somebody sees among the conflicting copies: how many, and nothing of how many others there are or whose.
static void check_conflicts(struct fixture *f, const struct actor *who, size_t expected) {
    struct err e = {0};
    struct str json;
    struct archive_figures figures;
    if (!archive_conflicts_json(f->ar, who, &f->arena, 100, &json, &e)) fail_msg("%s", e.message);
    if (count_text(json, "\"kind\":\"bytes\"") != expected) fail_msg("%zu were expected in %s", expected, arena_strz(&f->arena, json, NULL));
    assert_true(archive_figures_get(f->ar, who, &figures, NULL));
    assert_int_equal(figures.conflicts, expected);
    bool all = who == &TESTER;
    assert_int_equal(count_text(json, "\"id\":"), all ? expected : 0);
    assert_int_equal(count_text(json, "tenant"), 0);
}

static void lose_index(struct fixture *f) {
    fixture_close(f);
    fixture_lose_index(f);
    fixture_open(f);
}

static void reindex(struct fixture *f) {
    struct err e = {0};
    uint64_t objects;
    fixture_close(f);
    if (!archive_reindex(f->dir, NULL, NULL, NULL, &objects, &e)) fail_msg("%s", e.message);
    fixture_open(f);
}

// As if the old index was lost with all that it knew.
static void reindex_without(struct fixture *f) {
    fixture_close(f);
    fixture_lose_index(f);
    fixture_open(f);
    run_sql(f, "DELETE FROM gone_studies");
    reindex(f);
}

static void check_fsck(struct fixture *f) {
    struct fsck_report r;
    struct err e = {0};
    if (!archive_fsck(f->ar, false, NULL, NULL, NULL, &r, &e)) fail_msg("%s", e.message);
    assert_int_equal(r.damaged + r.orphans + r.missing + r.other, 0);
}

static uint64_t remove_as(struct fixture *f, const struct actor *who, const char *study, const char *sop) {
    struct err e = {0};
    uint64_t count;
    const struct str series = sop ? STR_LIT("1.1.1") : NONE;
    if (!archive_delete(f->ar, who, str_of(study), series, sop ? str_of(sop) : NONE, STR_LIT("why"), &count, &e) && e.kind != ERR_NOT_FOUND)
        fail_msg("%s", e.message);
    return count;
}

static void what_is_sent_under_a_foreign_uid_is_kept_aside_and_told_as_stored(void **state) {
    struct fixture *f = *state;
    struct people p;
    fill(f, &p);
    // into A's study: a new object, twice; A's object with other bytes; A's very bytes
    const struct sample into = {.study = "1.1", .series = "1.1.9", .sop = "9.1"}, other = {.study = "1.1", .series = "1.1.1", .sop = "1.1.1.1", .fill = 7},
                        same = {.study = "1.1", .series = "1.1.1", .sop = "1.1.1.1", .name = "Li^Wei"},
                        elsewhere = {.study = "2.1", .series = "2.1.1", .sop = "1.1.1.1", .fill = 8};
    const struct sample *const sent[] = {&into, &into, &other, &other, &same, &same, &elsewhere};
    for (size_t i = 0; i < 7; i++) {
        enum ingest_outcome o = send_as(f, &p.b.actor, sent[i]);
        if (o != INGEST_STORED) fail_msg("object %zu was told as %d", i, (int)o);
    }
    for (int i = 0; i < 2; i++) {
        check_views(f, &p);
        assert_int_equal(count_rows(f, "SELECT count(*) FROM conflicts WHERE apart = 1"), 4);
        check_conflicts(f, &p.a.actor, 0);
        check_conflicts(f, &p.b.actor, 4);
        check_conflicts(f, &p.own.actor, 0);
        check_conflicts(f, &TESTER, 4);
        if (i == 0) assert_int_equal(count_rows(f, "SELECT count(*) FROM events WHERE type = 'instance.known'"), 3);
        lose_index(f);
    }
    check_fsck(f);
}

// Neither the owner's deletion nor another's copy of the same bytes takes away what somebody sent.
static void the_same_bytes_are_kept_for_each_tenant_that_sends_them(void **state) {
    struct fixture *f = *state;
    struct people p;
    const struct sample same = {.study = "1.1", .series = "1.1.1", .sop = "1.1.1.1", .name = "Li^Wei"},
                        other = {.study = "1.1", .series = "1.1.1", .sop = "1.1.1.1", .fill = 7};
    fill(f, &p);
    assert_int_equal(send_as(f, &p.b.actor, &same), INGEST_STORED);
    assert_int_equal(send_as(f, &p.b.actor, &other), INGEST_STORED);
    assert_int_equal(send_as(f, &p.own.actor, &other), INGEST_STORED);
    assert_int_equal(send_as(f, &p.a1.actor, &other), INGEST_CONFLICT); // to the owner it is no other's
    assert_int_equal(send_as(f, &TESTER, &same), INGEST_KNOWN);         // who reaches A's study puts nothing beside it
    assert_int_equal(count_rows(f, "SELECT count(*) FROM conflicts WHERE apart = 0"), 1);
    assert_int_equal(remove_as(f, &p.a.actor, "1.1", NULL), 2);
    assert_int_equal(count_rows(f, "SELECT count(*) FROM conflicts WHERE apart = 1"), 3);
    assert_int_equal(send_as(f, &p.b.actor, &same), INGEST_STORED); // known, and A's UID still
    assert_int_equal(send_as(f, &p.a1.actor, &same), INGEST_STORED);
    assert_int_equal(send_as(f, &p.a1.actor, &same), INGEST_KNOWN);
    for (int i = 0; i < 3; i++) {
        check_views(f, &p);
        check_conflicts(f, &p.a.actor, 0);
        assert_int_equal(count_rows(f, "SELECT count(*) FROM conflicts WHERE apart = 1"), 3);
        check_conflicts(f, &p.b.actor, 2);
        check_conflicts(f, &p.own.actor, 1);
        check_fsck(f);
        if (i == 0) lose_index(f);
        if (i == 1 && !f->schema[0]) reindex_without(f); // the copies are read before A's object, which came again
    }
}

// A new index has the tombstones before all else, so that A's study is never made: the old one tells that it was A's.
static void each_tenants_copy_outlives_the_others_deletion_in_a_new_index_too(void **state) {
    struct fixture *f = *state;
    struct people p;
    const struct sample same = {.study = "1.1", .series = "1.1.1", .sop = "1.1.1.1", .name = "Li^Wei"},
                        more = {.study = "1.1", .series = "1.1.1", .sop = "9.1"};
    fill(f, &p);
    assert_int_equal(send_as(f, &p.b.actor, &same), INGEST_STORED);
    assert_int_equal(remove_as(f, &p.a.actor, "1.1", NULL), 1);
    for (int i = 0; i < 2; i++) {
        check_conflicts(f, &p.b.actor, 1);
        check_conflicts(f, &p.a.actor, 0);
        assert_int_equal(count_rows(f, "SELECT count(*) FROM conflicts WHERE apart = 1"), 1);
        assert_int_equal(studies_of(f, &p.b.actor, "1.1"), 0);
        if (!f->schema[0]) reindex(f); // an archive of several nodes is rebuilt another way
    }
    // Its UID stays A's.
    assert_int_equal(send_as(f, &p.b.actor, &more), INGEST_STORED);
    assert_int_equal(studies_of(f, &p.b.actor, "1.1"), 0);
    assert_int_equal(send_as(f, &p.a1.actor, &more), INGEST_STORED);
    assert_int_equal(instances_of(f, &p.a1.actor, "1.1"), 1);
    check_conflicts(f, &p.b.actor, 2);
    check_fsck(f);
}

static void who_has_copies_aside_deletes_them_and_nobody_else_hears_of_it(void **state) {
    struct fixture *f = *state;
    struct people p;
    struct err e = {0};
    const struct sample same = {.study = "1.1", .series = "1.1.1", .sop = "1.1.1.1", .name = "Li^Wei"},
                        into = {.study = "1.1", .series = "1.1.9", .sop = "9.1"};
    fill(f, &p);
    assert_int_equal(send_as(f, &p.b.actor, &same), INGEST_STORED);
    assert_int_equal(send_as(f, &p.b.actor, &into), INGEST_STORED);
    assert_int_equal(send_as(f, &p.own.actor, &same), INGEST_STORED);
    // A court's hold of A's study is A's.
    if (!hold_set(f->ar, &p.a.actor, STR_LIT("1.1"), true, STR_LIT("a court wants it"), &e)) fail_msg("%s", e.message);
    assert_int_equal(remove_as(f, &p.b.actor, "1.1", "9.9"), 0);
    assert_int_equal(remove_as(f, &p.b.actor, "1.1", "1.1.1.1"), 1);
    assert_int_equal(remove_as(f, &p.b.actor, "1.1", "1.1.1.1"), 0);
    assert_int_equal(remove_as(f, &p.b.actor, "1.1", NULL), 1);
    assert_int_equal(count_rows(f, "SELECT count(*) FROM events WHERE type = 'object.discarded' AND study_uid = ''"), 2);
    assert_int_equal(count_rows(f, "SELECT count(*) FROM events WHERE type LIKE '%.deleted'"), 0);
    for (int i = 0; i < 2; i++) {
        check_views(f, &p);
        check_conflicts(f, &p.b.actor, 0);
        check_conflicts(f, &p.own.actor, 1);
        check_fsck(f);
        lose_index(f);
    }
    assert_int_equal(send_as(f, &p.b.actor, &same), INGEST_STORED);
    check_conflicts(f, &p.b.actor, 1);
}

// While the study is there it is what is meant; then what was kept aside under its UIDs, whoever sent it.
static void who_reaches_everything_deletes_what_was_kept_aside_last(void **state) {
    struct fixture *f = *state;
    struct people p;
    struct err e = {0};
    fill(f, &p);
    assert_int_equal(send_as(f, &p.b.actor, &(struct sample){.study = "1.1", .series = "1.1.1", .sop = "1.1.1.1", .name = "Li^Wei"}), INGEST_STORED);
    if (!hold_set(f->ar, &p.a.actor, STR_LIT("1.1"), true, STR_LIT("a court wants it"), &e)) fail_msg("%s", e.message);
    assert_int_equal(remove_as(f, &TESTER, "1.1", "9.9"), 0); // what is not there is under no hold
    if (!hold_set(f->ar, &p.a.actor, STR_LIT("1.1"), false, STR_LIT("it has it"), &e)) fail_msg("%s", e.message);
    assert_int_equal(remove_as(f, &TESTER, "1.1", NULL), 1);
    check_conflicts(f, &p.b.actor, 1);
    assert_int_equal(remove_as(f, &TESTER, "1.1", NULL), 1);
    for (int i = 0; i < 2; i++) {
        check_conflicts(f, &p.b.actor, 0);
        check_fsck(f);
        lose_index(f);
    }
    assert_int_equal(remove_as(f, &TESTER, "1.1", NULL), 0);
}

// A label or an assignment of A's study says nothing of what others sent under its UID.
static void marks_of_a_study_show_no_copies_of_others(void **state) {
    struct fixture *f = *state;
    struct people p;
    struct somebody trial, reader;
    struct err e = {0};
    fill(f, &p);
    become(&trial, "trial", "label:A/trial 7", EVERY_PERMISSION);
    become(&reader, "wang", "assigned", EVERY_PERMISSION);
    if (!mark_set(f->ar, &p.a1.actor, MARK_LABEL, STR_LIT("1.1"), STR_LIT("trial 7"), true, &e)) fail_msg("%s", e.message);
    if (!mark_set(f->ar, &p.a1.actor, MARK_ASSIGNMENT, STR_LIT("1.1"), STR_LIT("wang"), true, &e)) fail_msg("%s", e.message);
    assert_int_equal(send_as(f, &p.b.actor, &(struct sample){.study = "1.1", .series = "1.1.1", .sop = "1.1.1.1", .name = "Li^Wei"}), INGEST_STORED);
    check_conflicts(f, &trial.actor, 0);
    check_conflicts(f, &reader.actor, 0);
    check_conflicts(f, &p.b.actor, 1);
    // Who may store into it has it already.
    assert_int_equal(send_as(f, &reader.actor, &(struct sample){.study = "1.1", .series = "1.1.1", .sop = "1.1.1.1", .name = "Li^Wei"}), INGEST_KNOWN);
}

// Both came in one millisecond: nothing but the tenant tells the entries apart.
static void a_deletion_takes_no_copy_that_another_tenant_sent_in_the_same_millisecond(void **state) {
    struct fixture *f = *state;
    struct people p;
    struct err e = {0};
    bool dead[3];
    const struct sample same = {.study = "1.1", .series = "1.1.1", .sop = "1.1.1.1", .name = "Li^Wei"};
    fill(f, &p);
    assert_int_equal(send_as(f, &p.b.actor, &same), INGEST_STORED);
    run_sql(f, "UPDATE instances SET received_ms = 1000 WHERE sop_instance_uid = '1.1.1.1'");
    run_sql(f, "UPDATE conflicts SET received_ms = 1000");
    // Moved since the tombstone's places were read: it is found by its name.
    struct vol_entry en = {.sop = STR_LIT("1.1.1.1"), .received_ms = 1000};
    static const char *const realms[] = {"A/West/CT", "B", ""};
    struct db *d = db_writer(archive_db(f->ar), &e);
    assert_non_null(d);
    struct grave grave = {.sop = en.sop, .named = true, .received_ms = 1000, .of_tenant = true, .tenant = STR_LIT("A")};
    assert_true(grave_keep(d, &grave, &e));
    for (int i = 0; i < 3; i++) {
        en.realm = str_of(realms[i]);
        assert_true(grave_of(d, &en, &dead[i], &e));
    }
    assert_true(grave_forget(d, &grave, &e));
    db_return(archive_db(f->ar), d);
    assert_true(dead[0] && !dead[1] && !dead[2]);
    assert_int_equal(remove_as(f, &p.a.actor, "1.1", NULL), 1);
    assert_int_equal(count_rows(f, "SELECT count(*) FROM conflicts"), 1);
    check_conflicts(f, &p.b.actor, 1);
    check_fsck(f);
}

static void a_site_may_add_to_its_tenants_study_and_sees_its_own_conflicts(void **state) {
    struct fixture *f = *state;
    struct people p;
    struct str json;
    fill(f, &p);
    assert_int_equal(send_as(f, &p.a2.actor, &(struct sample){.study = "1.1", .series = "1.1.2", .sop = "1.1.2.1", .name = "Li^Wei"}), INGEST_STORED);
    assert_int_equal(instances_of(f, &p.a1.actor, "1.1"), 2);
    assert_int_equal(send_as(f, &p.a1.actor, &(struct sample){.study = "1.1", .series = "1.1.1", .sop = "1.1.1.1", .fill = 3}), INGEST_CONFLICT);
    assert_true(archive_conflicts_json(f->ar, &p.a1.actor, &f->arena, 10, &json, NULL));
    assert_int_equal(count_text(json, "\"study_uid\":\"1.1\""), 1);
    assert_true(archive_conflicts_json(f->ar, &p.b.actor, &f->arena, 10, &json, NULL));
    assert_string_equal(arena_strz(&f->arena, json, NULL), "[]");
}

static void a_study_uid_stays_its_tenants_after_the_study_is_gone(void **state) {
    struct fixture *f = *state;
    struct people p;
    struct err e = {0};
    uint64_t count;
    fill(f, &p);
    if (!archive_delete(f->ar, &p.a.actor, STR_LIT("1.1"), NONE, NONE, STR_LIT("x"), &count, &e)) fail_msg("%s", e.message);
    assert_int_equal(send_as(f, &p.b.actor, &(struct sample){.study = "1.1", .series = "1.1.9", .sop = "9.1"}), INGEST_STORED);
    assert_int_equal(studies_of(f, &p.b.actor, "1.1"), 0);
    assert_int_equal(send_as(f, &p.a2.actor, &(struct sample){.study = "1.1", .series = "1.1.1", .sop = "1.1.1.2"}), INGEST_STORED);
    assert_int_equal(studies_of(f, &p.a2.actor, "1.1"), 1);
}

// ---- labels and assignments ----

static bool take_mark(void *ctx, const struct mark *m, struct err *e) {
    (void)e;
    buf_addf(ctx, "%.*s %.*s %.*s;", STR_FMT(m->study_uid), STR_FMT(m->tenant), STR_FMT(m->name));
    return true;
}

static void check_marks(struct fixture *f, const struct people *p) {
    struct somebody reader, tele, other;
    struct err e = {0};
    struct buf b;
    become(&reader, "reader", "label:A/trial 7", EVERY_PERMISSION);
    become(&tele, "zhang.wei", "assigned", access_role_find(STR_LIT("tele-radiologist"))->permissions);
    become(&other, "zhang", "assigned", EVERY_PERMISSION);
    assert_int_equal(studies_of(f, &reader.actor, "1.1"), 1);
    assert_int_equal(count_found(f, &reader.actor, NULL, 0), 1);
    assert_int_equal(listed(f, &reader.actor, "", NULL), 1);
    assert_int_equal(studies_of(f, &tele.actor, "1.2"), 1);
    assert_int_equal(count_found(f, &tele.actor, NULL, 0), 1);
    assert_int_equal(instances_of(f, &tele.actor, "1.2"), 1);
    assert_int_equal(count_found(f, &other.actor, NULL, 0), 0);
    buf_init(&b, 1 << 16);
    if (!mark_each(f->ar, &p->a.actor, MARK_LABEL, NONE, take_mark, &b, &e)) fail_msg("%s", e.message);
    if (!mark_each(f->ar, &p->a2.actor, MARK_ASSIGNMENT, STR_LIT("1.2"), take_mark, &b, &e)) fail_msg("%s", e.message);
    if (!mark_each(f->ar, &p->b.actor, MARK_LABEL, NONE, take_mark, &b, &e)) fail_msg("%s", e.message);
    buf_addc(&b, '\0');
    assert_string_equal(b.p, "1.1 A trial 7;1.2 A zhang.wei;");
    buf_deinit(&b);
}

static void labels_and_assignments_let_others_see_a_study(void **state) {
    struct fixture *f = *state;
    struct people p;
    struct err e = {0};
    fill(f, &p);
    if (!mark_set(f->ar, &p.a1.actor, MARK_LABEL, STR_LIT("1.1"), STR_LIT("trial 7"), true, &e)) fail_msg("%s", e.message);
    if (!mark_set(f->ar, &p.a2.actor, MARK_ASSIGNMENT, STR_LIT("1.2"), STR_LIT("zhang.wei"), true, &e)) fail_msg("%s", e.message);
    check_marks(f, &p);
    assert_false(mark_set(f->ar, &p.a1.actor, MARK_LABEL, STR_LIT("1.1"), STR_LIT("trial 7"), true, &e));
    assert_int_equal(e.kind, ERR_CONFLICT);
    assert_false(mark_set(f->ar, &p.a1.actor, MARK_LABEL, STR_LIT("1.1"), STR_LIT("a/b"), true, &e));
    fixture_close(f);
    fixture_lose_index(f);
    fixture_open(f);
    check_marks(f, &p);
    if (!mark_set(f->ar, &p.a2.actor, MARK_ASSIGNMENT, STR_LIT("1.2"), STR_LIT("zhang.wei"), false, &e)) fail_msg("%s", e.message);
    struct somebody tele;
    become(&tele, "zhang.wei", "assigned", EVERY_PERMISSION);
    assert_int_equal(count_found(f, &tele.actor, NULL, 0), 0);
    assert_int_equal(studies_of(f, &tele.actor, "1.2"), 0);
}

static void who_a_study_is_assigned_to_may_add_a_report_to_it(void **state) {
    struct fixture *f = *state;
    struct people p;
    struct err e = {0};
    struct somebody tele;
    fill(f, &p);
    become(&tele, "wang", "assigned", EVERY_PERMISSION);
    tele.principal.home.tenant = STR_LIT("B");
    char there[256], missing[256];
    assert_int_equal(refused_as(f, &tele.actor, &(struct sample){.study = "1.1", .series = "1.1.7", .sop = "7.1"}, there), ERR_FORBIDDEN);
    assert_int_equal(refused_as(f, &tele.actor, &(struct sample){.study = "9.9", .series = "9.9.7", .sop = "7.1"}, missing), ERR_FORBIDDEN);
    assert_string_equal(there, missing);
    assert_int_equal(instances_of(f, &p.a.actor, "1.1"), 1);
    if (!mark_set(f->ar, &p.a1.actor, MARK_ASSIGNMENT, STR_LIT("1.1"), STR_LIT("wang"), true, &e)) fail_msg("%s", e.message);
    assert_int_equal(send_as(f, &tele.actor, &(struct sample){.study = "1.1", .series = "1.1.8", .sop = "8.1", .name = "Li^Wei"}), INGEST_STORED);
    assert_int_equal(instances_of(f, &p.a.actor, "1.1"), 2);
}

// At home in the tenant by name, but no grant lets them store at a place of it.
static void who_may_store_at_no_place_learns_nothing_of_the_home_tenants_studies(void **state) {
    struct fixture *f = *state;
    struct people p;
    struct err e = {0};
    struct somebody askers[2];
    fill(f, &p);
    become(&askers[0], "wang", "assigned", EVERY_PERMISSION);
    become(&askers[1], "trial", "label:/trial", EVERY_PERMISSION);
    if (!mark_set(f->ar, &TESTER, MARK_ASSIGNMENT, STR_LIT("1.1"), STR_LIT("wang"), true, &e)) fail_msg("%s", e.message);
    const struct sample same = {.study = "3.1", .series = "3.1.1", .sop = "3.1.1.1", .name = "Li^Ming"}, other = {.study = "3.1", .sop = "3.1.1.1", .fill = 7},
                        added = {.study = "3.1", .series = "3.1.9", .sop = "9.1"}, fresh = {.study = "9.9", .series = "9.9.1", .sop = "9.2"};
    const struct sample *const sent[] = {&fresh, &same, &other, &added};
    for (unsigned i = 0; i < 2; i++) {
        char first[256] = "", message[256];
        for (unsigned k = 0; k < 4; k++) {
            assert_int_equal(refused_as(f, &askers[i].actor, sent[k], message), ERR_FORBIDDEN);
            if (k == 0) memcpy(first, message, sizeof first);
            assert_string_equal(message, first);
        }
    }
    // Within what is assigned, a UID that is taken elsewhere in that tenant tells nothing either.
    assert_int_equal(send_as(f, &askers[0].actor, &(struct sample){.study = "1.1", .series = "1.1.5", .sop = "3.1.1.1", .fill = 3}), INGEST_STORED);
    check_views(f, &p);
    assert_int_equal(count_rows(f, "SELECT count(*) FROM conflicts"), 1);
}

// Another's copy is another's: it would go with the owner's deletion, were it taken for the owner's.
static void a_damaged_object_is_healed_by_its_own_tenant_and_no_other(void **state) {
    struct fixture *f = *state;
    struct people p;
    const struct sample same = {.study = "1.1", .series = "1.1.1", .sop = "1.1.1.1", .name = "Li^Wei"};
    static const char HEALED[] = "SELECT count(*) FROM instances WHERE sop_instance_uid = '1.1.1.1' AND state = 0";
    fill(f, &p);
    run_sql(f, "UPDATE instances SET state = 1 WHERE sop_instance_uid = '1.1.1.1'");
    assert_int_equal(send_as(f, &p.b.actor, &same), INGEST_STORED);
    assert_int_equal(count_rows(f, HEALED), 0);
    check_conflicts(f, &p.b.actor, 1);
    assert_int_equal(send_as(f, &p.a2.actor, &same), INGEST_STORED);
    assert_int_equal(count_rows(f, HEALED), 1);
    assert_int_equal(count_rows(f, "SELECT count(*) FROM events WHERE type = 'instance.restored'"), 1);
    for (int i = 0; i < 2; i++) {
        check_views(f, &p);
        check_conflicts(f, &p.b.actor, 1);
        lose_index(f);
    }
}

// ---- events ----

static unsigned events_of(struct fixture *f, const struct actor *who, struct event **list) {
    struct err e = {0};
    struct scope scope;
    unsigned n;
    if (!events_after(f->ar, &f->arena, 0, 200, list, &n, &e) || !scope_of(who, ACCESS_EVENTS_READ, &f->arena, &scope, &e)) fail_msg("%s", e.message);
    if (!events_keep(f->ar, who, &scope, &f->arena, *list, &n, &e)) fail_msg("%s", e.message);
    return n;
}

static void events_are_those_of_studies_that_are_reached_also_of_deleted_ones(void **state) {
    struct fixture *f = *state;
    struct people p;
    struct err e = {0};
    struct event *list;
    uint64_t count;
    fill(f, &p);
    send_as(f, &p.b.actor, &(struct sample){.study = "1.1", .series = "1.1.9", .sop = "9.1"});
    if (!archive_delete(f->ar, &p.a1.actor, STR_LIT("1.1"), NONE, NONE, STR_LIT("x"), &count, &e)) fail_msg("%s", e.message);
    assert_int_equal(events_of(f, &p.a1.actor, &list), 2);
    assert_true(str_eqz(list[0].type, "instance.stored") && str_eqz(list[1].type, "study.deleted"));
    assert_int_equal(events_of(f, &p.a.actor, &list), 3);
    assert_int_equal(events_of(f, &p.b.actor, &list), 1);
    assert_true(str_eqz(list[0].study_uid, "2.1"));
    assert_int_equal(events_of(f, &TESTER, &list), 6);
}

// ---- many ----

static void pages_of_a_scope_hold_nothing_else_in_between(void **state) {
    enum { STUDIES = 60 };
    struct fixture *f = *state;
    struct people p;
    become(&p.a, "a", "tenant:A", EVERY_PERMISSION);
    become(&p.b, "b", "tenant:B", EVERY_PERMISSION);
    for (int i = 0; i < STUDIES; i++) {
        char study[32], series[32], sop[32];
        snprintf(study, sizeof study, "5.%d", i);
        snprintf(series, sizeof series, "5.%d.1", i);
        snprintf(sop, sizeof sop, "5.%d.1.1", i);
        send_as(f, i % 5 ? &p.a.actor : &p.b.actor, &(struct sample){.study = study, .series = series, .sop = sop, .modality = i % 2 ? "CT" : "MR"});
    }
    const struct query_key ct = {.path = {DCM_ModalitiesInStudy}, .path_n = 1, .value = STR_LIT("CT")};
    assert_int_equal(count_found(f, &p.a.actor, NULL, 0), STUDIES * 4 / 5);
    assert_int_equal(count_found(f, &p.b.actor, NULL, 0), STUDIES / 5);
    assert_int_equal(count_found(f, &p.b.actor, &ct, 1), STUDIES / 10);
    struct worklist_page page;
    struct err e = {0};
    char cursor[WORKLIST_CURSOR_BYTES] = "";
    unsigned rows = 0;
    do {
        const struct worklist_filter filter = {.modality = STR_LIT("CT")};
        if (!worklist_read(f->ar, &p.a.actor, &f->arena, &filter, str_of(cursor), 7, &page, &e)) fail_msg("%s", e.message);
        if (!cursor[0]) assert_int_equal(page.total, STUDIES * 2 / 5);
        rows += page.count;
        memcpy(cursor, page.next, sizeof cursor);
    } while (cursor[0]);
    assert_int_equal(rows, STUDIES * 2 / 5);
    // The patient is one; of their studies each sees its own.
    struct query_key counts = {.path = {DCM_NumberOfPatientRelatedStudies}, .path_n = 1, .value = STR_LIT("12")};
    assert_int_equal(count_found(f, &p.b.actor, &counts, 1), STUDIES / 5);
}

static void numbers_that_count_the_others_are_sealed(void **state) {
    struct fixture *f = *state;
    struct err e = {0};
    char first[VEIL_BYTES], second[VEIL_BYTES], again[VEIL_BYTES];
    static const int64_t numbers[] = {0, 1, 2, 1000000, INT64_MAX};
    int64_t back;
    struct veil v;
    if (!veil_open(f->ar, &v, &e)) fail_msg("%s", e.message);
    for (size_t i = 0; i < 5; i++) {
        assert_true(veil_put(&v, numbers[i], first, &e) && veil_take(&v, str_of(first), &back, &e));
        assert_int_equal(back, numbers[i]);
    }
    assert_true(veil_put(&v, 1, first, &e) && veil_put(&v, 2, second, &e));
    assert_memory_not_equal(first, second, 4);
    fixture_close(f);
    fixture_open(f);
    assert_true(veil_open(f->ar, &v, &e));
    assert_true(veil_put(&v, 1, again, &e));
    assert_string_equal(again, first);
    assert_false(veil_take(&v, STR_LIT("12"), &back, &e));
}

static void ten_thousand_guessed_uids_give_nothing(void **state) {
    enum { GUESSES = 10000 };
    struct fixture *f = *state;
    struct people p;
    size_t given = 0;
    fill(f, &p);
    for (int i = 0; i < GUESSES; i++) {
        static const char *const roots[] = {"1", "2", "3"};
        char uid[32];
        struct arena_mark m = arena_mark(&f->arena);
        snprintf(uid, sizeof uid, "%s.%d", roots[i % 3], i % 3333);
        if (strcmp(uid, "2.1") != 0) given += i % 2 ? instances_of(f, &p.b.actor, uid) : studies_of(f, &p.b.actor, uid);
        arena_rewind(&f->arena, m);
    }
    assert_int_equal(given, 0);
}

static void names_of_places_are_neither_folded_nor_cut(void **state) {
    struct fixture *f = *state;
    struct somebody lower, upper, first, second;
    char long_first[160], long_second[160];
    snprintf(long_first, sizeof long_first, "department:%s/%s/%s", "北京协和医院北京协和医院", "东单院区放射科东单院区放射", "磁共振室磁共振室磁共振一");
    snprintf(long_second, sizeof long_second, "department:%s/%s/%s", "北京协和医院北京协和医院", "东单院区放射科东单院区放射", "磁共振室磁共振室磁共振二");
    become(&lower, "l", "tenant:north", EVERY_PERMISSION);
    become(&upper, "u", "tenant:North", EVERY_PERMISSION);
    become(&first, "f", long_first, EVERY_PERMISSION);
    become(&second, "s", long_second, EVERY_PERMISSION);
    assert_int_equal(send_as(f, &lower.actor, &(struct sample){.study = "1.1", .series = "1.1.1", .sop = "1.1.1.1"}), INGEST_STORED);
    assert_int_equal(send_as(f, &first.actor, &(struct sample){.study = "1.2", .series = "1.2.1", .sop = "1.2.1.1"}), INGEST_STORED);
    assert_int_equal(count_found(f, &lower.actor, NULL, 0), 1);
    assert_int_equal(count_found(f, &upper.actor, NULL, 0), 0);
    assert_int_equal(count_found(f, &first.actor, NULL, 0), 1);
    assert_int_equal(count_found(f, &second.actor, NULL, 0), 0);
    assert_int_equal(listed(f, &second.actor, "", NULL), 0);
}

// ---- administration ----

static bool administer(struct fixture *f, const struct actor *who, const char *noun, const char *verb, struct buf *out, struct err *e) {
    const struct admin_operation *op = admin_find(str_of(noun), str_of(verb));
    struct json_writer w;
    assert_non_null(op);
    buf_clear(out);
    json_init(&w, out, false);
    struct admin_call c = {.archive = f->ar, .who = who, .arena = &f->arena, .out = &w};
    return admin_run(op, &c, e);
}

// The audit trail and what roles are made of are of the whole server; all else keeps to the asker's own scope.
static bool is_bounded(const struct admin_operation *op) {
    bool makes_roles = strcmp(op->noun, "role") == 0 && !op->reads;
    return strcmp(op->noun, "audit") != 0 && !makes_roles;
}

static void who_administers_one_tenant_does_not_administer_the_server(void **state) {
    struct fixture *f = *state;
    struct people p;
    struct somebody admin, auditor, chief;
    struct buf out;
    struct err why = {0};
    fill(f, &p);
    become(&admin, "admin of A", "tenant:A", EVERY_PERMISSION);
    become(&auditor, "auditor of A", "tenant:A", access_role_find(STR_LIT("auditor"))->permissions);
    become(&chief, "chief", "*", access_role_find(STR_LIT("auditor"))->permissions);
    buf_init(&out, 1 << 20);
    unsigned refused = 0;
    for (const struct admin_operation *const *table = ADMIN_TABLES; *table; table++)
        for (const struct admin_operation *op = *table; op->noun; op++) {
            const struct somebody *const askers[] = {&admin, &auditor};
            assert_int_equal(op->scoped, is_bounded(op));
            for (unsigned i = 0; i < 2 && !op->scoped; i++, refused++) {
                struct err e = {0};
                if (administer(f, &askers[i]->actor, op->noun, op->verb, &out, &e) || e.kind != ERR_FORBIDDEN || out.n)
                    fail_msg("%s %s gives %s: %s", op->noun, op->verb, askers[i]->principal.name.p, e.message);
            }
        }
    assert_true(refused >= 2 * 7);
    if (!administer(f, &chief.actor, "audit", "search", &out, &why) || !administer(f, &admin.actor, "label", "list", &out, &why)) fail_msg("%s", why.message);
    buf_deinit(&out);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, fixture_setup, fixture_teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(a_study_is_seen_where_it_belongs_and_nowhere_else),
        TEST(a_new_index_knows_where_studies_belong),
        TEST(what_is_hidden_is_told_as_what_is_missing),
        TEST(who_has_a_permission_nowhere_is_refused_whatever_is_asked_for),
        TEST(what_is_sent_under_a_foreign_uid_is_kept_aside_and_told_as_stored),
        TEST(the_same_bytes_are_kept_for_each_tenant_that_sends_them),
        TEST(each_tenants_copy_outlives_the_others_deletion_in_a_new_index_too),
        TEST(who_has_copies_aside_deletes_them_and_nobody_else_hears_of_it),
        TEST(who_reaches_everything_deletes_what_was_kept_aside_last),
        TEST(marks_of_a_study_show_no_copies_of_others),
        TEST(a_deletion_takes_no_copy_that_another_tenant_sent_in_the_same_millisecond),
        TEST(a_site_may_add_to_its_tenants_study_and_sees_its_own_conflicts),
        TEST(a_study_uid_stays_its_tenants_after_the_study_is_gone),
        TEST(labels_and_assignments_let_others_see_a_study),
        TEST(who_a_study_is_assigned_to_may_add_a_report_to_it),
        TEST(who_may_store_at_no_place_learns_nothing_of_the_home_tenants_studies),
        TEST(a_damaged_object_is_healed_by_its_own_tenant_and_no_other),
        TEST(events_are_those_of_studies_that_are_reached_also_of_deleted_ones),
        TEST(pages_of_a_scope_hold_nothing_else_in_between),
        TEST(numbers_that_count_the_others_are_sealed),
        TEST(ten_thousand_guessed_uids_give_nothing),
        TEST(names_of_places_are_neither_folded_nor_cut),
        TEST(who_administers_one_tenant_does_not_administer_the_server),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
