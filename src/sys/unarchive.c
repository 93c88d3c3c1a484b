// The only includer of libarchive's header.
#include "sys/unarchive.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

enum { BLOCK_BYTES = 256 * 1024 };

struct reading {
    struct archive *a;
    const struct unarchive_limits *limits;
    const struct unarchive_visit *visit;
    uint64_t entries, bytes, file_bytes;
};

bool unarchive_looks_like(const void *p, size_t n) {
    const uint8_t *b = p;
    if (n >= 4 && memcmp(b, "PK\003\004", 4) == 0) return true;
    if (n >= 4 && memcmp(b, "PK\005\006", 4) == 0) return true; // an empty zip
    if (n >= 2 && b[0] == 0x1f && b[1] == 0x8b) return true;
    return n >= 262 && memcmp(b + 257, "ustar", 5) == 0;
}

static bool failed(struct reading *r, struct err *e) {
    const char *why = archive_error_string(r->a);
    bool none = archive_errno(r->a) == EILSEQ && archive_format(r->a) == 0; // how the library says that it knows no such format
    return err_set(e, none ? ERR_UNSUPPORTED : ERR_BAD_INPUT, "unarchive", "%s", why ? why : "the archive is broken");
}

static bool within(struct reading *r, uint64_t entry, struct err *e) {
    if (entry > r->limits->entry_bytes_max)
        return err_set(e, ERR_TOO_LARGE, "unarchive", "an entry inflates to more than %llu bytes", (unsigned long long)r->limits->entry_bytes_max);
    if (r->bytes > r->limits->ratio_free && r->bytes / r->limits->ratio_max > r->file_bytes)
        return err_set(e, ERR_TOO_LARGE, "unarchive", "inflates to more than %u times its size: taken for a bomb", r->limits->ratio_max);
    return true;
}

static bool read_entry(struct reading *r, bool take, struct err *e) {
    const void *p;
    size_t n;
    int64_t offset;
    uint64_t entry = 0;
    int code;
    while ((code = archive_read_data_block(r->a, &p, &n, &offset)) == ARCHIVE_OK) {
        entry += n;
        r->bytes += n;
        // A sparse entry's holes are no bytes of an object.
        if (offset != (int64_t)(entry - n)) return err_set(e, ERR_BAD_INPUT, "unarchive", "a sparse entry");
        if (!within(r, entry, e)) return false;
        if (take && n && !r->visit->bytes(r->visit->ctx, p, n, e)) return false;
    }
    if (code != ARCHIVE_EOF) return failed(r, e);
    return !take || r->visit->end(r->visit->ctx, e);
}

static bool read_all(struct reading *r, struct err *e) {
    struct archive_entry *entry;
    int code;
    while ((code = archive_read_next_header(r->a, &entry)) == ARCHIVE_OK || code == ARCHIVE_WARN) {
        bool take = false;
        if (++r->entries > r->limits->entries_max)
            return err_set(e, ERR_TOO_LARGE, "unarchive", "more than %llu entries", (unsigned long long)r->limits->entries_max);
        if (archive_entry_filetype(entry) != AE_IFREG) continue;
        const char *name = archive_entry_pathname(entry);
        if (!r->visit->begin(r->visit->ctx, name ? name : "", &take, e) || !read_entry(r, take, e)) return false;
    }
    return code == ARCHIVE_EOF || failed(r, e);
}

bool unarchive_read(const char *path, const struct unarchive_limits *limits, const struct unarchive_visit *visit, struct err *e) {
    struct stat st;
    if (stat(path, &st) != 0) return err_errno(e, ERR_IO, "unarchive", "open");
    struct reading r = {.a = archive_read_new(), .limits = limits, .visit = visit, .file_bytes = (uint64_t)st.st_size};
    if (!r.a) return err_nomem(e, "unarchive");
    archive_read_support_format_zip(r.a);
    archive_read_support_format_tar(r.a);
    archive_read_support_filter_gzip(r.a);
    bool ok = archive_read_open_filename(r.a, path, BLOCK_BYTES) == ARCHIVE_OK ? read_all(&r, e) : failed(&r, e);
    archive_read_free(r.a);
    return ok;
}
