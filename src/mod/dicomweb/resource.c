// Targets of DICOMweb requests.
#include "mod/dicomweb/resource.h"

#include "dicom/uid.h"
#include "mod/dicomweb/accept.h"
#include "sys/digest.h"

static bool take_uid(const struct http_request *rq, const char *name, struct str *out, struct err *e) {
    *out = http_capture(rq, name);
    if (!out->p || dcm_uid_valid(*out, false)) return true;
    return err_set(e, ERR_BAD_INPUT, "dicomweb", "'%.*s' in the path is not a UID (the %s)", STR_FMT(str_sub(*out, 0, 100)), name);
}

bool dw_target_of(const struct http_request *rq, struct dw_target *out, struct err *e) {
    const struct dicomweb *dw = rq->context;
    *out = (struct dw_target){.archive = dw->archive,
                              .actor = {.door = DOOR_DICOMWEB, .address = rq->address, .user = rq->user, .principal = rq->principal, .trace = rq->trace}};
    return take_uid(rq, "study", &out->study, e) && take_uid(rq, "series", &out->series, e) && take_uid(rq, "instance", &out->instance, e);
}

bool dw_list(const struct dw_target *t, struct arena *a, struct instance_list *out, struct err *e) {
    struct retrieve_query q = {.study_uids = t->study, .series_uids = t->series, .sop_instance_uids = t->instance, .permission = t->permission};
    if (!retrieve_list(t->archive, &t->actor, a, &q, out, e)) return false;
    if (out->count) return true;
    const char *what = t->instance.p ? "instance" : t->series.p ? "series" : "study";
    return err_set(e, ERR_NOT_FOUND, "dicomweb", "there is no such %s", what);
}

struct str dw_url(struct arena *a, struct str study, struct str series, struct str instance) {
    char *url;
    if (instance.p)
        url = arena_printf(a, NULL, DICOMWEB_ROOT "/studies/%.*s/series/%.*s/instances/%.*s", STR_FMT(study), STR_FMT(series), STR_FMT(instance));
    else if (series.p)
        url = arena_printf(a, NULL, DICOMWEB_ROOT "/studies/%.*s/series/%.*s", STR_FMT(study), STR_FMT(series));
    else
        url = arena_printf(a, NULL, DICOMWEB_ROOT "/studies/%.*s", STR_FMT(study));
    return str_of(url);
}

static struct str behind(const struct http_request *rq, struct str base, struct str study, struct str series, struct str instance) {
    struct str url = dw_url(rq->arena, study, series, instance);
    if (base.n == 0 || !url.p) return url;
    return str_of(arena_printf(rq->arena, NULL, "%.*s%.*s", STR_FMT(base), STR_FMT(url)));
}

struct str dw_link(const struct http_request *rq, struct str study, struct str series, struct str instance) {
    return behind(rq, http_base(rq), study, series, instance);
}

struct str dw_place(struct arena *a, struct str prefix, const struct instance_ref *ref) {
    struct str url = dw_url(a, ref->study_uid, ref->series_uid, ref->sop_instance_uid);
    if (prefix.n == 0 || !url.p) return url;
    return str_of(arena_printf(a, NULL, "%.*s%.*s", STR_FMT(prefix), STR_FMT(url)));
}

static bool is_name_char(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

// A plus sign that was not percent-encoded reads as a blank: "application/dicom json". No media type has one inside a word.
struct str dw_accept_parameter(const struct http_request *rq) {
    struct str query = http_query(rq, "accept"), copy;
    if (query.n == 0 || !arena_dup(rq->arena, query, &copy, NULL)) return (struct str){0};
    for (size_t i = 1; i + 1 < copy.n; i++)
        if (copy.p[i] == ' ' && is_name_char(copy.p[i - 1]) && is_name_char(copy.p[i + 1])) ((char *)(uintptr_t)copy.p)[i] = '+';
    return copy;
}

static bool is_utf8(struct str charset) {
    struct str name = str_trim(charset);
    if (str_starts(name, STR_LIT("\"")) && str_ends(name, STR_LIT("\"")) && name.n > 1) name = str_sub(name, 1, name.n - 2);
    return str_eq_nocase(name, STR_LIT("UTF-8")) || str_eq_nocase(name, STR_LIT("ISO_IR 192"));
}

bool dw_charset_fits(const struct http_request *rq, struct err *e) {
    struct str text = http_query(rq, "charset"), rest = text;
    if (!text.p) return true;
    while (rest.p) {
        struct str weight = str_split(&rest, ',');
        if (is_utf8(str_split(&weight, ';'))) return true;
    }
    return err_set(e, ERR_BAD_INPUT, "dicomweb", "charset takes UTF-8 here, not '%.*s'", STR_FMT(str_sub(text, 0, 60)));
}

static bool fits(void *context, struct dw_choice *choice) {
    (void)context, (void)choice;
    return true;
}

bool dw_wants_metadata(const struct http_request *rq, const char **type, bool *xml, struct err *e) {
    static const struct dw_offer OFFERS[] = {{"application/dicom+json", NULL, false, true},
                                             {"application/json", NULL, false, true},
                                             {"application/dicom+xml", NULL, true, false},
                                             {NULL, NULL, false, false}};
    struct dw_choice choice;
    if (!dw_choose(rq, OFFERS, fits, NULL, NULL, &choice, e)) return false;
    *type = choice.offer->media;
    *xml = choice.multipart;
    return true;
}

bool dw_not_modified(const struct http_request *rq, struct http_response *rs, const uint8_t digest[32]) {
    char *tag = arena_alloc(rq->arena, 34 + 1, NULL);
    if (!tag) return false;
    tag[0] = '"';
    hex_encode(digest, 16, tag + 1);
    tag[33] = '"';
    tag[34] = '\0';
    http_setz(rs, "Cache-Control", "private, no-cache"); // kept, but asked for again: who may see it can change
    return http_not_modified(rq, rs, str_of(tag), 0);
}
