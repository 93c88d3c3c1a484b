// What the index keeps of an object: identities, place of the pixels, and the attributes of its study and series.
#ifndef GANTRY_CORE_FACTS_H
#define GANTRY_CORE_FACTS_H

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"
#include "dicom/dataset.h"
#include "dicom/read.h"
#include "dicom/write.h"

enum { FACTS_PLACE_BYTES = 32, FACTS_TEXT_MAX = 1024 };

// Texts live in the arena of facts_read. Offsets count from the start of the stream that was read.
struct facts {
    const struct dcm_dataset *ds;
    const struct dcm_ts *ts;
    struct str ts_uid;
    struct str patient_id, issuer; // repaired UTF-8, trimmed; empty when absent
    struct str study_uid, series_uid, sop_class_uid, sop_uid;
    bool has_number;
    int64_t number; // Instance Number
    int64_t frames, rows, columns;
    uint64_t dataset_offset;
    uint64_t header_end;              // where the first element at or beyond (7FE0,0000) begins, or the stream ends
    uint32_t pixel_tag;               // 0 when there are no pixels
    uint16_t pixel_vr;                //
    uint64_t pixel_offset;            // of the value; 0 when there is none, or it cannot be pointed at (deflated)
    uint64_t pixel_length;            // as declared
    uint8_t place[FACTS_PLACE_BYTES]; // digest of patient, study and series: one series row
};

// ERR_BAD_INPUT with the reason when the object cannot be named or its pixels are not whole. source and total: the stream that o was read from.
bool facts_read(struct arena *a, const struct dcm_object *o, const struct dcm_source *source, uint64_t total, struct facts *out, struct err *e);

struct study_facts {
    struct str date, time, accession_number, study_id, description, referring_physician, institution;
    struct str patient_name, patient_name_raw, birth_date, sex, patient_age, timezone, charset;
    unsigned text_flags; // enum dcm_decode_flag
};
bool facts_study(struct arena *a, const struct dcm_dataset *ds, struct study_facts *out, struct err *e);

struct series_facts {
    struct str modality, date, time, description, body_part, laterality, protocol, station, manufacturer, model, department;
    struct str performing_physician, operators, pps_start_date, pps_start_time, requested_procedure_id, scheduled_step_id;
    bool has_number;
    int64_t number;
    unsigned text_flags;
};
bool facts_series(struct arena *a, const struct dcm_dataset *ds, struct series_facts *out, struct err *e);

#endif
