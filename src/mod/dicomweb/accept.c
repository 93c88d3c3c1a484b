// Selecting a representation: every range that the asker sent, best first, against every offer of the resource.
#include "mod/dicomweb/accept.h"

#include "mod/dicomweb/resource.h"

struct wanted {
    struct http_media *ranges[2]; // of the accept query parameter, of the Accept header
    unsigned n[2];
};

static bool read_wanted(const struct http_request *rq, struct wanted *out, struct err *e) {
    const struct str texts[2] = {dw_accept_parameter(rq), http_header(rq, "Accept")};
    *out = (struct wanted){0};
    if (!dw_charset_fits(rq, e)) return false;
    for (int i = 0; i < 2; i++)
        if (texts[i].p && !http_media_parse_list(rq->arena, texts[i], &out->ranges[i], &out->n[i], e)) return err_wrap(e, "Accept");
    return true;
}

// ---- one range against one offer ----

static bool is_any(struct str type) {
    return str_eqz(type, "*/*");
}

static bool takes(struct str range, const char *media) {
    struct http_media m = {.type = range};
    return http_media_takes(&m, media);
}

// How the range takes the offer: as parts, alone, or not at all.
enum form { FORM_NONE, FORM_PARTS, FORM_ALONE };

static enum form form_of(const struct http_media *range, const struct dw_offer *offer) {
    if (is_any(range->type)) return offer->multipart ? FORM_PARTS : FORM_ALONE;
    if (offer->multipart && http_media_takes(range, "multipart/related")) {
        struct str type = http_media_param(range, "type");
        return !type.p || takes(type, offer->media) ? FORM_PARTS : FORM_NONE;
    }
    return offer->single && http_media_takes(range, offer->media) ? FORM_ALONE : FORM_NONE;
}

// The transfer syntax that the range means. false: no syntax that goes out here.
static bool ts_of(const struct http_media *range, const struct dw_offer *offer, struct dw_choice *out) {
    struct str named = http_media_param(range, "transfer-syntax");
    if (!named.p) {
        out->ts = offer->ts ? dcm_ts_find(str_of(offer->ts)) : NULL;
        return true;
    }
    out->any_ts = str_eqz(named, "*");
    if (out->any_ts) return true;
    out->ts = dcm_ts_find(named);
    out->named_ts = true;
    return out->ts && dw_ts_for_web(out->ts);
}

// A range with q=0 that names the media type takes it out of what wildcards stand for (RFC 9110 12.4.2).
static bool is_refused(const struct http_media *ranges, unsigned n, const struct http_media *by, const struct dw_offer *offer) {
    for (unsigned i = 0; i < n; i++)
        if (ranges[i].q <= 0 && !is_any(ranges[i].type) && form_of(&ranges[i], offer) != FORM_NONE && !str_eq(ranges[i].type, by->type)) return true;
    return false;
}

static bool try_range(const struct http_media *ranges, unsigned n, const struct http_media *range, const struct dw_offer *offers, dw_fits *fits, void *context,
                      struct dw_choice *out) {
    for (const struct dw_offer *offer = offers; offer->media; offer++) {
        enum form form = form_of(range, offer);
        *out = (struct dw_choice){.offer = offer, .multipart = form == FORM_PARTS};
        if (form == FORM_NONE || is_refused(ranges, n, range, offer)) continue;
        if (ts_of(range, offer, out) && fits(context, out)) return true;
    }
    return false;
}

// ---- what can be had, in words ----

static bool refuse(struct arena *a, const struct dw_offer *offers, const char *more, struct err *e) {
    struct buf b;
    struct str list = {0};
    buf_init(&b, 1024);
    for (const struct dw_offer *o = offers; o->media; o++) {
        if (o->multipart) buf_addf(&b, "%smultipart/related; type=\"%s\"", b.n ? ", " : "", o->media);
        if (o->single) buf_addf(&b, "%s%s", b.n ? ", " : "", o->media);
    }
    bool ok = arena_dup(a, buf_str(&b), &list, e);
    buf_deinit(&b);
    return ok && err_set(e, ERR_NOT_ACCEPTABLE, "dicomweb", "this can be had as %.*s%s%s", STR_FMT(str_sub(list, 0, 360)), more ? "; " : "", more ? more : "");
}

bool dw_choose(const struct http_request *rq, const struct dw_offer *offers, dw_fits *fits, void *context, const char *more, struct dw_choice *out,
               struct err *e) {
    static const struct http_media anything = {.type = STR_LIT("*/*"), .q = 1};
    struct wanted w;
    if (!read_wanted(rq, &w, e)) return false;
    for (int list = 0; list < 2; list++)
        for (unsigned i = 0; i < w.n[list] && w.ranges[list][i].q > 0; i++)
            if (try_range(w.ranges[list], w.n[list], &w.ranges[list][i], offers, fits, context, out)) return true;
    if (w.n[0] + w.n[1] == 0 && try_range(NULL, 0, &anything, offers, fits, context, out)) return true;
    return refuse(rq->arena, offers, more, e);
}

// ---- DICOM or rendered, not both ----

static bool is_one_of(struct str type, const char *const *list) {
    for (; *list; list++)
        if (str_eq_nocase(type, str_of(*list))) return true;
    return false;
}

// Those that are nothing but the one or the other: image/jpeg and the like may be both.
static const char *const DICOM_TYPES[] = {"application/dicom", "application/dicom+json", "application/dicom+xml", NULL};
static const char *const RENDERED_TYPES[] = {"image/png", "image/gif", "image/apng",      "text/html", "text/plain",
                                             "text/xml",  "text/rtf",  "application/pdf", NULL};

bool dw_accept_is_pure(const struct http_request *rq, struct err *e) {
    struct wanted w;
    struct str dicom = {0}, rendered = {0};
    if (!read_wanted(rq, &w, e)) return false;
    for (int list = 0; list < 2; list++)
        for (unsigned i = 0; i < w.n[list]; i++) {
            struct str inner = http_media_param(&w.ranges[list][i], "type");
            struct str type = inner.p ? inner : w.ranges[list][i].type;
            if (is_one_of(type, DICOM_TYPES)) dicom = type;
            if (is_one_of(type, RENDERED_TYPES)) rendered = type;
        }
    if (!dicom.p || !rendered.p) return true;
    return err_set(e, ERR_BAD_INPUT, "dicomweb", "what is accepted names both a DICOM media type (%.*s) and a rendered one (%.*s): PS3.18 8.7.5 takes either",
                   STR_FMT(dicom), STR_FMT(rendered));
}
