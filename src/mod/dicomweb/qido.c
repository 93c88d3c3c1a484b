// QIDO-RS (PS3.18 10.6): from query parameters to the archive's one search, and its answers as DICOM JSON or XML.
#include "base/limits.h"
#include "core/query.h"
#include "dicom/json.h"
#include "dicom/xml.h"
#include "http/multipart.h"
#include "mod/dicomweb/handlers.h"
#include "mod/dicomweb/qido.h"
#include "mod/dicomweb/resource.h"

enum {
    KEYS_MAX = 512,
    ROWS_MAX = 10 * 1000,                // of one answer; a Warning says that there is more
    ANSWER_BYTES_MAX = 32 * 1024 * 1024, // of one answer, likewise
    IGNORED_BYTES_MAX = 256,             // of their names in a Warning
};

struct search {
    struct query query;
    struct dw_target target;
    struct http_request *rq;
    const char *type;
    bool xml;
    char boundary[MULTIPART_MADE_BOUNDARY];
    bool none; // limit=0: nothing is to be returned
    bool more; // rows beyond what was asked for or allowed
    bool given_limit, given_offset;
    struct str ignored; // names of parameters that mean nothing here
    uint32_t rows;
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
    if (q->level == QUERY_INSTANCE && !add_tags(q, dw_query_attributes(QUERY_INSTANCE), e)) return false;
    if ((q->level == QUERY_SERIES || (q->level == QUERY_INSTANCE && !s->target.series.p)) && !add_tags(q, dw_query_attributes(QUERY_SERIES), e)) return false;
    return s->target.study.p || add_tags(q, dw_query_attributes(QUERY_STUDY), e);
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

static bool take_truth(const struct uri_param *p, bool *out, struct err *e) {
    *out = str_eq_nocase(p->value, STR_LIT("true"));
    if (*out || str_eq_nocase(p->value, STR_LIT("false"))) return true;
    return err_set(e, ERR_BAD_INPUT, "dicomweb", "%.*s takes true or false, not '%.*s'", STR_FMT(p->name), STR_FMT(str_sub(p->value, 0, 40)));
}

// limit and offset: "a single parameter" each (8.3.4.4).
static bool take_page(struct search *s, const struct uri_param *p, struct err *e) {
    bool limit = str_eqz(p->name, "limit"), *given = limit ? &s->given_limit : &s->given_offset;
    if (*given) return err_set(e, ERR_BAD_INPUT, "dicomweb", "%.*s is given twice", STR_FMT(p->name));
    *given = true;
    if (!take_limit(p, limit ? &s->query.limit : &s->query.offset, e)) return false;
    s->none |= limit && s->query.limit == 0;
    return true;
}

// Names go into a header: only such as attributes could have.
static bool is_plain(struct str name) {
    for (size_t i = 0; i < name.n; i++) {
        char c = name.p[i];
        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '_' || c == '-')) return false;
    }
    return name.n > 0 && name.n <= 64;
}

// 8.3: "The origin server shall ignore any unsupported Query Parameters"; the answer's Warning names them, so that a slip is seen.
static void ignore(struct search *s, const struct uri_param *p) {
    struct str name = is_plain(p->name) ? p->name : STR_LIT("(unprintable)");
    if (s->ignored.n >= IGNORED_BYTES_MAX) return;
    s->ignored = str_of(arena_printf(s->rq->arena, NULL, "%.*s%s%.*s", STR_FMT(s->ignored), s->ignored.n ? " " : "", STR_FMT(name)));
}

static bool is_attribute(struct str name) {
    struct query_key key = {.path_n = 0};
    struct err why = {0};
    uint32_t tag;
    return parse_path(name, &key, &why) || (key.path_n == QUERY_PATH_MAX && dcm_tag_parse(str_split(&name, '.'), &tag));
}

static bool take_param(struct search *s, struct arena *a, const struct uri_param *p, struct err *e) {
    struct query *q = &s->query;
    bool ignored;
    if (str_eqz(p->name, "limit") || str_eqz(p->name, "offset")) return take_page(s, p, e);
    if (str_eqz(p->name, "includefield")) return take_includefield(q, p->value, e);
    if (str_eqz(p->name, "fuzzymatching")) return take_truth(p, &q->fuzzy, e);
    // "" matches what is empty, and lists match any of their values, whether it is said or not.
    if (str_eqz(p->name, "emptyvaluematching") || str_eqz(p->name, "multiplevaluematching")) return take_truth(p, &ignored, e);
    if (str_eqz(p->name, "accept") || str_eqz(p->name, "charset")) return true;
    if (p->name.n && p->name.p[0] == '_') return true; // what pages add to get past caches
    if (is_attribute(p->name)) return take_match(a, q, p, e);
    ignore(s, p);
    return true;
}

static bool read_search(struct http_request *rq, enum query_level level, struct search *out, struct err *e) {
    *out = (struct search){.query = {.level = level, .combined_datetime = true}};
    out->rq = rq;
    if (!dw_wants_metadata(rq, &out->type, &out->xml, e) || !dw_target_of(rq, &out->target, e)) return false;
    if (out->xml && !multipart_make_boundary(out->boundary, e)) return false;
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
    struct str path = dw_url(scratch, uid_of(match, DCM_StudyInstanceUID, level, QUERY_STUDY), uid_of(match, DCM_SeriesInstanceUID, level, QUERY_SERIES),
                             uid_of(match, DCM_SOPInstanceUID, level, QUERY_INSTANCE));
    char *url = arena_printf(scratch, e, "%.*s%.*s", STR_FMT(http_base(s->rq)), STR_FMT(path));
    if (!url || !dcm_put_text(match, DCM_RetrieveURL, DCM_VR_UR, str_of(url), e)) return false;
    return level == QUERY_SERIES || dcm_find(match, DCM_InstanceAvailability) || dcm_putz(match, DCM_InstanceAvailability, "ONLINE", e);
}

static bool write_row(struct search *s, struct arena *scratch, struct dcm_dataset *match, struct buf *to, struct err *e) {
    struct dcm_json_options o = {.repair = true};
    if (!complete_row(s, scratch, match, e)) return false;
    bool first = s->rows++ == 0;
    if (s->xml) {
        multipart_write_begin(to, s->boundary, first, s->type, (struct str){NULL, 0});
        return dcm_xml_write(match, &o, scratch, to, e) && buf_ok(to, e);
    }
    if (!first) buf_addc(to, ',');
    return dcm_json_write(match, &o, scratch, to, e) && buf_ok(to, e);
}

static bool write_rows(struct search *s, struct query_cursor *cursor, uint32_t limit, struct buf *to, struct err *e) {
    struct arena scratch;
    arena_init(&scratch, DCM_HEADER_BYTES_MAX);
    enum query_step step = QUERY_END;
    bool ok = true;
    if (!s->xml) buf_addc(to, '[');
    while (ok) {
        struct dcm_dataset *match;
        arena_reset(&scratch);
        step = query_next(cursor, &scratch, &match, e);
        if (step != QUERY_ROW) break;
        s->more = s->rows == limit || to->n > ANSWER_BYTES_MAX;
        if (s->more) break;
        ok = write_row(s, &scratch, match, to, e);
    }
    if (!s->xml)
        buf_addc(to, ']');
    else if (s->rows)
        multipart_write_end(to, s->boundary);
    arena_deinit(&scratch);
    return ok && step != QUERY_FAIL;
}

// PS3.18 8.3.4.4.1: there is more to be had. <service> is the base URI.
static void warn(const struct search *s, struct http_response *rs) {
    const char *more = "There are additional results that can be requested";
    struct str base = http_base(s->rq), names = s->ignored;
    char *text = NULL;
    if (s->more && names.n)
        text =
            arena_printf(s->rq->arena, NULL, "299 %.*s" DICOMWEB_ROOT ": %s, 299 %.*s" DICOMWEB_ROOT ": Parameters that are not supported were ignored: %.*s",
                         STR_FMT(base), more, STR_FMT(base), STR_FMT(names));
    else if (names.n)
        text =
            arena_printf(s->rq->arena, NULL, "299 %.*s" DICOMWEB_ROOT ": Parameters that are not supported were ignored: %.*s", STR_FMT(base), STR_FMT(names));
    else if (s->more)
        text = arena_printf(s->rq->arena, NULL, "299 %.*s" DICOMWEB_ROOT ": %s", STR_FMT(base), more);
    if (text) http_setz(rs, "Warning", text);
}

// No results: an empty list (PS3.18 2026a table 10.6.3-1: "also used to indicate a successful search that yields zero results, in which case the payload
// includes an empty list"). A multipart body cannot be empty (RFC 2046 5.1.1): 204 then, as earlier editions had it.
static bool reply(struct search *s, struct http_response *rs, struct buf *b, struct err *e) {
    const char *type = s->type;
    warn(s, rs);
    http_setz(rs, "Vary", "Accept");
    if (s->xml && s->rows == 0) {
        http_reply_status(rs, 204);
        return true;
    }
    if (s->xml && !(type = arena_printf(s->rq->arena, e, "multipart/related; type=\"%s\"; boundary=%s", s->type, s->boundary))) return false;
    http_reply_buf(rs, 200, type, b);
    rs->compress = true;
    return true;
}

static bool search(struct http_request *rq, struct http_response *rs, enum query_level level, struct err *e) {
    struct search s;
    struct query_cursor *cursor;
    struct buf b;
    if (!read_search(rq, level, &s, e)) return false;
    bool ours = !s.none && (s.query.limit == 0 || s.query.limit > ROWS_MAX); // the bound is ours, not the asker's
    uint32_t limit = ours ? ROWS_MAX : s.query.limit;
    s.query.limit = limit + 1; // one more tells that there is more
    if (!query_open(s.target.archive, &s.target.actor, rq->arena, &s.query, &cursor, e)) return false;
    buf_init(&b, HTTP_JSON_BYTES_MAX);
    bool ok = write_rows(&s, cursor, limit, &b, e);
    query_close(cursor);
    ok = ok && buf_ok(&b, e) && reply(&s, rs, &b, e);
    buf_deinit(&b);
    return ok;
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
