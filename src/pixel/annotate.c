// Burnt-in annotations: who the patient is and how the image was made (annotation of PS3.18 8.3.5.1.1).
#include "dicom/charset.h"
#include "dicom/name.h"
#include "pixel/draw.h"

enum { LINES_BYTES_MAX = 4096, VALUE_BYTES_MAX = 200 };

static struct str value_of(struct arena *a, const struct dcm_dataset *ds, uint32_t tag) {
    struct str out = {NULL, 0};
    unsigned flags;
    if (!dcm_text_utf8(a, ds, tag, true, &out, &flags, NULL)) return (struct str){NULL, 0};
    out = str_trim(str_split(&(struct str){out.p, out.n}, '\\'));
    size_t n = out.n < VALUE_BYTES_MAX ? out.n : VALUE_BYTES_MAX;
    while (n < out.n && n > 0 && (out.p[n] & 0xC0) == 0x80) n--; // between characters
    return str_sub(out, 0, n);
}

static void add_line(struct buf *b, const char *label, struct str value, const char *unit) {
    if (!value.n) return;
    if (b->n) buf_addc(b, '\n');
    buf_addz(b, label);
    buf_add_str(b, value);
    buf_addz(b, unit);
}

// "王^小东" as it is spoken: components apart, the groups one after the other.
static void add_name(struct buf *b, struct str value) {
    struct pn name;
    pn_parse(value, &name);
    for (unsigned g = PN_ALPHABETIC; g <= PN_IDEOGRAPHIC; g++) {
        bool first = true;
        if (!name.group[g].n) continue;
        buf_addz(b, b->n ? "  " : "");
        for (unsigned c = 0; c < PN_COMPONENTS; c++) {
            if (!name.component[g][c].n) continue;
            buf_addz(b, first ? "" : " ");
            buf_add_str(b, name.component[g][c]);
            first = false;
        }
    }
}

static void patient(struct arena *a, const struct dcm_dataset *ds, struct buf *b) {
    add_name(b, value_of(a, ds, DCM_PatientName));
    add_line(b, "ID ", value_of(a, ds, DCM_PatientID), "");
    add_line(b, "", value_of(a, ds, DCM_PatientBirthDate), "");
    add_line(b, "", value_of(a, ds, DCM_PatientSex), "");
    add_line(b, "", value_of(a, ds, DCM_PatientAge), "");
}

static void technique(struct arena *a, const struct dcm_dataset *ds, uint32_t frame, struct buf *b) {
    int64_t frames;
    add_line(b, "", value_of(a, ds, DCM_InstitutionName), "");
    add_line(b, "", value_of(a, ds, DCM_Modality), "");
    add_line(b, "", value_of(a, ds, DCM_StudyDate), "");
    add_line(b, "", value_of(a, ds, DCM_SeriesDescription), "");
    add_line(b, "", value_of(a, ds, DCM_KVP), " kV");
    add_line(b, "", value_of(a, ds, DCM_XRayTubeCurrent), " mA");
    add_line(b, "TR ", value_of(a, ds, DCM_RepetitionTime), " ms");
    add_line(b, "TE ", value_of(a, ds, DCM_EchoTime), " ms");
    add_line(b, "ST ", value_of(a, ds, DCM_SliceThickness), " mm");
    add_line(b, "Se ", value_of(a, ds, DCM_SeriesNumber), "");
    add_line(b, "Im ", value_of(a, ds, DCM_InstanceNumber), "");
    if (dcm_i64(ds, DCM_NumberOfFrames, 0, &frames) && frames > 1) buf_addf(b, "\nFr %llu / %lld", (unsigned long long)frame + 1, (long long)frames);
}

bool px_annotate(struct arena *a, const struct dcm_dataset *ds, uint32_t frame, unsigned what, struct px_picture *picture, struct err *e) {
    struct buf b;
    bool ok = true;
    buf_init(&b, LINES_BYTES_MAX);
    if (what & PX_ANNOTATE_PATIENT) {
        patient(a, ds, &b);
        ok = buf_ok(&b, e) && px_draw_lines(picture, PX_TOP_LEFT, buf_str(&b), e);
    }
    buf_clear(&b);
    if (ok && what & PX_ANNOTATE_TECHNIQUE) {
        technique(a, ds, frame, &b);
        ok = buf_ok(&b, e) && px_draw_lines(picture, PX_BOTTOM_LEFT, buf_str(&b), e);
    }
    buf_deinit(&b);
    return ok;
}
