// Reading masks: DICOM objects through the reader of objects, other files whole.
#include "app/evidence_mask.h"

#include <fcntl.h>
#include <string.h>

#include "app/evidence.h"
#include "app/input.h"
#include "sys/file.h"

static bool read_object(struct arena *a, const char *file, unsigned segment, struct mask *out, struct err *e) {
    struct input in;
    bool ok = input_open(&in, file, e) && mask_read_seg(a, &in.object, &in.source, segment, out, e);
    input_close(&in);
    return ok;
}

static bool read_mapped(struct arena *a, int fd, struct mask *out, struct err *e) {
    struct sys_stat st;
    void *p = NULL;
    if (!sys_stat_fd(fd, &st, e)) return false;
    if (st.size > (uint64_t)MASK_BYTES_MAX) return err_set(e, ERR_TOO_LARGE, "mask", "more than %lld bytes", MASK_BYTES_MAX);
    if (!sys_map(fd, (size_t)st.size, &p, e)) return false;
    bool ok = mask_read(a, (struct str){p, (size_t)st.size}, out, e);
    sys_unmap(p, (size_t)st.size);
    return ok;
}

// DICOM has its four letters at byte 128.
static bool read_file(struct arena *a, const char *file, unsigned segment, struct mask *out, struct err *e) {
    int fd;
    char head[132];
    size_t n;
    if (!sys_open(NULL, file, O_RDONLY, 0, &fd, e)) return false;
    bool ok = sys_read_upto(NULL, fd, head, sizeof head, 0, &n, e), object = ok && n == sizeof head && memcmp(head + 128, "DICM", 4) == 0;
    if (ok && !object) ok = read_mapped(a, fd, out, e);
    sys_close(NULL, fd);
    return object ? read_object(a, file, segment, out, e) : ok;
}

// "0.7,0.7,2.5": as many as the mask has axes.
static bool spacing_given(const char *text, struct mask *m, struct err *e) {
    struct str rest = str_of(text);
    if (m->spaced) return true;
    for (unsigned i = 3 - m->grid.dims; i < 3; i++) {
        if (!rest.p || !str_to_f64(str_split(&rest, ','), &m->grid.spacing[i]))
            return err_set(e, ERR_USAGE, "mask", "--spacing takes %u lengths in mm parted by commas, not %s", m->grid.dims, text);
    }
    if (rest.p) return err_set(e, ERR_USAGE, "mask", "--spacing %s has more lengths than the mask has axes (%u)", text, m->grid.dims);
    m->spaced = true;
    return seg_grid_check(&m->grid, e);
}

bool evidence_masks(struct cli_args *args, struct arena *a, char *const files[2], struct mask masks[2], struct err *e) {
    static const char *const SEGMENT[2] = {"reference-segment", "predicted-segment"};
    const char *spacing = cli_text(args, "spacing", NULL);
    for (unsigned i = 0; i < 2; i++) {
        double segment;
        if (!evidence_number(args, SEGMENT[i], 0, 0, MASK_LABEL_MAX, &segment, e)) return false;
        if (!read_file(a, files[i], (unsigned)segment, &masks[i], e)) return err_wrap(e, "%s", files[i]);
        if (spacing && !spacing_given(spacing, &masks[i], e)) return false;
    }
    return mask_align(a, &masks[0], &masks[1], e);
}
