// Any bytes as a volume: a start recovers it, scans walk it, and what they show lies inside the file.
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "store/tar.h"
#include "store/volume.h"
#include "sys/digest.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char dir[64], path[128];

static void clean_up(void) {
    char command[128];
    snprintf(command, sizeof command, "rm -rf %s", dir);
    if (system(command) != 0) perror(dir);
}

static void make_dir(void) {
    const char *base = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
    struct vol_options o = {.dir = dir, .volume_bytes = 1 << 20};
    struct vol_set *vs;
    log_set_level(LOG_ERROR + 1);
    snprintf(dir, sizeof dir, "%s/gantry-fuzz-XXXXXX", base);
    if (!mkdtemp(dir) || !vol_open(&o, &vs, NULL)) abort();
    vol_close(vs);
    snprintf(path, sizeof path, "%s/volumes/v00000001.tar", dir);
    atexit(clean_up);
}

static bool visit(void *ctx, const struct vol_entry *entry, bool damaged, struct err *e) {
    (void)e;
    uint64_t size = *(const uint64_t *)ctx;
    if (!damaged && (entry->end > size || entry->loc.offset + entry->loc.length > entry->end)) abort();
    if (!damaged && entry->kind == VOL_OBJECT && !(tar_uid_ok(entry->study) && tar_uid_ok(entry->series) && tar_uid_ok(entry->sop))) abort();
    return true;
}

static void write_volume(const uint8_t *data, size_t size, mode_t mode) {
    unlink(path);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, mode);
    if (fd < 0 || write(fd, data, size) != (ssize_t)size) abort();
    close(fd);
}

static void open_and_scan(uint64_t size, bool read_only) {
    struct vol_options o = {.dir = dir, .volume_bytes = 1 << 20, .read_only = read_only};
    struct vol_set *vs;
    if (!vol_open(&o, &vs, NULL)) abort();
    uint64_t end;
    if (!vol_scan(vs, 1, 0, true, visit, &size, &end, NULL)) abort();
    vol_close(vs);
}

// Sums and check made right, so that what is behind them is reached too.
static void decode_repaired(const uint8_t *data, size_t size) {
    static char head[TAR_HEAD_MAX];
    struct tar_head out;
    size_t n = size < sizeof head ? size / TAR_BLOCK * TAR_BLOCK : sizeof head;
    uint8_t digest[DIGEST_BYTES];
    if (n < 3 * TAR_BLOCK) return;
    memcpy(head, data, n);
    size_t pax_n = strnlen(head + TAR_BLOCK, n - 2 * TAR_BLOCK);
    size_t head_n = (size_t)tar_round(pax_n) + 2 * TAR_BLOCK;
    for (size_t at = 0; at < head_n; at += head_n - TAR_BLOCK) {
        unsigned sum = 8 * ' ';
        memcpy(head + at + 257, "ustar\00000", 8);
        head[at + 156] = at ? '0' : 'x';
        if (!at) snprintf(head + 124, 12, "%011zo", pax_n);
        for (size_t i = 0; i < TAR_BLOCK; i++) sum += i - 148 < 8 ? 0 : (unsigned char)head[at + i];
        snprintf(head + at + 148, 8, "%06o", sum);
        head[at + 155] = ' ';
    }
    memcpy(head + TAR_BLOCK, "51 SCHILY.xattr.user.gantry.check=0000000000000000\n", 51);
    if (!digest_of(head, head_n, digest, NULL)) abort();
    hex_encode(digest, 8, head + TAR_BLOCK + 34);
    tar_decode(head, n, 0, &out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (!dir[0]) make_dir();
    decode_repaired(data, size);
    write_volume(data, size, 0440);
    open_and_scan(size, true);
    write_volume(data, size, 0640);
    open_and_scan(size, false);
    return 0;
}
