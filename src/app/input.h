// The FILE arguments of the commands that read objects: a path, or "-" for standard input.
#ifndef GANTRY_APP_INPUT_H
#define GANTRY_APP_INPUT_H

#include "app/cli.h"
#include "base/buf.h"
#include "dicom/read.h"
#include "dicom/write.h"

struct input {
    const char *name;
    int fd;
    uint64_t size;
    struct dcm_source source; // of the object's by-reference values
    struct arena arena;       // of the object
    struct dcm_object object;
};

// Opens and reads the object; what cannot be seeked in is spooled to an unlinked temporary file first, so that memory stays bounded. false with
// *e: the object could not be read, or not to its end (in->object.truncated: what was whole is there). Close in either case.
bool input_open(struct input *in, const char *path, struct err *e);
void input_close(struct input *in);

// A buffer's bytes to standard output, which clears it: the drain of the writers.
bool output_drain(void *ctx, struct buf *b, struct err *e);
// A file of these bytes, made anew; one that is there is overwritten.
bool output_file(const char *path, struct str bytes, struct err *e);

// Runs one(args, in, why, e) for every positional argument; why is what input_open said, or NULL. Its failures and those of the inputs are printed on standard
// error. Returns the first exit code that is not 0.
int input_each(struct cli_args *args, bool (*one)(struct cli_args *args, struct input *in, const struct err *why, void *ctx, struct err *e), void *ctx);

#endif
