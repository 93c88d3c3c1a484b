// Any object renders to a picture or an error: first and last frame, at its own size and scaled.
#include <stdint.h>

#include "dicom/read.h"
#include "pixel/render.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void render(const struct dcm_dataset *ds, const struct dcm_source *source, uint32_t frame, uint32_t side) {
    static const struct px_window window = {40, 400, PX_LINEAR};
    const struct px_reader reader = px_reader_native(source);
    struct px_options options = {.width = side, .height = side, .window = side % 2 ? &window : NULL, .source = source};
    if (side == 15) { // a part of it, turned over
        options.region = (struct px_region){.x = 1.5, .y = -2, .width = 7, .height = 1e6};
        options.has_region = options.flip_x = true;
        options.icc = PX_ICC_SRGB;
    }
    if (side == 33) { // by itself as a presentation state
        options.presentation = ds;
        options.presentation_source = source;
    }
    struct px_picture picture;
    struct arena a;
    arena_init(&a, 64 << 20);
    px_render(&a, ds, &reader, frame, &options, &picture, NULL);
    arena_deinit(&a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const struct str bytes = {(const char *)data, size};
    const struct dcm_source source = dcm_source_memory(&bytes);
    struct dcm_object object = {0};
    struct arena a;
    arena_init(&a, 64 << 20);
    bool read = dcm_read_memory(&a, data, size, NULL, DCM_STOP_NOWHERE, &object, NULL);
    if ((read || object.truncated) && object.dataset) {
        render(object.dataset, &source, 0, 0);
        render(object.dataset, &source, 1, 15);
        render(object.dataset, &source, 0, 15);
        render(object.dataset, &source, 0, 33);
        render(object.dataset, &source, 0x7FFFFFFE, 64);
    }
    arena_deinit(&a);
    return 0;
}
