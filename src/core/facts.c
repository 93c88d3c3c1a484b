// Reading an object's facts.
#include "core/facts.h"

#include "base/limits.h"
#include "sys/digest.h"
#include "dicom/charset.h"

enum { PIXEL_GROUP = 0x7FE0 };

// Text as it is searched and shown: repaired, trimmed, cut to a bound at a character's end. Absent is empty.
static bool text(struct arena *a, const struct dcm_dataset *ds, uint32_t tag, unsigned *flags, struct str *out, struct err *e) {
    unsigned found = 0;
    if (!dcm_text_utf8(a, ds, tag, true, out, &found, e)) return false;
    if (flags) *flags |= found;
    *out = str_trim(*out);
    if (out->n > FACTS_TEXT_MAX) {
        out->n = FACTS_TEXT_MAX;
        while (out->n && ((unsigned char)out->p[out->n] & 0xC0) == 0x80) out->n--;
    }
    if (!out->p) *out = STR_LIT("");
    return true;
}

// A date or time without the separators of old (PS3.5 6.2: "1993.08.22", "10:45:10" of ACR-NEMA).
static bool digits(struct arena *a, const struct dcm_dataset *ds, uint32_t tag, char separator, struct str *out, struct err *e) {
    struct str raw = dcm_text_at(ds, tag, 0);
    if (raw.n > 26) raw.n = 26; // DT is the longest
    char *p = arena_strz(a, raw, e);
    if (!p) return false;
    size_t n = 0;
    for (size_t i = 0; i < raw.n; i++)
        if (raw.p[i] != separator && (unsigned char)raw.p[i] < 0x80 && raw.p[i] >= ' ') p[n++] = raw.p[i];
    *out = (struct str){p, n};
    return true;
}

static struct str uid(const struct dcm_dataset *ds, uint32_t tag) {
    return dcm_uid_trim(dcm_text_at(ds, tag, 0));
}

static bool need_uid(const struct dcm_dataset *ds, uint32_t tag, const char *name, struct str *out, struct err *e) {
    *out = uid(ds, tag);
    if (out->n == 0) return err_set(e, ERR_BAD_INPUT, "ingest", "no %s", name);
    if (dcm_vm(ds, tag) > 1) return err_set(e, ERR_BAD_INPUT, "ingest", "%s has more than one value", name);
    if (dcm_uid_valid(*out, false)) return true;
    return err_set(e, ERR_BAD_INPUT, "ingest", "%s is not a UID: '%.*s'", name, STR_FMT(str_sub(*out, 0, DCM_UID_MAX + 1)));
}

static bool identities(struct arena *a, const struct dcm_dataset *ds, struct facts *out, struct err *e) {
    return need_uid(ds, DCM_SOPClassUID, "SOP Class UID", &out->sop_class_uid, e) && need_uid(ds, DCM_SOPInstanceUID, "SOP Instance UID", &out->sop_uid, e) &&
           need_uid(ds, DCM_StudyInstanceUID, "Study Instance UID", &out->study_uid, e) &&
           need_uid(ds, DCM_SeriesInstanceUID, "Series Instance UID", &out->series_uid, e) && text(a, ds, DCM_PatientID, NULL, &out->patient_id, e) &&
           text(a, ds, DCM_IssuerOfPatientID, NULL, &out->issuer, e);
}

static bool make_place(struct facts *f, struct err *e) {
    const struct str parts[] = {f->patient_id, f->issuer, f->study_uid, f->series_uid};
    struct digest d = {0};
    if (!digest_init(&d, e)) return false;
    for (unsigned i = 0; i < 4; i++) {
        digest_add(&d, &parts[i].n, sizeof parts[i].n);
        digest_add(&d, parts[i].p, parts[i].n);
    }
    bool ok = digest_final(&d, f->place, e);
    digest_deinit(&d);
    return ok;
}

// ---- where the pixels are ----

struct element_head {
    uint32_t tag;
    uint16_t vr;
    uint32_t length;
    uint64_t value; // offset
};

static uint32_t number(const uint8_t *p, unsigned n, bool big) {
    uint32_t v = 0;
    for (unsigned i = 0; i < n; i++) v |= (uint32_t)p[i] << 8 * (big ? n - 1 - i : i);
    return v;
}

static bool whole(uint64_t at, uint64_t n, uint64_t total) {
    return at <= total && n <= total - at;
}

// The element header at `at`; false when the stream ends inside it.
static bool read_head(const struct dcm_source *s, const struct dcm_ts *ts, uint64_t at, uint64_t total, struct element_head *out, struct err *e) {
    uint8_t b[12] = {0};
    size_t n = whole(at, 12, total) ? 12 : 8;
    if (!whole(at, n, total)) return err_set(e, ERR_BAD_INPUT, "ingest", "the object ends inside an element's header");
    if (!s->read_at(s->ctx, at, b, n, e)) return false;
    bool big = ts->big_endian;
    *out = (struct element_head){.tag = number(b, 2, big) << 16 | number(b + 2, 2, big), .length = number(b + 4, 4, big), .value = at + 8};
    if (!ts->explicit_vr) return true;
    out->vr = DCM_VR_CODE(b[4], b[5]);
    const struct dcm_vr_info *vr = dcm_vr_find(out->vr);
    bool long_form = !vr || vr->long_length;
    out->length = long_form ? number(b + 8, 4, big) : number(b + 6, 2, big);
    if (long_form) out->value = at + 12;
    return !long_form || n == 12 || err_set(e, ERR_BAD_INPUT, "ingest", "the object ends inside an element's header");
}

static bool cut_short(uint32_t tag, uint64_t declared, uint64_t there, struct err *e) {
    return err_set(e, ERR_BAD_INPUT, "ingest", "cut short: (%04X,%04X) declares %llu bytes, %llu are there", DCM_GROUP(tag), DCM_ELEMENT(tag),
                   (unsigned long long)declared, (unsigned long long)there);
}

// Encapsulated pixel data: every fragment must be whole (PS3.5 A.4). A missing sequence delimiter at the very end harms nothing.
static bool check_fragments(const struct dcm_source *s, const struct element_head *h, bool big, uint64_t total, struct err *e) {
    uint64_t at = h->value;
    for (unsigned i = 0; at < total; i++) {
        uint8_t b[8];
        if (!whole(at, 8, total)) return err_set(e, ERR_BAD_INPUT, "ingest", "cut short inside the pixel data's fragments");
        if (!s->read_at(s->ctx, at, b, 8, e)) return false;
        uint32_t tag = number(b, 2, big) << 16 | number(b + 2, 2, big), length = number(b + 4, 4, big);
        at += 8;
        if (tag == DCM_SEQUENCE_DELIMITATION) return true;
        if (tag != DCM_ITEM || i > DCM_FRAGMENTS_MAX)
            return err_set(e, ERR_BAD_INPUT, "ingest", "the pixel data's fragments are broken at byte %llu", (unsigned long long)(at - 8));
        if (!whole(at, length, total)) return cut_short(h->tag, length, total - at, e);
        at += length;
    }
    return true;
}

static bool is_pixels(uint32_t tag) {
    return tag == DCM_PixelData || tag == DCM_FloatPixelData || tag == DCM_DoubleFloatPixelData;
}

// From the first element of the pixel group on: past the extended offset table to the pixels themselves.
static bool find_pixels(struct facts *f, const struct dcm_ts *form, const struct dcm_source *s, uint64_t total, struct err *e) {
    struct element_head h = {0};
    for (uint64_t at = f->header_end; at < total;) {
        if (!read_head(s, form, at, total, &h, e)) return false;
        if (is_pixels(h.tag)) break;
        if (DCM_GROUP(h.tag) != PIXEL_GROUP || h.length == DCM_LENGTH_UNDEFINED) return true;
        if (!whole(h.value, h.length, total)) return cut_short(h.tag, h.length, total - h.value, e);
        at = h.value + h.length;
        h.tag = 0;
    }
    if (!is_pixels(h.tag)) return true;
    f->pixel_tag = h.tag;
    f->pixel_vr = h.vr ? h.vr : DCM_VR_OW; // implicit VR: PS3.5 A.1
    f->pixel_offset = h.value;
    f->pixel_length = h.length;
    if (h.length == DCM_LENGTH_UNDEFINED) return check_fragments(s, &h, form->big_endian, total, e);
    return whole(h.value, h.length, total) || cut_short(h.tag, h.length, total - h.value, e);
}

// The stop element's own header is 8 or 12 bytes before its value: the bytes themselves say which. Some files declare an explicit syntax and are
// implicit: the reader follows what they are, and so do we.
static bool find_header_end(struct facts *f, const struct dcm_element *stop, const struct dcm_source *s, uint64_t total, const struct dcm_ts **form,
                            struct err *e) {
    const struct dcm_ts *const forms[] = {f->ts, dcm_ts_implicit_le, dcm_ts_explicit_le};
    for (unsigned i = 0; i < 3; i++)
        for (uint64_t back = 8; back <= 12; back += 4) {
            struct element_head h = {0};
            struct err why = {0};
            if (stop->offset < f->dataset_offset + back) continue;
            if (!read_head(s, forms[i], stop->offset - back, total, &h, &why) && why.kind != ERR_BAD_INPUT) return *e = why, false;
            if (h.tag != stop->tag || h.value != stop->offset) continue;
            f->header_end = stop->offset - back;
            *form = forms[i];
            return true;
        }
    return err_set(e, ERR_BAD_INPUT, "ingest", "the header of (%04X,%04X) is broken", DCM_GROUP(stop->tag), DCM_ELEMENT(stop->tag));
}

static bool pixels(struct facts *f, const struct dcm_source *s, uint64_t total, struct err *e) {
    const struct dcm_element *last = f->ds->count ? &f->ds->elements[f->ds->count - 1] : NULL;
    f->header_end = total;
    if (!last || DCM_GROUP(last->tag) < PIXEL_GROUP) return true;
    if (f->ts->deflated) { // bytes inside the deflate stream cannot be pointed at
        f->pixel_tag = is_pixels(last->tag) ? last->tag : 0;
        f->pixel_vr = last->vr;
        f->pixel_length = last->length;
        return true;
    }
    const struct dcm_ts *form;
    return find_header_end(f, last, s, total, &form, e) && find_pixels(f, form, s, total, e);
}

static void image_numbers(const struct dcm_dataset *ds, struct facts *out) {
    out->has_number = dcm_i64(ds, DCM_InstanceNumber, 0, &out->number);
    if (!dcm_i64(ds, DCM_Rows, 0, &out->rows)) out->rows = 0;
    if (!dcm_i64(ds, DCM_Columns, 0, &out->columns)) out->columns = 0;
    if (!dcm_i64(ds, DCM_NumberOfFrames, 0, &out->frames) || out->frames < 1) out->frames = out->rows > 0 ? 1 : 0;
}

bool facts_read(struct arena *a, const struct dcm_object *o, const struct dcm_source *source, uint64_t total, struct facts *out, struct err *e) {
    *out = (struct facts){.ds = o->dataset, .ts = o->ts, .dataset_offset = o->dataset_offset};
    if (!o->dataset || !o->ts) return err_set(e, ERR_BAD_INPUT, "ingest", "no data set");
    out->ts_uid = o->meta ? uid(o->meta, DCM_TransferSyntaxUID) : (struct str){NULL, 0};
    if (!dcm_uid_valid(out->ts_uid, false)) out->ts_uid = str_of(o->ts->uid);
    if (!identities(a, o->dataset, out, e) || !make_place(out, e)) return false;
    image_numbers(o->dataset, out);
    return pixels(out, source, total, e);
}

// ---- study and series ----

static bool raw_name(struct arena *a, const struct dcm_dataset *ds, struct study_facts *out, struct err *e) {
    struct str raw = str_sub(dcm_text(ds, DCM_PatientName), 0, FACTS_TEXT_MAX);
    if (str_eq(raw, out->patient_name)) return true;
    return raw.n == 0 || arena_dup(a, raw, &out->patient_name_raw, e);
}

bool facts_study(struct arena *a, const struct dcm_dataset *ds, struct study_facts *out, struct err *e) {
    *out = (struct study_facts){0};
    const struct {
        uint32_t tag;
        struct str *to;
    } texts[] = {
        {DCM_AccessionNumber, &out->accession_number},
        {DCM_StudyID, &out->study_id},
        {DCM_StudyDescription, &out->description},
        {DCM_ReferringPhysicianName, &out->referring_physician},
        {DCM_InstitutionName, &out->institution},
        {DCM_PatientName, &out->patient_name},
        {DCM_PatientSex, &out->sex},
        {DCM_PatientAge, &out->patient_age},
        {DCM_TimezoneOffsetFromUTC, &out->timezone},
        {DCM_SpecificCharacterSet, &out->charset},
    };
    for (unsigned i = 0; i < sizeof texts / sizeof *texts; i++)
        if (!text(a, ds, texts[i].tag, &out->text_flags, texts[i].to, e)) return false;
    return digits(a, ds, DCM_StudyDate, '.', &out->date, e) && digits(a, ds, DCM_StudyTime, ':', &out->time, e) &&
           digits(a, ds, DCM_PatientBirthDate, '.', &out->birth_date, e) && raw_name(a, ds, out, e);
}

static bool request(struct arena *a, const struct dcm_dataset *ds, struct series_facts *out, struct err *e) {
    const struct dcm_dataset *item = dcm_item(ds, DCM_RequestAttributesSequence, 0);
    out->requested_procedure_id = out->scheduled_step_id = STR_LIT("");
    if (!item) return true;
    return text(a, item, DCM_RequestedProcedureID, &out->text_flags, &out->requested_procedure_id, e) &&
           text(a, item, DCM_ScheduledProcedureStepID, &out->text_flags, &out->scheduled_step_id, e);
}

bool facts_series(struct arena *a, const struct dcm_dataset *ds, struct series_facts *out, struct err *e) {
    *out = (struct series_facts){0};
    const struct {
        uint32_t tag;
        struct str *to;
    } texts[] = {
        {DCM_Modality, &out->modality},
        {DCM_SeriesDescription, &out->description},
        {DCM_BodyPartExamined, &out->body_part},
        {DCM_Laterality, &out->laterality},
        {DCM_ProtocolName, &out->protocol},
        {DCM_StationName, &out->station},
        {DCM_Manufacturer, &out->manufacturer},
        {DCM_ManufacturerModelName, &out->model},
        {DCM_InstitutionalDepartmentName, &out->department},
        {DCM_PerformingPhysicianName, &out->performing_physician},
        {DCM_OperatorsName, &out->operators},
    };
    for (unsigned i = 0; i < sizeof texts / sizeof *texts; i++)
        if (!text(a, ds, texts[i].tag, &out->text_flags, texts[i].to, e)) return false;
    out->has_number = dcm_i64(ds, DCM_SeriesNumber, 0, &out->number);
    return digits(a, ds, DCM_SeriesDate, '.', &out->date, e) && digits(a, ds, DCM_SeriesTime, ':', &out->time, e) &&
           digits(a, ds, DCM_PerformedProcedureStepStartDate, '.', &out->pps_start_date, e) &&
           digits(a, ds, DCM_PerformedProcedureStepStartTime, ':', &out->pps_start_time, e) && request(a, ds, out, e);
}
