// Writing of content trees: nested lists of "concept: value".
#include "mod/dicomweb/report.h"

#include "base/limits.h"
#include "dicom/charset.h"

struct page {
    struct arena *arena;
    struct buf *to;
    bool html, chinese;
};

bool dw_is_report(struct str sop_class_uid) {
    return str_starts(sop_class_uid, STR_LIT("1.2.840.10008.5.1.4.1.1.88."));
}

static void add_text(const struct page *p, struct str text) {
    for (size_t i = 0; i < text.n; i++) {
        char c = text.p[i];
        if (!p->html || !memchr("&<>\"'\n", c, sizeof "&<>\"'\n" - 1))
            buf_addc(p->to, c);
        else if (c == '\n')
            buf_addz(p->to, "<br>");
        else
            buf_addf(p->to, "&#%d;", c);
    }
}

static struct str value_of(const struct page *p, const struct dcm_dataset *ds, uint32_t tag) {
    struct str out = {NULL, 0};
    unsigned flags;
    if (!ds || !dcm_text_utf8(p->arena, ds, tag, true, &out, &flags, NULL)) return (struct str){NULL, 0};
    return str_trim(out);
}

// The meaning of a coded concept.
static struct str meaning_of(const struct page *p, const struct dcm_dataset *ds, uint32_t sequence) {
    return value_of(p, ds ? dcm_item(ds, sequence, 0) : NULL, DCM_CodeMeaning);
}

// ---- values by value type ----

static void add_number(const struct page *p, const struct dcm_dataset *item) {
    const struct dcm_dataset *measured = dcm_item(item, DCM_MeasuredValueSequence, 0);
    add_text(p, value_of(p, measured, DCM_NumericValue));
    struct str unit = value_of(p, measured ? dcm_item(measured, DCM_MeasurementUnitsCodeSequence, 0) : NULL, DCM_CodeValue);
    if (unit.n) buf_addc(p->to, ' ');
    add_text(p, unit);
}

static void add_reference(const struct page *p, const struct dcm_dataset *item) {
    add_text(p, value_of(p, dcm_item(item, DCM_ReferencedSOPSequence, 0), DCM_ReferencedSOPInstanceUID));
}

static void add_value(const struct page *p, const struct dcm_dataset *item) {
    static const struct {
        const char *type;
        uint32_t tag;
    } plain[] = {{"TEXT", DCM_TextValue},          {"DATE", DCM_Date},  {"TIME", DCM_Time},          {"DATETIME", DCM_DateTime},
                 {"PNAME", DCM_PersonName},        {"UIDREF", DCM_UID}, {"SCOORD", DCM_GraphicType}, {"SCOORD3D", DCM_GraphicType},
                 {"TCOORD", DCM_TemporalRangeType}};
    struct str type = dcm_text(item, DCM_ValueType);
    for (size_t i = 0; i < sizeof plain / sizeof plain[0]; i++)
        if (str_eqz(type, plain[i].type)) add_text(p, value_of(p, item, plain[i].tag));
    if (str_eqz(type, "NUM")) add_number(p, item);
    if (str_eqz(type, "CODE")) add_text(p, meaning_of(p, item, DCM_ConceptCodeSequence));
    if (str_eqz(type, "IMAGE") || str_eqz(type, "COMPOSITE") || str_eqz(type, "WAVEFORM")) add_reference(p, item);
}

// ---- the tree ----

static void open_item(const struct page *p, unsigned depth) {
    if (p->html)
        buf_addz(p->to, "<li>");
    else
        buf_addf(p->to, "%*s", (int)(2 * depth), "");
}

// depth is that of the data set, which its reader bounds.
static void add_children(const struct page *p, const struct dcm_dataset *parent, unsigned depth) {
    const struct dcm_dataset *item;
    if (depth > DCM_DEPTH_MAX || !dcm_item(parent, DCM_ContentSequence, 0)) return;
    if (p->html) buf_addz(p->to, "<ul>\n");
    for (unsigned i = 0; (item = dcm_item(parent, DCM_ContentSequence, i)); i++) {
        struct str name = meaning_of(p, item, DCM_ConceptNameCodeSequence);
        bool container = str_eqz(dcm_text(item, DCM_ValueType), "CONTAINER");
        open_item(p, depth);
        if (p->html) buf_addz(p->to, "<b>");
        add_text(p, name);
        if (p->html) buf_addz(p->to, "</b>");
        if (name.n && !container) buf_addz(p->to, ": ");
        add_value(p, item);
        buf_addc(p->to, '\n');
        add_children(p, item, depth + 1);
        if (p->html) buf_addz(p->to, "</li>\n");
    }
    if (p->html) buf_addz(p->to, "</ul>\n");
}

// ---- the head ----

static const struct {
    uint32_t tag;
    const char *english, *chinese;
} HEAD[] = {
    {DCM_PatientName, "Patient's Name", "患者姓名"},    {DCM_PatientID, "Patient ID", "患者编号"},
    {DCM_PatientBirthDate, "Birth Date", "出生日期"},   {DCM_PatientSex, "Sex", "性别"},
    {DCM_StudyDate, "Study Date", "检查日期"},          {DCM_AccessionNumber, "Accession Number", "检查号"},
    {DCM_InstitutionName, "Institution", "机构"},       {DCM_CompletionFlag, "Completion", "完成状态"},
    {DCM_VerificationFlag, "Verification", "审核状态"},
};

static void add_head(const struct page *p, const struct dcm_dataset *ds) {
    for (size_t i = 0; i < sizeof HEAD / sizeof HEAD[0]; i++) {
        struct str value = value_of(p, ds, HEAD[i].tag);
        const char *label = p->chinese ? HEAD[i].chinese : HEAD[i].english;
        if (!value.n) continue;
        buf_addf(p->to, p->html ? "<tr><th>%s</th><td>" : "%s: ", label);
        add_text(p, value);
        buf_addz(p->to, p->html ? "</td></tr>\n" : "\n");
    }
}

bool dw_write_report(struct arena *a, const struct dcm_dataset *ds, bool html, bool chinese, struct buf *to, struct err *e) {
    const struct page p = {.arena = a, .to = to, .html = html, .chinese = chinese};
    struct str title = meaning_of(&p, ds, DCM_ConceptNameCodeSequence);
    if (!title.n) title = str_of(chinese ? "结构化报告" : "Structured Report");
    if (html) buf_addf(to, "<!DOCTYPE html>\n<html lang=\"%s\"><head><meta charset=\"utf-8\"><title>", chinese ? "zh-CN" : "en");
    if (html) add_text(&p, title);
    if (html) buf_addz(to, "</title></head><body>\n<h1>");
    add_text(&p, title);
    buf_addz(to, html ? "</h1>\n<table>\n" : "\n\n");
    add_head(&p, ds);
    buf_addz(to, html ? "</table>\n" : "\n");
    add_children(&p, ds, 0);
    if (html) buf_addz(to, "</body></html>\n");
    return buf_ok(to, e);
}
