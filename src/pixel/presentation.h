// Softcopy presentation states (PS3.3 A.33, C.11.8, C.10.4, C.10.6): what one says of a certain image.
#ifndef GANTRY_PIXEL_PRESENTATION_H
#define GANTRY_PIXEL_PRESENTATION_H

#include "base/arena.h"
#include "dicom/dataset.h"
#include "pixel/view.h"

bool px_is_presentation(struct str sop_class_uid);

// Whether an item is for the image: it has no Referenced Image Sequence, or one that names it and the frame (from 0).
bool px_item_applies(const struct dcm_dataset *item, struct str sop_instance_uid, uint32_t frame);
// The first item of a sequence that is for the image, or NULL.
const struct dcm_dataset *px_item_for(const struct dcm_dataset *ps, uint32_t sequence, struct str sop_instance_uid, uint32_t frame);

// Displayed area and spatial transformation; *v has the image's size, and keeps what the presentation state does not say.
void px_presentation_view(const struct dcm_dataset *ps, struct str sop_instance_uid, uint32_t frame, struct px_view *v);

// The images that it is for, in its order.
struct px_reference {
    struct str series_uid, sop_instance_uid;
    uint32_t frame; // from 0: the first that it names
};
bool px_presentation_references(struct arena *a, const struct dcm_dataset *ps, struct px_reference **out, size_t *n, struct err *e);

#endif
