// Objects that are put in parts.
#include "base/limits.h"
#include "http/s3_wire.h"

bool s3_put_parts(struct s3 *c, const char *key, const struct s3_body *body, bool create, struct err *e) {
    (void)c, (void)body, (void)create;
    return err_set(e, ERR_UNSUPPORTED, "s3", "PUT %s: objects from %d bytes on are not put yet", key, S3_PART_BYTES);
}
