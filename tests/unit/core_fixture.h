// A temporary archive and small synthetic objects for the tests of core/. Its index is on PostgreSQL when GANTRY_TEST_POSTGRES names a server.
#ifndef GANTRY_TESTS_CORE_FIXTURE_H
#define GANTRY_TESTS_CORE_FIXTURE_H

#include "base/arena.h"
#include "core/archive.h"
#include "core/events.h"
#include "core/ingest.h"
#include "core/retrieve.h"
#include "core/service.h"
#include "on_postgres.h"

// What an object is made of; absent texts get a default.
struct sample {
    const char *patient_id, *issuer, *name, *study, *series, *sop, *modality, *charset;
    int number;
    unsigned pixel_bytes, fill;
    bool no_study;
};

struct fixture {
    char dir[64];
    char schema[POSTGRES_SCHEMA_BYTES]; // on PostgreSQL; else empty
    bool remote;                        // on PostgreSQL: volumes are such as a bucket has, and all are kept in the index (no bucket answers)
    struct archive *ar;
    struct arena arena;
    struct buf object;       // of make_object
    uint64_t dataset_offset; // in it
};

int fixture_setup(void **state);
int fixture_teardown(void **state);
void fixture_open(struct fixture *f);
void fixture_close(struct fixture *f);
// How it is opened.
struct archive_options fixture_options(const struct fixture *f);
// While it is closed: the index is gone, the volumes are there.
void fixture_lose_index(struct fixture *f);
// f->object: a Part 10 file, explicit VR little endian.
void make_object(struct fixture *f, const struct sample *s);
// Feeds f->object in pieces; returns what ingest_commit does.
bool ingest_object(struct fixture *f, struct ingest_result *r, struct err *e);
// Makes and stores; fails the test when it is not stored as expected.
void store_sample(struct fixture *f, const struct sample *s, enum ingest_outcome expected);
// The object as the archive gives it back, in the arena; count is how many have this UID.
struct str fetch(struct fixture *f, const char *sop, size_t *count);
int64_t count_rows(struct fixture *f, const char *sql);
// Behind the archive's back.
void run_sql(struct fixture *f, const char *sql);
void flip_bit(const char *path, uint64_t at, unsigned bit);
void volume_path(struct fixture *f, unsigned volume, char out[128]);
struct instance_list list_study(struct fixture *f, const char *study);

extern const struct actor TESTER;

#endif
