// The fixture of core/'s tests.
#include "core_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
// cmocka needs the four above first
#include <cmocka.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "db/db.h"
#include "dicom/write.h"
#include "encrypted.h"
#include "http/s3.h"
#include "store/volume.h"

const struct actor TESTER = {.door = DOOR_COMMAND, .user = {"tester", 6}};

int fixture_setup(void **state) {
    struct fixture *f = calloc(1, sizeof *f);
    // in memory where there is such a place: thousands of flushes
    snprintf(f->dir, sizeof f->dir, "%s/gantry-core-XXXXXX", access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    if (!mkdtemp(f->dir)) return -1;
    arena_init(&f->arena, 256 << 20);
    buf_init(&f->object, 64 << 20);
    *state = f;
    if (postgres_url()) postgres_new_schema(f->schema);
    fixture_open(f);
    return 0;
}

int fixture_teardown(void **state) {
    struct fixture *f = *state;
    char command[128];
    fixture_close(f);
    if (f->schema[0]) postgres_drop_schema(f->schema);
    arena_deinit(&f->arena);
    buf_deinit(&f->object);
    snprintf(command, sizeof command, "rm -rf %s", f->dir);
    free(f);
    return system(command);
}

// Nothing listens there: what is not kept in the index fails.
static const struct s3_options NOWHERE = {.endpoint = "http://127.0.0.1:9",
                                          .bucket = "none",
                                          .credentials = S3_STATIC,
                                          .access_key = "test",
                                          .secret_key = "test",
                                          .connect_ms = 200,
                                          .retry_ms = 200,
                                          .attempts = 1};
static const struct vol_remote IN_INDEX = {.s3 = &NOWHERE, .prefix = "", .small_bytes = 64 << 20};

struct archive_options fixture_options(const struct fixture *f) {
    return (struct archive_options){.dir = f->dir,
                                    .encryption = encrypted(),
                                    .volume_bytes = 4 << 20,
                                    .database_url = f->schema[0] ? postgres_url() : NULL,
                                    .database_schema = f->schema[0] ? f->schema : NULL,
                                    .remote = f->remote ? &IN_INDEX : NULL};
}

void fixture_open(struct fixture *f) {
    struct err e = {0};
    struct archive_options o = fixture_options(f);
    if (!archive_open(&o, &f->ar, &e)) fail_msg("%s", e.message);
}

void fixture_lose_index(struct fixture *f) {
    char command[128];
    snprintf(command, sizeof command, "rm -f %s/index.db*", f->dir);
    if (f->schema[0]) postgres_drop_schema(f->schema);
    assert_int_equal(system(command), 0);
}

void fixture_close(struct fixture *f) {
    archive_close(f->ar);
    f->ar = NULL;
}

static const char * or (const char *given, const char *otherwise) {
    return given ? given : otherwise;
}

void make_object(struct fixture *f, const struct sample *s) {
    struct err e = {0};
    struct dcm_dataset *ds = dcm_dataset_new(&f->arena, &e);
    unsigned n = s->pixel_bytes ? s->pixel_bytes : 2048;
    uint8_t *pixels = arena_alloc(&f->arena, n, &e);
    memset(pixels, (int)s->fill, n);
    bool ok = dcm_putz(ds, DCM_SOPClassUID, "1.2.840.10008.5.1.4.1.1.2", &e) && dcm_putz(ds, DCM_SOPInstanceUID, or (s->sop, "1.2.3.4.1"), &e) &&
              dcm_putz(ds, DCM_SeriesInstanceUID, or (s->series, "1.2.3.4"), &e) && dcm_putz(ds, DCM_PatientID, or (s->patient_id, "P1"), &e) &&
              dcm_putz(ds, DCM_PatientName, or (s->name, "Smith^John"), &e) && dcm_putz(ds, DCM_Modality, or (s->modality, "CT"), &e) &&
              dcm_putz(ds, DCM_StudyDate, "20260102", &e) && dcm_putz(ds, DCM_StudyTime, "101112", &e) && dcm_putz(ds, DCM_StudyDescription, "Chest", &e) &&
              dcm_put_int(ds, DCM_InstanceNumber, s->number, &e) && dcm_put_int(ds, DCM_Rows, 32, &e) && dcm_put_int(ds, DCM_Columns, 32, &e) &&
              dcm_put_int(ds, DCM_BitsAllocated, 16, &e) && dcm_put_bytes(ds, DCM_PixelData, DCM_VR_OW, pixels, n, &e);
    if (ok && s->issuer) ok = dcm_putz(ds, DCM_IssuerOfPatientID, s->issuer, &e);
    if (ok && s->charset) ok = dcm_putz(ds, DCM_SpecificCharacterSet, s->charset, &e);
    if (ok && !s->no_study) ok = dcm_putz(ds, DCM_StudyInstanceUID, or (s->study, "1.2.3"), &e);
    buf_clear(&f->object);
    ok = ok && dcm_write_part10(ds, dcm_ts_explicit_le, NULL, dcm_sink_buf(&f->object), &e) && buf_ok(&f->object, &e);
    if (!ok) fail_msg("make_object: %s", e.message);
    uint32_t group_length;
    memcpy(&group_length, f->object.p + 140, 4);
    f->dataset_offset = 144 + group_length;
}

bool ingest_object(struct fixture *f, struct ingest_result *r, struct err *e) {
    struct ingest *in = ingest_begin(f->ar, &TESTER, NULL, e);
    if (!in) return false;
    for (size_t at = 0, n; at < f->object.n; at += n) {
        n = f->object.n - at < 1000 ? f->object.n - at : 1000;
        if (ingest_write(in, f->object.p + at, n, e)) continue;
        ingest_abort(in);
        return false;
    }
    return ingest_commit(in, r, e);
}

void store_sample(struct fixture *f, const struct sample *s, enum ingest_outcome expected) {
    struct ingest_result r;
    struct err e = {0};
    make_object(f, s);
    bool ok = ingest_object(f, &r, &e);
    if (ok != (expected != INGEST_QUARANTINED)) fail_msg("ingest: %s", e.message);
    assert_int_equal(r.outcome, expected);
}

struct str fetch(struct fixture *f, const char *sop, size_t *count) {
    struct err e = {0};
    struct instance_list list;
    struct retrieve_query q = {.sop_instance_uids = str_of(sop)};
    *count = 0;
    if (!retrieve_list(f->ar, &TESTER, &f->arena, &q, &list, &e)) fail_msg("list: %s", e.message);
    *count = list.count;
    if (list.count == 0) return (struct str){NULL, 0};
    char *p = arena_alloc(&f->arena, list.refs[0].loc.length, &e);
    if (!retrieve_read(f->ar, &list.refs[0], 0, p, list.refs[0].loc.length, &e)) return (struct str){NULL, 0};
    return (struct str){p, list.refs[0].loc.length};
}

int64_t count_rows(struct fixture *f, const char *sql) {
    struct err e = {0};
    struct db *d = db_reader(archive_db(f->ar), &e);
    struct db_stmt *s = db_prepare(d, sql, &e);
    if (!s) fail_msg("%s", e.message);
    assert_int_equal(db_next(s, &e), DB_ROW);
    int64_t v = db_int(s, 0);
    db_done(s);
    db_return(archive_db(f->ar), d);
    return v;
}

void run_sql(struct fixture *f, const char *sql) {
    struct err e = {0};
    struct db *w = db_writer(archive_db(f->ar), &e);
    if (!db_exec(w, sql, &e)) fail_msg("%s", e.message);
    db_return(archive_db(f->ar), w);
}

void flip_bit(const char *path, uint64_t at, unsigned bit) {
    chmod(path, 0640);
    int fd = open(path, O_RDWR);
    uint8_t c = 0;
    assert_true(fd >= 0 && pread(fd, &c, 1, (off_t)at) == 1);
    c ^= (uint8_t)(1U << bit);
    assert_int_equal(pwrite(fd, &c, 1, (off_t)at), 1);
    close(fd);
}

void volume_path(struct fixture *f, unsigned volume, char out[128]) {
    snprintf(out, 128, "%s/volumes/v%08u.tar", f->dir, volume);
}

struct instance_list list_study(struct fixture *f, const char *study) {
    struct err e = {0};
    struct instance_list list;
    if (!retrieve_list(f->ar, &TESTER, &f->arena, &(struct retrieve_query){.study_uids = str_of(study)}, &list, &e)) fail_msg("list: %s", e.message);
    return list;
}
