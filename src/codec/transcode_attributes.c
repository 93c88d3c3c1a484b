// What the data set says after its pixel data was converted, and nothing more than that (PS3.3 C.7.6.3, C.7.6.1.1.5, C.12.4).
#include <stdio.h>

#include "base/limits.h"
#include "codec/transcode_part.h"
#include "dicom/uids.h"
#include "sys/digest.h"

// Group lengths and Length to End (0008,0001) count bytes of the old encoding.
static bool counts_bytes(uint32_t tag) {
    return (DCM_ELEMENT(tag) == 0 && DCM_GROUP(tag) > 2) || tag == 0x00080001;
}

struct dcm_dataset *transcode_copy(struct arena *a, const struct dcm_dataset *ds, struct err *e) {
    struct dcm_dataset *copy = dcm_dataset_new(a, e);
    if (!copy) return NULL;
    copy->big_endian = ds->big_endian;
    copy->explicit_vr = ds->explicit_vr;
    copy->undefined_length = ds->undefined_length;
    copy->parent = ds->parent;
    for (uint32_t i = 0; i < ds->count; i++)
        if (!counts_bytes(ds->elements[i].tag) && !dcm_put_element(copy, &ds->elements[i], e)) return NULL;
    return copy;
}

// ---- Pixel Data and what tells of its form ----

static bool put_native(const struct transcode_pixels *p, struct dcm_dataset *copy, struct err *e) {
    // PS3.5 A.1, A.2: implicit VR takes OW whatever the depth; explicit VR takes bytes as OB, which no byte order touches.
    uint16_t vr = p->now.bits_allocated > 8 || !p->to->explicit_vr ? DCM_VR_OW : DCM_VR_OB;
    const struct dcm_element el = {.tag = DCM_PixelData, .vr = vr, .flags = DCM_BY_REFERENCE, .length = p->length, .offset = TRANSCODE_SPOOL_BASE + p->offset};
    return dcm_put_element(copy, &el, e);
}

static void store_le32(uint8_t *to, uint64_t v) {
    for (unsigned k = 0; k < 4; k++) to[k] = (uint8_t)(v >> (8 * k));
}

// One offset per frame, from the first item after the table. *fits: all of them have 32 bits.
static bool put_basic_offsets(const struct transcode_pixels *p, bool *fits, struct err *e) {
    uint64_t at = 0, from = p->spool->n;
    uint32_t frames = p->was.frames;
    for (uint32_t i = 1; i < frames; i++) at += 8 + (uint64_t)p->fragments[i].length;
    *fits = at <= UINT32_MAX;
    at = 0;
    for (uint32_t i = 1; *fits && i <= frames; i++) {
        uint8_t entry[4];
        store_le32(entry, at);
        at += 8 + (uint64_t)p->fragments[i].length;
        if (!spool_add(p->spool, entry, sizeof entry, e)) return false;
    }
    p->fragments[0] = (struct dcm_fragment){TRANSCODE_SPOOL_BASE + from, *fits ? frames * 4 : 0};
    return true;
}

// PS3.3 C.7.6.3.1.8: every frame in one fragment, and the basic offset table empty.
static bool put_extended_offsets(const struct transcode_pixels *p, struct dcm_dataset *copy, struct err *e) {
    uint32_t frames = p->was.frames;
    int64_t *offsets = arena_alloc(copy->arena, (size_t)frames * 8, e), *lengths = arena_alloc(copy->arena, (size_t)frames * 8, e);
    if (!offsets || !lengths) return false;
    for (uint32_t i = 0; i < frames; i++) {
        lengths[i] = p->fragments[i + 1].length;
        offsets[i] = i ? offsets[i - 1] + 8 + lengths[i - 1] : 0;
    }
    return dcm_put_ints(copy, DCM_ExtendedOffsetTable, DCM_VR_OV, offsets, frames, e) &&
           dcm_put_ints(copy, DCM_ExtendedOffsetTableLengths, DCM_VR_OV, lengths, frames, e);
}

static bool put_encapsulated(const struct transcode_pixels *p, struct dcm_dataset *copy, struct err *e) {
    bool fits;
    if (!put_basic_offsets(p, &fits, e) || (!fits && !put_extended_offsets(p, copy, e))) return false;
    const struct dcm_element el = {
        .tag = DCM_PixelData, .vr = DCM_VR_OB, .flags = DCM_FRAGMENTS | DCM_UNDEFINED_LENGTH, .fragments = p->fragments, .item_count = p->was.frames + 1};
    return dcm_put_element(copy, &el, e);
}

static bool put_if(struct dcm_dataset *copy, uint32_t tag, unsigned was, unsigned now, struct err *e) {
    return was == now || dcm_put_int(copy, tag, now, e);
}

bool transcode_describe(const struct transcode_pixels *p, struct dcm_dataset *copy, struct err *e) {
    const struct px_image *was = &p->was, *now = &p->now;
    dcm_remove(copy, DCM_ExtendedOffsetTable);
    dcm_remove(copy, DCM_ExtendedOffsetTableLengths);
    if (was->photometric != now->photometric && !dcm_putz(copy, DCM_PhotometricInterpretation, px_photometric_name(now->photometric), e)) return false;
    return put_if(copy, DCM_PlanarConfiguration, was->planar, now->planar, e) && put_if(copy, DCM_BitsAllocated, was->bits_allocated, now->bits_allocated, e) &&
           put_if(copy, DCM_BitsStored, was->bits_stored, now->bits_stored, e) && put_if(copy, DCM_HighBit, was->high_bit, now->high_bit, e) &&
           (p->to->encapsulated ? put_encapsulated(p, copy, e) : put_native(p, copy, e));
}

// ---- loss ----

static const char *method_of(const struct dcm_ts *ts) {
    static const struct {
        const char *uid, *method;
    } METHODS[] = {
        {DCM_UID_JPEGLSNearLossless, "ISO_14495_1"}, {DCM_UID_JPEG2000, "ISO_15444_1"}, {DCM_UID_JPEG2000MC, "ISO_15444_1"}, {DCM_UID_HTJ2K, "ISO_15444_15"}};
    for (size_t i = 0; i < sizeof METHODS / sizeof METHODS[0]; i++)
        if (strcmp(METHODS[i].uid, ts->uid) == 0) return METHODS[i].method;
    return "ISO_10918_1";
}

// The coding itself loses (a DCT): an object in it that says nothing of a loss, or denies it, is wrong.
static bool always_loses(const struct dcm_ts *ts) {
    static const char *const UIDS[] = {DCM_UID_JPEGBaseline8Bit,
                                       DCM_UID_JPEGExtended12Bit,
                                       DCM_UID_JPEGExtended35,
                                       DCM_UID_JPEGSpectralSelectionNonHierarchical68,
                                       DCM_UID_JPEGSpectralSelectionNonHierarchical79,
                                       DCM_UID_JPEGFullProgressionNonHierarchical1012,
                                       DCM_UID_JPEGFullProgressionNonHierarchical1113};
    for (size_t i = 0; i < sizeof UIDS / sizeof UIDS[0]; i++)
        if (strcmp(UIDS[i], ts->uid) == 0) return true;
    return false;
}

// Appends a value, after as many empty ones as keep it in step with its sibling.
static bool append(struct dcm_dataset *copy, uint32_t tag, unsigned before, const char *text, struct err *e) {
    struct buf b;
    buf_init(&b, DCM_VALUE_IN_MEMORY_MAX + 1024);
    buf_add_str(&b, dcm_text(copy, tag));
    for (unsigned n = dcm_vm(copy, tag); n < before; n++)
        if (n) buf_addc(&b, '\\');
    if (before) buf_addc(&b, '\\');
    buf_addz(&b, text);
    bool ok = buf_ok(&b, e) && dcm_put_text(copy, tag, DCM_VR_NONE, buf_str(&b), e);
    buf_deinit(&b);
    return ok;
}

static double ratio_of(const struct transcode_pixels *p, uint64_t compressed) {
    const struct px_image *i = p->was.encapsulated ? &p->was : &p->now;
    double bits = (double)i->rows * i->columns * i->samples * i->bits_allocated * i->frames;
    return compressed ? bits / 8 / (double)compressed : 1;
}

static bool append_loss(struct dcm_dataset *copy, double ratio, const char *method, struct err *e) {
    char text[24];
    unsigned ratios = dcm_vm(copy, DCM_LossyImageCompressionRatio), methods = dcm_vm(copy, DCM_LossyImageCompressionMethod);
    unsigned before = ratios > methods ? ratios : methods;
    snprintf(text, sizeof text, "%.5g", ratio);
    return dcm_putz(copy, DCM_LossyImageCompression, "01", e) && append(copy, DCM_LossyImageCompressionRatio, before, text, e) &&
           append(copy, DCM_LossyImageCompressionMethod, before, method, e);
}

bool transcode_tell_loss(const struct transcode_pixels *p, struct dcm_dataset *copy, struct err *e) {
    bool told = str_eqz(dcm_text_at(copy, DCM_LossyImageCompression, 0), "01");
    if (p->was.encapsulated && always_loses(p->source->ts) && !told && !append_loss(copy, ratio_of(p, p->codestream_bytes), method_of(p->source->ts), e))
        return false;
    return !p->to->encapsulated || !p->to->lossy || append_loss(copy, ratio_of(p, p->length), method_of(p->to), e);
}

// ---- a new instance ----

// A UID that follows from what was made and from what: the same conversion of the same object is the same instance.
static bool uid_of_content(const struct transcode_pixels *p, struct str old, char out[DCM_UID_MAX + 1], struct err *e) {
    struct digest d = {0};
    uint8_t sum[DIGEST_BYTES], piece[4096];
    bool ok = digest_init(&d, e);
    if (ok) digest_add(&d, old.p, old.n);
    if (ok) digest_add(&d, p->to->uid, strlen(p->to->uid));
    for (uint64_t at = 0; ok && at < p->length; at += sizeof piece) {
        size_t n = p->length - at < sizeof piece ? (size_t)(p->length - at) : sizeof piece;
        ok = spool_read(p->spool, p->offset + at, piece, n, e);
        if (ok) digest_add(&d, piece, n);
    }
    ok = ok && digest_final(&d, sum, e);
    digest_deinit(&d);
    if (!ok) return false;
    sum[6] = (uint8_t)((sum[6] & 0x0F) | 0x80); // a UUID of version 8 (RFC 9562) under 2.25
    sum[8] = (uint8_t)((sum[8] & 0x3F) | 0x80);
    dcm_uid_of_uuid(sum, out);
    return true;
}

static bool put_code(struct dcm_dataset *to, uint32_t tag, const char *value, const char *meaning, struct err *e) {
    struct dcm_dataset *item = dcm_put_item(to, tag, e);
    return item && dcm_putz(item, DCM_CodeValue, value, e) && dcm_putz(item, DCM_CodingSchemeDesignator, "DCM", e) &&
           dcm_putz(item, DCM_CodeMeaning, meaning, e);
}

// PS3.16 CID 7202. purpose of what was not compressed before: it can be got again nowhere else.
static bool put_source(const struct dcm_dataset *source, const char *purpose, struct dcm_dataset *copy, struct err *e) {
    struct dcm_dataset *item = dcm_put_item(copy, DCM_SourceImageSequence, e);
    return item && dcm_put_text(item, DCM_ReferencedSOPClassUID, DCM_VR_UI, dcm_text(source, DCM_SOPClassUID), e) &&
           dcm_put_text(item, DCM_ReferencedSOPInstanceUID, DCM_VR_UI, dcm_text(source, DCM_SOPInstanceUID), e) &&
           (!purpose || put_code(item, DCM_PurposeOfReferenceCodeSequence, purpose, "Uncompressed predecessor", e));
}

// Image Type, or the Frame Type of a functional group.
static bool put_type(struct dcm_dataset *copy, uint32_t tag, struct err *e) {
    struct str old = dcm_text(copy, tag);
    size_t first = str_find(old, '\\', 0);
    struct str rest = str_sub(old, first, old.n);
    return dcm_putf(copy, tag, e, "DERIVED%.*s", STR_FMT(rest.n ? rest : str_of("\\PRIMARY")));
}

// The items of a sequence as renew makes them, which gives the item itself when nothing in it changes.
static bool renew_items(struct arena *a, struct dcm_element *el, struct dcm_dataset *(*renew)(struct arena *, struct dcm_dataset *, struct err *),
                        struct err *e) {
    if (el->vr != DCM_VR_SQ || el->item_count == 0) return true;
    struct dcm_dataset **items = arena_alloc(a, el->item_count * sizeof(struct dcm_dataset *), e);
    for (uint32_t i = 0; items && i < el->item_count; i++)
        if (!(items[i] = renew(a, el->items[i], e))) return false;
    if (!items) return false;
    el->items = items;
    el->flags |= DCM_ITEMS_SHARED;
    return true;
}

static struct dcm_dataset *with_frame_type(struct arena *a, struct dcm_dataset *item, struct err *e) {
    if (!dcm_find(item, DCM_FrameType)) return item;
    struct dcm_dataset *copy = transcode_copy(a, item, e);
    return copy && put_type(copy, DCM_FrameType, e) ? copy : NULL;
}

static bool has_frame_type(const struct dcm_element *el) {
    return el->vr == DCM_VR_SQ && el->item_count && dcm_find(el->items[0], DCM_FrameType);
}

// One frame's functional groups, or those of all.
static struct dcm_dataset *with_frame_types(struct arena *a, struct dcm_dataset *groups, struct err *e) {
    bool any = false;
    for (uint32_t i = 0; i < groups->count; i++) any |= has_frame_type(&groups->elements[i]);
    if (!any) return groups;
    struct dcm_dataset *copy = transcode_copy(a, groups, e);
    for (uint32_t i = 0; copy && i < copy->count; i++)
        if (has_frame_type(&copy->elements[i]) && !renew_items(a, &copy->elements[i], with_frame_type, e)) return NULL;
    return copy;
}

// Enhanced objects say of each frame, or of all, whether it is derived (PS3.3 C.8.13.3.1, C.8.15.3.1 and their like: <modality> Frame Type Sequence).
static bool put_frame_types(struct dcm_dataset *copy, struct err *e) {
    static const uint32_t GROUPS[] = {DCM_SharedFunctionalGroupsSequence, DCM_PerFrameFunctionalGroupsSequence};
    for (size_t i = 0; i < sizeof GROUPS / sizeof GROUPS[0]; i++) {
        struct dcm_element *el = (struct dcm_element *)dcm_find(copy, GROUPS[i]);
        if (el && !renew_items(copy->arena, el, with_frame_types, e)) return false;
    }
    return true;
}

enum { DESCRIPTION_MAX = 1024 }; // ST

static bool put_description(const struct transcode_pixels *p, struct dcm_dataset *copy, struct err *e) {
    struct str old = dcm_text(copy, DCM_DerivationDescription);
    char text[256];
    int n = p->to->lossy ? snprintf(text, sizeof text, "Lossy compression, %.100s, ratio %.5g", p->to->name, ratio_of(p, p->length))
                         : snprintf(text, sizeof text, "Lossless conversion to %.100s", p->to->name);
    if (old.n + (size_t)n + 2 > DESCRIPTION_MAX) return true;
    return dcm_putf(copy, DCM_DerivationDescription, e, "%.*s%s%s", STR_FMT(old), old.n ? "; " : "", text);
}

bool transcode_derive(const struct transcode_pixels *p, struct dcm_dataset *copy, struct err *e) {
    char uid[DCM_UID_MAX + 1];
    bool ok = uid_of_content(p, dcm_text(p->dataset, DCM_SOPInstanceUID), uid, e) && put_source(p->dataset, p->was.encapsulated ? NULL : "121320", copy, e) &&
              put_description(p, copy, e) && dcm_putz(copy, DCM_SOPInstanceUID, uid, e);
    if (!ok || !p->to->lossy) return ok;
    return put_type(copy, DCM_ImageType, e) && put_frame_types(copy, e) && put_code(copy, DCM_DerivationCodeSequence, "113040", "Lossy Compression", e);
}

bool transcode_renew(struct arena *a, const struct dcm_dataset *ds, struct dcm_dataset **out, struct err *e) {
    char uid[DCM_UID_MAX + 1];
    struct dcm_dataset *copy = transcode_copy(a, ds, e);
    *out = copy;
    return copy && dcm_uid_make(uid, e) && (!dcm_find(ds, DCM_PixelData) || put_source(ds, NULL, copy, e)) && dcm_putz(copy, DCM_SOPInstanceUID, uid, e);
}
