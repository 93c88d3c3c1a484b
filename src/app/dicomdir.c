// Reading the Referenced File IDs of a media directory. The records' offsets to each other are not followed: they may lie, and every record is an item.
#include "app/dicomdir.h"

#include <ctype.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/limits.h"
#include "dicom/read.h"
#include "sys/file.h"

#define MEDIA_DIRECTORY "1.2.840.10008.1.3.10"

enum { ARENA_BYTES = 4 * DCM_HEADER_BYTES_MAX, PATH_BYTES = 4096 };

static bool read_directory(struct arena *a, const char *path, enum dcm_build_stop stop, struct dcm_object *o, struct err *e) {
    int fd = -1;
    if (!sys_open(NULL, path, O_RDONLY, 0, &fd, e)) return false;
    bool ok = dcm_read_fd(a, fd, stop, o, e);
    sys_close(NULL, fd);
    return ok;
}

bool dicomdir_is(const char *path) {
    struct arena a;
    struct stat st;
    struct dcm_object o = {0};
    if (stat(path, &st) != 0 || !S_ISREG(st.st_mode)) return false;
    arena_init(&a, ARENA_BYTES);
    bool read = read_directory(&a, path, DCM_STOP_AT_PIXELS, &o, NULL);
    bool is = (read || o.truncated) && o.meta && str_eqz(dcm_text(o.meta, DCM_MediaStorageSOPClassUID), MEDIA_DIRECTORY);
    arena_deinit(&a);
    return is;
}

// A component of a File ID names something in its folder, and nothing else.
static bool component_is_fit(struct str c) {
    return c.n > 0 && c.n < 256 && !str_eqz(c, ".") && !str_eqz(c, "..") && str_find(c, '/', 0) == c.n && str_find(c, '\0', 0) == c.n;
}

// The folder of the directory and the components below it, from out + *folder on.
static bool name_file(const char *path, struct str id, char out[PATH_BYTES], size_t *folder) {
    const char *slash = strrchr(path, '/');
    *folder = slash ? (size_t)(slash - path) + 1 : 0;
    size_t n = *folder;
    if (n >= PATH_BYTES) return false;
    memcpy(out, path, n);
    out[n] = '\0';
    for (struct str rest = id; rest.p;) {
        struct str c = str_trim(str_split(&rest, '\\'));
        if (!component_is_fit(c) || n + c.n + 2 > PATH_BYTES) return false;
        n += (size_t)snprintf(out + n, PATH_BYTES - n, "%s%.*s", n > *folder ? "/" : "", STR_FMT(c));
    }
    return true;
}

static bool is_file(const char *file) {
    struct stat st;
    return lstat(file, &st) == 0 && S_ISREG(st.st_mode);
}

static bool visit_record(const char *path, struct str id, bool (*visit)(void *ctx, const char *file, struct err *e),
                         void (*failed)(void *ctx, const char *file, const struct err *why), void *ctx, struct err *e) {
    char file[PATH_BYTES];
    size_t folder;
    struct err why = {0};
    if (!name_file(path, id, file, &folder)) {
        err_set(&why, ERR_BAD_INPUT, "files", "its DICOMDIR names '%.*s', which is no file below it", STR_FMT(str_sub(id, 0, 100)));
        return failed(ctx, path, &why), true;
    }
    if (is_file(file)) return visit(ctx, file, e);
    char small[PATH_BYTES]; // as a medium without Rock Ridge is often mounted
    memcpy(small, file, sizeof small);
    for (char *p = small + folder; *p; p++) *p = (char)tolower((unsigned char)*p);
    if (is_file(small)) return visit(ctx, small, e);
    err_set(&why, ERR_NOT_FOUND, "files", "listed in the DICOMDIR but not there");
    return failed(ctx, file, &why), true;
}

bool dicomdir_files(const char *path, bool (*visit)(void *ctx, const char *file, struct err *e),
                    void (*failed)(void *ctx, const char *file, const struct err *why), void *ctx, struct err *e) {
    struct arena a;
    struct dcm_object o = {0};
    arena_init(&a, ARENA_BYTES);
    bool ok = read_directory(&a, path, DCM_STOP_NOWHERE, &o, e);
    const struct dcm_element *records = ok && o.dataset ? dcm_find(o.dataset, DCM_DirectoryRecordSequence) : NULL;
    for (uint32_t i = 0; ok && records && i < records->item_count; i++) {
        struct str id = dcm_text(records->items[i], DCM_ReferencedFileID);
        if (id.n) ok = visit_record(path, id, visit, failed, ctx, e);
    }
    arena_deinit(&a);
    return ok;
}
