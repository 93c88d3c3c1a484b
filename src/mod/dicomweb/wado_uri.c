// The URI service (PS3.18 9): one object by query parameters, as a DICOM file or rendered.
#include "base/limits.h"
#include "dicom/uid.h"
#include "mod/dicomweb/accept.h"
#include "mod/dicomweb/handlers.h"
#include "mod/dicomweb/rendered.h"
#include "mod/dicomweb/resource.h"
#include "mod/dicomweb/wado.h"

// ---- which object ----

static bool take_uid(const struct http_request *rq, const char *name, bool needed, struct str *out, struct err *e) {
    *out = http_query(rq, name);
    if (!out->p && !needed) return true;
    if (!out->n) return err_set(e, ERR_USAGE, "wado", "the parameter %s is missing", name);
    return dcm_uid_valid(*out, false) || err_set(e, ERR_BAD_INPUT, "wado", "%s is '%.*s', which is not a UID", name, STR_FMT(str_sub(*out, 0, 80)));
}

static bool take_target(const struct http_request *rq, struct dw_target *t, struct err *e) {
    struct str type = http_query(rq, "requestType");
    if (!dw_target_of(rq, t, e)) return false;
    if (!type.p) return err_set(e, ERR_USAGE, "wado", "the parameter requestType is missing: it is WADO");
    if (!str_eqz(type, "WADO")) return err_set(e, ERR_USAGE, "wado", "requestType is WADO, not '%.*s'", STR_FMT(str_sub(type, 0, 40)));
    return take_uid(rq, "studyUID", true, &t->study, e) && take_uid(rq, "seriesUID", true, &t->series, e) && take_uid(rq, "objectUID", true, &t->instance, e);
}

// ---- as a DICOM file, or rendered ----

// Whether the best of what is asked for is application/dicom. *accept: what was looked at; absent: the default, rendered.
static bool wants_dicom(const struct http_request *rq, struct str *accept, bool *dicom, struct err *e) {
    struct http_media *ranges;
    unsigned n;
    struct str content_type = http_query(rq, "contentType");
    *accept = content_type.n ? content_type : http_header(rq, "Accept");
    *dicom = false;
    if (!str_trim(*accept).n) return *accept = (struct str){0}, true;
    if (!http_media_parse_list(rq->arena, *accept, &ranges, &n, e)) return false;
    for (unsigned i = 0; i < n; i++)
        if (http_media_param(&ranges[i], "transfer-syntax").p) // PS3.18 8.7.3.5.2
            return err_set(e, ERR_USAGE, "wado", "the media type has a transfer-syntax parameter: here it is the query parameter transferSyntax");
    *dicom = n > 0 && ranges[0].q > 0 && str_eq_nocase(ranges[0].type, STR_LIT("application/dicom"));
    return true;
}

static bool refuse_anonymize(const struct http_request *rq, struct err *e) {
    struct str anonymize = http_query(rq, "anonymize");
    if (!anonymize.p) return true;
    if (!str_eqz(anonymize, "yes")) return err_set(e, ERR_USAGE, "wado", "anonymize takes yes, not '%.*s'", STR_FMT(str_sub(anonymize, 0, 40)));
    return err_set(e, ERR_NOT_ACCEPTABLE, "wado", "objects cannot be had anonymized here: nothing is sent rather than something that names the patient");
}

static bool reply_dicom(struct http_request *rq, struct http_response *rs, const struct dw_target *t, const struct instance_list *list, struct err *e) {
    struct str named = http_query(rq, "transferSyntax");
    const struct dcm_ts *ts = named.p ? dcm_ts_find(named) : dcm_ts_explicit_le;
    if (named.p && !dcm_uid_valid(named, false))
        return err_set(e, ERR_USAGE, "wado", "transferSyntax is '%.*s', which is not a UID", STR_FMT(str_sub(named, 0, 80)));
    if (!ts || !dw_ts_for_web(ts))
        return err_set(e, ERR_NOT_ACCEPTABLE, "wado", "%.*s cannot be had: the object is stored as %.*s, and 1.2.840.10008.1.2.1 is the default",
                       STR_FMT(named), STR_FMT(list->refs[0].ts_uid));
    return dw_reply_instance(rq, rs, t, list, ts, named.p, e);
}

// ---- rendering parameters (9.5.1.2) ----

static bool take_number(const struct http_request *rq, const char *name, uint64_t most, uint64_t *out, struct err *e) {
    struct str text = http_query(rq, name);
    *out = 0;
    if (!text.p || (str_to_u64(text, out) && *out >= 1 && *out <= most)) return true;
    return err_set(e, ERR_USAGE, "wado", "%s takes a number from 1 to %llu, not '%.*s'", name, (unsigned long long)most, STR_FMT(str_sub(text, 0, 40)));
}

// With one side the other follows from the picture's proportions.
static bool take_size(const struct http_request *rq, struct dw_render *out, struct err *e) {
    uint64_t rows, columns;
    if (!take_number(rq, "rows", PX_VIEWPORT_MAX, &rows, e) || !take_number(rq, "columns", PX_VIEWPORT_MAX, &columns, e)) return false;
    if (!rows && !columns) return true;
    out->options.height = rows ? (uint32_t)rows : PX_VIEWPORT_MAX;
    out->options.width = columns ? (uint32_t)columns : PX_VIEWPORT_MAX;
    return true;
}

// "xmin,ymin,xmax,ymax" as fractions of the image from its upper left corner.
static bool take_region(const struct http_request *rq, struct dw_render *out, struct err *e) {
    struct str text = http_query(rq, "region"), rest = text;
    double v[4];
    bool ok = true;
    if (!text.p) return true;
    for (int i = 0; i < 4 && ok; i++) ok = rest.p && str_to_f64(str_trim(str_split(&rest, ',')), &v[i]) && v[i] >= 0 && v[i] <= 1;
    if (!ok || rest.p || v[0] >= v[2] || v[1] >= v[3])
        return err_set(e, ERR_USAGE, "wado", "region takes xmin,ymin,xmax,ymax as fractions from 0 to 1, not '%.*s'", STR_FMT(str_sub(text, 0, 60)));
    out->options.region = (struct px_region){v[0], v[1], v[2] - v[0], v[3] - v[1]};
    out->options.relative_region = true;
    out->options.has_region = true;
    return true;
}

static bool take_window(const struct http_request *rq, struct dw_render *out, struct err *e) {
    struct str center = http_query(rq, "windowCenter"), width = http_query(rq, "windowWidth");
    if (!center.p && !width.p) return true;
    if (!center.p || !width.p) return err_set(e, ERR_USAGE, "wado", "windowCenter and windowWidth go together");
    out->window = (struct px_window){.function = PX_LINEAR};
    if (!str_to_f64(center, &out->window.center) || !str_to_f64(width, &out->window.width) || !px_window_valid(&out->window))
        return err_set(e, ERR_USAGE, "wado", "windowCenter and windowWidth take numbers, the width at least 1, not '%.*s' and '%.*s'",
                       STR_FMT(str_sub(center, 0, 40)), STR_FMT(str_sub(width, 0, 40)));
    out->options.window = &out->window;
    return true;
}

static bool take_frame(struct http_request *rq, struct dw_render *out, struct err *e) {
    uint64_t number;
    if (!take_number(rq, "frameNumber", UINT32_MAX, &number, e)) return false;
    uint32_t *frame = arena_zero(rq->arena, 1, sizeof *frame, e);
    if (!frame) return false;
    *frame = number ? (uint32_t)(number - 1) : 0;
    out->frames = frame;
    out->frame_count = number ? 1 : 0;
    return true;
}

// The presentation state must be of the same study (9.5.1.2.7).
static bool take_presentation(struct http_request *rq, const struct dw_target *t, struct dw_render *out, struct err *e) {
    struct str series, instance;
    struct dw_target p = *t;
    struct instance_list *list = arena_zero(rq->arena, 1, sizeof *list, e);
    if (!list || !take_uid(rq, "presentationSeriesUID", false, &series, e) || !take_uid(rq, "presentationUID", false, &instance, e)) return false;
    if (!series.p && !instance.p) return true;
    if (!series.p || !instance.p) return err_set(e, ERR_USAGE, "wado", "presentationSeriesUID and presentationUID go together");
    if (out->options.window) return err_set(e, ERR_USAGE, "wado", "a presentation state has its own window: windowCenter and windowWidth do not go with it");
    p.series = series;
    p.instance = instance;
    if (!dw_list(&p, rq->arena, list, e)) return err_wrap(e, "the presentation state");
    out->presentation = &list->refs[0];
    return true;
}

static bool take_more(struct http_request *rq, struct dw_render *out, struct err *e) {
    struct str annotation = http_query(rq, "annotation"), quality = http_query(rq, "imageQuality");
    if (!annotation.p) annotation = http_query(rq, "imageAnnotation");
    if (annotation.p && !dw_take_annotation(annotation, out, e)) return false;
    return !quality.p || dw_take_quality(quality, out, e);
}

static bool reply_rendered(struct http_request *rq, struct http_response *rs, const struct dw_target *t, const struct instance_list *list, struct str accept,
                           struct err *e) {
    struct dw_render *wish = arena_zero(rq->arena, 1, sizeof *wish, e);
    if (!wish) return false;
    *wish = DW_RENDER_DEFAULT;
    wish->accept = accept;
    wish->single = true;
    if (http_query(rq, "transferSyntax").p) return err_set(e, ERR_USAGE, "wado", "transferSyntax goes with contentType=application/dicom only"); // 9.4.2.4
    bool ok = take_size(rq, wish, e) && take_region(rq, wish, e) && take_window(rq, wish, e) && take_frame(rq, wish, e) && take_presentation(rq, t, wish, e) &&
              take_more(rq, wish, e);
    return ok && dw_render_reply(rq, rs, t, list->refs, 1, wish, e);
}

bool dw_wado_uri(struct http_request *rq, struct http_response *rs, struct err *e) {
    struct dw_target t;
    struct instance_list list;
    struct str accept;
    bool dicom;
    http_setz(rs, "Vary", "Accept");
    if (!take_target(rq, &t, e) || !dw_charset_fits(rq, e) || !refuse_anonymize(rq, e) || !wants_dicom(rq, &accept, &dicom, e) ||
        !dw_list(&t, rq->arena, &list, e))
        return false;
    return dicom ? reply_dicom(rq, rs, &t, &list, e) : reply_rendered(rq, rs, &t, &list, accept, e);
}
