// ICC profiles by Little CMS.
#include "pixel/color.h"

#include <lcms2.h>

enum { PROFILE_BYTES_MAX = 8 * 1024 * 1024, PROFILE_HEADER_BYTES = 128, SIGNATURE_AT = 36, DATE_AT = 24, DATE_BYTES = 12 };

static bool is_profile(struct str p) {
    return p.n > PROFILE_HEADER_BYTES && p.n <= PROFILE_BYTES_MAX && memcmp(p.p + SIGNATURE_AT, "acsp", 4) == 0 && memcmp(p.p + 16, "RGB ", 4) == 0;
}

static struct str value_of(struct arena *a, const struct dcm_dataset *ds, const struct dcm_source *source) {
    const struct dcm_element *el = ds ? dcm_find(ds, DCM_ICCProfile) : NULL;
    if (!el || el->length > PROFILE_BYTES_MAX) return (struct str){NULL, 0};
    if (el->value) return (struct str){(const char *)el->value, el->length};
    if (!(el->flags & DCM_BY_REFERENCE) || !source) return (struct str){NULL, 0};
    char *p = arena_alloc(a, el->length, NULL);
    if (!p || !source->read_at(source->ctx, el->offset, p, el->length, NULL)) return (struct str){NULL, 0};
    return (struct str){p, el->length};
}

// Of the image, or of the frame's optical path.
static struct str own_profile(struct arena *a, const struct dcm_dataset *ds, uint32_t frame, const struct dcm_source *source) {
    const struct dcm_dataset *group = px_functional_group(ds, frame, DCM_OpticalPathIdentificationSequence), *path;
    struct str wanted = group ? dcm_text(group, DCM_OpticalPathIdentifier) : (struct str){NULL, 0};
    struct str own = value_of(a, ds, source);
    for (unsigned i = 0; !own.n && (path = dcm_item(ds, DCM_OpticalPathSequence, i)); i++)
        if (!wanted.n || str_eq(dcm_text(path, DCM_OpticalPathIdentifier), wanted)) own = value_of(a, path, source);
    if (own.n > 4) { // its own length: the value may be padded
        const uint8_t *p = (const uint8_t *)own.p;
        uint32_t n = (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
        if (n <= own.n) own.n = n;
    }
    return is_profile(own) ? own : (struct str){NULL, 0};
}

static bool save(struct arena *a, cmsHPROFILE profile, struct str *out, struct err *e) {
    static const uint8_t date[DATE_BYTES] = {0x07, 0xD0, 0, 1, 0, 1}; // always the same, so that pictures are
    cmsUInt32Number n = 0;
    if (!cmsSaveProfileToMem(profile, NULL, &n) || n <= PROFILE_HEADER_BYTES) return err_nomem(e, "pixel");
    char *p = arena_alloc(a, n, e);
    if (!p) return false;
    if (!cmsSaveProfileToMem(profile, p, &n)) return err_nomem(e, "pixel");
    memcpy(p + DATE_AT, date, sizeof date);
    *out = (struct str){p, n};
    return true;
}

static bool convert(cmsHPROFILE from, cmsHPROFILE to, struct px_picture *picture, struct err *e) {
    cmsHTRANSFORM t = cmsCreateTransform(from, TYPE_RGB_8, to, TYPE_RGB_8, INTENT_PERCEPTUAL, cmsFLAGS_NOCACHE);
    if (!t) return err_set(e, ERR_UNDECODABLE, "pixel", "colours cannot be converted by the object's ICC profile");
    for (uint32_t y = 0; y < picture->height; y++) {
        uint8_t *row = picture->pixels + (size_t)y * picture->width * 3;
        cmsDoTransform(t, row, row, picture->width);
    }
    cmsDeleteTransform(t);
    return true;
}

static bool to_srgb(struct arena *a, struct str own, struct px_picture *picture, struct err *e) {
    cmsHPROFILE srgb = cmsCreate_sRGBProfile();
    if (!srgb) return err_nomem(e, "pixel");
    bool ok = save(a, srgb, &picture->icc, e);
    cmsHPROFILE from = ok && own.n ? cmsOpenProfileFromMem(own.p, (cmsUInt32Number)own.n) : NULL;
    if (ok && own.n) ok = from ? convert(from, srgb, picture, e) : err_set(e, ERR_UNDECODABLE, "pixel", "the object's ICC profile cannot be read");
    if (from) cmsCloseProfile(from);
    cmsCloseProfile(srgb);
    return ok;
}

bool px_color_profile(struct arena *a, const struct dcm_dataset *ds, uint32_t frame, enum px_icc how, const struct dcm_source *source,
                      struct px_picture *picture, struct err *e) {
    if (picture->channels != 3 || how == PX_ICC_NO) return true;
    struct str own = own_profile(a, ds, frame, source);
    if (how == PX_ICC_YES && own.n) {
        picture->icc = own;
        return true;
    }
    return to_srgb(a, own, picture, e);
}
