// QIDO-RS (PS3.18 10.6): from query parameters to the archive's one search, and its answers as DICOM JSON.
#include "core/query.h"
#include "dicom/json.h"
#include "mod/dicomweb/handlers.h"
#include "mod/dicomweb/resource.h"
#include "base/limits.h"

enum {
    KEYS_MAX = 512,
    ROWS_MAX = 10 * 1000,                // of one answer; a Warning says that there is more
    ANSWER_BYTES_MAX = 32 * 1024 * 1024, // of one answer, likewise
};

// PS3.18 tables 10.6.3-3, 10.6.3-4 and 10.6.3-5: what an answer has without being asked.
static const uint32_t STUDY_ATTRIBUTES[] = {DCM_StudyDate,
                                            DCM_StudyTime,
                                            DCM_AccessionNumber,
                                            DCM_InstanceAvailability,
                                            DCM_ModalitiesInStudy,
                                            DCM_ReferringPhysicianName,
                                            DCM_PatientName,
                                            DCM_PatientID,
                                            DCM_PatientBirthDate,
                                            DCM_PatientSex,
                                            DCM_StudyInstanceUID,
                                            DCM_StudyID,
                                            DCM_TimezoneOffsetFromUTC,
                                            DCM_NumberOfStudyRelatedSeries,
                                            DCM_NumberOfStudyRelatedInstances,
                                            DCM_StudyDescription,
                                            0};
static const uint32_t SERIES_ATTRIBUTES[] = {DCM_Modality,
                                             DCM_TimezoneOffsetFromUTC,
                                             DCM_SeriesDescription,
                                             DCM_SeriesInstanceUID,
                                             DCM_SeriesNumber,
                                             DCM_NumberOfSeriesRelatedInstances,
                                             DCM_BodyPartExamined,
                                             DCM_PerformedProcedureStepStartDate,
                                             DCM_PerformedProcedureStepStartTime,
                                             DCM_RequestAttributesSequence,
                                             0};
static const uint32_t INSTANCE_ATTRIBUTES[] = {DCM_SOPClassUID, DCM_SOPInstanceUID, DCM_InstanceAvailability, DCM_InstanceNumber,        DCM_Rows,
                                               DCM_Columns,     DCM_BitsAllocated,  DCM_NumberOfFrames,       DCM_TimezoneOffsetFromUTC, 0};

struct search {
    struct query query;
    struct dw_target target;
    const char *type;
    bool more; // rows beyond what was asked for or allowed
};

// ---- keys ----

// "PatientName", "00100010", "OtherPatientIDsSequence.00100020"
static bool parse_path(struct str text, struct query_key *key, struct err *e) {
    struct str rest = text;
    while (rest.p) {
        struct str part = str_split(&rest, '.');
        if (key->path_n == QUERY_PATH_MAX) return err_set(e, ERR_BAD_INPUT, "dicomweb", "%.*s goes deeper than %d levels", STR_FMT(text), QUERY_PATH_MAX);
        if (!dcm_tag_parse(part, &key->path[key->path_n++]))
            return err_set(e, ERR_BAD_INPUT, "dicomweb", "'%.*s' is neither a query parameter nor the keyword or tag of an attribute",
                           STR_FMT(str_sub(text, 0, 100)));
    }
    return true;
}

static bool same_path(const struct query_key *a, const struct query_key *b) {
    return a->path_n == b->path_n && memcmp(a->path, b->path, a->path_n * sizeof a->path[0]) == 0;
}

// A key that is there already with a value stays; asking for it once more changes nothing.
static bool add_key(struct query *q, const struct query_key *key, struct err *e) {
    for (unsigned i = 0; i < q->key_count; i++) {
        if (!same_path(&q->keys[i], key)) continue;
        if (key->value.n && q->keys[i].value.n) return err_set(e, ERR_BAD_INPUT, "dicomweb", "the same attribute is asked for twice");
        if (key->value.n) q->keys[i].value = key->value;
        return true;
    }
    if (q->key_count == KEYS_MAX) return err_set(e, ERR_BAD_INPUT, "dicomweb", "more than %d attributes", KEYS_MAX);
    q->keys[q->key_count++] = *key;
    return true;
}

static bool add_tag(struct query *q, uint32_t tag, struct str value, struct err *e) {
    struct query_key key = {.path = {tag}, .path_n = 1, .value = value};
    return add_key(q, &key, e);
}

static bool add_tags(struct query *q, const uint32_t *tags, struct err *e) {
    for (; *tags; tags++)
        if (!add_tag(q, *tags, (struct str){"", 0}, e)) return false;
    return true;
}

// What the answer has by its level, and of the levels above those that the path does not fix.
static bool add_defaults(struct search *s, struct err *e) {
    struct query *q = &s->query;
    if (q->level == QUERY_INSTANCE && !add_tags(q, INSTANCE_ATTRIBUTES, e)) return false;
    if ((q->level == QUERY_SERIES || (q->level == QUERY_INSTANCE && !s->target.series.p)) && !add_tags(q, SERIES_ATTRIBUTES, e)) return false;
    return s->target.study.p || add_tags(q, STUDY_ATTRIBUTES, e);
}

// ---- parameters ----

static bool take_limit(const struct uri_param *p, uint32_t *out, struct err *e) {
    uint64_t v;
    if (!str_to_u64(p->value, &v) || v > UINT32_MAX)
        return err_set(e, ERR_BAD_INPUT, "dicomweb", "%.*s takes a whole number, not '%.*s'", STR_FMT(p->name), STR_FMT(str_sub(p->value, 0, 40)));
    *out = (uint32_t)v;
    return true;
}

static bool take_includefield(struct query *q, struct str value, struct err *e) {
    struct str rest = value;
    while (rest.p) {
        struct str one = str_trim(str_split(&rest, ','));
        struct query_key key = {.value = {"", 0}};
        if (one.n == 0) continue;
        if (str_eqz(one, "all")) {
            q->include_all = true;
            continue;
        }
        if (!parse_path(one, &key, e) || !add_key(q, &key, e)) return false;
    }
    return true;
}

// Commas separate values of a UID list (10.6.1.2.1); elsewhere they are text.
static bool take_match(struct arena *a, struct query *q, const struct uri_param *p, struct err *e) {
    struct query_key key = {.value = p->value};
    if (!parse_path(p->name, &key, e)) return false;
    const struct dcm_dict_entry *entry = dcm_dict_find(key.path[key.path_n - 1]);
    if (entry && entry->vr[0] == DCM_VR_UI && str_find(p->value, ',', 0) < p->value.n) {
        char *list = arena_strz(a, p->value, e);
        if (!list) return false;
        for (char *c = list; *c; c++)
            if (*c == ',') *c = '\\';
        key.value = (struct str){list, p->value.n};
    }
    return add_key(q, &key, e);
}

static bool take_param(struct search *s, struct arena *a, const struct uri_param *p, struct err *e) {
    struct query *q = &s->query;
    if (str_eqz(p->name, "limit")) return take_limit(p, &q->limit, e);
    if (str_eqz(p->name, "offset")) return take_limit(p, &q->offset, e);
    if (str_eqz(p->name, "includefield")) return take_includefield(q, p->value, e);
    if (str_eqz(p->name, "fuzzymatching")) {
        q->fuzzy = str_eq_nocase(p->value, STR_LIT("true"));
        if (q->fuzzy || str_eq_nocase(p->value, STR_LIT("false"))) return true;
        return err_set(e, ERR_BAD_INPUT, "dicomweb", "fuzzymatching takes true or false");
    }
    if (str_eqz(p->name, "accept") || str_eqz(p->name, "charset")) return true;
    // Parameters that we do not know are ignored (8.3.4), but a misspelt attribute must not widen a search: those begin with a capital or a digit.
    if (p->name.n && (p->name.p[0] == '_' || (p->name.p[0] >= 'a' && p->name.p[0] <= 'z'))) return true;
    return take_match(a, q, p, e);
}

static bool read_search(struct http_request *rq, enum query_level level, struct search *out, struct err *e) {
    *out = (struct search){.query = {.level = level, .combined_datetime = true}};
    if (!dw_wants_json(rq, &out->type, e) || !dw_target_of(rq, &out->target, e)) return false;
    out->query.keys = arena_zero(rq->arena, KEYS_MAX, sizeof *out->query.keys, e);
    if (!out->query.keys) return false;
    for (unsigned i = 0; i < rq->uri.param_count; i++)
        if (!take_param(out, rq->arena, &rq->uri.params[i], e)) return false;
    if (out->target.study.p && !add_tag(&out->query, DCM_StudyInstanceUID, out->target.study, e)) return false;
    if (out->target.series.p && !add_tag(&out->query, DCM_SeriesInstanceUID, out->target.series, e)) return false;
    return add_defaults(out, e);
}

// ---- answers ----

static struct str uid_of(const struct dcm_dataset *ds, uint32_t tag, enum query_level level, enum query_level at_least) {
    return level >= at_least ? dcm_text(ds, tag) : (struct str){0};
}

static bool complete_row(const struct search *s, struct arena *scratch, struct dcm_dataset *match, struct err *e) {
    enum query_level level = s->query.level;
    struct str url = dw_url(scratch, uid_of(match, DCM_StudyInstanceUID, level, QUERY_STUDY), uid_of(match, DCM_SeriesInstanceUID, level, QUERY_SERIES),
                            uid_of(match, DCM_SOPInstanceUID, level, QUERY_INSTANCE));
    if (!dcm_put_text(match, DCM_RetrieveURL, DCM_VR_UR, url, e)) return false;
    return level == QUERY_SERIES || dcm_putz(match, DCM_InstanceAvailability, "ONLINE", e);
}

static bool write_row(const struct search *s, struct arena *scratch, struct dcm_dataset *match, struct buf *to, struct err *e) {
    struct dcm_json_options o = {.repair = true};
    if (!complete_row(s, scratch, match, e)) return false;
    if (to->n > 1) buf_addc(to, ',');
    return dcm_json_write(match, &o, scratch, to, e) && buf_ok(to, e);
}

static bool write_rows(struct search *s, struct query_cursor *cursor, uint32_t limit, struct buf *to, struct err *e) {
    struct arena scratch;
    arena_init(&scratch, DCM_HEADER_BYTES_MAX);
    enum query_step step = QUERY_END;
    bool ok = true;
    buf_addc(to, '[');
    for (uint32_t n = 0; ok; n++) {
        struct dcm_dataset *match;
        arena_reset(&scratch);
        step = query_next(cursor, &scratch, &match, e);
        if (step != QUERY_ROW) break;
        s->more = n == limit || to->n > ANSWER_BYTES_MAX;
        if (s->more) break;
        ok = write_row(s, &scratch, match, to, e);
    }
    buf_addc(to, ']');
    arena_deinit(&scratch);
    return ok && step != QUERY_FAIL;
}

static bool search(struct http_request *rq, struct http_response *rs, enum query_level level, struct err *e) {
    struct search s;
    struct query_cursor *cursor;
    struct buf b;
    if (!read_search(rq, level, &s, e)) return false;
    bool ours = s.query.limit == 0 || s.query.limit > ROWS_MAX; // the bound is ours, not the asker's
    uint32_t limit = ours ? ROWS_MAX : s.query.limit;
    s.query.limit = ours ? limit + 1 : limit; // one more tells that there is more
    if (!query_open(s.target.archive, &s.target.actor, rq->arena, &s.query, &cursor, e)) return false;
    buf_init(&b, HTTP_JSON_BYTES_MAX);
    bool ok = write_rows(&s, cursor, limit, &b, e);
    query_close(cursor);
    if (ok && buf_ok(&b, e)) {
        // PS3.18 10.6.3.2
        if (s.more) http_setz(rs, "Warning", "299 gantry \"There are additional results that can be requested\"");
        http_setz(rs, "Cache-Control", "no-store");
        http_reply_buf(rs, 200, s.type, &b);
        rs->compress = true;
    }
    buf_deinit(&b);
    return rs->kind == HTTP_BODY_BUF;
}

bool dw_query_studies(struct http_request *rq, struct http_response *rs, struct err *e) {
    return search(rq, rs, QUERY_STUDY, e);
}

bool dw_query_series(struct http_request *rq, struct http_response *rs, struct err *e) {
    return search(rq, rs, QUERY_SERIES, e);
}

bool dw_query_instances(struct http_request *rq, struct http_response *rs, struct err *e) {
    return search(rq, rs, QUERY_INSTANCE, e);
}
