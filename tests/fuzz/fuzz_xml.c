// Any bytes read as the Native DICOM Model: what is taken is written, and what was written reads back. Blocks of private creators and numbers may
// settle in the first round; from then on the text stays the same.
#include <stdint.h>
#include <stdlib.h>

#include "dicom/xml.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct dcm_dataset *read_xml(struct arena *a, struct str xml) {
    struct dcm_dataset *ds;
    return dcm_xml_read(a, xml, NULL, NULL, &ds, NULL) ? ds : NULL;
}

static void write_xml(struct arena *a, const struct dcm_dataset *ds, struct buf *to) {
    if (!dcm_xml_write(ds, &(struct dcm_json_options){0}, a, to, NULL) || !buf_ok(to, NULL)) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct arena a;
    struct buf texts[3];
    struct str xml = {(const char *)data, size};
    if (size > 1 << 16) return 0;
    arena_init(&a, 1 << 26);
    for (unsigned i = 0; i < 3; i++) buf_init(&texts[i], 1 << 24);
    const struct dcm_dataset *ds = read_xml(&a, xml);
    for (unsigned i = 0; ds && i < 3; i++) {
        write_xml(&a, ds, &texts[i]);
        ds = read_xml(&a, buf_str(&texts[i]));
        if (!ds) abort();
    }
    if (!str_eq(buf_str(&texts[1]), buf_str(&texts[2]))) abort();
    for (unsigned i = 0; i < 3; i++) buf_deinit(&texts[i]);
    arena_deinit(&a);
    return 0;
}
