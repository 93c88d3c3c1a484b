// Any bytes under any character set decode to valid UTF-8, fold, and encode back without harm.
#include <stdint.h>
#include <stdlib.h>

#include "dicom/charset.h"
#include "dicom/name.h"
#include "text/utf8.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool condition) {
    if (!condition) abort();
}

static void names(struct arena *a, struct str utf8) {
    struct str keys[PN_KEYS_MAX], pinyin;
    struct pn name;
    unsigned count;
    bool match;
    pn_parse(utf8, &name);
    must(pn_pinyin_group(a, &name, &pinyin, NULL));
    must(pn_keys(a, utf8, keys, &count, NULL) && count <= PN_KEYS_MAX);
    for (unsigned i = 0; i < count; i++) must(utf8_valid(keys[i]));
    must(pn_match(a, str_sub(utf8, utf8.n / 2, utf8.n), utf8, &match, NULL));
    must(pn_match_fuzzy(a, str_sub(utf8, 0, utf8.n / 2), utf8, &match, NULL));
}

// The input: the attribute's value, a line feed, the text.
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const uint16_t vrs[] = {DCM_VR_PN, DCM_VR_LO, DCM_VR_ST};
    if (size > 4096) return 0;
    struct str rest = {(const char *)data, size};
    struct str declared = str_split(&rest, '\n');
    struct dcm_charset cs;
    dcm_charset_parse(declared, &cs);
    for (unsigned i = 0; i < 6; i++) {
        struct arena a;
        struct str out, back;
        unsigned flags;
        bool fits;
        arena_init(&a, 64 << 20);
        must(dcm_charset_decode(&a, &cs, vrs[i % 3], rest, i >= 3, &out, &flags, NULL));
        must(utf8_valid(out));
        must(dcm_charset_encode(&a, &cs, vrs[i % 3], out, &back, &fits, NULL));
        must(dcm_charset_find(&cs, vrs[i % 3], rest, '\\', 0) <= rest.n);
        names(&a, out);
        arena_deinit(&a);
    }
    return 0;
}
