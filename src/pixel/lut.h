// From stored pixel values to what is shown: modality LUT or rescale (PS3.3 C.11.1), VOI LUT or window (C.11.2), palettes (C.7.9).
#ifndef GANTRY_PIXEL_LUT_H
#define GANTRY_PIXEL_LUT_H

#include "base/arena.h"
#include "base/err.h"
#include "dicom/dataset.h"
#include "pixel/frame.h"

enum px_voi_function { PX_LINEAR, PX_LINEAR_EXACT, PX_SIGMOID };

struct px_window {
    double center, width;
    enum px_voi_function function;
};

struct px_lut {
    uint32_t count; // 1..PX_LUT_ENTRIES_MAX
    int64_t first;  // the value that the first entry stands for; values outside take the nearest entry
    unsigned bits;  // of an entry
    const uint16_t *entry;
};

// Gray: stored value -> modality value -> 0..255.
struct px_mapping {
    double slope, intercept;
    struct px_lut modality; // in place of slope and intercept when it has entries
    struct px_lut voi;      // in place of the window when it has entries
    struct px_window window;
    bool has_window;
    struct px_lut presentation; // after the VOI transformation when it has entries
    bool invert;                // MONOCHROME1, or Presentation LUT Shape INVERSE
    bool has_padding;
    double padding_min, padding_max; // stored values that are no image (C.7.5.1.1.2)
};

// What is asked for in place of the object's own transformations; all zero: nothing.
struct px_choice {
    const struct px_window *window;
    unsigned voi;                           // which of several windows, or of several VOI LUTs, from 0
    const struct dcm_dataset *presentation; // a presentation state: its transformations are all there are (PS3.4 N.2)
    const struct dcm_dataset *softcopy_voi; // the item of its Softcopy VOI LUT Sequence that is for the image, or NULL
};

// What the data set says of a frame (counted from 0): its functional groups, else the shared ones, else the top level. A value that cannot be (a width of 0,
// no number) is as if it were not there; a LUT whose descriptor and data disagree is ERR_UNDECODABLE.
// ERR_NOT_FOUND: it has not so many windows or VOI LUTs as choice->voi wants.
bool px_mapping_of(struct arena *a, const struct dcm_dataset *ds, const struct px_image *image, uint32_t frame, const struct px_choice *choice,
                   struct px_mapping *out, struct err *e);
// The item of a functional group macro for a frame, or NULL (PS3.3 C.7.6.16).
const struct dcm_dataset *px_functional_group(const struct dcm_dataset *ds, uint32_t frame, uint32_t macro);

double px_modality_value(const struct px_mapping *m, double stored);
bool px_is_padding(const struct px_mapping *m, double stored);
// The gray level of a modality value. Without a window and a VOI LUT everything is black: set m->window first.
uint8_t px_gray(const struct px_mapping *m, double modality_value);

bool px_window_valid(const struct px_window *w);
// The window in which min is black and max is white.
struct px_window px_window_over(double min, double max);

struct px_palette {
    uint32_t count;
    int64_t first;
    const uint8_t *rgb; // count * 3
};

bool px_palette_of(struct arena *a, const struct dcm_dataset *ds, const struct px_image *image, struct px_palette *out, struct err *e);

// Entry of a value: never outside.
static inline uint32_t px_lut_index(int64_t value, int64_t first, uint32_t count) {
    if (value <= first) return 0;
    return value - first >= count ? count - 1 : (uint32_t)(value - first);
}

// Reads descriptor (three values: entries, first, bits) and data of one LUT. name is for messages.
bool px_lut_of(struct arena *a, const struct dcm_dataset *ds, uint32_t descriptor, uint32_t data, bool is_signed, const char *name, struct px_lut *out,
               struct err *e);
// Descriptor only, checked.
bool px_lut_descriptor(const struct dcm_dataset *ds, uint32_t descriptor, bool is_signed, const char *name, struct px_lut *out, struct err *e);
// 16-bit words of a value in the data set's byte order; NULL with *e set when they are not there.
uint16_t *px_words_of(struct arena *a, const struct dcm_dataset *ds, uint32_t tag, const char *name, size_t *count, struct err *e);

#endif
