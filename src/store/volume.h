// Volumes: append-only POSIX tar files of DICOM Part 10 files, one committing writer, one flush for every object that is waiting.
//
// Layout of a volume set's directory:
//   volumes/v00000001.tar ...  <study>/<series>/<sop>.dcm and the like; `tar xf` gives everything back without Gantry
//   lost/                      made when a restart finds whole objects behind a torn end: raw bytes, for an administrator
//   staging/                   objects under way that are too large for memory, and the next volume; swept at start
// A volume is created at its full size and, when the disk has time, with its blocks already written, so that a flush carries data and no
// metadata. An entry is a pax header (digest, kind, time, source, transfer syntax), a ustar header and the bytes, padded to 512; zeros
// follow the last entry. The entries of one flush begin and end at pages of their own (a pax comment fills up), so that a page with
// acknowledged bytes is never written again. A volume that is finished is cut to its entries and made read-only (mode 0440).
// A spooled object from STORE_OWN_VOLUME_BYTES on is a volume of its own, with a number of its own: several volumes may have grown since
// the index last looked, so positions are kept per volume.
// Entries are flushed before they are acknowledged: the tail of each volume that the index has not seen is replayed at start, by
//   vol_list, and for each volume vol_scan(from = the position that the index has for it, or 0, verify = true).
//
// A remote set keeps the same volumes, byte for byte, as objects of an S3 bucket (<prefix>volumes/v00000001.tar), so that any number of nodes share
// them. Nothing there ever grows: each group that is committed is a volume of its own. It is put to the bucket before its senders are
// answered, or, when it is small, kept in the index in the transaction of its rows (which survives the node as well, in a millisecond instead of
// a request); small volumes are built together into series-sized ones later (vol_build). The directory then holds staging/ and cache/: parts of
// volumes as they were read, in sparse files that are never overwritten, only unlinked, so that a descriptor stays good whatever the cache does.
#ifndef GANTRY_STORE_VOLUME_H
#define GANTRY_STORE_VOLUME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"

enum {
    VOL_NUMBER_BELIEVED = 1 << 30, // a key of the bucket with a number beyond is somebody's own: numbers are not counted on from it, or they would be used up
    VOL_DIGEST_BYTES = 32,         // SHA-256 of the entry's bytes
    VOL_PIECE_BYTES = 256 * 1024   // of a volume that is kept in the index
};

enum vol_kind {
    VOL_OBJECT,     // <study>/<series>/<sop>.dcm
    VOL_CONFLICT,   // conflict/<study>/<series>/<sop>.<first 8 hex of digest>.dcm: other bytes for a SOP Instance UID that is taken
    VOL_QUARANTINE, // quarantine/<first 32 hex of digest>.dcm: could not be understood; the reason is in the pax header
    VOL_TOMBSTONE,  // tombstone/<...>.json: what was deleted, by whom and why, so that the volumes alone give the index back
    VOL_RECORD,     // record/<...>.json: another fact of the archive that must outlive the index
};

// Where an entry's bytes lie.
struct vol_loc {
    uint32_t volume;
    uint64_t offset; // of the first byte after the ustar header; of an encrypted entry, after the envelope that follows it
    uint64_t length; // of the object
};
// Whether they are encrypted: then they can be read but not be sent from the file.
static inline bool vol_is_encrypted(struct vol_loc loc) {
    return loc.offset % 512 == 64;
}

// What is known of an entry from its tar headers alone.
struct vol_entry {
    enum vol_kind kind;
    struct str study, series, sop; // UIDs (OBJECT, CONFLICT); sop is the name's stem for the others
    struct str ts;                 // transfer syntax UID; may be empty
    struct str source;             // who sent it: "aet@address" or a door's name; UTF-8, at most 255 bytes
    struct str note;               // quarantine reason and the like; UTF-8, at most 1024 bytes
    struct str realm;              // where its study belongs, "tenant/site/department" without what is empty at the end; empty: the own realm
    int64_t received_ms;           // wall clock
    uint8_t digest[VOL_DIGEST_BYTES];
    struct vol_loc loc;
    uint64_t end; // offset in the volume just after the entry and its padding
    bool sealed;  // encrypted in the volume (store/seal.h)
};

enum vol_outcome { VOL_STORED, VOL_KNOWN, VOL_STORED_CONFLICT, VOL_STORED_QUARANTINE };

// One entry to be appended. The caller fills entry (all but loc and end) and the bytes; everything borrowed must live until vol_append returns.
struct vol_put {
    // Makes entry.digest, on the thread of vol_append, while the disk begins with the bytes; NULL when it is there already.
    bool (*digest)(void *ctx, uint8_t out[VOL_DIGEST_BYTES], struct err *e);
    void *digest_ctx;
    struct vol_entry entry;
    const void *head; // first bytes (a meta header, or the whole object)
    size_t head_n;
    const void *body; // the rest when it is in memory
    size_t body_n;
    struct vol_spool *spool;  // the rest when it is in a staging file; NULL when in memory. Consumed.
    void *user;               // the index's own
    enum vol_outcome outcome; // set by classify
    bool failed;              // result of the group
    struct err err;
    // private
    struct vol_put *next;       // queue link
    struct vol_waiter *waiter;  // who waits for it
    uint64_t entry_at, head_at; // where its headers lie in the volume, and in the group's buffer
    size_t head_bytes;
    struct sealing *sealing; // of one that is encrypted
    uint8_t *segments;       // its bytes as they come to lie, when they are in memory ...
    bool segments_owned;     // ... of their own
    uint8_t envelope[64];
};

// Where a volume lies.
enum vol_place {
    VOL_IN_DIRECTORY,
    VOL_IN_BUCKET,
    VOL_IN_INDEX, // small, lately written, not yet built into a larger one
};

struct vol_info {
    uint32_t volume;
    enum vol_place place;
    uint64_t size;      // of the tar file
    int64_t created_ms; // wall clock
    bool removed;       // nothing refers to it; kept for those who read it, and until its time is over
};

// What a group became: handed to commit.
struct vol_written {
    uint32_t volume; // 0: nothing was written
    uint64_t end;    // of the last entry
    enum vol_place place;
    uint64_t size;              // of the tar file; 0 while it grows (VOL_IN_DIRECTORY)
    const struct str *contents; // VOL_IN_INDEX: the whole tar file in pieces, to be kept in this transaction
    size_t content_count;
};

// The index's part in a commit. classify and commit are never called by two threads of a set at once, so that they see a serial world of their
// own process; what other nodes did meanwhile, commit finds out in its transaction (outcome and entry.kind may then change: the entry lies as it lies).
struct vol_index {
    void *ctx;
    // Before the first of a group is classified, with all of them: a chance to ask one question for all. May be NULL.
    void (*look)(void *ctx, struct vol_put *const *puts, size_t n);
    // Before anything is written: sets put->outcome and entry.kind (VOL_KNOWN: nothing is written). earlier: the puts already classified in this group.
    bool (*classify)(void *ctx, struct vol_put *put, struct vol_put *const *earlier, size_t n, struct err *e);
    // After the flush: index rows, events and the position of this volume, in one transaction. puts: the whole group, VOL_KNOWN included, but for
    // those that classify refused; volume is 0 when nothing was written. When it fails the puts fail; their entries stay in the volume, unacknowledged.
    bool (*commit)(void *ctx, struct vol_put *const *puts, size_t n, const struct vol_written *w, struct err *e);
    // Of remote sets only; any thread.
    // n volume numbers in a row that no other node gets.
    bool (*reserve)(void *ctx, unsigned n, uint32_t *first, struct err *e);
    // Bytes of a volume that is kept in the index.
    bool (*fetch)(void *ctx, uint32_t volume, uint64_t at, void *p, size_t n, struct err *e);
    // Bytes of all volumes that are kept in the index, by all nodes; NULL: not known.
    bool (*kept)(void *ctx, uint64_t *bytes, struct err *e);
    // What is known of one volume (ERR_NOT_FOUND), and of all, ascending; visit returns false to stop.
    bool (*find)(void *ctx, uint32_t volume, struct vol_info *out, struct err *e);
    bool (*each)(void *ctx, bool (*visit)(void *visit_ctx, const struct vol_info *v, struct err *e), void *visit_ctx, struct err *e);
    // Wrapped keys of volumes, by the first volume of each run. NULL: nothing can be encrypted.
    const struct vol_key_index *keys;
};

struct buf;
struct vol_key_index {
    bool (*run_of)(void *ctx, uint32_t volume, uint32_t *first, struct err *e); // the last that begins at the volume or before it; 0: none
    bool (*get)(void *ctx, uint32_t first, struct buf *out, struct err *e);     // ERR_NOT_FOUND
    bool (*put)(void *ctx, uint32_t first, struct str text, struct err *e);     // replaces; text NULL: removes
    bool (*each)(void *ctx, bool (*visit)(void *visit_ctx, uint32_t first, struct err *e), void *visit_ctx, struct err *e); // ascending
};

// Of a remote set; borrowed while it is opened.
struct s3_options;
struct bucket_ops;
struct vol_remote {
    const struct s3_options *s3;
    const char *prefix;              // of keys; "" or ending with '/'
    uint64_t cache_bytes;            // of the read cache; 0: default
    uint64_t small_bytes;            // a group up to this is kept in the index; 0: every group is put to the bucket
    uint64_t index_bytes_max;        // what the index may keep in all before groups go to the bucket whatever their size; 0: default
    unsigned writers;                // groups on their way to the bucket at once; 0: default
    const struct bucket_ops *bucket; // test seam (store/bucket.h) in the place of s3; NULL: the S3 client
};

// Of what is written from now on, and what opens what was written so before. Borrowed while the set is opened.
struct vol_encryption {
    const char *const *masters; // files and PKCS #11 URIs: the first wraps the keys of new volumes, all of them open what they wrapped
    unsigned master_count;
    const char *cipher; // "aes-256-gcm" (NULL), "sm4-gcm"
    bool plain;         // new entries are not encrypted
};

struct vol_options {
    const char *dir;
    const struct vol_encryption *encryption; // NULL: nothing new is encrypted, and what is cannot be read
    const struct vol_remote *remote;         // NULL: the volumes are in dir
    uint64_t volume_bytes;                   // size of a new volume (STORE_VOLUME_BYTES when 0)
    uint64_t own_volume_bytes;               // STORE_OWN_VOLUME_BYTES when 0
    bool read_only;                          // nothing is recovered, written or created; vol_append answers ERR_FORBIDDEN
    struct vol_index index;
    // End of what the index has seen of a volume (0: nothing): recovery begins there. Called by vol_open only, with index.ctx. NULL: 0 for all.
    uint64_t (*known_end)(void *ctx, uint32_t volume);
    // A volume was sealed after a failed write or flush, damage was found at start, the set went read-only. With index.ctx, on any thread; may be NULL.
    void (*alarm)(void *ctx, const struct err *e);
    const struct sys_file_ops *files; // test seam; NULL: the system's
};

struct vol_set;
struct sys_file_ops;

// Creates what is missing. Flushes and checks the tail of each volume that may have been growing when the process or the power went: whole entries
// stay (the caller replays them), what is torn after them is overwritten with zeros. One set per directory: the caller holds the lock.
bool vol_open(const struct vol_options *o, struct vol_set **out, struct err *e);
// Finishes what is queued, flushes and closes.
void vol_close(struct vol_set *vs);

// Blocks until the entry is durable and indexed, or failed. Any thread. ERR_FULL: no room (recovers by itself); ERR_IO: a flush failed, the volume was
// sealed at its last good entry and a new one is begun for later puts.
bool vol_append(struct vol_set *vs, struct vol_put *put, struct err *e);

// For classify: waits until put->entry.digest is there.
bool vol_await_digest(struct vol_set *vs, struct vol_put *put, struct err *e);

// Bytes of an object that will not fit in memory. Write the meta header here too (put.head empty): then a large object is written once and only
// renamed into its place.
struct vol_spool;
bool vol_spool_open(struct vol_set *vs, struct vol_spool **out, struct err *e);
bool vol_spool_write(struct vol_spool *s, const void *p, size_t n, struct err *e);
bool vol_spool_read_at(struct vol_spool *s, uint64_t offset, void *p, size_t n, struct err *e);
uint64_t vol_spool_size(const struct vol_spool *s);
void vol_spool_drop(struct vol_spool *s);

// Reading. The descriptor is borrowed: valid until vol_fd_release, for sendfile and pread of the bytes of loc (offsets are those of the volume; of a remote
// set these bytes are fetched first if the cache has them not). A dup of it stays good for these bytes.
// ERR_NOT_FOUND: the volume is no more, its entries were moved: look the object up again. ERR_BUSY: archived, being restored.
// Not for entries that are encrypted (vol_is_encrypted): what lies in the file is not what is to be sent.
bool vol_fd(struct vol_set *vs, struct vol_loc loc, int *fd, struct err *e);
void vol_fd_release(struct vol_set *vs, uint32_t volume, int fd);

struct vol_state {
    uint64_t size; // of the tar file as it is
    bool growing;
    int64_t stamp; // another one whenever what was read before may read otherwise now (a file's mtime in ns)
    uint64_t file; // another one when vol_fd gives another file than before (of a remote set); 0 of a directory
};
bool vol_state_get(struct vol_set *vs, uint32_t volume, struct vol_state *out, struct err *e);
bool vol_read_at(struct vol_set *vs, struct vol_loc loc, uint64_t from, void *p, size_t n, struct err *e);
// What was read is not what was stored: forgets what the cache has of this volume, unless that was done a moment ago. True: it is to be read once more. A
// directory has no cache: false.
bool vol_refetch(struct vol_set *vs, struct vol_loc loc);
// Re-reads all bytes from the disk or the bucket (past the caches where the system lets us) and compares. ERR_CORRUPT when they differ.
bool vol_verify(struct vol_set *vs, const struct vol_entry *entry, struct err *e);

// Visits entries of one volume from an offset, in order; *end (may be NULL) is just after the last entry. Used by replay, reindex, fsck and compaction.
// verify: digests are recomputed; a mismatch is visited with damaged true. Bytes that are no entry are also visited with damaged true: sop is
// empty and loc is the gap; the scan goes on with the next entry after it. visit returns false to stop (*e is then its own).
// entry and its strings are valid during the call only.
typedef bool vol_visit(void *ctx, const struct vol_entry *entry, bool damaged, struct err *e);
bool vol_scan(struct vol_set *vs, uint32_t volume, uint64_t from, bool verify, vol_visit *visit, void *ctx, uint64_t *end, struct err *e);
// All volume numbers, ascending; *out is malloc'ed for the caller.
bool vol_list(struct vol_set *vs, uint32_t **out, size_t *n, struct err *e);
// Visits what lies there: size and created_ms as the directory or the bucket has them, and the index of what is kept in it. In any order. visit returns
// false to stop (*e is then its own).
typedef bool vol_each_visit(void *ctx, const struct vol_info *v, struct err *e);
bool vol_each(struct vol_set *vs, vol_each_visit *visit, void *ctx, struct err *e);
// Of a remote set: visits the volumes of the bucket with numbers beyond this one, at the cost of one request when there are none.
bool vol_beyond(struct vol_set *vs, uint32_t after, vol_each_visit *visit, void *ctx, struct err *e);
// Removes the file; what was alive in it was copied by the caller through vol_append. ERR_BUSY for the volume that is being written.
bool vol_remove(struct vol_set *vs, uint32_t volume, struct err *e);

// Copies a volume of another set, byte for byte and under its own number, which nobody else may be given. end: of the last entry to be taken of a volume
// that grows; VOL_WHOLE: the file as it is. Durable when it returns; nobody has looked at its entries.
#define VOL_WHOLE UINT64_MAX
bool vol_copy(struct vol_set *to, struct vol_set *from, uint32_t volume, uint64_t end, struct vol_info *out, struct err *e);

// A volume made aside of entries of other volumes (merging, compaction), durable before anything refers to it.
struct vol_build;
bool vol_build_open(struct vol_set *vs, struct vol_build **out, struct err *e);
// Copies the entry that lies at from->loc with all that its headers say; its digest is checked on the way (ERR_CORRUPT: nothing was added).
// *to: where it will lie; the volume's number is known from the first entry on.
bool vol_build_add(struct vol_build *b, const struct vol_entry *from, struct vol_loc *to, struct err *e);
// Flushed or put, and named. The caller commits what refers to it; not a word of it is lost when it never does.
bool vol_build_finish(struct vol_build *b, struct vol_info *out, struct err *e);
void vol_build_drop(struct vol_build *b); // after finish too; NULL is fine

// Remote sets: another storage class, and an archived volume asked back. Directory: ERR_UNSUPPORTED.
bool vol_set_class(struct vol_set *vs, uint32_t volume, const char *storage_class, struct err *e);
bool vol_restore(struct vol_set *vs, uint32_t volume, unsigned days, struct err *e);
// The bucket's legal hold of a volume: while it is on nobody removes the object. ERR_UNSUPPORTED: the bucket has no object lock, or a directory.
bool vol_legal_hold(struct vol_set *vs, uint32_t volume, bool on, struct err *e);
// Puts in parts that were begun before this time (wall clock) and never finished: what the bucket keeps of them goes. A directory has none.
bool vol_abort_stale(struct vol_set *vs, int64_t before_ms, unsigned *aborted, struct err *e);

// Whether new entries are encrypted.
bool vol_encrypts(const struct vol_set *vs);

// A master key in a new file, which is its owner's alone. ERR_CONFLICT: the file is there.
bool vol_master_new(const char *path, struct err *e);

// Runs of keys, ascending, whether they can be opened or not.
struct vol_key_info {
    uint32_t first;
    unsigned n;
    const char *cipher;
    char master[17];
    const char *master_place; // NULL: that master key is not given
};
typedef bool vol_key_visit(void *ctx, const struct vol_key_info *info, struct err *e);
bool vol_keys_each(struct vol_set *vs, vol_key_visit *visit, void *ctx, struct err *e);

struct vol_key_report {
    uint64_t runs, keys, rewrapped; // rewrapped: runs that were under another master key
};
// Wraps all keys anew under the first master key; whatever other master keys opened is then opened by this one alone.
bool vol_keys_rotate(struct vol_set *vs, struct vol_key_report *out, struct err *e);
// Destroys all keys: nothing that is encrypted can ever be read again.
bool vol_keys_erase(struct vol_set *vs, struct vol_key_report *out, struct err *e);

// A volume as one that is not encrypted: the same entries with readable headers and bytes, in order, each checked against its digest. Entries that
// are damaged are left out and counted.
typedef bool vol_export_write(void *ctx, const void *p, size_t n, struct err *e);
bool vol_export(struct vol_set *vs, uint32_t volume, vol_export_write *write, void *ctx, uint64_t *entries, uint64_t *damaged, struct err *e);

struct vol_stats {
    uint64_t volumes, bytes_used, bytes_free_disk, flushes, objects, sealed;
    bool read_only;
    bool full;
    // remote sets
    uint64_t requests, retries; // to the bucket; of these requests:
    uint64_t puts, gets, heads, deletes, lists, others;
    uint64_t cache_bytes, cache_hits, cache_misses;
    bool bucket_away; // the last request failed
};
void vol_stats_get(struct vol_set *vs, struct vol_stats *out);

#endif
