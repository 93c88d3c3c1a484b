// The rows of the index as queries see them: columns by attribute, and which level an attribute belongs to.
#ifndef GANTRY_CORE_QUERY_ROWS_H
#define GANTRY_CORE_QUERY_ROWS_H

#include "base/arena.h"
#include "core/query.h"
#include "db/db.h"

enum { QROW_TEXTS_MAX = 20 };

// One row of a level's table, copied into an arena.
struct qrow {
    int64_t id;
    int64_t parent;                  // patient of a study, study of a series, series of an instance
    int64_t at;                      // studies only: query_at
    struct str text[QROW_TEXTS_MAX]; // by column of the level
};

// An attribute that the index answers without a header.
struct qcolumn {
    uint32_t tag;
    enum query_level level; // at which it is an attribute
    enum query_level table; // whose row holds it: patient attributes are in the study's row
    unsigned index;
};

// NULL when the attribute has no column.
const struct qcolumn *qrow_column(uint32_t tag);
// The columns of a level; *n is their count.
const struct qcolumn *qrow_columns(enum query_level level, unsigned *n);
// The level of any attribute (information entities of PS3.3 A.1.2): the lowest, instance, for those that are not known.
enum query_level qrow_attribute_level(uint32_t tag);

// Reads a row; *found is false when it is gone. level: QUERY_STUDY, QUERY_SERIES or QUERY_INSTANCE.
bool qrow_load(struct db *d, struct arena *a, enum query_level level, int64_t id, struct qrow *out, bool *found, struct err *e);

// The columns of a study's row, for a statement of one's own, and the row from the column on at which they stand.
extern const char qrow_study_columns[];
bool qrow_take_study(struct db_stmt *s, struct arena *a, int column, struct qrow *out, struct err *e);

// Many rows by one statement: out[i] is that of ids[i]; its id is 0 when it is gone.
enum { QROW_MANY = 128 };
bool qrow_load_many(struct db *d, struct arena *a, enum query_level level, const int64_t *ids, unsigned n, struct qrow *out, struct err *e);
// The ids as a JSON array, to be asked for by {in}; n is at most QROW_MANY.
enum { QROW_IDS_BYTES = QROW_MANY * 21 + 3 };
struct str qrow_ids(const int64_t *ids, unsigned n, char out[QROW_IDS_BYTES]);

// Row ids below a row, in the order of answers: series of a study and instances of a series by number (those without last), then UID.
bool qrow_children(struct db *d, struct arena *a, enum query_level level, int64_t parent, int64_t **ids, size_t *count, struct err *e);

// As qrow_children, but only the one with this UID, when it is there.
bool qrow_child(struct db *d, struct arena *a, enum query_level level, int64_t parent, struct str uid, int64_t **ids, size_t *count, struct err *e);

// The instance whose header stands for a study or series; 0 when there is none.
bool qrow_representative(struct db *d, enum query_level level, int64_t id, int64_t *instance, struct err *e);

// Totals over all studies of a patient.
struct qpatient_counts {
    int64_t studies, series, instances;
};
// scope: only of studies that it reaches; NULL: of all.
struct scope;
bool qrow_patient_counts(struct db *d, const struct scope *scope, int64_t patient, struct qpatient_counts *out, struct err *e);

// Column indexes that the code names.
enum { QSTUDY_UID, QSTUDY_DATE, QSTUDY_TIME, QSTUDY_ZONE = 17 };
enum { QSERIES_UID, QSERIES_DATE = 3, QSERIES_TIME };
enum { QINSTANCE_UID, QINSTANCE_STATE = 7 };

#endif
