// Rendered resources and thumbnails (PS3.18 10.4.1.1.3, 10.4.1.1.4, 8.3.5): their parameters, and which objects they are of.
#include "mod/dicomweb/rendered.h"

#include "base/limits.h"
#include "dicom/uid.h"
#include "mod/dicomweb/handlers.h"
#include "mod/dicomweb/resource.h"

enum { THUMBNAIL_PIXELS = 128, FRAMES_MAX = 4096 };

// ---- parameters ----

bool dw_take_window(struct str text, struct dw_render *out, struct err *e) {
    struct str rest = text;
    struct str center = str_split(&rest, ','), width = str_split(&rest, ','), function = rest.p ? rest : STR_LIT("linear");
    struct px_window *w = &out->window;
    bool known = true;
    if (str_eq_nocase(function, STR_LIT("linear")))
        w->function = PX_LINEAR;
    else if (str_eq_nocase(function, STR_LIT("linear-exact")))
        w->function = PX_LINEAR_EXACT;
    else if (str_eq_nocase(function, STR_LIT("sigmoid")))
        w->function = PX_SIGMOID;
    else
        known = false;
    if (!known || !str_to_f64(center, &w->center) || !str_to_f64(width, &w->width) || !px_window_valid(w))
        return err_set(e, ERR_BAD_INPUT, "dicomweb", "window takes center,width,function (linear, linear-exact or sigmoid), not '%.*s'",
                       STR_FMT(str_sub(text, 0, 60)));
    out->options.window = w;
    return true;
}

static bool take_side(struct str text, uint32_t *out) {
    uint64_t v;
    if (!str_to_u64(text, &v) || v < 1 || v > PX_VIEWPORT_MAX) return false;
    *out = (uint32_t)v;
    return true;
}

// sx,sy,sw,sh: each may be left out, its comma may not. Negative ones of sw and sh turn the image over.
static bool take_region(struct str rest, struct px_options *o) {
    double v[4] = {0, 0, 0, 0};
    bool given[4] = {false};
    for (unsigned i = 0; i < 4 && rest.p; i++) {
        struct str one = str_split(&rest, ',');
        given[i] = str_trim(one).n > 0;
        if (given[i] && (!str_to_f64(one, &v[i]) || v[i] > 1e6 || v[i] < -1e6)) return false;
    }
    if (rest.p || v[0] < 0 || v[1] < 0 || (given[2] && v[2] == 0) || (given[3] && v[3] == 0)) return false;
    o->flip_x = v[2] < 0;
    o->flip_y = v[3] < 0;
    // What is left out reaches to the edge: a region beyond the image is cut there.
    o->region = (struct px_region){v[0], v[1], given[2] ? (v[2] < 0 ? -v[2] : v[2]) : 1e6, given[3] ? (v[3] < 0 ? -v[3] : v[3]) : 1e6};
    o->has_region = true;
    return true;
}

bool dw_take_viewport(struct str text, struct dw_render *out, struct err *e) {
    struct str rest = text;
    struct str width = str_split(&rest, ','), height = str_split(&rest, ',');
    bool ok = take_side(width, &out->options.width) && take_side(height, &out->options.height);
    if (ok && rest.p) ok = !out->thumbnail && take_region(rest, &out->options);
    if (ok) return true;
    return err_set(e, ERR_BAD_INPUT, "dicomweb", "viewport takes width,height%s (from 1 to %d), not '%.*s'", out->thumbnail ? "" : "[,sx,sy,sw,sh]",
                   PX_VIEWPORT_MAX, STR_FMT(str_sub(text, 0, 60)));
}

bool dw_take_quality(struct str text, struct dw_render *out, struct err *e) {
    int64_t v;
    if (!str_to_i64(text, &v) || v < 1 || v > 100) return err_set(e, ERR_BAD_INPUT, "dicomweb", "quality takes a number from 1 to 100");
    out->quality = (int)v;
    return true;
}

bool dw_take_annotation(struct str text, struct dw_render *out, struct err *e) {
    struct str rest = text;
    while (rest.p) {
        struct str one = str_trim(str_split(&rest, ','));
        if (str_eqz(one, "patient"))
            out->options.annotation |= PX_ANNOTATE_PATIENT;
        else if (str_eqz(one, "technique"))
            out->options.annotation |= PX_ANNOTATE_TECHNIQUE;
        else
            return err_set(e, ERR_BAD_INPUT, "dicomweb", "annotation takes patient and technique, not '%.*s'", STR_FMT(str_sub(one, 0, 40)));
    }
    return true;
}

bool dw_take_iccprofile(struct str text, struct dw_render *out, struct err *e) {
    static const char *const names[] = {[PX_ICC_NO] = "no", [PX_ICC_YES] = "yes", [PX_ICC_SRGB] = "srgb"};
    for (unsigned i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (!str_eqz(text, names[i])) continue;
        out->options.icc = (enum px_icc)i;
        return true;
    }
    if (str_eqz(text, "adobergb") || str_eqz(text, "rommrgb"))
        return err_set(e, ERR_BAD_INPUT, "dicomweb", "iccprofile=%.*s is not made here: no, yes and srgb are", STR_FMT(text));
    return err_set(e, ERR_BAD_INPUT, "dicomweb", "iccprofile takes no, yes or srgb, not '%.*s'", STR_FMT(str_sub(text, 0, 40)));
}

static bool read_wish(const struct http_request *rq, bool thumbnail, struct dw_render *out, struct err *e) {
    static const struct {
        const char *name;
        bool (*take)(struct str text, struct dw_render *out, struct err *e);
        bool thumbnails;
    } parameters[] = {
        {"window", dw_take_window, true},          {"viewport", dw_take_viewport, true},      {"quality", dw_take_quality, true},
        {"annotation", dw_take_annotation, false}, {"iccprofile", dw_take_iccprofile, false},
    };
    *out = DW_RENDER_DEFAULT;
    out->accept = dw_accept_parameter(rq);
    *(out->accept.n ? &out->accept_after : &out->accept) = http_header(rq, "Accept");
    out->thumbnail = thumbnail;
    out->chinese = str_starts(str_trim(http_header(rq, "Accept-Language")), STR_LIT("zh"));
    if (!dw_charset_fits(rq, e)) return false;
    if (thumbnail) out->options.width = out->options.height = THUMBNAIL_PIXELS;
    for (size_t i = 0; i < sizeof parameters / sizeof parameters[0]; i++) {
        struct str value = http_query(rq, parameters[i].name);
        if (value.p && (parameters[i].thumbnails || !thumbnail) && !parameters[i].take(value, out, e)) return false;
    }
    return true;
}

// "1,3": numbers from 1, as a list from 0.
static bool read_frames(const struct http_request *rq, struct dw_render *out, struct err *e) {
    struct str rest = http_capture(rq, "frames");
    uint32_t *list = rest.p ? arena_alloc(rq->arena, FRAMES_MAX * sizeof *list, e) : NULL;
    if (!rest.p) return true;
    if (!list) return false;
    out->frames = list;
    while (rest.p) {
        struct str one = str_trim(str_split(&rest, ','));
        uint64_t number;
        if (!str_to_u64(one, &number) || number == 0 || number > UINT32_MAX)
            return err_set(e, ERR_BAD_INPUT, "dicomweb", "'%.*s' is not a frame number from 1", STR_FMT(str_sub(one, 0, 40)));
        if (out->frame_count == FRAMES_MAX) return err_set(e, ERR_TOO_LARGE, "dicomweb", "more than %d frames at once", FRAMES_MAX);
        list[out->frame_count++] = (uint32_t)(number - 1);
    }
    return true;
}

// ---- resources ----

bool dw_rendered(struct http_request *rq, struct http_response *rs, struct err *e) {
    struct dw_target t;
    struct instance_list list;
    struct dw_render wish;
    if (!read_wish(rq, false, &wish, e) || !read_frames(rq, &wish, e) || !dw_target_of(rq, &t, e) || !dw_list(&t, rq->arena, &list, e)) return false;
    wish.many = !t.instance.p || wish.frame_count > 1;
    return dw_render_reply(rq, rs, &t, list.refs, list.count, &wish, e);
}

bool dw_has_image(const struct instance_ref *ref) {
    const struct dcm_ts *ts = dcm_ts_find(ref->ts_uid);
    return ref->pixel_offset > 0 || (ts && ts->deflated && ref->rows > 0); // in a deflated data set pixels have no place in the file
}

// The object that stands for many: the one in the middle of the first series that has images.
static const struct instance_ref *representative(const struct instance_list *list) {
    size_t first = 0, n = 0;
    for (size_t i = 0; i < list->count; i++) {
        const struct instance_ref *ref = &list->refs[i];
        if (!dw_has_image(ref) || (n > 0 && !str_eq(ref->series_uid, list->refs[first].series_uid))) continue;
        if (n++ == 0) first = i;
    }
    if (n == 0) return NULL;
    const struct instance_ref *middle = &list->refs[first + n / 2];
    return dw_has_image(middle) ? middle : &list->refs[first];
}

bool dw_thumbnail(struct http_request *rq, struct http_response *rs, struct err *e) {
    struct dw_target t;
    struct instance_list list;
    struct dw_render wish;
    if (!read_wish(rq, true, &wish, e) || !read_frames(rq, &wish, e) || !dw_target_of(rq, &t, e) || !dw_list(&t, rq->arena, &list, e)) return false;
    const struct instance_ref *ref = representative(&list);
    if (!ref) return err_set(e, ERR_NOT_FOUND, "dicomweb", "there is no image to make a thumbnail of");
    uint32_t *middle = arena_alloc(rq->arena, sizeof *middle, e);
    if (!middle) return false;
    *middle = ref->frames > 1 ? (uint32_t)(ref->frames / 2) : 0;
    if (!wish.frame_count) wish.frames = middle;
    wish.frame_count = 1;
    return dw_render_reply(rq, rs, &t, ref, 1, &wish, e);
}
