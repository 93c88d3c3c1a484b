// The parts of `gantry import`: where objects come from, and where they go.
#ifndef GANTRY_APP_IMPORT_H
#define GANTRY_APP_IMPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

enum import_outcome { IMPORT_STORED, IMPORT_KNOWN, IMPORT_CONFLICT, IMPORT_QUARANTINED, IMPORT_NOT_DICOM, IMPORT_FAILED, IMPORT_OUTCOMES };
extern const char *const IMPORT_OUTCOME_NAMES[IMPORT_OUTCOMES];

// One candidate: a file on the disk, or an archive's entry in memory.
struct import_item {
    char *name; // for people: path, or archive and entry
    int fd;     // -1: in memory
    char *bytes;
    uint64_t size;
};
bool import_read(const struct import_item *item, uint64_t at, void *p, size_t n, struct err *e);
// By its first bytes: preamble and prefix, or a data set that begins as one does.
bool import_looks_like_dicom(const struct import_item *item);

// Where objects go. One open destination per worker thread.
struct import_target {
    void *(*open)(void *shared, struct err *e);
    // *why (a fixed text of 480 bytes) says more of what is not STORED or KNOWN.
    enum import_outcome (*put)(void *worker, const struct import_item *item, struct err *why);
    void (*close)(void *worker);
    void *shared;
};

// What came of each.
struct import_counts {
    uint64_t of[IMPORT_OUTCOMES];
    uint64_t bytes;
};
struct import_run {
    const struct import_target *target;
    unsigned workers;
    // Called with one thread at a time; progress: items found so far and done.
    void (*on_item)(void *ctx, const char *name, enum import_outcome outcome, const struct err *why);
    void (*on_progress)(void *ctx, uint64_t done, uint64_t found);
    void *ctx;
};
// Walks the paths (files, folders, zip, tar, tar.gz) and puts every object. false when a path is not there or no destination opens.
bool import_paths(const struct import_run *run, char *const *paths, unsigned n, struct import_counts *out, struct err *e);

#endif
