// Behaviour of the one search over an index: what is found, in which order, and what is answered.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
// cmocka needs the four above first
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "core/query_header.h"
#include "query_fixture.h"

#define STR2(f, v) snprintf((f), sizeof(f), "%s", (v))

// A study with one series of one instance, all named after n.
static struct fx_study study(int n, const char *date, const char *name) {
    struct fx_study s = {.series_count = 1};
    snprintf(s.uid, sizeof s.uid, "1.2.%d", n);
    snprintf(s.patient_id, sizeof s.patient_id, "P%d", n);
    snprintf(s.accession, sizeof s.accession, "A%d", n);
    snprintf(s.study_id, sizeof s.study_id, "ID%d", n);
    STR2(s.date, date);
    STR2(s.time, "101500");
    STR2(s.name, name);
    struct fx_series *r = &s.series[0];
    snprintf(r->uid, sizeof r->uid, "1.2.%d.1", n);
    STR2(r->modality, "CT");
    r->number = 1;
    r->instance_count = 1;
    snprintf(r->instances[0].uid, sizeof r->instances[0].uid, "1.2.%d.1.1", n);
    STR2(r->instances[0].sop_class, "1.2.840.10008.5.1.4.1.1.2");
    r->instances[0].number = 1;
    return s;
}

static int open_archive(void **state) {
    struct archive *ar = fx_open();
    *state = ar;
    struct fx_study s = study(1, "20260101", "Müller^Hans");
    STR2(s.description, "CT CHEST");
    STR2(s.referring, "House^Gregory");
    fx_add(ar, &s);
    s = study(2, "20260102", "陈^伟");
    STR2(s.description, "胸部CT平扫");
    STR2(s.birth_date, "19700203");
    STR2(s.other_ids, "X77\\X78");
    STR2(s.diagnosis, "pneumonia");
    s.series_count = 2;
    s.series[1] = s.series[0];
    STR2(s.series[1].uid, "1.2.2.2");
    STR2(s.series[1].modality, "PT");
    s.series[1].number = -1;
    STR2(s.series[1].step_id[0], "S1");
    STR2(s.series[1].procedure_id[0], "R1");
    STR2(s.series[1].step_id[1], "S2");
    STR2(s.series[1].procedure_id[1], "R2");
    s.series[1].instance_count = 3;
    for (int i = 0; i < 3; i++) {
        snprintf(s.series[1].instances[i].uid, FX_TEXT, "1.2.2.2.%d", i + 1);
        STR2(s.series[1].instances[i].sop_class, "1.2.840.10008.5.1.4.1.1.128");
        s.series[1].instances[i].number = 10 - i;
        s.series[1].instances[i].acquisition = 40 + i;
    }
    STR2(s.series[1].instances[2].image_type, "ORIGINAL\\PRIMARY");
    fx_add(ar, &s);
    s = study(3, "20251231", "Wang^Fang=王^芳");
    STR2(s.zone, "+0800");
    STR2(s.time, "010000");
    fx_add(ar, &s);
    s = study(4, "", "Smith^John");
    fx_add(ar, &s);
    s = study(5, "20260101", "SMITH^Jane");
    STR2(s.issuer, "HOSPITAL A");
    STR2(s.patient_id, "P1"); // the same ID from another issuer is another patient
    fx_add(ar, &s);
    return 0;
}

static int close_archive(void **state) {
    fx_close(*state);
    return 0;
}

#define FIND(level, ...) (fx_find(*state, level, found, sizeof found, __VA_ARGS__, 0), found)

static void studies_come_newest_first_those_without_date_last(void **state) {
    char found[1000];
    assert_string_equal(FIND(QUERY_STUDY, DCM_StudyInstanceUID, ""), "1.2.2 1.2.5 1.2.1 1.2.3 1.2.4");
}

static void each_key_of_a_study_finds_it(void **state) {
    char found[1000];
    assert_string_equal(FIND(QUERY_STUDY, DCM_PatientID, "P2"), "1.2.2");
    assert_string_equal(FIND(QUERY_STUDY, DCM_PatientID, "p2"), ""); // IDs are case-sensitive
    assert_string_equal(FIND(QUERY_STUDY, DCM_PatientID, "P?"), "1.2.2 1.2.5 1.2.1 1.2.3 1.2.4");
    assert_string_equal(FIND(QUERY_STUDY, DCM_AccessionNumber, "A3"), "1.2.3");
    assert_string_equal(FIND(QUERY_STUDY, DCM_StudyID, "ID4"), "1.2.4");
    assert_string_equal(FIND(QUERY_STUDY, DCM_StudyDescription, "CT*"), "1.2.1");
    assert_string_equal(FIND(QUERY_STUDY, DCM_StudyDescription, "*CT*"), "1.2.2 1.2.1");
    assert_string_equal(FIND(QUERY_STUDY, DCM_StudyDescription, "胸部CT平扫"), "1.2.2");
    assert_string_equal(FIND(QUERY_STUDY, DCM_ReferringPhysicianName, "house^*"), "1.2.1");
    assert_string_equal(FIND(QUERY_STUDY, DCM_PatientBirthDate, "19700101-19701231"), "1.2.2");
    assert_string_equal(FIND(QUERY_STUDY, DCM_PatientBirthDate, "19700203"), "1.2.2");
    assert_string_equal(FIND(QUERY_STUDY, DCM_ModalitiesInStudy, "PT\\MR"), "1.2.2");
    assert_string_equal(FIND(QUERY_STUDY, DCM_StudyInstanceUID, "1.2.3\\1.2.1\\9.9"), "1.2.1 1.2.3");
}

static void dates_and_times_bound_what_is_found(void **state) {
    char found[1000];
    assert_string_equal(FIND(QUERY_STUDY, DCM_StudyDate, "20260101"), "1.2.5 1.2.1");
    assert_string_equal(FIND(QUERY_STUDY, DCM_StudyDate, "-20260101"), "1.2.5 1.2.1 1.2.3");
    assert_string_equal(FIND(QUERY_STUDY, DCM_StudyDate, "20260102-"), "1.2.2");
    assert_string_equal(FIND(QUERY_STUDY, DCM_StudyTime, "-0500"), "1.2.3");
    assert_string_equal(FIND(QUERY_STUDY, DCM_StudyDate, "\"\""), "1.2.4");
}

static void a_date_and_a_time_range_are_one_range_when_combined(void **state) {
    struct arena a;
    unsigned n;
    arena_init(&a, 16 << 20);
    struct query_key keys[] = {{{DCM_StudyDate}, 1, STR_LIT("20251231-20260101")}, {{DCM_StudyTime}, 1, STR_LIT("0200-1200")}};
    struct query q = {.level = QUERY_STUDY, .keys = keys, .key_count = 2};
    fx_query(*state, &a, &q, &n);
    assert_int_equal(n, 2); // on either day, between two and twelve
    q.combined_datetime = true;
    keys[1].value = STR_LIT("0030-1015");
    fx_query(*state, &a, &q, &n);
    assert_int_equal(n, 3);
    keys[1].value = STR_LIT("0200-0100"); // until one o'clock of the last day
    fx_query(*state, &a, &q, &n);
    assert_int_equal(n, 0);
    keys[1].value = STR_LIT("1000-0100");
    keys[0].value = STR_LIT("20260101-20260102");
    fx_query(*state, &a, &q, &n);
    assert_int_equal(n, 2);
    arena_deinit(&a);
}

static void times_are_those_of_the_askers_zone(void **state) {
    char found[1000];
    // 01:00 on 31 December in Shanghai is 17:00 on the 30th in Greenwich.
    assert_string_equal(FIND(QUERY_STUDY, DCM_TimezoneOffsetFromUTC, "+0000", DCM_StudyDate, "20251230"), "1.2.3");
    assert_string_equal(FIND(QUERY_STUDY, DCM_TimezoneOffsetFromUTC, "+0000", DCM_StudyDate, "20251231"), "");
    assert_string_equal(FIND(QUERY_STUDY, DCM_TimezoneOffsetFromUTC, "+0800", DCM_StudyDate, "20251231"), "1.2.3");
    assert_string_equal(FIND(QUERY_STUDY, DCM_TimezoneOffsetFromUTC, "+0000", DCM_StudyTime, "1700"), "1.2.3");
}

static void names_are_found_in_every_script(void **state) {
    char found[1000];
    assert_string_equal(FIND(QUERY_STUDY, DCM_PatientName, "muller*"), "1.2.1");
    assert_string_equal(FIND(QUERY_STUDY, DCM_PatientName, "Chen*"), "1.2.2");
    assert_string_equal(FIND(QUERY_STUDY, DCM_PatientName, "CHEN^WEI"), "1.2.2");
    assert_string_equal(FIND(QUERY_STUDY, DCM_PatientName, "陈*"), "1.2.2");
    assert_string_equal(FIND(QUERY_STUDY, DCM_PatientName, "=王*"), "1.2.3");
    assert_string_equal(FIND(QUERY_STUDY, DCM_PatientName, "smith*"), "1.2.5 1.2.4");
    assert_string_equal(FIND(QUERY_STUDY, DCM_PatientName, "*jane"), "1.2.5");
    assert_string_equal(FIND(QUERY_STUDY, DCM_PatientName, "nobody*"), "");
}

static void fuzzy_names_match_words_in_any_order_and_initials(void **state) {
    const char *const wanted[][2] = {{"john smith", "1.2.4"}, {"cw", "1.2.2"},  {"wei chen", "1.2.2"},
                                     {"chenwei", "1.2.2"},    {"smi", "1.2.5"}, {"fang", "1.2.3"}};
    for (unsigned i = 0; i < sizeof wanted / sizeof *wanted; i++) {
        struct arena a;
        unsigned n;
        arena_init(&a, 16 << 20);
        struct query_key key = {{DCM_PatientName}, 1, str_of(wanted[i][0])};
        struct query q = {.level = QUERY_STUDY, .keys = &key, .key_count = 1, .fuzzy = true};
        struct dcm_dataset **got = fx_query(*state, &a, &q, &n);
        assert_true(n >= 1);
        assert_true(str_eqz(dcm_text(got[0], DCM_StudyInstanceUID), wanted[i][1]));
        arena_deinit(&a);
    }
}

static void the_same_id_of_two_issuers_is_two_patients(void **state) {
    char found[1000];
    assert_string_equal(FIND(QUERY_STUDY, DCM_PatientID, "P1"), "1.2.5 1.2.1");
    assert_string_equal(FIND(QUERY_STUDY, DCM_PatientID, "P1", DCM_IssuerOfPatientID, "HOSPITAL A"), "1.2.5");
    assert_int_equal(fx_find(*state, QUERY_PATIENT, NULL, 0, DCM_PatientID, "P1", 0), 2);
    assert_int_equal(fx_find(*state, QUERY_PATIENT, NULL, 0, DCM_PatientID, "", 0), 5);
}

static void series_and_instances_come_by_number_those_without_last(void **state) {
    char found[1000];
    assert_string_equal(FIND(QUERY_SERIES, DCM_StudyInstanceUID, "1.2.2"), "1.2.2.1 1.2.2.2");
    assert_string_equal(FIND(QUERY_INSTANCE, DCM_StudyInstanceUID, "1.2.2", DCM_SeriesInstanceUID, "1.2.2.2"), "1.2.2.2.3 1.2.2.2.2 1.2.2.2.1");
    assert_string_equal(FIND(QUERY_SERIES, DCM_StudyInstanceUID, "1.2.2", DCM_Modality, "PT"), "1.2.2.2");
    assert_string_equal(FIND(QUERY_INSTANCE, DCM_SOPInstanceUID, "1.2.2.2.2"), "1.2.2.2.2");
}

static void keys_of_any_level_restrict_any_level(void **state) {
    char found[1000];
    assert_string_equal(FIND(QUERY_STUDY, DCM_SOPInstanceUID, "1.2.2.2.2"), "1.2.2");
    assert_string_equal(FIND(QUERY_STUDY, DCM_SeriesInstanceUID, "1.2.3.1"), "1.2.3");
    assert_string_equal(FIND(QUERY_STUDY, DCM_Modality, "PT", DCM_InstanceNumber, "9"), "1.2.2");
    assert_string_equal(FIND(QUERY_STUDY, DCM_Modality, "CT", DCM_InstanceNumber, "9"), ""); // not in one series
    assert_string_equal(FIND(QUERY_SERIES, DCM_PatientName, "chen*", DCM_InstanceNumber, "9"), "1.2.2.2");
    assert_string_equal(FIND(QUERY_SERIES, DCM_PatientID, "P1"), "1.2.5.1 1.2.1.1");
    assert_string_equal(FIND(QUERY_INSTANCE, DCM_Modality, "PT", DCM_InstanceNumber, "10"), "1.2.2.2.1");
    assert_string_equal(FIND(QUERY_PATIENT, DCM_Modality, "PT"), "P2");
}

static void attributes_without_a_column_are_matched_in_stored_headers(void **state) {
    char found[1000];
    assert_string_equal(FIND(QUERY_STUDY, DCM_OtherPatientIDs, "X78"), "1.2.2");
    assert_string_equal(FIND(QUERY_STUDY, DCM_AdmittingDiagnosesDescription, "pneu*"), "1.2.2");
    assert_string_equal(FIND(QUERY_INSTANCE, DCM_ImageType, "PRIMARY"), "1.2.2.2.3");
    assert_string_equal(FIND(QUERY_INSTANCE, DCM_AcquisitionNumber, "41"), "1.2.2.2.2");
}

static unsigned find_request(void **state, const char *step, const char *procedure, struct arena *a, struct dcm_dataset ***got) {
    unsigned n;
    struct query_key keys[] = {{{DCM_RequestAttributesSequence, DCM_ScheduledProcedureStepID}, 2, str_of(step)},
                               {{DCM_RequestAttributesSequence, DCM_RequestedProcedureID}, 2, str_of(procedure)}};
    struct query q = {.level = QUERY_SERIES, .keys = keys, .key_count = 2};
    *got = fx_query(*state, a, &q, &n);
    return n;
}

static void sequences_match_within_an_item_and_are_answered_with_it(void **state) {
    struct arena a;
    struct dcm_dataset **got;
    arena_init(&a, 64 << 20);
    assert_int_equal(find_request(state, "S1", "R2", &a, &got), 0);
    assert_int_equal(find_request(state, "S2", "", &a, &got), 1);
    const struct dcm_element *seq = dcm_find(got[0], DCM_RequestAttributesSequence);
    assert_true(seq && seq->item_count == 1);
    assert_true(str_eqz(dcm_text(seq->items[0], DCM_RequestedProcedureID), "R2"));
    arena_deinit(&a);
}

static void answers_hold_what_was_asked_and_the_keys_of_the_level(void **state) {
    struct arena a;
    unsigned n;
    arena_init(&a, 64 << 20);
    static const uint32_t asked[] = {DCM_ModalitiesInStudy,
                                     DCM_NumberOfStudyRelatedSeries,
                                     DCM_NumberOfStudyRelatedInstances,
                                     DCM_NumberOfPatientRelatedStudies,
                                     DCM_InstanceAvailability,
                                     DCM_AdmittingDiagnosesDescription,
                                     DCM_OtherPatientIDs,
                                     DCM_Modality,
                                     DCM_MilitaryRank};
    struct query_key keys[10] = {{{DCM_PatientID}, 1, STR_LIT("P2")}};
    for (unsigned i = 0; i < 9; i++) keys[i + 1] = (struct query_key){{asked[i]}, 1, {NULL, 0}};
    struct query q = {.level = QUERY_STUDY, .keys = keys, .key_count = 10};
    struct dcm_dataset *d = fx_query(*state, &a, &q, &n)[0];
    assert_int_equal(n, 1);
    assert_true(str_eqz(dcm_text(d, DCM_ModalitiesInStudy), "CT\\PT"));
    assert_true(str_eqz(dcm_text(d, DCM_NumberOfStudyRelatedSeries), "2") && str_eqz(dcm_text(d, DCM_NumberOfStudyRelatedInstances), "4"));
    assert_true(str_eqz(dcm_text(d, DCM_NumberOfPatientRelatedStudies), "1") && str_eqz(dcm_text(d, DCM_InstanceAvailability), "ONLINE"));
    assert_true(str_eqz(dcm_text(d, DCM_AdmittingDiagnosesDescription), "pneumonia") && str_eqz(dcm_text(d, DCM_OtherPatientIDs), "X77\\X78"));
    assert_true(str_eqz(dcm_text(d, DCM_StudyInstanceUID), "1.2.2") && str_eqz(dcm_text(d, DCM_PatientName), "陈^伟"));
    assert_true(str_eqz(dcm_text(d, DCM_StudyDate), "20260102") && str_eqz(dcm_text(d, DCM_AccessionNumber), "A2"));
    assert_true(str_eqz(dcm_text(d, DCM_SpecificCharacterSet), "ISO_IR 192"));
    // Asked for but not known at this level: there, and empty.
    assert_true(dcm_find(d, DCM_Modality) && dcm_find(d, DCM_Modality)->length == 0);
    assert_true(dcm_find(d, DCM_MilitaryRank) && dcm_find(d, DCM_MilitaryRank)->length == 0);
    assert_null(dcm_find(d, DCM_ReferringPhysicianName));
    arena_deinit(&a);
}

static void all_fields_are_those_of_the_level_and_above(void **state) {
    struct arena a;
    unsigned n;
    arena_init(&a, 64 << 20);
    struct query_key key = {{DCM_SOPInstanceUID}, 1, STR_LIT("1.2.2.2.3")};
    struct query q = {.level = QUERY_INSTANCE, .keys = &key, .key_count = 1, .include_all = true};
    struct dcm_dataset *d = fx_query(*state, &a, &q, &n)[0];
    assert_true(n == 1 && str_eqz(dcm_text(d, DCM_ImageType), "ORIGINAL\\PRIMARY") && str_eqz(dcm_text(d, DCM_PatientName), "陈^伟"));
    int64_t rows;
    assert_true(dcm_i64(d, DCM_Rows, 0, &rows) && rows == 512);
    q.level = QUERY_STUDY;
    d = fx_query(*state, &a, &q, &n)[0];
    assert_true(n == 1 && dcm_find(d, DCM_AdmittingDiagnosesDescription) && !dcm_find(d, DCM_ImageType) && !dcm_find(d, DCM_Modality));
    arena_deinit(&a);
}

static void limits_and_offsets_cut_the_list(void **state) {
    struct arena a;
    unsigned n;
    arena_init(&a, 64 << 20);
    struct query q = {.level = QUERY_STUDY, .limit = 2, .offset = 1};
    struct dcm_dataset **got = fx_query(*state, &a, &q, &n);
    assert_int_equal(n, 2);
    assert_true(str_eqz(dcm_text(got[0], DCM_StudyInstanceUID), "1.2.5") && str_eqz(dcm_text(got[1], DCM_StudyInstanceUID), "1.2.1"));
    q.offset = 5;
    fx_query(*state, &a, &q, &n);
    assert_int_equal(n, 0);
    arena_deinit(&a);
}

static void a_study_uid_under_two_patients_gives_two_answers(void **state) {
    char found[1000];
    struct fx_study s = study(7, "20260105", "Li^Si");
    fx_add(*state, &s);
    STR2(s.patient_id, "OTHER");
    STR2(s.name, "Zhao^Liu");
    STR2(s.series[0].instances[0].uid, "1.2.7.9");
    fx_add(*state, &s);
    assert_string_equal(FIND(QUERY_STUDY, DCM_StudyInstanceUID, "1.2.7"), "1.2.7 1.2.7");
    assert_string_equal(FIND(QUERY_PATIENT, DCM_StudyInstanceUID, "1.2.7"), "OTHER P7");
    assert_string_equal(FIND(QUERY_STUDY, DCM_StudyInstanceUID, "1.2.7", DCM_PatientName, "li*"), "1.2.7");
    assert_string_equal(FIND(QUERY_INSTANCE, DCM_StudyInstanceUID, "1.2.7", DCM_PatientID, "OTHER"), "1.2.7.9");
}

static void a_study_that_went_is_not_found(void **state) {
    char found[1000];
    struct fx_study s = study(8, "20260106", "Gone^Soon");
    fx_add(*state, &s);
    assert_string_equal(FIND(QUERY_STUDY, DCM_PatientName, "gone*"), "1.2.8");
    fx_remove(*state, s.row);
    assert_string_equal(FIND(QUERY_STUDY, DCM_PatientName, "gone*"), "");
    struct err e;
    struct db *d = db_reader(archive_db(*state), &e);
    struct db_stmt *q = db_prepare(d, "SELECT count(*), (SELECT sum(studies) FROM study_months) FROM study_keys WHERE study = ?1", &e);
    db_bind_int(q, 1, s.row);
    assert_int_equal(db_next(q, &e), DB_ROW);
    assert_int_equal(db_int(q, 0), 0); // no key stays behind
    assert_int_equal(db_int(q, 1), 5);
    db_done(q);
    db_return(archive_db(*state), d);
}

static void an_identifier_in_any_character_set_becomes_the_query(void **state) {
    struct arena a;
    struct err e;
    struct query q;
    unsigned n;
    arena_init(&a, 64 << 20);
    struct dcm_dataset *id = dcm_dataset_new(&a, &e);
    assert_true(dcm_putz(id, DCM_SpecificCharacterSet, "GB18030", &e) && dcm_putz(id, DCM_QueryRetrieveLevel, "STUDY", &e));
    assert_true(dcm_put_text(id, DCM_PatientName, DCM_VR_PN, STR_LIT("\xB3\xC2*"), &e)); // 陈* in GB18030
    assert_true(dcm_put_empty(id, DCM_StudyInstanceUID, DCM_VR_UI, &e));
    struct dcm_dataset *item = dcm_put_item(id, DCM_RequestAttributesSequence, &e);
    assert_true(dcm_putz(item, DCM_ScheduledProcedureStepID, "S1", &e));
    assert_true(query_from_identifier(&a, id, &q, &e));
    assert_int_equal(q.level, QUERY_STUDY);
    assert_int_equal(q.key_count, 3);
    struct dcm_dataset **got = fx_query(*state, &a, &q, &n);
    assert_true(n == 1 && str_eqz(dcm_text(got[0], DCM_StudyInstanceUID), "1.2.2"));
    dcm_remove(id, DCM_QueryRetrieveLevel);
    assert_false(query_from_identifier(&a, id, &q, &e));
    assert_int_equal(e.kind, ERR_BAD_INPUT);
    arena_deinit(&a);
}

static void a_long_list_comes_whole_in_pages_and_holds_no_connection(void **state) {
    struct archive *ar = *state;
    struct fx_study s;
    for (int i = 0; i < 300; i++) {
        s = study(1000 + i, "20240601", "Page^Of");
        fx_add(ar, &s);
    }
    struct arena a, scratch;
    struct err e;
    struct dcm_dataset *match;
    arena_init(&a, 16 << 20);
    arena_init(&scratch, 1 << 20);
    struct query_key key = {{DCM_PatientName}, 1, STR_LIT("page*")};
    struct query q = {.level = QUERY_STUDY, .keys = &key, .key_count = 1};
    struct query_cursor *cursors[8]; // more than the pool has connections
    for (int i = 0; i < 8; i++) {
        assert_true(query_open(ar, &(struct actor){.door = DOOR_COMMAND}, &a, &q, &cursors[i], &e));
        assert_int_equal(query_next(cursors[i], &scratch, &match, &e), QUERY_ROW);
    }
    unsigned n = 1;
    fx_remove(ar, s.row); // the newest, given already; and what is taken away meanwhile does no harm
    while (query_next(cursors[0], &scratch, &match, &e) == QUERY_ROW) {
        n++;
        arena_reset(&scratch);
    }
    assert_int_equal(n, 300);
    for (int i = 0; i < 8; i++) query_close(cursors[i]);
    arena_deinit(&scratch);
    arena_deinit(&a);
}

static bool always(void *ctx) {
    (void)ctx;
    return true;
}

static void a_cancelled_query_ends(void **state) {
    struct arena a;
    struct err e;
    struct dcm_dataset *match;
    struct query_cursor *c;
    arena_init(&a, 16 << 20);
    struct query q = {.level = QUERY_STUDY, .cancelled = always};
    assert_true(query_open(*state, &(struct actor){.door = DOOR_COMMAND}, &a, &q, &c, &e));
    assert_int_equal(query_next(c, &a, &match, &e), QUERY_FAIL);
    assert_int_equal(e.kind, ERR_CANCELLED);
    query_close(c);
    arena_deinit(&a);
}

static void a_declared_attribute_is_found_without_reading_every_header(void **state) {
    char found[1000];
    struct archive *ar = *state;
    struct err e;
    for (int i = 0; i < 100; i++) {
        struct fx_study s = study(2000 + i, "20230601", "Other^One");
        STR2(s.diagnosis, i == 50 ? "Fracture" : "none");
        fx_add(ar, &s);
    }
    unsigned before = fx_headers_read(ar);
    assert_string_equal(FIND(QUERY_STUDY, DCM_AdmittingDiagnosesDescription, "Fracture"), "1.2.2050");
    assert_true(fx_headers_read(ar) - before >= 100);
    assert_true(searchable_declare(ar, DCM_AdmittingDiagnosesDescription, NULL, NULL, &e));
    assert_true(searchable_declare(ar, DCM_ImageType, NULL, NULL, &e));
    before = fx_headers_read(ar);
    assert_string_equal(FIND(QUERY_STUDY, DCM_AdmittingDiagnosesDescription, "Fracture"), "1.2.2050");
    assert_string_equal(FIND(QUERY_STUDY, DCM_AdmittingDiagnosesDescription, "Fra*"), "1.2.2050");
    assert_string_equal(FIND(QUERY_STUDY, DCM_AdmittingDiagnosesDescription, "fracture"), "");
    // Of every instance, not of the first alone.
    assert_string_equal(FIND(QUERY_STUDY, DCM_ImageType, "PRIMARY"), "1.2.2");
    assert_true(fx_headers_read(ar) - before < 20);
    assert_true(searchable_withdraw(ar, DCM_AdmittingDiagnosesDescription, &e));
    assert_string_equal(FIND(QUERY_STUDY, DCM_AdmittingDiagnosesDescription, "Fracture"), "1.2.2050");
    assert_false(searchable_withdraw(ar, DCM_AdmittingDiagnosesDescription, &e));
    assert_int_equal(e.kind, ERR_NOT_FOUND);
    assert_false(searchable_declare(ar, DCM_PixelData, NULL, NULL, &e));
    assert_false(searchable_declare(ar, DCM_RequestAttributesSequence, NULL, NULL, &e));
}

#define QUERY_TEST(f) cmocka_unit_test_setup_teardown(f, open_archive, close_archive)

int main(void) {
    const struct CMUnitTest tests[] = {
        QUERY_TEST(studies_come_newest_first_those_without_date_last),
        QUERY_TEST(each_key_of_a_study_finds_it),
        QUERY_TEST(dates_and_times_bound_what_is_found),
        QUERY_TEST(a_date_and_a_time_range_are_one_range_when_combined),
        QUERY_TEST(times_are_those_of_the_askers_zone),
        QUERY_TEST(names_are_found_in_every_script),
        QUERY_TEST(fuzzy_names_match_words_in_any_order_and_initials),
        QUERY_TEST(the_same_id_of_two_issuers_is_two_patients),
        QUERY_TEST(series_and_instances_come_by_number_those_without_last),
        QUERY_TEST(keys_of_any_level_restrict_any_level),
        QUERY_TEST(attributes_without_a_column_are_matched_in_stored_headers),
        QUERY_TEST(sequences_match_within_an_item_and_are_answered_with_it),
        QUERY_TEST(answers_hold_what_was_asked_and_the_keys_of_the_level),
        QUERY_TEST(all_fields_are_those_of_the_level_and_above),
        QUERY_TEST(limits_and_offsets_cut_the_list),
        QUERY_TEST(a_study_uid_under_two_patients_gives_two_answers),
        QUERY_TEST(a_study_that_went_is_not_found),
        QUERY_TEST(an_identifier_in_any_character_set_becomes_the_query),
        QUERY_TEST(a_long_list_comes_whole_in_pages_and_holds_no_connection),
        QUERY_TEST(a_cancelled_query_ends),
        QUERY_TEST(a_declared_attribute_is_found_without_reading_every_header),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
