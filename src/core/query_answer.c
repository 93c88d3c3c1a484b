// Answers: the data set of one match.
#include "core/query_answer.h"

#include "base/limits.h"

enum { ANSWER_VALUE_BYTES_MAX = 256 * 1024 }; // of one value taken from a header

// Required and unique keys (PS3.4 C.6.1.1, C.6.2.1), given to who did not say that they are not wanted.
static const uint32_t patient_keys[] = {DCM_PatientName, DCM_PatientID, 0};
static const uint32_t study_keys[] = {DCM_StudyDate, DCM_StudyTime, DCM_AccessionNumber, DCM_PatientName, DCM_PatientID, DCM_StudyID, DCM_StudyInstanceUID, 0};
static const uint32_t series_keys[] = {DCM_PatientID, DCM_StudyInstanceUID, DCM_Modality, DCM_SeriesNumber, DCM_SeriesInstanceUID, 0};
static const uint32_t instance_keys[] = {
    DCM_PatientID, DCM_StudyInstanceUID, DCM_SeriesInstanceUID, DCM_InstanceNumber, DCM_SOPInstanceUID, DCM_SOPClassUID, 0};
static const uint32_t *const keys_of[] = {patient_keys, study_keys, series_keys, instance_keys};

// A number that an object holds in another VR may not fit this one: it is then unknown, so that one object's lie spoils nobody's answer.
static bool put_number(struct dcm_dataset *ds, uint32_t tag, uint16_t vr, int64_t number, struct err *e) {
    struct err why = {0};
    if (dcm_put_ints(ds, tag, vr, &number, 1, &why)) return true;
    if (why.kind == ERR_TOO_LARGE) return dcm_put_empty(ds, tag, vr, e);
    if (e) *e = why;
    return false;
}

static bool put_value(struct dcm_dataset *ds, uint32_t tag, struct str text, struct err *e) {
    uint16_t vr = qmatch_vr(tag);
    const struct dcm_vr_info *info = dcm_vr_find(vr);
    int64_t number;
    if (text.n == 0) return dcm_put_empty(ds, tag, vr, e);
    if (info && !info->text) return !str_to_i64(text, &number) || put_number(ds, tag, vr, number, e);
    return dcm_put_text(ds, tag, vr, text, e);
}

static struct str column_text(const struct qmatch_row *m, const struct qcolumn *c) {
    const struct qrow *row = c->table == QUERY_STUDY ? &m->study : c->table == QUERY_SERIES ? &m->series : &m->instance;
    return row->text[c->index];
}

static bool copy_all(struct dcm_dataset *to, const struct dcm_dataset *from, unsigned depth, struct err *e);

// An item with only the attributes asked for.
static bool copy_part(struct dcm_dataset *to, const struct dcm_dataset *from, const struct qattr *asked, unsigned depth, struct err *e);

static bool item_matches(const struct qattr *asked, struct arena *a, const struct dcm_dataset *item, bool *match, struct err *e) {
    *match = true;
    for (unsigned i = 0; asked && i < asked->child_count && *match; i++)
        if (!qmatch_dataset(&asked->children[i], a, (struct qmatch_zone){0}, item, match, e)) return false;
    return true;
}

static bool copy_sequence(struct dcm_dataset *to, const struct dcm_element *el, const struct qattr *asked, unsigned depth, struct err *e) {
    if (!dcm_put_empty(to, el->tag, DCM_VR_SQ, e)) return false;
    for (uint32_t i = 0; i < el->item_count; i++) {
        bool match;
        if (!item_matches(asked, to->arena, el->items[i], &match, e)) return false;
        if (!match) continue;
        struct dcm_dataset *item = dcm_put_item(to, el->tag, e);
        if (!item) return false;
        bool part = asked && asked->child_count > 0;
        if (!(part ? copy_part(item, el->items[i], asked, depth + 1, e) : copy_all(item, el->items[i], depth + 1, e))) return false;
    }
    return true;
}

static bool copy_element(struct dcm_dataset *to, const struct dcm_element *el, const struct qattr *asked, unsigned depth, struct err *e) {
    if (el->flags & (DCM_BY_REFERENCE | DCM_FRAGMENTS) || el->length > ANSWER_VALUE_BYTES_MAX || depth >= DCM_DEPTH_MAX) return true;
    if (el->vr == DCM_VR_SQ) return copy_sequence(to, el, asked, depth, e);
    if (!el->value || el->length == 0) return dcm_put_empty(to, el->tag, el->vr, e);
    struct str copy;
    return arena_dup(to->arena, (struct str){(const char *)el->value, (size_t)el->length}, &copy, e) && dcm_put_bytes(to, el->tag, el->vr, copy.p, copy.n, e);
}

static bool copy_all(struct dcm_dataset *to, const struct dcm_dataset *from, unsigned depth, struct err *e) {
    for (uint32_t i = 0; i < from->count; i++)
        if (!copy_element(to, &from->elements[i], NULL, depth, e)) return false;
    return true;
}

static bool copy_part(struct dcm_dataset *to, const struct dcm_dataset *from, const struct qattr *asked, unsigned depth, struct err *e) {
    for (unsigned i = 0; i < asked->child_count; i++) {
        const struct qattr *child = &asked->children[i];
        const struct dcm_element *el = dcm_find(from, child->tag);
        if (!(el ? copy_element(to, el, child, depth, e) : dcm_put_empty(to, child->tag, child->vr, e))) return false;
    }
    return true;
}

static bool put_computed(struct dcm_dataset *ds, const struct qplan *p, const struct qmatch_row *m, const struct qterm *t, struct err *e) {
    switch (t->computed) {
    case QCOMPUTED_PATIENT_STUDIES:
        return dcm_put_int(ds, t->attr.tag, m->counts.studies, e);
    case QCOMPUTED_PATIENT_SERIES:
        return dcm_put_int(ds, t->attr.tag, m->counts.series, e);
    case QCOMPUTED_PATIENT_INSTANCES:
        return dcm_put_int(ds, t->attr.tag, m->counts.instances, e);
    default: {
        bool damaged = p->q->level == QUERY_INSTANCE && !str_eqz(m->instance.text[QINSTANCE_STATE], "0");
        return dcm_putz(ds, t->attr.tag, damaged ? "UNAVAILABLE" : "ONLINE", e);
    }
    }
}

static bool put_term(struct dcm_dataset *ds, const struct qplan *p, const struct qmatch_row *m, const struct qterm *t, struct err *e) {
    uint32_t tag = t->attr.tag;
    if (tag == DCM_SpecificCharacterSet) return true;
    if (t->computed) return put_computed(ds, p, m, t, e);
    if (t->level > p->q->level) return dcm_put_empty(ds, tag, t->attr.vr, e);
    if (t->column) return put_value(ds, tag, column_text(m, t->column), e);
    const struct dcm_element *el = m->header ? dcm_find(m->header, tag) : NULL;
    return el ? copy_element(ds, el, &t->attr, 0, e) : dcm_put_empty(ds, tag, t->attr.vr, e);
}

// includefield=all: what the header says at this level and above; what the index knows better comes over it.
static bool put_all(struct dcm_dataset *ds, const struct qplan *p, const struct qmatch_row *m, struct err *e) {
    for (uint32_t i = 0; m->header && i < m->header->count; i++) {
        const struct dcm_element *el = &m->header->elements[i];
        if (qrow_attribute_level(el->tag) <= p->q->level && !copy_element(ds, el, NULL, 0, e)) return false;
    }
    for (enum query_level table = QUERY_STUDY; table <= QUERY_INSTANCE; table++) {
        unsigned n;
        const struct qcolumn *c = qrow_columns(table, &n);
        for (unsigned i = 0; i < n; i++)
            if (c[i].level <= p->q->level && (column_text(m, &c[i]).n > 0 || !dcm_find(ds, c[i].tag)) && !put_value(ds, c[i].tag, column_text(m, &c[i]), e))
                return false;
    }
    return true;
}

bool qanswer_make(struct arena *a, const struct qplan *p, const struct qmatch_row *m, struct dcm_dataset **out, struct err *e) {
    struct dcm_dataset *ds = dcm_dataset_new(a, e);
    if (!ds || (p->q->include_all && !put_all(ds, p, m, e))) return false;
    for (unsigned i = 0; i < p->term_count; i++)
        if (!put_term(ds, p, m, &p->terms[i], e)) return false;
    for (const uint32_t *tag = keys_of[p->q->level]; *tag && !p->q->asked_only; tag++) {
        const struct qcolumn *c = qrow_column(*tag);
        if (!dcm_find(ds, *tag) && !put_value(ds, *tag, column_text(m, c), e)) return false;
    }
    *out = ds;
    return dcm_putz(ds, DCM_SpecificCharacterSet, "ISO_IR 192", e);
}
