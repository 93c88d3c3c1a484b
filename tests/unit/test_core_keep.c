// Behaviour of keeping: replay, deletion, compaction, reindex, fsck, and what is never served.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
// cmocka needs the four above first
#include <cmocka.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core_fixture.h"
#include "db/db.h"
#include "encrypted.h"
#include "text/utf8.h"

// In the data directory.
static void shell(struct fixture *f, const char *what) {
    char command[512];
    snprintf(command, sizeof command, "cd %s && { %s; }", f->dir, what);
    assert_int_equal(system(command), 0);
}

static void store_many(struct fixture *f, int from, int to, int study) {
    char sop[64], series[32], uid[32];
    for (int i = from; i < to; i++) {
        snprintf(uid, sizeof uid, "1.2.%d", study);
        snprintf(series, sizeof series, "1.2.%d.1", study);
        snprintf(sop, sizeof sop, "1.2.%d.1.%d", study, i);
        store_sample(f, &(struct sample){.study = uid, .series = series, .sop = sop, .number = i, .pixel_bytes = 20000, .fill = (unsigned)i}, INGEST_STORED);
    }
}

static void add_rows(struct db *d, const char *sql, unsigned columns, struct buf *b) {
    struct err e = {0};
    struct db_stmt *s = db_prepare(d, sql, &e);
    if (!s) fail_msg("%s", e.message);
    enum db_step step;
    while ((step = db_next(s, &e)) == DB_ROW)
        for (unsigned i = 0; i < columns; i++) {
            struct str bytes = db_blob(s, (int)i), text = db_text(s, (int)i);
            if (utf8_valid(bytes))
                buf_add_str(b, text);
            else
                for (size_t k = 0; k < bytes.n; k++) buf_addf(b, "%02x", (unsigned char)bytes.p[k]);
            buf_addz(b, i + 1 < columns ? "|" : "\n");
        }
    assert_int_equal(step, DB_END);
    db_done(s);
}

// Everything that the index says, but for row numbers, as one digest-like text.
static char *inventory(struct fixture *f) {
    static const struct {
        unsigned columns;
        const char *sql;
    } queries[] = {
        {4, "SELECT patient_id, issuer, name, study_count FROM patients ORDER BY patient_id, issuer"},
        {9, "SELECT study_uid, patient_id, modalities, sop_classes, series_count, instance_count, bytes, patient_conflict, description FROM studies "
            "ORDER BY study_uid, patient_id, issuer"},
        {5, "SELECT series_uid, modality, instance_count, bytes, sop_classes FROM series ORDER BY series_uid, instance_count"},
        {8, "SELECT sop_instance_uid, digest, ts_uid, volume, \"offset\", pixel_offset, source, state FROM instances ORDER BY sop_instance_uid"},
        {4, "SELECT kind, sop_instance_uid, digest, patient_id FROM conflicts ORDER BY sop_instance_uid, digest"},
        {4, "SELECT digest, reason, volume, \"offset\" FROM quarantine ORDER BY digest"},
        {3, "SELECT volume, \"offset\", sop_instance_uid FROM dead ORDER BY volume, \"offset\""},
        {2, "SELECT name, value FROM figures ORDER BY name"},
        {3, "SELECT k.key, k.at, s.study_uid FROM study_keys k JOIN studies s ON s.id = k.study ORDER BY k.key, k.at, s.study_uid"},
    };
    struct buf b;
    struct err e = {0};
    buf_init(&b, 16 << 20);
    struct db *d = db_reader(archive_db(f->ar), &e);
    for (unsigned i = 0; i < sizeof queries / sizeof *queries; i++) {
        buf_addf(&b, "== %u\n", i);
        add_rows(d, queries[i].sql, queries[i].columns, &b);
    }
    db_return(archive_db(f->ar), d);
    char *z = arena_strz(&f->arena, buf_str(&b), &e);
    buf_deinit(&b);
    return z;
}

static void everything_is_found_again_when_the_index_is_lost(void **state) {
    struct fixture *f = *state;
    store_many(f, 0, 10, 1);
    store_sample(f, &(struct sample){.study = "1.2.1", .series = "1.2.1.1", .sop = "1.2.1.1.3", .fill = 99}, INGEST_CONFLICT);
    store_sample(f, &(struct sample){.no_study = true}, INGEST_QUARANTINED);
    char *before = inventory(f);
    fixture_close(f);
    fixture_lose_index(f);
    fixture_open(f);
    assert_string_equal(inventory(f), before);
    store_many(f, 10, 12, 1);
}

static void an_older_index_catches_up_with_the_volumes(void **state) {
    struct fixture *f = *state;
    SQLITE_ONLY();
    uint64_t count;
    struct err e = {0};
    store_many(f, 0, 5, 1);
    fixture_close(f);
    shell(f, "cp index.db older.db");
    fixture_open(f);
    store_many(f, 5, 300, 1); // into further volumes
    store_many(f, 0, 3, 2);
    if (!archive_delete(f->ar, &TESTER, STR_LIT("1.2.1"), STR_LIT("1.2.1.1"), STR_LIT("1.2.1.1.7"), STR_LIT("wrong patient"), &count, &e))
        fail_msg("%s", e.message);
    char *before = inventory(f);
    fixture_close(f);
    shell(f, "rm index.db*; mv older.db index.db");
    fixture_open(f);
    assert_string_equal(inventory(f), before);
    int64_t checked;
    assert_true(events_verify(f->ar, &checked, &e));
    assert_int_equal(count_rows(f, "SELECT count(*) FROM events WHERE type = 'instance.stored'"), 303);
}

static void what_is_deleted_is_gone_and_may_come_again(void **state) {
    struct fixture *f = *state;
    struct err e = {0};
    uint64_t count;
    size_t n;
    store_many(f, 0, 3, 1);
    store_many(f, 0, 3, 2);
    assert_false(archive_delete(f->ar, &TESTER, STR_LIT("7.7.7"), STR_LIT(""), STR_LIT(""), STR_LIT("x"), &count, &e));
    assert_int_equal(e.kind, ERR_NOT_FOUND);
    if (!archive_delete(f->ar, &TESTER, STR_LIT("1.2.1"), STR_LIT(""), STR_LIT(""), STR_LIT("sent by mistake"), &count, &e)) fail_msg("%s", e.message);
    assert_int_equal(count, 3);
    assert_int_equal(list_study(f, "1.2.1").count, 0);
    assert_int_equal(list_study(f, "1.2.2").count, 3);
    assert_int_equal(count_rows(f, "SELECT count(*) FROM studies"), 1);
    assert_int_equal(count_rows(f, "SELECT count(*) FROM study_keys k WHERE NOT EXISTS (SELECT 1 FROM studies WHERE id = k.study)"), 0);
    assert_int_equal(count_rows(f,
                                "SELECT count(*) FROM events WHERE type = 'study.deleted' AND study_uid = '1.2.1' AND actor = 'command:tester' AND detail LIKE "
                                "'%sent by mistake%'"),
                     1);
    store_many(f, 1, 2, 1);
    assert_non_null(fetch(f, "1.2.1.1.1", &n).p);
    assert_true(archive_delete(f->ar, &TESTER, STR_LIT("1.2.2"), STR_LIT("1.2.2.1"), STR_LIT("1.2.2.1.1"), STR_LIT("x"), &count, &e));
    assert_int_equal(count_rows(f, "SELECT instance_count FROM studies WHERE study_uid = '1.2.2'"), 2);
}

static void a_deletion_that_is_refused_stays_refused_when_the_index_is_rebuilt(void **state) {
    struct fixture *f = *state;
    SQLITE_ONLY();
    struct err e = {0};
    uint64_t count;
    size_t n;
    char *reason = arena_zero(&f->arena, 1, 100000, &e);
    memset(reason, 'x', 100000);
    store_many(f, 0, 2, 1);
    assert_false(archive_delete(f->ar, &TESTER, STR_LIT("1.2.1"), STR_LIT(""), STR_LIT(""), (struct str){reason, 100000}, &count, &e));
    assert_int_equal(e.kind, ERR_TOO_LARGE);
    fixture_close(f);
    if (!archive_reindex(f->dir, encrypted(), NULL, NULL, &count, &e)) fail_msg("%s", e.message);
    fixture_open(f);
    assert_non_null(fetch(f, "1.2.1.1.0", &n).p);
}

// Where text lies in a file, or -1.
static long place_of(const char *path, const char *text) {
    static char bytes[1 << 20];
    FILE *file = fopen(path, "rb");
    size_t n = fread(bytes, 1, sizeof bytes, file);
    fclose(file);
    const char *at = memmem(bytes, n, text, strlen(text));
    return at ? (long)(at - bytes) : -1;
}

static void a_tombstone_that_rotted_kills_nothing_else(void **state) {
    if (encrypted()) skip(); // looks for it in the volume's bytes
    struct fixture *f = *state;
    SQLITE_ONLY();
    struct err e = {0};
    uint64_t count;
    size_t n;
    char path[128], wrong[32], right[32];
    store_many(f, 10, 13, 1);
    struct instance_list list = list_study(f, "1.2.1");
    snprintf(right, sizeof right, "[%u,%llu,", list.refs[1].loc.volume, (unsigned long long)list.refs[1].loc.offset);
    snprintf(wrong, sizeof wrong, "[%u,%llu,", list.refs[2].loc.volume, (unsigned long long)list.refs[2].loc.offset);
    assert_int_equal(strlen(right), strlen(wrong));
    if (!archive_delete(f->ar, &TESTER, STR_LIT("1.2.1"), STR_LIT("1.2.1.1"), list.refs[1].sop_instance_uid, STR_LIT("x"), &count, &e))
        fail_msg("%s", e.message);
    store_many(f, 13, 14, 1); // behind it: a break at the very end would be a torn end
    fixture_close(f);
    volume_path(f, list.refs[1].loc.volume, path);
    long at = place_of(path, right);
    assert_true(at > 0);
    FILE *file = fopen(path, "r+b");
    assert_true(file && fseek(file, at, SEEK_SET) == 0 && fwrite(wrong, 1, strlen(wrong), file) == strlen(wrong) && fclose(file) == 0);
    if (!archive_reindex(f->dir, encrypted(), NULL, NULL, &count, &e)) fail_msg("%s", e.message);
    fixture_open(f);
    assert_non_null(fetch(f, "1.2.1.1.12", &n).p);
    assert_int_equal(count_rows(f, "SELECT count(*) FROM quarantine WHERE reason LIKE 'damaged%'"), 1);
}

static void the_last_study_under_its_uid_is_no_conflict_whichever_goes(void **state) {
    struct fixture *f = *state;
    struct err e = {0};
    uint64_t count;
    struct archive_figures figures;
    static const char *const gone[] = {"1.2.3.1", "1.2.3.2"};
    for (int i = 0; i < 2; i++) {
        store_sample(f, &(struct sample){.patient_id = "A", .study = "1.2.3", .series = "1.2.3.9", .sop = "1.2.3.1"}, INGEST_STORED);
        store_sample(f, &(struct sample){.patient_id = "B", .study = "1.2.3", .series = "1.2.3.9", .sop = "1.2.3.2"}, INGEST_CONFLICT);
        if (!archive_delete(f->ar, &TESTER, STR_LIT("1.2.3"), STR_LIT("1.2.3.9"), str_of(gone[i]), STR_LIT("x"), &count, &e)) fail_msg("%s", e.message);
        assert_int_equal(count_rows(f, "SELECT count(*) FROM conflicts"), 0);
        assert_int_equal(count_rows(f, "SELECT patient_conflict FROM studies"), 0);
        assert_true(archive_figures_get(f->ar, &TESTER, &figures, &e) && figures.conflicts == 0);
        if (!archive_delete(f->ar, &TESTER, STR_LIT("1.2.3"), STR_LIT(""), STR_LIT(""), STR_LIT("x"), &count, &e)) fail_msg("%s", e.message);
    }
}

static void compaction_gives_space_back_and_loses_nothing(void **state) {
    struct fixture *f = *state;
    SQLITE_ONLY();
    struct err e = {0};
    uint64_t count, freed;
    store_many(f, 0, 250, 1);
    store_many(f, 0, 5, 2);
    store_sample(f, &(struct sample){.study = "1.2.2", .series = "1.2.2.1", .sop = "1.2.2.1.1", .fill = 99}, INGEST_CONFLICT);
    store_many(f, 5, 300, 2); // fills further volumes
    assert_true(archive_delete(f->ar, &TESTER, STR_LIT("1.2.1"), STR_LIT(""), STR_LIT(""), STR_LIT("x"), &count, &e));
    store_many(f, 3, 4, 1); // one comes again
    fixture_close(f);
    fixture_open(f); // the writer seals what is full
    size_t n;
    struct str before = fetch(f, "1.2.2.1.4", &n);
    if (!archive_compact(f->ar, 0.3, &freed, &e)) fail_msg("%s", e.message);
    assert_true(freed >= 4 << 20);
    assert_true(str_eq(fetch(f, "1.2.2.1.4", &n), before));
    assert_int_equal(list_study(f, "1.2.2").count, 300);
    assert_int_equal(list_study(f, "1.2.1").count, 1);
    struct fsck_report report;
    assert_true(archive_fsck(f->ar, false, NULL, NULL, NULL, &report, &e));
    assert_int_equal(report.damaged + report.missing + report.orphans + report.other, 0);
    // a rebuilt index knows the deleted as deleted, whatever was moved
    fixture_close(f);
    assert_true(archive_reindex(f->dir, encrypted(), NULL, NULL, &count, &e));
    fixture_open(f);
    assert_int_equal(list_study(f, "1.2.2").count, 300);
    assert_int_equal(list_study(f, "1.2.1").count, 1);
    assert_int_equal(count_rows(f, "SELECT count(*) FROM conflicts"), 1);
}

static void a_rebuilt_index_equals_the_old_one_and_keeps_the_log(void **state) {
    struct fixture *f = *state;
    SQLITE_ONLY();
    struct err e = {0};
    uint64_t count;
    store_many(f, 0, 20, 1);
    store_sample(f, &(struct sample){.study = "1.2.1", .series = "1.2.1.1", .sop = "1.2.1.1.3", .fill = 99}, INGEST_CONFLICT);
    store_sample(f, &(struct sample){.study = "1.2.1", .series = "1.2.1.2", .sop = "1.2.1.2.1", .patient_id = "OTHER"}, INGEST_CONFLICT);
    store_sample(f, &(struct sample){.no_study = true}, INGEST_QUARANTINED);
    store_sample(f, &(struct sample){.sop = "5.5.5", .name = "\xb3\xc2^\xce\xb0", .charset = "GB18030"}, INGEST_STORED);
    assert_true(archive_delete(f->ar, &TESTER, STR_LIT("1.2.1"), STR_LIT("1.2.1.1"), STR_LIT("1.2.1.1.5"), STR_LIT("x"), &count, &e));
    char *before = inventory(f);
    int64_t events = events_last(f->ar), checked;
    fixture_close(f);
    if (!archive_reindex(f->dir, encrypted(), NULL, NULL, &count, &e)) fail_msg("%s", e.message);
    assert_int_equal(count, 24); // 23 objects and copies, one quarantined, one tombstone, less the deleted one
    fixture_open(f);
    assert_string_equal(inventory(f), before);
    assert_int_equal(events_last(f->ar), events + 1);
    assert_true(events_verify(f->ar, &checked, &e));
    // without a readable log it begins anew, with what the volumes tell
    fixture_close(f);
    shell(f, "printf 'not a database' > index.db; rm -f index.db-*");
    if (!archive_reindex(f->dir, encrypted(), NULL, NULL, &count, &e)) fail_msg("%s", e.message);
    fixture_open(f);
    assert_string_equal(inventory(f), before);
    assert_true(events_verify(f->ar, &checked, &e) && checked > 20);
}

struct findings {
    int damaged, orphan, missing, other;
    char last[128];
};

static void on_finding(void *ctx, const struct fsck_finding *f) {
    struct findings *n = ctx;
    n->damaged += strcmp(f->what, "damaged") == 0;
    n->orphan += strcmp(f->what, "orphan") == 0;
    n->missing += strcmp(f->what, "missing") == 0;
    n->other += strcmp(f->what, "chain") == 0 || strcmp(f->what, "volume") == 0;
    snprintf(n->last, sizeof n->last, "%.*s", STR_FMT(f->sop_instance_uid));
}

// One bit per object, in its bytes or in its headers: each is found, none is served as good.
static void every_flipped_bit_is_found_and_none_is_served_as_good(void **state) {
    struct fixture *f = *state;
    struct err e = {0};
    struct fsck_report report;
    struct findings found = {0};
    char path[128], sop[64];
    size_t n;
    store_many(f, 0, 200, 1);
    struct instance_list list = list_study(f, "1.2.1");
    struct str good[200];
    for (int i = 0; i < 200; i++) {
        snprintf(sop, sizeof sop, "1.2.1.1.%d", i);
        good[i] = fetch(f, sop, &n);
    }
    uint64_t random = 12345;
    for (int i = 0; i < 100; i++) {
        struct vol_loc loc = list.refs[2 * i].loc;
        random = random * 6364136223846793005ULL + 1442695040888963407ULL;
        bool head = i % 5 == 0; // the ustar header, and the pax records before it
        uint64_t at = head ? loc.offset - 1 - (random >> 33) % 1100 : loc.offset + (random >> 33) % loc.length;
        volume_path(f, loc.volume, path);
        flip_bit(path, at, (unsigned)(random >> 20) % 8);
    }
    int corrupt = 0;
    for (int i = 0; i < 200; i++) {
        snprintf(sop, sizeof sop, "1.2.1.1.%d", i);
        struct str back = fetch(f, sop, &n);
        if (back.p)
            assert_true(str_eq(back, good[i]));
        else
            corrupt++;
    }
    assert_int_equal(corrupt, 80);
    if (!archive_fsck(f->ar, true, on_finding, NULL, &found, &report, &e)) fail_msg("%s", e.message);
    assert_int_equal(found.damaged + found.other, 100);
    assert_int_equal(found.missing + found.orphan, 0);
    assert_int_equal(count_rows(f, "SELECT count(*) FROM instances WHERE state = 1"), 80);
    // sent again, they are whole again
    for (int i = 0; i < 200; i++) {
        struct ingest_result r;
        snprintf(sop, sizeof sop, "1.2.1.1.%d", i);
        make_object(f, &(struct sample){.study = "1.2.1", .series = "1.2.1.1", .sop = sop, .number = i, .pixel_bytes = 20000, .fill = (unsigned)i});
        assert_true(ingest_object(f, &r, &e));
        assert_true(str_eq(fetch(f, sop, &n), good[i]));
    }
    assert_int_equal(count_rows(f, "SELECT count(*) FROM instances WHERE state = 1"), 0);
    assert_int_equal(count_rows(f, "SELECT instance_count FROM studies"), 200);
}

static void bytes_that_rot_after_they_were_read_once_are_not_served(void **state) {
    struct fixture *f = *state;
    struct err e = {0};
    char path[128];
    struct stat st;
    size_t n;
    store_many(f, 0, 1, 1);
    struct instance_list list = list_study(f, "1.2.1");
    const struct instance_ref *ref = &list.refs[0];
    usleep(100 * 1000); // the volume is at rest: what is found good is trusted
    assert_true(retrieve_check(f->ar, ref, &e));
    volume_path(f, ref->loc.volume, path);
    assert_int_equal(stat(path, &st), 0);
    flip_bit(path, ref->loc.offset + ref->loc.length / 2, 3);
    const struct timespec times[2] = {st.st_atim, st.st_mtim}; // a disk that forgets tells nobody
    assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
    assert_null(fetch(f, "1.2.1.1.0", &n).p);
    assert_false(retrieve_check(f->ar, ref, &e));
    assert_int_equal(e.kind, ERR_CORRUPT);
}

static int64_t count_events(struct fixture *f, const char *type) {
    char sql[128];
    snprintf(sql, sizeof sql, "SELECT count(*) FROM events WHERE type = '%s'", type);
    return count_rows(f, sql);
}

// Nobody looks for it: a reader finds it, and its sender heals it.
static void what_a_reader_finds_damaged_is_taken_anew(void **state) {
    struct fixture *f = *state;
    struct err e = {0};
    char path[128];
    size_t n;
    store_many(f, 0, 2, 1);
    struct vol_loc old = list_study(f, "1.2.1").refs[0].loc;
    volume_path(f, old.volume, path);
    flip_bit(path, old.offset + old.length / 2, 3);
    for (int i = 0; i < 3; i++) assert_null(fetch(f, "1.2.1.1.0", &n).p);
    assert_int_equal(count_events(f, "instance.damaged"), 1); // said once
    store_many(f, 0, 1, 1);                                   // as new
    assert_non_null(fetch(f, "1.2.1.1.0", &n).p);
    struct vol_loc now = list_study(f, "1.2.1").refs[0].loc;
    assert_true(now.volume != old.volume || now.offset != old.offset);
    assert_int_equal(count_events(f, "instance.restored"), 1);
    assert_int_equal(count_events(f, "instance.stored"), 2);
    assert_int_equal(count_rows(f, "SELECT instance_count FROM studies"), 2);
    store_sample(f, &(struct sample){.study = "1.2.1", .series = "1.2.1.1", .sop = "1.2.1.1.0", .pixel_bytes = 20000}, INGEST_KNOWN);
    char *before = inventory(f);
    fixture_close(f);
    fixture_open(f);
    struct fsck_report report;
    if (!archive_fsck(f->ar, true, NULL, NULL, NULL, &report, &e)) fail_msg("%s", e.message);
    assert_string_equal(inventory(f), before);
}

// The disk had lost its way for a while.
static void what_is_whole_again_is_no_longer_damaged_after_fsck(void **state) {
    struct fixture *f = *state;
    struct err e = {0};
    struct fsck_report report;
    char path[128];
    size_t n;
    store_many(f, 0, 2, 1);
    struct vol_loc loc = list_study(f, "1.2.1").refs[0].loc;
    volume_path(f, loc.volume, path);
    flip_bit(path, loc.offset + loc.length / 2, 3);
    assert_null(fetch(f, "1.2.1.1.0", &n).p);
    assert_int_equal(count_rows(f, "SELECT count(*) FROM instances WHERE state = 1"), 1);
    flip_bit(path, loc.offset + loc.length / 2, 3);
    if (!archive_fsck(f->ar, true, NULL, NULL, NULL, &report, &e)) fail_msg("%s", e.message);
    assert_int_equal(count_rows(f, "SELECT count(*) FROM instances WHERE state = 1"), 0);
    assert_int_equal(count_events(f, "instance.restored"), 1);
}

static void what_lies_in_a_missing_volume_is_taken_anew(void **state) {
    struct fixture *f = *state;
    size_t n;
    store_many(f, 0, 300, 1);
    store_sample(f, &(struct sample){.study = "1.2.1", .series = "1.2.1.1", .sop = "1.2.1.1.3", .fill = 99}, INGEST_CONFLICT);
    store_sample(f, &(struct sample){.no_study = true}, INGEST_QUARANTINED);
    char command[128];
    int64_t in_first = count_rows(f, "SELECT count(*) FROM instances WHERE volume = 1");
    assert_true(in_first > 10 && in_first < 300);
    // the copies that are kept aside lie in it, too
    run_sql(f, "UPDATE conflicts SET volume = 1, \"offset\" = 7; UPDATE quarantine SET volume = 1, \"offset\" = 9");
    fixture_close(f);
    snprintf(command, sizeof command, "mv volumes/v00000001.tar elsewhere");
    shell(f, command);
    fixture_open(f);
    for (int i = 0; i < 3; i++) assert_null(fetch(f, "1.2.1.1.0", &n).p);
    assert_int_equal(count_events(f, "store.alarm"), 1);
    store_many(f, 0, (int)in_first, 1);
    store_sample(f, &(struct sample){.study = "1.2.1", .series = "1.2.1.1", .sop = "1.2.1.1.299", .number = 299, .pixel_bytes = 20000, .fill = 299},
                 INGEST_KNOWN);
    store_sample(f, &(struct sample){.study = "1.2.1", .series = "1.2.1.1", .sop = "1.2.1.1.3", .fill = 99}, INGEST_CONFLICT);
    store_sample(f, &(struct sample){.no_study = true}, INGEST_QUARANTINED);
    assert_int_equal(count_events(f, "instance.restored"), in_first + 1);
    static const char *const tables[] = {"instances", "conflicts", "quarantine"};
    for (int i = 0; i < 3; i++) {
        char sql[96];
        snprintf(sql, sizeof sql, "SELECT count(*) FROM %s WHERE volume = 1", tables[i]);
        assert_int_equal(count_rows(f, sql), 0);
    }
    assert_int_equal(count_rows(f, "SELECT count(*) FROM conflicts"), 1);
    assert_int_equal(count_rows(f, "SELECT count(*) FROM quarantine"), 1);
    for (int i = 0; i < 300; i++) {
        char sop[32];
        snprintf(sop, sizeof sop, "1.2.1.1.%d", i);
        assert_non_null(fetch(f, sop, &n).p);
        assert_int_equal(n, 1);
    }
}

static void studies_are_listed_page_by_page(void **state) {
    struct fixture *f = *state;
    struct err e = {0};
    struct str page[3];
    char after[32] = "", all[256] = "";
    unsigned n = 3;
    for (int study = 1; study <= 11; study++) store_many(f, 0, 1, study);
    store_sample(f, &(struct sample){.study = "1.2.5", .series = "1.2.5.9", .sop = "1.2.5.9.1", .patient_id = "another"}, INGEST_CONFLICT); // a second study
    while (n == 3) {
        if (!retrieve_studies_after(f->ar, &TESTER, &f->arena, str_of(after), 3, page, &n, &e)) fail_msg("%s", e.message);
        for (unsigned i = 0; i < n; i++) {
            snprintf(after, sizeof after, "%.*s", STR_FMT(page[i]));
            strcat(strcat(all, after + 4), " ");
        }
    }
    assert_string_equal(all, "1 10 11 2 3 4 5 6 7 8 9 ");
}

static void rot_in_what_was_stored_last_is_told_and_not_cleared_by_a_rebuild(void **state) {
    struct fixture *f = *state;
    SQLITE_ONLY();
    struct err e = {0};
    struct fsck_report report;
    uint64_t count;
    char path[128];
    size_t n;
    store_many(f, 0, 3, 1);
    struct instance_list list = list_study(f, "1.2.1");
    struct vol_loc last = list.refs[2].loc;
    volume_path(f, last.volume, path);
    fixture_close(f);
    flip_bit(path, last.offset + last.length / 2, 1);
    if (!archive_reindex(f->dir, encrypted(), NULL, NULL, &count, &e)) fail_msg("%s", e.message);
    fixture_open(f);
    // One that is encrypted gives no header to make a row of.
    assert_int_equal(count_rows(f, "SELECT count(*) FROM instances WHERE state = 1"), encrypted() ? 0 : 1);
    if (!encrypted()) assert_null(fetch(f, "1.2.1.1.2", &n).p);
    assert_true(archive_fsck(f->ar, false, NULL, NULL, NULL, &report, &e));
    assert_true(report.objects == 3 && report.damaged == 1);
    store_many(f, 2, 3, 1); // sent again, it is whole again
    assert_non_null(fetch(f, "1.2.1.1.2", &n).p);
}

static void a_lost_volume_and_an_unknown_one_are_told_and_repaired(void **state) {
    struct fixture *f = *state;
    struct err e = {0};
    struct fsck_report report;
    struct findings found = {0};
    store_many(f, 0, 300, 1);
    int64_t in_first = count_rows(f, "SELECT count(*) FROM instances WHERE volume = 1"),
            in_second = count_rows(f, "SELECT count(*) FROM instances WHERE volume = 2");
    assert_true(in_first > 0 && in_second > 0);
    run_sql(f, "DELETE FROM instances WHERE volume = 2");
    fixture_close(f);
    shell(f, "rm volumes/v00000001.tar");
    fixture_open(f);
    if (!archive_fsck(f->ar, true, on_finding, NULL, &found, &report, &e)) fail_msg("%s", e.message);
    assert_int_equal(found.missing, in_first);
    assert_int_equal(found.orphan, in_second);
    found = (struct findings){0};
    assert_true(archive_fsck(f->ar, false, on_finding, NULL, &found, &report, &e));
    assert_int_equal(found.missing + found.orphan + found.damaged + found.other, 0);
    assert_int_equal(list_study(f, "1.2.1").count, 300 - (size_t)in_first);
}

static void an_archive_has_one_owner(void **state) {
    struct fixture *f = *state;
    struct archive *second;
    struct err e = {0};
    assert_false(archive_open(&(struct archive_options){.dir = f->dir, .encryption = encrypted()}, &second, &e));
    assert_int_equal(e.kind, ERR_BUSY);
    assert_false(archive_open(&(struct archive_options){.dir = "/tmp/gantry-none", .must_exist = true}, &second, &e));
    assert_int_equal(e.kind, ERR_NOT_FOUND);
}

int main(void) {
#define TEST(t) cmocka_unit_test_setup_teardown(t, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        TEST(everything_is_found_again_when_the_index_is_lost),
        TEST(an_older_index_catches_up_with_the_volumes),
        TEST(what_is_deleted_is_gone_and_may_come_again),
        TEST(a_deletion_that_is_refused_stays_refused_when_the_index_is_rebuilt),
        TEST(a_tombstone_that_rotted_kills_nothing_else),
        TEST(the_last_study_under_its_uid_is_no_conflict_whichever_goes),
        TEST(compaction_gives_space_back_and_loses_nothing),
        TEST(a_rebuilt_index_equals_the_old_one_and_keeps_the_log),
        TEST(every_flipped_bit_is_found_and_none_is_served_as_good),
        TEST(bytes_that_rot_after_they_were_read_once_are_not_served),
        TEST(what_a_reader_finds_damaged_is_taken_anew),
        TEST(what_is_whole_again_is_no_longer_damaged_after_fsck),
        TEST(what_lies_in_a_missing_volume_is_taken_anew),
        TEST(studies_are_listed_page_by_page),
        TEST(rot_in_what_was_stored_last_is_told_and_not_cleared_by_a_rebuild),
        TEST(a_lost_volume_and_an_unknown_one_are_told_and_repaired),
        TEST(an_archive_has_one_owner),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
