// What the phantoms share: a patient, studies and series of theirs, the modules common to all IODs, and the files.
#ifndef GANTRY_MOD_SYNTH_STUDY_H
#define GANTRY_MOD_SYNTH_STUDY_H

#include "base/buf.h"
#include "dicom/dataset.h"
#include "mod/synth/random.h"
#include "mod/synth/synth.h"

// One run of a kind: who, and where the files and the truth go.
struct synth_case {
    struct arena *arena;
    const struct synth_options *o;
    const char *kind;
    struct synth_random random;
    char name[256]; // UTF-8
    char patient_id[65];
    char birth_date[9], sex[2];
    unsigned age;          // whole years at the first study
    unsigned truth_series; // written so far
    struct buf truth;      // JSON under construction
};

struct synth_series {
    struct synth_case *c;
    unsigned study, number; // from 1
    const char *sop_class_uid;
    const char *modality, *body_part, *study_description, *description, *protocol;
    char date[9], time[7];
    unsigned instances;
};

bool synth_case_begin(struct synth_case *c, struct arena *a, const struct synth_options *o, const char *kind, struct err *e);
// Writes <out>/<kind>-<seed>/truth.json.
bool synth_case_end(struct synth_case *c, struct err *e);
void synth_case_drop(struct synth_case *c);

// Opens the truth of one series: {"study_uid":...,"series_uid":...,"date":...,"modality":..., and leaves the object open for the kind's own members.
void synth_truth_series(struct synth_series *s);

// A data set with Patient, General Study, General Series, General Equipment and SOP Common filled, for the next instance of the series.
struct dcm_dataset *synth_instance(struct synth_series *s, struct err *e);
// Frame of Reference UID, patient position and the orientation of axial slices.
bool synth_put_plane(struct synth_series *s, struct dcm_dataset *ds, double spacing_mm, double thickness_mm, const double position_mm[3], struct err *e);

struct synth_pixels {
    unsigned rows, columns, frames, samples, bits_allocated, bits_stored;
    bool is_signed;
    const char *photometric;
    const void *data;
    size_t bytes;
};
bool synth_put_pixels(struct dcm_dataset *ds, const struct synth_pixels *p, struct err *e);

// In the chosen character set, explicit little endian, to <out>/<kind>-<seed>/<study>/<series>/IM<number>.dcm.
bool synth_store(struct synth_series *s, const struct dcm_dataset *ds, struct err *e);

#endif
