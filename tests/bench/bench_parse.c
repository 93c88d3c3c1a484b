// Parses the header of every file given, to the pixel data, as ingest does: the part of a read that is ours.
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "base/arena.h"
#include "dicom/read.h"

int main(int argc, char **argv) {
    struct arena a;
    arena_init(&a, DCM_HEADER_BYTES_MAX);
    for (int i = 1; i < argc; i++) {
        struct dcm_object o;
        struct err e = {0};
        int fd = open(argv[i], O_RDONLY);
        bool ok = fd >= 0 && dcm_read_fd(&a, fd, DCM_STOP_AT_PIXELS, &o, &e);
        if (fd >= 0) close(fd);
        if (!ok) return fprintf(stderr, "%s: %s\n", argv[i], e.message), 1;
        arena_reset(&a);
    }
    arena_deinit(&a);
    return 0;
}
