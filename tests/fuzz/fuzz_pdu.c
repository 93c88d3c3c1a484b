// A-ASSOCIATE PDU bodies: whatever decodes is encoded and decoded again to the same.
#include <stdint.h>
#include <stdlib.h>

#include "dimse/pdu.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void round_trip(const struct pdu_associate *in, bool ac) {
    struct buf b;
    struct arena a;
    struct pdu_associate out;
    struct err e = {0};
    buf_init(&b, 1 << 22);
    arena_init(&a, 1 << 24);
    if (pdu_associate_encode(in, ac, &b, &e)) {
        if (!pdu_associate_decode(&a, str_sub(buf_str(&b), 6, b.n), ac, &out, &e)) abort();
        if (out.context_count != in->context_count || out.role_count != in->role_count || out.max_length != in->max_length) abort();
    }
    arena_deinit(&a);
    buf_deinit(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct arena a;
    struct pdu_associate out;
    struct err e = {0};
    if (size < 1) return 0;
    bool ac = data[0] & 1; // the first byte chooses the PDU, the rest is its body
    arena_init(&a, 1 << 24);
    if (pdu_associate_decode(&a, (struct str){(const char *)data + 1, size - 1}, ac, &out, &e)) round_trip(&out, ac);
    pdu_foreign(data, size);
    arena_deinit(&a);
    return 0;
}
