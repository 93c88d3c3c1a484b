// The check as a whole: its report, the meta header, the image attributes and what the IOD asks for.
#include "dicom/validate_part.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "dicom/iods.h"

void dcm_report(struct dcm_check *c, enum dcm_severity severity, const char *code, uint32_t tag, uint64_t offset, const char *format, ...) {
    char message[512], place[DCM_PLACE_BYTES + 16] = "";
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);
    for (char *p = message; *p; p++)
        if ((unsigned char)*p < 0x20 || *p == 0x7F) *p = '?';
    if (tag)
        snprintf(place, sizeof place, "%.*s(%04X,%04X)", (int)c->prefix_n, c->prefix, DCM_GROUP(tag), DCM_ELEMENT(tag));
    else if (c->prefix_n)
        snprintf(place, sizeof place, "%.*s", (int)c->prefix_n - 1, c->prefix);
    struct dcm_finding f = {severity, code, place, offset, message};
    c->options->report(c->options->ctx, &f);
}

size_t dcm_check_enter(struct dcm_check *c, uint32_t sequence, uint32_t i) {
    size_t before = c->prefix_n, room = sizeof c->prefix - before;
    int n = snprintf(c->prefix + before, room, "(%04X,%04X)[%" PRIu32 "].", DCM_GROUP(sequence), DCM_ELEMENT(sequence), i + 1);
    if (n > 0 && (size_t)n < room) c->prefix_n += (size_t)n;
    c->depth++;
    return before;
}

void dcm_check_leave(struct dcm_check *c, size_t before) {
    c->prefix_n = before;
    c->depth--;
}

// ---- meta header (PS3.10 7.1) ----

static void check_meta_required(struct dcm_check *c, const struct dcm_dataset *meta) {
    static const uint32_t REQUIRED[] = {DCM_FileMetaInformationGroupLength, DCM_FileMetaInformationVersion, DCM_MediaStorageSOPClassUID,
                                        DCM_MediaStorageSOPInstanceUID,     DCM_TransferSyntaxUID,          DCM_ImplementationClassUID};
    for (unsigned i = 0; i < sizeof REQUIRED / sizeof *REQUIRED; i++) {
        const struct dcm_element *el = dcm_find(meta, REQUIRED[i]);
        if (!el || el->length == 0) dcm_report(c, DCM_SEVERITY_ERROR, "meta-missing", REQUIRED[i], 0, "is missing from the meta header");
    }
}

static void check_meta_equal(struct dcm_check *c, uint32_t in_meta, uint32_t in_dataset) {
    struct str a = dcm_uid_trim(dcm_text(c->o->meta, in_meta)), b = dcm_uid_trim(dcm_text(c->o->dataset, in_dataset));
    const struct dcm_element *el = dcm_find(c->o->meta, in_meta);
    if (el && a.n && b.n && !str_eq(a, b))
        dcm_report(c, DCM_SEVERITY_ERROR, "meta-differs", in_meta, el->offset, "is '%.*s' but (%04X,%04X) is '%.*s'", STR_FMT(a), DCM_GROUP(in_dataset),
                   DCM_ELEMENT(in_dataset), STR_FMT(b));
}

// (0002,0000) counts what follows its own value, to the first byte of the data set.
static void check_meta_length(struct dcm_check *c, const struct dcm_dataset *meta) {
    const struct dcm_element *el = dcm_find(meta, DCM_FileMetaInformationGroupLength);
    int64_t declared;
    if (!el || !dcm_i64(meta, el->tag, 0, &declared) || el->offset + el->length > c->o->dataset_offset) return;
    uint64_t there = c->o->dataset_offset - el->offset - el->length;
    if ((uint64_t)declared != there)
        dcm_report(c, DCM_SEVERITY_ERROR, "group-length", el->tag, el->offset, "says %" PRId64 " bytes; %" PRIu64 " are there", declared, there);
}

void dcm_check_meta(struct dcm_check *c) {
    const struct dcm_dataset *meta = c->o->meta;
    if (!c->o->preamble) dcm_report(c, DCM_SEVERITY_ERROR, "preamble", 0, 0, "has no preamble with DICM (PS3.10 7.1)");
    if (!meta || meta->count == 0) {
        dcm_report(c, DCM_SEVERITY_ERROR, "meta-missing", 0, 0, "has no meta header (PS3.10 7.1)");
        return;
    }
    check_meta_required(c, meta);
    check_meta_length(c, meta);
    check_meta_equal(c, DCM_MediaStorageSOPClassUID, DCM_SOPClassUID);
    check_meta_equal(c, DCM_MediaStorageSOPInstanceUID, DCM_SOPInstanceUID);
    struct str ts = dcm_uid_trim(dcm_text(meta, DCM_TransferSyntaxUID));
    if (ts.n && !dcm_ts_find(ts))
        dcm_report(c, DCM_SEVERITY_WARNING, "transfer-syntax", DCM_TransferSyntaxUID, 0, "'%.*s' is not a known transfer syntax", STR_FMT(ts));
}

// ---- IOD ----

static const struct dcm_iod *find_iod(struct str uid) {
    for (unsigned i = 0; i < dcm_iod_count; i++)
        if (str_eqz(uid, dcm_iods[i].sop_class_uid)) return &dcm_iods[i];
    return NULL;
}

// Where an absent element would stand: the value of the next one, or of the last.
static uint64_t place_of(const struct dcm_dataset *ds, uint32_t tag) {
    uint64_t at = 0;
    for (uint32_t i = 0; i < ds->count; i++) {
        at = ds->elements[i].offset;
        if (ds->elements[i].tag > tag) break;
    }
    return at;
}

static void check_type(struct dcm_check *c, const struct dcm_dataset *ds, const struct dcm_iod_attribute *a, const char *module) {
    const struct dcm_element *el = dcm_find(ds, a->tag);
    bool has_value = el && (el->length || el->item_count);
    if (!el)
        dcm_report(c, DCM_SEVERITY_ERROR, a->type == 1 ? "type-1" : "type-2", a->tag, place_of(ds, a->tag), "is missing: Type %u in module %s", a->type,
                   module);
    else if (a->type == 1 && !has_value)
        dcm_report(c, DCM_SEVERITY_ERROR, "type-1", a->tag, el->offset, "has no value: Type 1 in module %s", module);
}

static void check_attribute(struct dcm_check *c, const struct dcm_iod_attribute *a, const char *module) {
    if (a->sequence == 0) {
        check_type(c, c->o->dataset, a, module);
        return;
    }
    const struct dcm_element *el = dcm_find(c->o->dataset, a->sequence);
    for (uint32_t i = 0; el && el->vr == DCM_VR_SQ && i < el->item_count; i++) {
        size_t before = dcm_check_enter(c, a->sequence, i);
        check_type(c, el->items[i], a, module);
        dcm_check_leave(c, before);
    }
}

// Several modules ask for the same attribute: it is checked where it is first asked for.
static bool is_repeated(const struct dcm_iod *iod, unsigned module, unsigned attribute) {
    const struct dcm_iod_attribute *a = &iod->modules[module]->attributes[attribute];
    for (unsigned m = 0; m <= module; m++) {
        unsigned end = m == module ? attribute : iod->modules[m]->count;
        for (unsigned i = 0; i < end; i++) {
            const struct dcm_iod_attribute *b = &iod->modules[m]->attributes[i];
            if (a->tag == b->tag && a->sequence == b->sequence && (a->type == b->type || b->type == 1)) return true;
        }
    }
    return false;
}

void dcm_check_iod(struct dcm_check *c) {
    struct str uid = dcm_uid_trim(dcm_text(c->o->dataset, DCM_SOPClassUID));
    const struct dcm_iod *iod = find_iod(uid);
    if (!iod) {
        const struct dcm_uid_entry *known = dcm_uid_find(uid);
        if (uid.n == 0 && !dcm_find(c->o->dataset, DCM_SOPClassUID))
            dcm_report(c, DCM_SEVERITY_ERROR, "type-1", DCM_SOPClassUID, 0, "is missing");
        else if (!known)
            dcm_report(c, DCM_SEVERITY_WARNING, "sop-class", DCM_SOPClassUID, 0, "'%.*s' is not a known SOP class", STR_FMT(uid));
        return;
    }
    for (unsigned m = 0; m < iod->count; m++)
        for (unsigned i = 0; i < iod->modules[m]->count; i++)
            if (!is_repeated(iod, m, i)) check_attribute(c, &iod->modules[m]->attributes[i], iod->modules[m]->name);
}

// ---- pixel data (PS3.5 8, PS3.3 C.7.6.3) ----

struct image {
    int64_t rows, columns, samples, frames, allocated, stored, high;
    bool subsampled; // YBR_FULL_422, YBR_PARTIAL_422: two samples of three are shared by two pixels
};

static int64_t number(const struct dcm_dataset *ds, uint32_t tag, int64_t absent) {
    int64_t v;
    return dcm_i64(ds, tag, 0, &v) ? v : absent;
}

static bool read_image(const struct dcm_dataset *ds, struct image *im) {
    struct str photometric = str_trim(dcm_text(ds, DCM_PhotometricInterpretation));
    *im = (struct image){
        .rows = number(ds, DCM_Rows, -1),
        .columns = number(ds, DCM_Columns, -1),
        .samples = number(ds, DCM_SamplesPerPixel, 1),
        .frames = number(ds, DCM_NumberOfFrames, 1),
        .allocated = number(ds, DCM_BitsAllocated, -1),
        .stored = number(ds, DCM_BitsStored, -1),
        .high = number(ds, DCM_HighBit, -1),
        .subsampled = str_eqz(photometric, "YBR_FULL_422") || str_eqz(photometric, "YBR_PARTIAL_422"),
    };
    return im->rows >= 0 && im->columns >= 0 && im->allocated >= 0;
}

static void check_bits(struct dcm_check *c, const struct image *im) {
    if (im->rows == 0 || im->columns == 0) dcm_report(c, DCM_SEVERITY_ERROR, "image", im->rows ? DCM_Columns : DCM_Rows, 0, "is 0 in an image with pixel data");
    if (im->stored > im->allocated)
        dcm_report(c, DCM_SEVERITY_ERROR, "image", DCM_BitsStored, 0, "is %" PRId64 ", more than the %" PRId64 " allocated", im->stored, im->allocated);
    else if (im->stored > 0 && im->high >= 0 && im->high != im->stored - 1)
        dcm_report(c, im->high >= im->allocated ? DCM_SEVERITY_ERROR : DCM_SEVERITY_WARNING, "image", DCM_HighBit, 0,
                   "is %" PRId64 "; %" PRId64 " bits are stored", im->high, im->stored);
    if (im->samples < 1 || im->samples > 4 || im->samples == 2) dcm_report(c, DCM_SEVERITY_ERROR, "image", DCM_SamplesPerPixel, 0, "is %" PRId64, im->samples);
    if (im->frames < 1) dcm_report(c, DCM_SEVERITY_ERROR, "image", DCM_NumberOfFrames, 0, "is %" PRId64, im->frames);
}

// Bytes that the attributes ask for, padded to even; false when they make no sense.
static bool wanted_bytes(const struct image *im, uint64_t *out) {
    uint64_t bits;
    if (im->samples < 1 || im->frames < 1) return false;
    if (__builtin_mul_overflow((uint64_t)im->rows, (uint64_t)im->columns, &bits)) return false;
    if (__builtin_mul_overflow(bits, (uint64_t)im->frames, &bits) || __builtin_mul_overflow(bits, (uint64_t)im->allocated, &bits)) return false;
    if (__builtin_mul_overflow(bits, im->subsampled && im->samples == 3 ? 2U : (uint64_t)im->samples, &bits)) return false;
    *out = bits / 8 + (bits % 8 != 0);
    *out += *out & 1;
    return true;
}

static void check_native(struct dcm_check *c, const struct dcm_element *el, const struct image *im) {
    uint64_t wanted;
    if (!wanted_bytes(im, &wanted)) return;
    if (el->length < wanted)
        dcm_report(c, DCM_SEVERITY_ERROR, "pixel-length", el->tag, el->offset, "has %" PRIu64 " bytes; the image attributes ask for %" PRIu64, el->length,
                   wanted);
    else if (el->length > wanted)
        dcm_report(c, DCM_SEVERITY_WARNING, "pixel-length", el->tag, el->offset,
                   "has %" PRIu64 " bytes, more than the %" PRIu64 " that the image attributes ask for", el->length, wanted);
}

static void check_encapsulated(struct dcm_check *c, const struct dcm_element *el, const struct image *im) {
    if (el->item_count == 0) {
        dcm_report(c, DCM_SEVERITY_ERROR, "pixel-fragments", el->tag, el->offset, "has no basic offset table item");
        return;
    }
    if (im->frames > 0 && el->item_count - 1 < im->frames && !(c->o->ts && c->o->ts->video))
        dcm_report(c, DCM_SEVERITY_ERROR, "pixel-fragments", el->tag, el->offset, "has %" PRIu32 " fragments for %" PRId64 " frames", el->item_count - 1,
                   im->frames);
    if (el->fragments[0].length % 4)
        dcm_report(c, DCM_SEVERITY_ERROR, "pixel-fragments", el->tag, el->fragments[0].offset,
                   "has a basic offset table of %" PRIu32 " bytes, no multiple of 4", el->fragments[0].length);
    for (uint32_t i = 1; i < el->item_count; i++) {
        if (el->fragments[i].length % 2 == 0) continue;
        dcm_report(c, DCM_SEVERITY_ERROR, "length-odd", el->tag, el->fragments[i].offset, "has a fragment of odd length, %" PRIu32, el->fragments[i].length);
        return;
    }
}

void dcm_check_pixels(struct dcm_check *c) {
    static const uint32_t TAGS[] = {DCM_PixelData, DCM_FloatPixelData, DCM_DoubleFloatPixelData};
    for (unsigned i = 0; i < sizeof TAGS / sizeof *TAGS; i++) {
        const struct dcm_element *el = dcm_find(c->o->dataset, TAGS[i]);
        struct image im;
        if (!el || !read_image(c->o->dataset, &im)) continue;
        bool encapsulated = el->flags & DCM_FRAGMENTS;
        check_bits(c, &im);
        if (c->o->ts && c->o->meta && c->o->ts->encapsulated != encapsulated)
            dcm_report(c, DCM_SEVERITY_ERROR, "pixel-syntax", el->tag, el->offset, "is %s; the transfer syntax says otherwise",
                       encapsulated ? "encapsulated" : "native");
        if (encapsulated)
            check_encapsulated(c, el, &im);
        else
            check_native(c, el, &im);
    }
}

// ---- all ----

bool dcm_validate(const struct dcm_object *o, const struct dcm_validate_options *options, struct arena *scratch, struct err *e) {
    struct dcm_check *c = arena_zero(scratch, 1, sizeof *c, e);
    if (!c) return false;
    *c = (struct dcm_check){.o = o, .options = options, .scratch = scratch, .e = e};
    if (o->truncated) dcm_report(c, DCM_SEVERITY_ERROR, "truncated", 0, o->bytes, "ends too early: %s", o->truncated_where);
    dcm_check_meta(c);
    if (o->meta && !dcm_check_elements(c, o->meta)) return false;
    if (!o->dataset) return true;
    if (options->source && !dcm_check_stream(c)) return false;
    if (!dcm_check_elements(c, o->dataset)) return false;
    dcm_check_iod(c);
    dcm_check_pixels(c);
    return true;
}
