// Any bytes read as DICOM JSON: what is taken is written, and what was written reads back. Numbers may settle
// in the first round (1e3 in an IS is 1000); from then on the text stays the same.
#include <stdint.h>
#include <stdlib.h>

#include "dicom/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct dcm_dataset *read_json(struct arena *a, struct str json) {
    struct dcm_dataset *ds;
    return dcm_json_read(a, json, NULL, NULL, &ds, NULL) ? ds : NULL;
}

static void write_json(struct arena *a, const struct dcm_dataset *ds, struct buf *to) {
    if (!dcm_json_write(ds, &(struct dcm_json_options){0}, a, to, NULL) || !buf_ok(to, NULL)) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct arena a;
    struct buf texts[3];
    struct str json = {(const char *)data, size};
    if (size > 1 << 16) return 0;
    arena_init(&a, 1 << 26);
    for (unsigned i = 0; i < 3; i++) buf_init(&texts[i], 1 << 24);
    const struct dcm_dataset *ds = read_json(&a, json);
    for (unsigned i = 0; ds && i < 3; i++) {
        write_json(&a, ds, &texts[i]);
        ds = read_json(&a, buf_str(&texts[i]));
        if (!ds) abort();
    }
    if (!str_eq(buf_str(&texts[1]), buf_str(&texts[2]))) abort();
    for (unsigned i = 0; i < 3; i++) buf_deinit(&texts[i]);
    arena_deinit(&a);
    return 0;
}
