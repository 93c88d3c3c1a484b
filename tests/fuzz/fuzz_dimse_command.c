// Command sets: whatever decodes is encoded and decoded again to the same.
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "dimse/command.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct dimse_command c, again;
    struct err e = {0};
    struct buf b;
    if (!dimse_command_decode((struct str){(const char *)data, size}, &c, &e)) return 0;
    buf_init(&b, 1 << 16);
    dimse_command_encode(&c, &b);
    if (!dimse_command_decode(buf_str(&b), &again, &e)) abort();
    if (again.has != c.has || again.field != c.field || strcmp(again.affected_class, c.affected_class) != 0) abort();
    struct dimse_command rsp = dimse_response(&c, DIMSE_SUCCESS);
    dimse_comment(&rsp, c.error_comment);
    buf_clear(&b);
    dimse_command_encode(&rsp, &b);
    buf_deinit(&b);
    return 0;
}
