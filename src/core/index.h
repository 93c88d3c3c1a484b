// The index's part in every commit: what an entry of a volume means in rows. One code path for ingest, replay, reindex, deletion and compaction.
#ifndef GANTRY_CORE_INDEX_H
#define GANTRY_CORE_INDEX_H

#include "core/access.h"
#include "core/bases.h"
#include "core/events.h"
#include "core/header.h"
#include "core/parts.h"
#include "core/searchable.h"
#include "core/state.h"
#include "core/word.h"

enum {
    INDEX_REASON_MAX = 256,
};

// vol_put.user: all that the commit needs, made ready on the sender's thread.
struct index_put {
    struct arena *arena; // of the sender, who waits: the writer's thread may use it
    struct facts facts;  // objects and conflicting copies; offsets from the start of the file
    const struct dcm_source *source;
    uint64_t length; // of the file
    bool described;  // study and series are filled
    struct study_facts study;
    struct series_facts series;
    enum header_kind header_kind;
    struct str header_plain; // packed, before compression
    struct buf header;       // compressed, against base when there is one
    struct part_facts parts; // sums are there once the digest is
    struct base *base;
    struct str home;           // the sender's realm
    const struct scope *store; // into which studies the sender may store, wherever it is at home; NULL: of an entry that lies in a volume
    bool placed;               // home is a place where the sender may store; else it may store only into studies that it reaches
    bool apart;                // it is of another tenant than what has its UID: kept aside, and nobody is told
    const struct word *word;   // of a tombstone or a record
    bool damaged;              // replay: the bytes do not match their digest
    bool has_twin;             // found equal to the kept object of this digest
    uint8_t twin[VOL_DIGEST_BYTES];
    bool has_other; // found unlike the kept object of this digest
    uint8_t other[VOL_DIGEST_BYTES];
    char kept_realm[REALM_BYTES]; // of what was found the same, in an archive of several realms
    bool heals;                   // the row that is there stands for bytes that are damaged or missing
    // of a shared archive (commit.c)
    bool hit;                      // its SOP Instance UID is in the index (of the last question)
    bool looked, seen;             // its SOP Instance UID was looked for with those of the group, and found
    int64_t looked_at;             // the last event then
    const struct vol_put *twin_of; // the same bytes before it in the group
    bool among;                    // a conflicting copy because of another object of the group
    bool taken;                    // by what is in the index when the group is written
    bool in_order, must_read;      // nothing may be read from the volumes to compare it; that would have been needed
    int kept;                      // enum index_kept, when it is taken
    // result
    bool patient_conflict; // stored and served, but its study is also under another patient
    bool known_conflict;   // VOL_KNOWN because this conflicting copy is kept already
    char reason[INDEX_REASON_MAX];
};

// Reads the facts and makes the rows' content ready. shift: bytes of the file before the stream that o was read from; source reads the file.
bool index_prepare(struct archive *ar, struct arena *a, const struct dcm_object *o, uint64_t shift, const struct dcm_source *source, uint64_t length,
                   struct index_put *out, struct err *e);
// The same in two steps: what is read, and the header compressed against what its series has. The second may be done again.
bool index_read_facts(struct arena *a, const struct dcm_object *o, uint64_t shift, const struct dcm_source *source, uint64_t length, struct index_put *out,
                      struct err *e);
bool index_pack(struct archive *ar, struct index_put *p, struct err *e);
void index_put_deinit(struct index_put *p);

bool index_open(struct archive *ar, struct err *e);
void index_close(struct archive *ar);
extern const struct vol_key_index volume_keys; // volume_keys.c
struct vol_index index_callbacks(struct archive *ar);
// Where the index has seen a volume to (vol_options.known_end).
uint64_t index_known_end(void *ctx, uint32_t volume);

// Whether nothing is known of what lies at a place. Any thread.
bool index_is_place_free(struct archive *ar, struct vol_loc loc, bool *is_new, struct err *e);
// Indexes what volumes hold beyond the index's positions; *count entries were new. Before ingest begins, or on the writer's thread.
bool index_replay(struct archive *ar, void (*on_progress)(void *ctx, uint64_t done, uint64_t total), void *ctx, uint64_t *count, struct err *e);
// Fills an index that has no objects yet from all that the volumes hold, and notes that with an event.
bool index_rebuild(struct archive *ar, void (*on_progress)(void *ctx, uint64_t done, uint64_t total), void *ctx, uint64_t *objects, struct err *e);
// The same of one whole volume of those that the index lists and that grows no more, however far it was seen; it is marked as seen to its end. Any thread;
// nothing is read from the volumes while others wait to write.
bool index_replay_volume(struct archive *ar, uint32_t volume, uint64_t *count, struct err *e);
// The header of an object in a volume. chunk: room to read through.
bool index_read_object(struct arena *a, struct vol_set *vs, struct vol_loc loc, char *chunk, size_t chunk_n, struct dcm_object *out, struct err *e);
// Rebuilding: tombstones of all volumes first, so that replay skips what they name.
bool index_collect_tombstones(struct archive *ar, struct err *e);

// ---- within the writer's transaction (rows.c, kill.c) ----

enum { PLACES_MAX = 256 };

// A series row lately written to, with the counts that are not yet in it.
struct place {
    bool used, dirty;
    uint8_t key[FACTS_PLACE_BYTES];
    int64_t patient, study, series, header_base;
    bool patient_conflict;
    int64_t instances, bytes, changed_ms;
    char sop_classes[512];
    char realm[REALM_BYTES];
};

// Realms whose rows are known.
enum { KNOWN_REALMS_MAX = 16 };
struct known_realm {
    int64_t id; // 0: none
    char text[REALM_BYTES];
};

enum figure { FIGURE_PATIENTS, FIGURE_STUDIES, FIGURE_SERIES, FIGURE_INSTANCES, FIGURE_BYTES, FIGURE_CONFLICTS, FIGURE_QUARANTINED, FIGURE_COUNT };
extern const char *const FIGURE_NAMES[FIGURE_COUNT];

struct index {
    struct archive *ar;
    struct bases bases;
    struct place places[PLACES_MAX];
    unsigned dirty[PLACES_MAX], dirty_count;
    int64_t figures[FIGURE_COUNT]; // changes of this transaction
    struct known_realm realms[KNOWN_REALMS_MAX];
    unsigned realm_count; // how many were put there
    struct arena scratch;
    struct buf packed;
    struct searchable_now searchable;
    unsigned alarms, alarms_told; // of archive.alarms: in this transaction, and committed
    bool gap;                     // a commit failed: the volumes hold entries that the index has not seen
    bool silent;                  // rebuilding under a log that was carried over: no events
    // of a shared archive (commit.c)
    bool rechecked;   // others wrote since
    int64_t began_us; // the last transaction
};

// An entry becomes rows. ERR_NONE and nothing done when it is there already.
bool rows_object(struct index *ix, struct db *w, const struct vol_entry *en, struct index_put *p, struct err *e);
bool rows_conflict(struct index *ix, struct db *w, const struct vol_entry *en, const struct index_put *p, struct err *e);
bool rows_quarantine(struct index *ix, struct db *w, const struct vol_entry *en, struct str reason, struct err *e);
bool rows_record(struct db *w, const struct vol_entry *en, struct err *e);
bool rows_dead(struct db *w, struct vol_loc loc, struct str sop, const char *why, struct err *e);
// The series row of an object, made when it is new (places.c).
struct place *places_get(struct index *ix, struct db *w, const struct vol_entry *en, struct index_put *p, struct err *e);
void places_touch(struct index *ix, struct place *place);
// Writes counts and figures out.
bool places_flush(struct index *ix, struct db *w, struct err *e);
void places_clear(struct index *ix);
bool figures_flush(struct index *ix, struct db *w, struct err *e);
// Study and series texts when the sender left them out.
bool index_describe(struct index_put *p, struct err *e);
bool index_event(struct index *ix, struct db *w, struct event *ev, struct err *e);

enum index_kept {
    INDEX_NEW,           // nothing is kept under its SOP Instance UID
    INDEX_SAME,          // the same object
    INDEX_SAME_DAMAGED,  // the same, but those bytes are damaged, or their volume is missing
    INDEX_SAME_CONFLICT, // the same as a conflicting copy
    INDEX_LOST_CONFLICT, // the same as a conflicting copy whose volume is missing
    INDEX_OTHER,         // other bytes
};
// What an object is to those that d sees. Any thread that owns p: what was found equal byte for byte is remembered in p and not compared again.
bool index_compare(struct index *ix, struct db *d, const struct vol_entry *en, struct index_put *p, enum index_kept *out, struct err *e);
// The writing transaction of what uses this process's memory of the index: what others changed since is forgotten first.
bool index_begin(struct index *ix, struct db *w, struct err *e);
// After its commit: what is remembered accounts for all events until now.
void index_settle(struct index *ix);
bool index_set_position(struct db *w, uint32_t volume, uint64_t end, struct err *e);
// After a rollback: nothing remembered counts.
void index_forget(struct index *ix);

// An object that is acknowledged without being kept once more. conflict: what is kept is a conflicting copy.
void index_be_known(struct vol_put *put, bool conflict);
void index_be_conflict(struct vol_put *put);
// The group's part that looks for its UIDs at once, of a shared archive (vol_index.look), and the commit.
void commit_look(void *ctx, struct vol_put *const *puts, size_t n);
bool commit_group(void *ctx, struct vol_put *const *puts, size_t n, const struct vol_written *written, struct err *e);
// Volumes as the index has them, for remote sets (volumes.c).
bool volumes_note(struct db *w, const struct vol_written *written, struct err *e);
// The numbers of volumes go on after those that lie in the bucket, whatever the index counts: one that was restored to an earlier time counts to less.
bool volumes_catch_up(struct archive *ar, struct err *e);
bool volumes_reserve(void *ctx, unsigned n, uint32_t *first, struct err *e);
bool volumes_fetch(void *ctx, uint32_t volume, uint64_t at, void *p, size_t n, struct err *e);
bool volumes_kept(void *ctx, uint64_t *bytes, struct err *e);
bool volumes_find(void *ctx, uint32_t volume, struct vol_info *out, struct err *e);
bool volumes_each(void *ctx, bool (*visit)(void *visit_ctx, const struct vol_info *v, struct err *e), void *visit_ctx, struct err *e);

// Writes what a tombstone names as dead, whatever lies there or not.
bool kill_collect(struct db *w, struct str json, struct err *e);
// The row of this place goes, for its bytes are lost.
bool kill_missing(struct index *ix, struct db *w, struct vol_loc loc, struct str sop, struct err *e);
// The entry is at its new place; the old one is dead.
bool kill_moved(struct index *ix, struct db *w, const struct vol_entry *en, struct vol_loc from, struct err *e);
// What a tombstone names dies.
bool kill_tombstone(struct index *ix, struct db *w, const struct vol_entry *en, struct str json, struct err *e);

// Runs one statement with these parameters; false on failure. Changed rows: db_changes.
struct sql_value {
    enum { SQL_INT, SQL_TEXT, SQL_BLOB, SQL_NULL } kind;
    int64_t i;
    struct str s;
};
bool sql_run(struct db *d, const char *sql, const struct sql_value *values, int n, struct err *e);
// As sql_run for a query of one row: *found says whether there was one, out gets its first n_out columns as integers.
bool sql_one(struct db *d, const char *sql, const struct sql_value *values, int n, int64_t *out, int n_out, bool *found, struct err *e);
// An INSERT that says RETURNING id.
bool sql_insert(struct db *d, const char *sql, const struct sql_value *values, int n, int64_t *id, struct err *e);
#define SQL_I(v) ((struct sql_value){SQL_INT, (int64_t)(v), {NULL, 0}})
#define SQL_T(v) ((struct sql_value){SQL_TEXT, 0, (v)})
#define SQL_B(p, n) ((struct sql_value){SQL_BLOB, 0, {(const char *)(p), (n)}})
#define SQL_OPT(has, v) ((struct sql_value){(has) ? SQL_INT : SQL_NULL, (int64_t)(v), {NULL, 0}})
#define SQL_VALUES(...) (const struct sql_value[]){__VA_ARGS__}, (int)(sizeof((const struct sql_value[]){__VA_ARGS__}) / sizeof(struct sql_value))

#endif
