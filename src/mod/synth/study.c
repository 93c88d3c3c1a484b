// Patients, the modules common to all IODs, and the files.
#include "mod/synth/study.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "dicom/charset.h"
#include "dicom/uids.h"
#include "dicom/write.h"
#include "text/json.h"

enum { PATH_BYTES = 4096, TRUTH_BYTES_MAX = 1 << 20 };
#define OBJECT_BYTES_MAX (256UL << 20)

static const char *const NAMES[] = {
    "Wang^XiaoDong=王^小东", "Chen^Wei=陈^伟", "Ouyang^Na=欧阳^娜", "Li^Na=李^娜",         "Zhang^Min=张^敏",       "Lü^Jian=吕^健", "Smith^John",
    "Müller^Anna",           "O'Brien^Mary",   "Garcia^Jose^Luis",  "Zeng^Guofan=曾^国藩", "Shan^Tianfang=单^田芳",
};

// What a person typed may hold quotes and controls.
static void add_json_text(struct buf *b, struct str s) {
    struct json_writer w;
    json_init(&w, b, false);
    json_str(&w, s);
}

bool synth_case_begin(struct synth_case *c, struct arena *a, const struct synth_options *o, const char *kind, struct err *e) {
    (void)e;
    *c = (struct synth_case){.arena = a, .o = o, .kind = kind, .random = {o->seed ^ 0x47414E545259u}};
    struct synth_random *r = &c->random;
    const char *name = NAMES[synth_random_below(r, sizeof NAMES / sizeof *NAMES)];
    snprintf(c->name, sizeof c->name, "%s", o->name ? o->name : name);
    snprintf(c->patient_id, sizeof c->patient_id, "SYN%08u", synth_random_below(r, 100000000));
    if (o->patient_id) snprintf(c->patient_id, sizeof c->patient_id, "%s", o->patient_id);
    unsigned year = 1940 + synth_random_below(r, 60);
    snprintf(c->birth_date, sizeof c->birth_date, "%04u%02u%02u", year % 10000, 1 + synth_random_below(r, 12), 1 + synth_random_below(r, 28));
    c->age = 2025 - year;
    snprintf(c->sex, sizeof c->sex, "%s", synth_random_below(r, 2) ? "F" : "M");
    buf_init(&c->truth, TRUTH_BYTES_MAX);
    buf_addf(&c->truth, "{\"kind\":\"%s\",\"seed\":%llu,\"patient\":{\"id\":", kind, (unsigned long long)o->seed);
    add_json_text(&c->truth, str_of(c->patient_id));
    buf_addz(&c->truth, ",\"name\":");
    add_json_text(&c->truth, str_of(c->name));
    buf_addz(&c->truth, "},\"series\":[");
    return true;
}

void synth_case_drop(struct synth_case *c) {
    buf_deinit(&c->truth);
}

// mkdir -p; path is changed and put back.
static bool make_folders(char *path, struct err *e) {
    for (char *p = path + 1; *p; p++) {
        if (*p != '/') continue;
        *p = '\0';
        int code = mkdir(path, 0777);
        if (code != 0 && errno != EEXIST) return err_errno(e, ERR_IO, "synth", "make folder %s", path);
        *p = '/';
    }
    return true;
}

// Kinds of one seed are different objects: FNV-1a of the kind's name goes into their UIDs.
static uint64_t uid_seed(const struct synth_case *c) {
    uint64_t h = 0xCBF29CE484222325u;
    for (const char *p = c->kind; *p; p++) h = (h ^ (uint8_t)*p) * 0x100000001B3u;
    return c->o->seed ^ h << 8;
}

static bool write_file(char *path, struct str bytes, struct err *e) {
    if (!make_folders(path, e)) return false;
    FILE *f = fopen(path, "wb");
    if (!f) return err_errno(e, ERR_IO, "synth", "create %s", path);
    bool ok = fwrite(bytes.p, 1, bytes.n, f) == bytes.n;
    ok = fclose(f) == 0 && ok;
    return ok || err_errno(e, ERR_IO, "synth", "write %s", path);
}

bool synth_case_end(struct synth_case *c, struct err *e) {
    char path[PATH_BYTES];
    snprintf(path, sizeof path, "%s/%s-%llu/truth.json", c->o->out, c->kind, (unsigned long long)c->o->seed);
    buf_addz(&c->truth, "]}\n");
    bool ok = buf_ok(&c->truth, e) && write_file(path, buf_str(&c->truth), e);
    synth_case_drop(c);
    return ok;
}

void synth_truth_series(struct synth_series *s) {
    char study[65], series[65];
    synth_uid(uid_seed(s->c), s->study, 0, 0, study);
    synth_uid(uid_seed(s->c), s->study, s->number, 0, series);
    buf_addf(&s->c->truth, "%s{\"study_uid\":\"%s\",\"series_uid\":\"%s\",\"date\":\"%s\",\"modality\":\"%s\",", s->c->truth_series++ ? "," : "", study, series,
             s->date, s->modality);
}

static bool put_patient_and_study(const struct synth_series *s, struct dcm_dataset *ds, struct err *e) {
    const struct synth_case *c = s->c;
    char uid[65];
    synth_uid(uid_seed(c), s->study, 0, 0, uid);
    return dcm_putz(ds, DCM_PatientName, c->name, e) && dcm_putz(ds, DCM_PatientID, c->patient_id, e) &&
           dcm_putz(ds, DCM_IssuerOfPatientID, "GANTRY-SYNTH", e) && dcm_putz(ds, DCM_PatientBirthDate, c->birth_date, e) &&
           dcm_putz(ds, DCM_PatientSex, c->sex, e) && dcm_putf(ds, DCM_PatientAge, e, "%03uY", c->age) && dcm_put_double(ds, DCM_PatientWeight, 70, e) &&
           dcm_put_double(ds, DCM_PatientSize, 1.7, e) && dcm_putz(ds, DCM_StudyInstanceUID, uid, e) && dcm_putz(ds, DCM_StudyDate, s->date, e) &&
           dcm_putz(ds, DCM_StudyTime, s->time, e) && dcm_putz(ds, DCM_ReferringPhysicianName, "Referrer^Rita", e) &&
           dcm_putf(ds, DCM_StudyID, e, "%u", s->study) &&
           dcm_putf(ds, DCM_AccessionNumber, e, "A%010llu", (unsigned long long)(c->o->seed * 100 + s->study) % 10000000000ull) &&
           dcm_putz(ds, DCM_StudyDescription, s->study_description, e);
}

static bool put_series_and_equipment(const struct synth_series *s, struct dcm_dataset *ds, struct err *e) {
    char uid[65];
    synth_uid(uid_seed(s->c), s->study, s->number, 0, uid);
    return dcm_putz(ds, DCM_Modality, s->modality, e) && dcm_putz(ds, DCM_SeriesInstanceUID, uid, e) && dcm_put_int(ds, DCM_SeriesNumber, s->number, e) &&
           dcm_putz(ds, DCM_SeriesDate, s->date, e) && dcm_putz(ds, DCM_SeriesTime, s->time, e) && dcm_putz(ds, DCM_SeriesDescription, s->description, e) &&
           dcm_putz(ds, DCM_ProtocolName, s->protocol, e) && dcm_putz(ds, DCM_BodyPartExamined, s->body_part, e) &&
           dcm_putz(ds, DCM_Manufacturer, "Gantry", e) && dcm_putz(ds, DCM_ManufacturerModelName, "Digital phantom", e) &&
           dcm_putz(ds, DCM_InstitutionName, "Gantry Demonstration Hospital", e) && dcm_putz(ds, DCM_StationName, "SYNTH1", e) &&
           dcm_putz(ds, DCM_DeviceSerialNumber, "0001", e) && dcm_putz(ds, DCM_SoftwareVersions, "1", e);
}

struct dcm_dataset *synth_instance(struct synth_series *s, struct err *e) {
    struct dcm_dataset *ds = dcm_dataset_new(s->c->arena, e);
    if (!ds) return NULL;
    char uid[65];
    synth_uid(uid_seed(s->c), s->study, s->number, ++s->instances, uid);
    bool ok = dcm_putz(ds, DCM_SpecificCharacterSet, "ISO_IR 192", e) && dcm_putz(ds, DCM_SOPClassUID, s->sop_class_uid, e) &&
              dcm_putz(ds, DCM_SOPInstanceUID, uid, e) && dcm_put_int(ds, DCM_InstanceNumber, s->instances, e) &&
              dcm_putz(ds, DCM_InstanceCreationDate, s->date, e) && dcm_putz(ds, DCM_InstanceCreationTime, s->time, e) &&
              dcm_putz(ds, DCM_ContentDate, s->date, e) && dcm_putz(ds, DCM_ContentTime, s->time, e) && put_patient_and_study(s, ds, e) &&
              put_series_and_equipment(s, ds, e);
    return ok ? ds : NULL;
}

bool synth_put_plane(struct synth_series *s, struct dcm_dataset *ds, double spacing_mm, double thickness_mm, const double position_mm[3], struct err *e) {
    static const double AXIAL[6] = {1, 0, 0, 0, 1, 0};
    char uid[65];
    synth_uid(uid_seed(s->c), s->study, 1000, 0, uid);
    double spacing[2] = {spacing_mm, spacing_mm};
    return dcm_putz(ds, DCM_FrameOfReferenceUID, uid, e) && dcm_put_empty(ds, DCM_PositionReferenceIndicator, DCM_VR_LO, e) &&
           dcm_put_doubles(ds, DCM_PixelSpacing, DCM_VR_DS, spacing, 2, e) && dcm_put_doubles(ds, DCM_ImageOrientationPatient, DCM_VR_DS, AXIAL, 6, e) &&
           dcm_put_doubles(ds, DCM_ImagePositionPatient, DCM_VR_DS, position_mm, 3, e) && dcm_put_double(ds, DCM_SliceThickness, thickness_mm, e) &&
           dcm_put_double(ds, DCM_SliceLocation, position_mm[2], e);
}

bool synth_put_pixels(struct dcm_dataset *ds, const struct synth_pixels *p, struct err *e) {
    bool ok = dcm_put_int(ds, DCM_SamplesPerPixel, p->samples, e) && dcm_putz(ds, DCM_PhotometricInterpretation, p->photometric, e) &&
              dcm_put_int(ds, DCM_Rows, p->rows, e) && dcm_put_int(ds, DCM_Columns, p->columns, e) &&
              dcm_put_int(ds, DCM_BitsAllocated, p->bits_allocated, e) && dcm_put_int(ds, DCM_BitsStored, p->bits_stored, e) &&
              dcm_put_int(ds, DCM_HighBit, p->bits_stored - 1, e) && dcm_put_int(ds, DCM_PixelRepresentation, p->is_signed, e);
    if (ok && p->samples > 1) ok = dcm_put_int(ds, DCM_PlanarConfiguration, 0, e);
    if (ok && p->frames > 1) ok = dcm_put_int(ds, DCM_NumberOfFrames, p->frames, e);
    return ok && dcm_put_bytes(ds, DCM_PixelData, p->bits_allocated > 8 ? DCM_VR_OW : DCM_VR_OB, p->data, p->bytes, e);
}

bool synth_store(struct synth_series *s, const struct dcm_dataset *ds, struct err *e) {
    struct dcm_dataset *encoded;
    if (!dcm_dataset_for_asker(s->c->arena, ds, str_of(s->c->o->charset), &encoded, e)) return false;
    struct buf file;
    buf_init(&file, OBJECT_BYTES_MAX);
    char path[PATH_BYTES];
    snprintf(path, sizeof path, "%s/%s-%llu/%u/%u/IM%04u.dcm", s->c->o->out, s->c->kind, (unsigned long long)s->c->o->seed, s->study, s->number, s->instances);
    bool ok = dcm_write_part10(encoded, dcm_ts_explicit_le, NULL, dcm_sink_buf(&file), e) && buf_ok(&file, e) && write_file(path, buf_str(&file), e);
    buf_deinit(&file);
    return ok;
}
