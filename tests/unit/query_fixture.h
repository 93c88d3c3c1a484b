// A small index for tests of queries: rows go in through the db layer, headers are kept here and stand in for stored ones.
#ifndef GANTRY_TESTS_QUERY_FIXTURE_H
#define GANTRY_TESTS_QUERY_FIXTURE_H

#include "core/query.h"
#include "core/query_index.h"
#include "core/header.h"
#include "core/searchable.h"
#include "db/db.h"

enum { FX_TEXT = 80, FX_SERIES_MAX = 4, FX_INSTANCES_MAX = 4 };

struct fx_instance {
    char uid[FX_TEXT], sop_class[FX_TEXT], image_type[FX_TEXT], acquired[FX_TEXT]; // ImageType, AcquisitionDateTime: header only
    int number;                                                                    // -1: none
    int acquisition;                                                               // AcquisitionNumber: header only
};
struct fx_series {
    char uid[FX_TEXT], modality[FX_TEXT], description[FX_TEXT], body_part[FX_TEXT], operators[FX_TEXT], date[FX_TEXT], time[FX_TEXT];
    char step_id[2][FX_TEXT], procedure_id[2][FX_TEXT]; // items of RequestAttributesSequence; empty when none
    int number, instance_count;
    struct fx_instance instances[FX_INSTANCES_MAX];
};
struct fx_study {
    char uid[FX_TEXT], date[FX_TEXT], time[FX_TEXT], accession[FX_TEXT], study_id[FX_TEXT], description[FX_TEXT], referring[FX_TEXT];
    char patient_id[FX_TEXT], issuer[FX_TEXT], name[FX_TEXT], birth_date[FX_TEXT], sex[FX_TEXT], age[FX_TEXT];
    char other_ids[FX_TEXT], zone[FX_TEXT], diagnosis[FX_TEXT]; // header only
    char modalities[FX_TEXT];                                   // filled by fx_add
    int series_count;
    struct fx_series series[FX_SERIES_MAX];
    int64_t row; // filled by fx_add
};

struct archive *fx_open(void);
void fx_close(struct archive *ar);
// Inserts rows and keys; the study is copied.
void fx_add(struct archive *ar, struct fx_study *s);
// Removes the study with its keys.
void fx_remove(struct archive *ar, int64_t row);
// The studies added, in order of adding.
struct fx_study *fx_studies(struct archive *ar, unsigned *count);
unsigned fx_headers_read(struct archive *ar);

// Runs a query; the answers in a. Fails the test on error.
struct dcm_dataset **fx_query(struct archive *ar, struct arena *a, const struct query *q, unsigned *count);
// As a sentence: level, then tag and value pairs ended by 0. Gives the number of answers; the unique keys of the level, joined by spaces, in uids when not NULL.
unsigned fx_find(struct archive *ar, enum query_level level, char *uids, size_t uids_n, ...);

#endif
