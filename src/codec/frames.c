// Frame tables of data sets that were read whole.
#include "codec/frames.h"

#include "base/limits.h"
#include "codec/frames_find.h"

// An offset table's bytes. One that cannot be right (its size says so) is as if it were not there.
static bool table_of(struct arena *a, const struct dcm_dataset *ds, uint32_t tag, uint64_t bytes, const struct dcm_source *source, struct str *out,
                     struct err *e) {
    const struct dcm_element *el = dcm_find(ds, tag);
    *out = (struct str){NULL, 0};
    if (!el || el->length != bytes || bytes == 0 || el->items || el->flags & DCM_FRAGMENTS) return true;
    if (el->value) return *out = (struct str){(const char *)el->value, (size_t)bytes}, true;
    char *p = arena_alloc(a, (size_t)bytes, e);
    if (!p || !source->read_at(source->ctx, el->offset, p, (size_t)bytes, e)) return err_wrap(e, "reading the extended offset table");
    *out = (struct str){p, (size_t)bytes};
    return true;
}

static bool basic_of(struct arena *a, const struct dcm_fragment *item, uint64_t bytes, const struct dcm_source *source, struct str *out, struct err *e) {
    if (item->length != bytes || bytes == 0) return true;
    char *p = arena_alloc(a, item->length, e);
    if (!p || !source->read_at(source->ctx, item->offset, p, item->length, e)) return err_wrap(e, "reading the basic offset table");
    *out = (struct str){p, item->length};
    return true;
}

static bool pieces_of(struct arena *a, const struct dcm_element *pixels, struct frames_find *f, struct err *e) {
    f->count = pixels->item_count - 1;
    f->pieces = arena_alloc(a, (size_t)f->count * sizeof *f->pieces, e);
    if (!f->pieces) return false;
    for (uint32_t i = 0; i < f->count; i++)
        f->pieces[i] = (struct frames_piece){.offset = pixels->fragments[i + 1].offset, .length = pixels->fragments[i + 1].length};
    return true;
}

bool codec_frames_of(struct arena *a, const struct dcm_dataset *ds, const struct dcm_ts *ts, uint32_t frames, const struct dcm_source *source,
                     struct codec_frames *out, struct err *e) {
    const struct dcm_element *pixels = dcm_find(ds, DCM_PixelData);
    struct frames_find f = {.frames = frames ? frames : 1, .video = ts && ts->video, .source = source};
    if (!pixels || !(pixels->flags & DCM_FRAGMENTS)) return err_set(e, ERR_NOT_FOUND, "codec", "the object has no encapsulated pixel data");
    if (pixels->item_count < 2) return err_set(e, ERR_UNDECODABLE, "codec", "the pixel data has no fragments");
    if (f.frames <= DCM_FRAGMENTS_MAX)
        if (!basic_of(a, &pixels->fragments[0], f.frames * 4, source, &f.basic, e) ||
            !table_of(a, ds, DCM_ExtendedOffsetTable, f.frames * 8, source, &f.extended, e) ||
            !table_of(a, ds, DCM_ExtendedOffsetTableLengths, f.frames * 8, source, &f.extended_lengths, e))
            return false;
    return pieces_of(a, pixels, &f, e) && frames_find(a, &f, out, e);
}
