// Every file of the reference data: what is readable is read and written back byte for byte; what is broken is refused in little time and memory.
// The folder comes as the argument; without it there is nothing to test.
#include "dicom_bytes.h"

#include <fcntl.h>
#include <fts.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "dicom/write.h"

enum { SKIPPED = 77, ARENA_BYTES = 128 << 20, WRITTEN_BYTES = 512 << 20, SLOW_MS = 10 * 1000 };

static char root[4096];

// Files that are not written back as they were, or not read, and why. Paths end so.
static const struct exception {
    const char *path;
    const char *why;
} exceptions[] = {
    {"ivmartel__dwv/bbmri.dcmdir", "its elements are not in tag order"},
    {"dicomdirtests/DICOMDIR-nooffset", "its last item is longer than the file"},
    {"fo-dicom__fo-dicom/GH064.dcm", "sequences of defined length that hold a delimiter and no item"},
    {"fo-dicom__fo-dicom/GH179B.dcm", "cut short inside (2031,0028)"},
    {"fo-dicom__fo-dicom/GH364.dcm", "an item at the top level, without its sequence; DCMTK refuses it too"},
    {"pydicom__deid/resources/", "text files with the suffix .dicom"},
};

static const char *exception_of(const char *path) {
    for (size_t i = 0; i < sizeof exceptions / sizeof exceptions[0]; i++) {
        if (strstr(path, exceptions[i].path)) return exceptions[i].why;
    }
    return NULL;
}

static bool is_dicom_name(const char *path) {
    static const char *const others[] = {"/standard_tables/", "/http/", "/pdu/", "/j2k_codestreams/", "README", "index.tsv", "expected.json", "_notes.tsv"};
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        if (strstr(path, others[i])) return false;
    }
    return true;
}

static struct str map(const char *path) {
    struct stat st;
    int fd = open(path, O_RDONLY);
    assert_true(fd >= 0 && fstat(fd, &st) == 0);
    void *p = st.st_size ? mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0) : (void *)"";
    assert_true(p != MAP_FAILED);
    close(fd);
    return (struct str){p, (size_t)st.st_size};
}

static void unmap(struct str file) {
    if (file.n) munmap((void *)file.p, file.n);
}

static size_t common(struct str a, struct str b) {
    size_t n = 0;
    while (n < a.n && n < b.n && a.p[n] == b.p[n]) n++;
    return n;
}

// Trailing zeros of the file are padding, not data set.
static bool is_same(struct str file, struct str written) {
    size_t n = common(file, written);
    if (n < written.n) return false;
    while (n < file.n && file.p[n] == 0) n++;
    return n == file.n;
}

static bool is_written_back(const struct dcm_object *o, struct str file) {
    if (o->ts->deflated) return true;
    struct dcm_source source = dcm_source_memory(&file);
    struct buf written;
    struct err e = {0};
    buf_init(&written, WRITTEN_BYTES);
    bool ok = dcm_write_dataset(o->dataset, o->ts, &source, dcm_sink_buf(&written), &e);
    if (!ok) print_error("%s\n", e.message);
    ok = ok && is_same(str_sub(file, (size_t)o->dataset_offset, file.n), buf_str(&written));
    buf_deinit(&written);
    return ok;
}

// True when all is as it should be for a well-formed file.
static bool is_true_to(const char *path) {
    struct arena a;
    struct dcm_object o;
    struct err e = {0};
    arena_init(&a, ARENA_BYTES);
    struct str file = map(path);
    bool ok = dcm_read_memory(&a, file.p, file.n, NULL, DCM_STOP_NOWHERE, &o, &e);
    if (!ok)
        print_error("%s: %s\n", path, e.message);
    else if (!is_written_back(&o, file))
        ok = false, print_error("%s: not written back as it was\n", path);
    arena_deinit(&a);
    unmap(file);
    return ok;
}

static bool is_borne(const char *path, enum dcm_build_stop stop) {
    struct arena a;
    struct dcm_object o;
    struct err e = {0};
    arena_init(&a, ARENA_BYTES);
    int fd = open(path, O_RDONLY);
    clock_t from = clock(); // of the processor: others may have it meanwhile
    bool ok = dcm_read_fd(&a, fd, stop, &o, &e);
    close(fd);
    bool borne = (clock() - from) / (CLOCKS_PER_SEC / 1000) < SLOW_MS && (ok || e.kind == ERR_BAD_INPUT || e.kind == ERR_TOO_LARGE);
    if (!borne) print_error("%s: %s\n", path, e.message);
    arena_deinit(&a);
    return borne;
}

static void walk(bool hostile, unsigned *seen, unsigned *bad) {
    char *const paths[] = {root, NULL};
    FTS *fts = fts_open(paths, FTS_LOGICAL | FTS_NOCHDIR, NULL);
    assert_non_null(fts);
    for (FTSENT *f = fts_read(fts); f; f = fts_read(fts)) {
        if (f->fts_info != FTS_F || !is_dicom_name(f->fts_path) || (strstr(f->fts_path, "/hostile/") != NULL) != hostile) continue;
        ++*seen;
        bool ok = hostile || exception_of(f->fts_path) ? is_borne(f->fts_path, DCM_STOP_NOWHERE) && is_borne(f->fts_path, DCM_STOP_AT_PIXELS)
                                                       : is_true_to(f->fts_path);
        *bad += !ok;
    }
    fts_close(fts);
}

static void every_readable_file_is_written_back_byte_for_byte(void **state) {
    (void)state;
    unsigned seen = 0, bad = 0;
    walk(false, &seen, &bad);
    print_message("%u files\n", seen);
    assert_true(seen > 0);
    assert_int_equal(bad, 0);
}

static void hostile_files_cost_little_and_fail_with_a_reason(void **state) {
    (void)state;
    unsigned seen = 0, bad = 0;
    walk(true, &seen, &bad);
    print_message("%u files\n", seen);
    assert_true(seen > 0);
    assert_int_equal(bad, 0);
}

int main(int argc, char **argv) {
    if (argc < 2 || !realpath(argv[1], root)) {
        printf("SKIP the reference data are not there\n");
        return SKIPPED;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_readable_file_is_written_back_byte_for_byte),
        cmocka_unit_test(hostile_files_cost_little_and_fail_with_a_reason),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
