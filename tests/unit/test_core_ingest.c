// Behaviour of the way in: one copy of the same bytes, other bytes beside, nothing merged, every doubt kept.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
// cmocka needs the four above first
#include <cmocka.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "core_fixture.h"
#include "dicom/write.h"
#include "text/gzip.h"

static void an_object_comes_back_as_it_was_sent(void **state) {
    struct fixture *f = *state;
    size_t count;
    store_sample(f, &(struct sample){0}, INGEST_STORED);
    struct str back = fetch(f, "1.2.3.4.1", &count);
    assert_int_equal(count, 1);
    assert_true(str_eq(back, buf_str(&f->object)));
}

static void the_same_bytes_are_kept_once(void **state) {
    struct fixture *f = *state;
    for (int i = 0; i < 3; i++) store_sample(f, &(struct sample){0}, i ? INGEST_KNOWN : INGEST_STORED);
    assert_int_equal(count_rows(f, "SELECT count(*) FROM instances"), 1);
    assert_int_equal(count_rows(f, "SELECT instance_count FROM studies"), 1);
    assert_int_equal(count_rows(f, "SELECT value FROM figures WHERE name = 'instances'"), 1);
}

// C-STORE brings a bare data set, import a file: the meta header tells of the sender, not of the object.
static void the_same_data_set_over_another_door_is_known(void **state) {
    struct fixture *f = *state;
    struct err e = {0};
    struct ingest_result r;
    store_sample(f, &(struct sample){0}, INGEST_STORED);
    struct ingest_hint hint = {STR_LIT("1.2.840.10008.5.1.4.1.1.2"), STR_LIT("1.2.3.4.1"), STR_LIT("1.2.840.10008.1.2.1")};
    struct ingest *in = ingest_begin(
        f->ar, &(struct actor){.door = DOOR_DIMSE, .principal = &PRINCIPAL_OF_LOCAL, .aet = STR_LIT("CT1"), .address = STR_LIT("10.0.0.5")}, &hint, &e);
    assert_true(ingest_write(in, f->object.p + f->dataset_offset, f->object.n - f->dataset_offset, &e));
    if (!ingest_commit(in, &r, &e)) fail_msg("%s", e.message);
    assert_int_equal(r.outcome, INGEST_KNOWN);
    assert_int_equal(count_rows(f, "SELECT count(*) FROM instances"), 1);
}

static void a_bare_data_set_becomes_a_file(void **state) {
    struct fixture *f = *state;
    struct err e = {0};
    struct ingest_result r;
    size_t count;
    make_object(f, &(struct sample){0});
    struct ingest_hint hint = {STR_LIT("1.2.840.10008.5.1.4.1.1.2"), STR_LIT("1.2.3.4.1"), STR_LIT("1.2.840.10008.1.2.1")};
    struct ingest *in = ingest_begin(f->ar, &(struct actor){.door = DOOR_DIMSE, .principal = &PRINCIPAL_OF_LOCAL, .aet = STR_LIT("CT1")}, &hint, &e);
    assert_true(ingest_write(in, f->object.p + f->dataset_offset, f->object.n - f->dataset_offset, &e));
    if (!ingest_commit(in, &r, &e)) fail_msg("%s", e.message);
    assert_int_equal(r.outcome, INGEST_STORED);
    struct str back = fetch(f, "1.2.3.4.1", &count);
    struct instance_list list = list_study(f, "1.2.3");
    assert_memory_equal(back.p + 128, "DICM", 4);
    assert_true(str_eq(str_sub(back, list.refs[0].dataset_offset, SIZE_MAX), str_sub(buf_str(&f->object), f->dataset_offset, SIZE_MAX)));
    // the pixel reference points at the pixels
    assert_int_equal(list.refs[0].pixel_length, 2048);
    assert_int_equal(list.refs[0].pixel_offset + 2048, back.n);
    // announced as something else: kept aside, refused
    hint.sop_instance_uid = STR_LIT("1.2.3.4.9");
    in = ingest_begin(f->ar, &TESTER, &hint, &e);
    assert_true(ingest_write(in, f->object.p + f->dataset_offset, f->object.n - f->dataset_offset, &e));
    assert_false(ingest_commit(in, &r, &e));
    assert_int_equal(r.outcome, INGEST_QUARANTINED);
    assert_int_equal(r.dimse_status, 0xA900);
}

static void other_bytes_under_a_taken_uid_are_kept_beside_the_first(void **state) {
    struct fixture *f = *state;
    size_t count;
    store_sample(f, &(struct sample){.fill = 1}, INGEST_STORED);
    struct str first = {arena_strz(&f->arena, buf_str(&f->object), NULL), f->object.n};
    store_sample(f, &(struct sample){.fill = 2}, INGEST_CONFLICT);
    store_sample(f, &(struct sample){.fill = 2}, INGEST_CONFLICT); // again: kept already
    store_sample(f, &(struct sample){.fill = 3, .study = "9.9", .series = "9.9.1"}, INGEST_CONFLICT);
    assert_true(str_eq(fetch(f, "1.2.3.4.1", &count), first));
    assert_int_equal(count, 1);
    assert_int_equal(count_rows(f, "SELECT count(*) FROM conflicts WHERE kind = 'bytes'"), 2);
    assert_int_equal(count_rows(f, "SELECT count(*) FROM events WHERE type = 'instance.conflict'"), 2);
    assert_int_equal(count_rows(f, "SELECT count(*) FROM studies"), 1);
    struct str json;
    assert_true(archive_conflicts_json(f->ar, &TESTER, &f->arena, 10, &json, NULL));
    assert_non_null(strstr(json.p, "1.2.3.4.1"));
}

static void a_study_under_a_second_patient_is_a_conflict_and_nothing_is_merged(void **state) {
    struct fixture *f = *state;
    store_sample(f, &(struct sample){.patient_id = "P1", .sop = "1.2.3.4.1"}, INGEST_STORED);
    store_sample(f, &(struct sample){.patient_id = "P2", .sop = "1.2.3.4.2"}, INGEST_CONFLICT);
    store_sample(f, &(struct sample){.patient_id = "P1", .issuer = "HOSPITAL B", .sop = "1.2.3.4.3"}, INGEST_CONFLICT);
    assert_int_equal(count_rows(f, "SELECT count(*) FROM patients"), 3);
    assert_int_equal(count_rows(f, "SELECT count(*) FROM studies WHERE study_uid = '1.2.3' AND patient_conflict = 1"), 3);
    assert_int_equal(count_rows(f, "SELECT count(*) FROM events WHERE type = 'study.patient-conflict'"), 2);
    assert_int_equal(list_study(f, "1.2.3").count, 3);
    struct instance_list one;
    struct err e = {0};
    assert_true(retrieve_list(f->ar, &TESTER, &f->arena, &(struct retrieve_query){.patient_id = STR_LIT("P2")}, &one, &e));
    assert_int_equal(one.count, 1);
}

static void an_object_without_an_issuer_joins_its_study_when_one_patient_can_be_meant(void **state) {
    struct fixture *f = *state;
    store_sample(f, &(struct sample){.patient_id = "P1", .issuer = "HOSPITAL A", .sop = "1.2.3.4.1"}, INGEST_STORED);
    store_sample(f, &(struct sample){.patient_id = "P1", .series = "1.2.3.9", .sop = "1.2.3.9.1"}, INGEST_STORED);
    assert_int_equal(count_rows(f, "SELECT count(*) FROM studies"), 1);
    store_sample(f, &(struct sample){.patient_id = "P1", .issuer = "HOSPITAL B", .sop = "1.2.3.4.2"}, INGEST_CONFLICT);
    store_sample(f, &(struct sample){.patient_id = "P1", .series = "1.2.3.10", .sop = "1.2.3.10.1"}, INGEST_CONFLICT); // of which of the two?
    assert_int_equal(count_rows(f, "SELECT count(*) FROM studies"), 3);
    store_sample(f, &(struct sample){.patient_id = "P1", .study = "1.2.5", .series = "1.2.5.1", .sop = "1.2.5.1.1"}, INGEST_STORED);
    assert_int_equal(count_rows(f, "SELECT count(*) FROM patients"), 3); // in another study nobody says that it is the same
}

static void what_cannot_be_understood_is_kept_in_quarantine_once(void **state) {
    struct fixture *f = *state;
    struct ingest_result r;
    struct err e = {0};
    for (int i = 0; i < 2; i++) {
        buf_clear(&f->object);
        for (int k = 0; k < 1000; k++) buf_addf(&f->object, "garbage %d ", k);
        assert_false(ingest_object(f, &r, &e));
        assert_int_equal(r.outcome, INGEST_QUARANTINED);
        assert_int_equal(r.dimse_status, 0xC000);
        assert_true(r.reason[0] != '\0');
    }
    store_sample(f, &(struct sample){.no_study = true}, INGEST_QUARANTINED);
    store_sample(f, &(struct sample){.sop = "../../../etc/passwd"}, INGEST_QUARANTINED);
    store_sample(f, &(struct sample){.study = "1..2"}, INGEST_QUARANTINED);
    store_sample(f, &(struct sample){.series = "1.2.3.4.5.6.7.8.9.0.11111111111111111111111111111111111111111111111111"}, INGEST_QUARANTINED);
    assert_int_equal(count_rows(f, "SELECT count(*) FROM quarantine"), 5);
    assert_int_equal(count_rows(f, "SELECT count(*) FROM instances"), 0);
    buf_clear(&f->object);
    assert_false(ingest_object(f, &r, &e)); // nothing at all is not worth keeping
    assert_int_equal(count_rows(f, "SELECT count(*) FROM quarantine"), 5);
}

static void an_object_cut_short_is_not_served(void **state) {
    struct fixture *f = *state;
    struct ingest_result r;
    struct err e = {0};
    make_object(f, &(struct sample){0});
    f->object.n -= 100;
    assert_false(ingest_object(f, &r, &e));
    assert_int_equal(r.outcome, INGEST_QUARANTINED);
    assert_non_null(strstr(r.reason, "(7FE0,0010)"));
    assert_int_equal(list_study(f, "1.2.3").count, 0);
}

static void an_aborted_object_leaves_nothing(void **state) {
    struct fixture *f = *state;
    struct err e = {0};
    make_object(f, &(struct sample){0});
    struct ingest *in = ingest_begin(f->ar, &TESTER, NULL, &e);
    assert_true(ingest_write(in, f->object.p, f->object.n, &e));
    ingest_abort(in);
    assert_int_equal(count_rows(f, "SELECT count(*) FROM instances"), 0);
}

static void a_large_object_goes_through_a_staging_file(void **state) {
    struct fixture *f = *state;
    size_t count;
    store_sample(f, &(struct sample){.pixel_bytes = 9 << 20, .fill = 7}, INGEST_STORED);
    struct str sent = {arena_alloc(&f->arena, f->object.n, NULL), f->object.n};
    memcpy((char *)sent.p, f->object.p, sent.n);
    assert_true(str_eq(fetch(f, "1.2.3.4.1", &count), sent));
    store_sample(f, &(struct sample){.pixel_bytes = 9 << 20, .fill = 7}, INGEST_KNOWN);
    store_sample(f, &(struct sample){.pixel_bytes = 9 << 20, .fill = 8}, INGEST_CONFLICT);
    // the same data set behind another meta header
    struct err e = {0};
    struct ingest_result r;
    struct ingest_hint hint = {STR_LIT("1.2.840.10008.5.1.4.1.1.2"), STR_LIT("1.2.3.4.1"), STR_LIT("1.2.840.10008.1.2.1")};
    struct ingest *in = ingest_begin(f->ar, &TESTER, &hint, &e);
    assert_true(ingest_write(in, sent.p + f->dataset_offset, sent.n - f->dataset_offset, &e));
    assert_true(ingest_commit(in, &r, &e));
    assert_int_equal(r.outcome, INGEST_KNOWN);
}

static void an_object_that_is_digested_while_it_is_written_is_judged_like_any_other(void **state) {
    struct fixture *f = *state;
    size_t count;
    store_sample(f, &(struct sample){.pixel_bytes = 400000, .fill = 7}, INGEST_STORED);
    struct str sent = {arena_strz(&f->arena, buf_str(&f->object), NULL), f->object.n};
    assert_true(str_eq(fetch(f, "1.2.3.4.1", &count), sent));
    store_sample(f, &(struct sample){.pixel_bytes = 400000, .fill = 7}, INGEST_KNOWN);
    store_sample(f, &(struct sample){.pixel_bytes = 400000, .fill = 8}, INGEST_CONFLICT);
    store_sample(f, &(struct sample){.pixel_bytes = 400000, .fill = 8}, INGEST_CONFLICT);
    assert_true(str_eq(fetch(f, "1.2.3.4.1", &count), sent));
    assert_int_equal(count, 1);
    assert_int_equal(count_rows(f, "SELECT count(*) FROM conflicts"), 1);
    make_object(f, &(struct sample){.pixel_bytes = 400000, .no_study = true});
    struct ingest_result r;
    struct err e = {0};
    assert_false(ingest_object(f, &r, &e));
    assert_int_equal(r.outcome, INGEST_QUARANTINED);
}

static struct str metadata(struct fixture *f, bool want_gzip) {
    struct err e = {0};
    struct buf b;
    struct str out;
    bool gzip;
    buf_init(&b, 16 << 20);
    if (!retrieve_series_metadata(f->ar, &TESTER, STR_LIT("1.2.3"), STR_LIT("1.2.3.4"), want_gzip, &b, &gzip, &e)) fail_msg("%s", e.message);
    assert_int_equal(gzip, want_gzip);
    if (gzip) {
        struct buf plain;
        buf_init(&plain, 16 << 20);
        assert_true(gzip_unpack(buf_str(&b), &plain, &e));
        buf_deinit(&b);
        b = plain;
    }
    assert_true(arena_dup(&f->arena, buf_str(&b), &out, &e));
    buf_deinit(&b);
    return out;
}

static void series_metadata_is_made_once_and_again_when_the_series_changes(void **state) {
    struct fixture *f = *state;
    struct err e = {0};
    uint64_t count;
    for (int i = 1; i <= 3; i++) {
        char sop[32];
        snprintf(sop, sizeof sop, "1.2.3.4.%d", i);
        store_sample(f, &(struct sample){.sop = sop, .number = i, .name = "\xb3\xc2^\xce\xb0", .charset = "ISO_IR 100"}, INGEST_STORED);
        struct str first = metadata(f, false), prepared = metadata(f, true);
        assert_true(str_eq(first, prepared));
        assert_non_null(strstr(first.p, sop));
        assert_non_null(strstr(first.p, "\xe9\x99\x88")); // the mislabelled name is repaired
        assert_non_null(strstr(first.p, "/dicom-web/studies/1.2.3/series/1.2.3.4/instances/1.2.3.4.1/bulkdata/7FE00010"));
        assert_int_equal(count_rows(f, "SELECT count(*) FROM series_metadata"), 1);
    }
    assert_true(archive_delete(f->ar, &TESTER, STR_LIT("1.2.3"), STR_LIT("1.2.3.4"), STR_LIT("1.2.3.4.2"), STR_LIT("x"), &count, &e));
    assert_null(strstr(metadata(f, true).p, "1.2.3.4.2"));
}

static void counts_and_lists_of_a_study_are_kept_in_its_row(void **state) {
    struct fixture *f = *state;
    char sop[32];
    for (int i = 0; i < 10; i++) {
        snprintf(sop, sizeof sop, "1.2.3.4.%d", i);
        store_sample(f, &(struct sample){.sop = sop, .number = i}, INGEST_STORED);
    }
    store_sample(f, &(struct sample){.sop = "1.2.3.5.1", .series = "1.2.3.5", .modality = "SR"}, INGEST_STORED);
    assert_int_equal(count_rows(f, "SELECT count(*) FROM studies WHERE instance_count = 11 AND series_count = 2 AND modalities = 'CT\\SR'"), 1);
    assert_int_equal(count_rows(f, "SELECT instance_count FROM series WHERE series_uid = '1.2.3.4'"), 10);
    struct instance_list list = list_study(f, "1.2.3");
    assert_int_equal(list.count, 11);
    struct dcm_dataset *ds;
    struct err e = {0};
    for (size_t i = 0; i < list.count; i++) {
        if (!retrieve_header(f->ar, &f->arena, &list.refs[i], &ds, &e)) fail_msg("%s", e.message);
        assert_true(str_eq(dcm_text(ds, DCM_SOPInstanceUID), list.refs[i].sop_instance_uid));
        const struct dcm_element *pixels = dcm_find(ds, DCM_PixelData);
        assert_true(pixels && pixels->flags & DCM_BY_REFERENCE && pixels->length == 2048);
        assert_int_equal(pixels->offset + list.refs[i].dataset_offset, list.refs[i].pixel_offset);
    }
    // the headers after the first cost little
    assert_true(count_rows(f, "SELECT max(length(header)) FROM instances WHERE header_base > 0") < 200);
}

static void events_chain_and_wake_their_waiters(void **state) {
    struct fixture *f = *state;
    struct err e = {0};
    int64_t checked;
    assert_false(events_wait(f->ar, 0, 10));
    store_sample(f, &(struct sample){0}, INGEST_STORED);
    clock_shift_wall_ms(-86400000LL); // a clock that jumps back a day
    store_sample(f, &(struct sample){.sop = "1.2.3.4.2"}, INGEST_STORED);
    clock_shift_wall_ms(0);
    assert_true(events_wait(f->ar, 1, 10));
    assert_int_equal(events_last(f->ar), 2);
    struct event *list;
    unsigned n;
    assert_true(events_after(f->ar, &f->arena, 0, 10, &list, &n, &e));
    assert_int_equal(n, 2);
    assert_true(list[1].time_ms >= list[0].time_ms);
    assert_true(str_eqz(list[0].type, "instance.stored") && str_eqz(list[0].actor, "command:tester"));
    assert_true(events_verify(f->ar, &checked, &e) && checked == 2);
    run_sql(f, "UPDATE events SET detail = '{}' WHERE seq = 1");
    fixture_close(f);
    fixture_open(f);
    assert_false(events_verify(f->ar, &checked, &e));
    assert_int_equal(e.kind, ERR_CORRUPT);
}

// Texts with bytes of no character set and with NULs between.
static void make_raw(struct fixture *f, const char *sop, struct str text) {
    struct err e = {0};
    struct dcm_dataset *ds = dcm_dataset_new(&f->arena, &e);
    static const uint32_t texts[] = {DCM_PatientID,        DCM_IssuerOfPatientID, DCM_PatientName,      DCM_AccessionNumber,
                                     DCM_StudyDescription, DCM_Modality,          DCM_SeriesDescription};
    static const uint16_t vrs[] = {DCM_VR_LO, DCM_VR_LO, DCM_VR_PN, DCM_VR_SH, DCM_VR_LO, DCM_VR_CS, DCM_VR_LO};
    bool ok = dcm_putz(ds, DCM_SpecificCharacterSet, "ISO_IR 192", &e) && dcm_putz(ds, DCM_SOPClassUID, "1.2.840.10008.5.1.4.1.1.2", &e) &&
              dcm_putz(ds, DCM_SOPInstanceUID, sop, &e) && dcm_putz(ds, DCM_SeriesInstanceUID, "1.2.3.4", &e) &&
              dcm_putz(ds, DCM_StudyInstanceUID, "1.2.3", &e);
    for (unsigned i = 0; ok && i < sizeof texts / sizeof *texts; i++) ok = dcm_put_bytes(ds, texts[i], vrs[i], text.p, text.n, &e);
    buf_clear(&f->object);
    ok = ok && dcm_write_part10(ds, dcm_ts_explicit_le, NULL, dcm_sink_buf(&f->object), &e);
    if (!ok) fail_msg("%s", e.message);
}

static void texts_of_any_bytes_are_stored_and_keep_nobody_out(void **state) {
    struct fixture *f = *state;
    struct err e = {0};
    int64_t checked;
    static const struct str texts[] = {{"A\0BC", 4}, {"\xff\xfe^\xc3(", 6},    {"\xed\xa0\x80", 4}, {"\xf4\x90\x80\x80", 4},
                                       {"\0\0", 2},  {"a\\b'c\"{each ?1}", 16}};
    for (unsigned i = 0; i < sizeof texts / sizeof *texts; i++) {
        char sop[32];
        snprintf(sop, sizeof sop, "1.2.3.4.%u", i);
        make_raw(f, sop, texts[i]);
        for (int again = 0; again < 2; again++) {
            struct ingest_result r;
            if (!ingest_object(f, &r, &e)) fail_msg("%u: %s", i, e.message);
            assert_true(r.outcome == (again ? INGEST_KNOWN : INGEST_STORED) || r.outcome == INGEST_CONFLICT);
        }
    }
    assert_int_equal(count_rows(f, "SELECT count(*) FROM instances"), 6);
    if (!events_verify(f->ar, &checked, &e)) fail_msg("%s", e.message);
}

struct sender {
    struct fixture *f;
    struct buf object;
    int first, stored, known;
    unsigned pixel_bytes;
};

static void *send_many(void *arg) {
    struct sender *s = arg;
    struct err e = {0};
    for (int i = 0; i < 50; i++) {
        struct ingest_result r;
        struct fixture local = *s->f;
        arena_init(&local.arena, 1 << 20);
        buf_init(&local.object, 1 << 20);
        char sop[64], study[32], series[32];
        snprintf(study, sizeof study, "1.2.%d", s->first + i % 3);
        snprintf(series, sizeof series, "1.2.%d.1", s->first + i % 3);
        snprintf(sop, sizeof sop, "%.31s.%d", series, i % 40); // ten of them twice
        snprintf(study, sizeof study, "1.2.%d", s->first + i % 3);
        make_object(&local, &(struct sample){.study = study, .series = series, .sop = sop, .pixel_bytes = s->pixel_bytes});
        bool ok = ingest_object(&local, &r, &e);
        s->stored += ok && r.outcome == INGEST_STORED;
        s->known += ok && r.outcome == INGEST_KNOWN;
        buf_deinit(&local.object);
        arena_deinit(&local.arena);
    }
    return NULL;
}

static void send_at_once(struct fixture *f, unsigned pixel_bytes) {
    struct sender senders[4];
    pthread_t threads[4];
    for (int i = 0; i < 4; i++) {
        senders[i] = (struct sender){.f = f, .first = i / 2 * 100, .pixel_bytes = pixel_bytes}; // two pairs that send the same
        pthread_create(&threads[i], NULL, send_many, &senders[i]);
    }
    int stored = 0, known = 0;
    for (int i = 0; i < 4; i++) {
        pthread_join(threads[i], NULL);
        stored += senders[i].stored;
        known += senders[i].known;
    }
    assert_int_equal(stored + known, 200);
    assert_int_equal(stored, count_rows(f, "SELECT count(*) FROM instances"));
    assert_int_equal(stored, count_rows(f, "SELECT sum(instance_count) FROM studies"));
    assert_int_equal(stored, count_rows(f, "SELECT value FROM figures WHERE name = 'instances'"));
    assert_int_equal(count_rows(f, "SELECT count(*) FROM conflicts"), 0);
    int64_t checked;
    assert_true(events_verify(f->ar, &checked, NULL));
    assert_int_equal(checked, stored + known); // each that came, also what was kept already
}

static void many_senders_at_once_are_counted_right(void **state) {
    send_at_once(*state, 0);
}

static void so_are_senders_of_objects_that_are_digested_while_they_are_written(void **state) {
    send_at_once(*state, 200000);
}

int main(void) {
#define TEST(t) cmocka_unit_test_setup_teardown(t, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        TEST(an_object_comes_back_as_it_was_sent),
        TEST(the_same_bytes_are_kept_once),
        TEST(the_same_data_set_over_another_door_is_known),
        TEST(a_bare_data_set_becomes_a_file),
        TEST(other_bytes_under_a_taken_uid_are_kept_beside_the_first),
        TEST(a_study_under_a_second_patient_is_a_conflict_and_nothing_is_merged),
        TEST(an_object_without_an_issuer_joins_its_study_when_one_patient_can_be_meant),
        TEST(what_cannot_be_understood_is_kept_in_quarantine_once),
        TEST(an_object_cut_short_is_not_served),
        TEST(an_aborted_object_leaves_nothing),
        TEST(a_large_object_goes_through_a_staging_file),
        TEST(an_object_that_is_digested_while_it_is_written_is_judged_like_any_other),
        TEST(series_metadata_is_made_once_and_again_when_the_series_changes),
        TEST(counts_and_lists_of_a_study_are_kept_in_its_row),
        TEST(events_chain_and_wake_their_waiters),
        TEST(texts_of_any_bytes_are_stored_and_keep_nobody_out),
        TEST(many_senders_at_once_are_counted_right),
        TEST(so_are_senders_of_objects_that_are_digested_while_they_are_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
