// One node: its row, its heartbeat, and whether it is ready.
#include "core/nodes.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <time.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/thread.h"
#include "core/events.h"
#include "core/state.h"
#include "db/migrate.h"
#include "sys/digest.h"

enum {
    ANSWER_MS = 1000,     // the database must answer within
    LOCAL_BEAT_MS = 5000, // of the only node there is: nobody waits for it
    FIGURES_MAX = 16 * 1024,
    WAIT_STEP_MS = 1000,
    AWAY_MS = 10 * 1000, // a bucket that was away no longer is not worth a word
    SCHEMA_AHEAD = 1,    // a schema so many versions newer is worked with
};

static const char *const STATES[] = {[NODE_STARTING] = "starting", [NODE_READY] = "ready", [NODE_DRAINING] = "draining", [NODE_STOPPED] = "stopped"};

static const char JOIN[] =
    "INSERT INTO nodes (name, identity, state, version, dicom, http, started_ms, seen_ms, figures) VALUES (?1, ?2, ?3, ?4, ?5, ?6, {now}, {now}, ?7) "
    "ON CONFLICT (name) DO UPDATE SET identity = excluded.identity, state = excluded.state, version = excluded.version, dicom = excluded.dicom, "
    "http = excluded.http, started_ms = excluded.started_ms, seen_ms = excluded.seen_ms, figures = excluded.figures "
    "WHERE nodes.state = 'stopped' OR nodes.identity = excluded.identity OR nodes.seen_ms <= {now} - ?8 RETURNING started_ms";
static const char BEAT[] = "UPDATE nodes SET state = ?3, dicom = ?4, http = ?5, seen_ms = {now}, figures = ?6 WHERE name = ?1 AND identity = ?2 RETURNING name";

struct node {
    struct archive *ar;
    struct node_options o;
    char name[NODE_NAME_MAX], version[64], identity[2 * 16 + 1];
    pthread_t thread;
    int64_t start_ms;     // monotonic
    pthread_mutex_t lock; // everything below
    pthread_cond_t wake, served_one;
    char dicom[80], http[80];
    enum node_state state;
    bool stopping;
    uint64_t wanted, served; // beats: which was asked for, which was done
    struct err beat_err;     // of the last one; ERR_NONE: good
    int64_t beat_ms;         // when the last good one began, monotonic
    int64_t schema, last_event, lag;
    int64_t away_ms; // since when the bucket is away, monotonic; 0: it is not
};

// ---- what it tells of itself ----

static void write_store(struct json_writer *w, const struct vol_stats *v) {
    json_put_bool(w, "read_only", v->read_only);
    json_put_bool(w, "full", v->full);
    json_put_uint(w, "disk_free_bytes", v->bytes_free_disk);
    json_put_bool(w, "bucket_away", v->bucket_away);
    json_put_uint(w, "bucket_requests", v->requests);
    json_put_uint(w, "bucket_retries", v->retries);
    json_put_uint(w, "cache_bytes", v->cache_bytes);
    json_put_uint(w, "cache_hits", v->cache_hits);
    json_put_uint(w, "cache_misses", v->cache_misses);
}

static void write_figures(struct node *n, struct buf *to, int64_t lag) {
    struct archive *ar = n->ar;
    struct vol_stats v;
    struct json_writer w;
    vol_stats_get(ar->volumes, &v);
    json_init(&w, to, false);
    json_begin_object(&w);
    json_put_int(&w, "uptime_s", (clock_mono_ms() - n->start_ms) / 1000);
    json_put_uint(&w, "schema", DB_MIGRATION_COUNT);
    json_put_int(&w, "event_lag", lag);
    json_put_uint(&w, "stored", ar->stored);
    json_put_uint(&w, "known", ar->known);
    json_put_uint(&w, "conflicts", ar->conflicts);
    json_put_uint(&w, "quarantined", ar->quarantined);
    json_put_uint(&w, "failed", ar->failed);
    write_store(&w, &v);
    if (n->o.figures) n->o.figures(n->o.figures_ctx, &w);
    json_end_object(&w);
}

// ---- alone ----

static bool nobody_is_alone(struct db *d, struct str myself, struct err *e) {
    struct db_stmt *s = db_prepare(d, "SELECT node FROM leases WHERE name = '" LEASE_ALONE "' AND until_ms > {now} AND node <> ?1", e);
    if (!s) return false;
    db_bind_text(s, 1, myself);
    enum db_step step = db_next(s, e);
    bool ok = step == DB_END || (step == DB_ROW && lease_refuse(db_text(s, 0), e));
    db_done(s);
    return ok;
}

// Who is taken for dead by the others (it was stopped, its network was cut) looks before it writes anything, until it was heard of again.
bool node_may_write(void *archive, struct err *e) {
    struct archive *ar = archive;
    int64_t heard = ar->heard_ms;
    if (heard == 0 || clock_mono_ms() - heard < NODE_DEAD_MS) return true;
    struct db *d = db_reader(ar->db, e);
    bool ok = d && nobody_is_alone(d, str_of(ar->node), e);
    db_return(ar->db, d);
    return ok;
}

// ---- beats ----

static bool read_sequence(struct db *d, int64_t *last, int64_t *schema, struct err *e) {
    struct db_stmt *s = db_prepare(d, "SELECT (SELECT coalesce(max(seq), 0) FROM events), (SELECT coalesce(max(number), 0) FROM migrations)", e);
    if (!s) return false;
    bool ok = db_next(s, e) == DB_ROW;
    if (ok) *last = db_int(s, 0), *schema = db_int(s, 1);
    db_done(s);
    return ok;
}

// What is said of it at this moment.
struct said {
    const char *state;
    char dicom[sizeof((struct node *)0)->dicom], http[sizeof((struct node *)0)->http];
};

static struct said say(struct node *n) {
    struct said now;
    pthread_mutex_lock(&n->lock);
    now.state = STATES[n->state];
    memcpy(now.dicom, n->dicom, sizeof now.dicom);
    memcpy(now.http, n->http, sizeof now.http);
    pthread_mutex_unlock(&n->lock);
    return now;
}

// *ours false: the row went, or is another's.
static bool write_beat(struct node *n, struct db *d, struct str figures, bool *ours, struct err *e) {
    const struct said now = say(n);
    struct db_stmt *s = db_prepare(d, BEAT, e);
    if (!s) return false;
    const char *const texts[] = {n->name, n->identity, now.state, now.dicom, now.http};
    for (int i = 0; i < 5; i++) db_bind_text(s, i + 1, str_of(texts[i]));
    db_bind_text(s, 6, figures);
    enum db_step step = db_next(s, e);
    *ours = step == DB_ROW;
    while (step == DB_ROW) step = db_next(s, e);
    db_done(s);
    return step != DB_FAIL;
}

// *ours false: another has the name.
static bool write_join(struct node *n, struct db *d, bool *ours, struct err *e) {
    const struct said now = say(n);
    struct db_stmt *s = db_prepare(d, JOIN, e);
    if (!s) return false;
    const char *const texts[] = {n->name, n->identity, now.state, n->version, now.dicom, now.http, "{}"};
    for (int i = 0; i < 7; i++) db_bind_text(s, i + 1, str_of(texts[i]));
    db_bind_int(s, 8, NODE_DEAD_MS);
    enum db_step step = db_next(s, e);
    *ours = step == DB_ROW;
    while (step == DB_ROW) step = db_next(s, e);
    db_done(s);
    return step != DB_FAIL;
}

static bool tell(struct node *n, struct db *d, struct str figures, struct err *e) {
    bool ours;
    if (!write_beat(n, d, figures, &ours, e)) return false;
    if (ours) return true;
    // Forgotten while we could not be heard; unless another took the name meanwhile, we are there again.
    if (!write_join(n, d, &ours, e)) return false;
    return ours || err_set(e, ERR_CONFLICT, "nodes", "another node is named %s by now: give this one a name of its own (node:)", n->name);
}

// seen: before the database is asked, so that what is committed meanwhile is no lag.
static bool beat(struct node *n, int64_t *last, int64_t *schema, struct err *e) {
    struct buf figures;
    int64_t seen = events_last(n->ar);
    struct db *d = db_side(n->ar->db, e);
    if (!d) return false;
    buf_init(&figures, FIGURES_MAX);
    bool ok = read_sequence(d, last, schema, e);
    if (ok) write_figures(n, &figures, *last > seen ? *last - seen : 0);
    ok = ok && buf_ok(&figures, e) && tell(n, d, buf_str(&figures), e);
    buf_deinit(&figures);
    db_return(n->ar->db, d);
    return ok;
}

static void note_bucket(struct node *n) {
    struct vol_stats v;
    vol_stats_get(n->ar->volumes, &v);
    if (!v.bucket_away)
        n->away_ms = 0;
    else if (n->away_ms == 0)
        n->away_ms = clock_mono_ms();
}

// With the lock held, but for the work.
static void beat_once(struct node *n) {
    struct err e = {0};
    int64_t last = 0, schema = 0, began = clock_mono_ms();
    uint64_t asked = n->wanted;
    pthread_mutex_unlock(&n->lock);
    int64_t seen = events_last(n->ar);
    bool good = beat(n, &last, &schema, &e);
    if (!good && n->beat_err.kind == ERR_NONE) log_err(&e, "heartbeat of node %s", n->name);
    pthread_mutex_lock(&n->lock);
    n->served = asked;
    n->beat_err = e;
    note_bucket(n);
    if (good) {
        n->ar->heard_ms = n->beat_ms = began;
        n->schema = schema;
        n->last_event = last;
        n->lag = last > seen ? last - seen : 0;
    }
    pthread_cond_broadcast(&n->served_one);
}

static struct timespec in_ms(int ms) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    t.tv_sec += ms / 1000;
    t.tv_nsec += ms % 1000 * 1000000L;
    if (t.tv_nsec >= 1000000000) t.tv_sec++, t.tv_nsec -= 1000000000;
    return t;
}

static void *run(void *arg) {
    struct node *n = arg;
    const int every = db_pool_engine(n->ar->db) == DB_POSTGRES ? NODE_BEAT_MS : LOCAL_BEAT_MS;
    pthread_mutex_lock(&n->lock);
    while (!n->stopping) {
        const struct timespec until = in_ms(every);
        int waited = 0;
        beat_once(n);
        while (!n->stopping && n->wanted == n->served && waited == 0) waited = pthread_cond_timedwait(&n->wake, &n->lock, &until);
    }
    pthread_mutex_unlock(&n->lock);
    return NULL;
}

// ---- joining ----

// The same data directory, whose lock we have, is the same node started again: what it left behind is ours.
static bool take_identity(struct node *n, struct err *e) {
    char path[4200];
    uint8_t random[16];
    snprintf(path, sizeof path, "%.4000s/node", n->ar->dir);
    FILE *f = fopen(path, "re");
    bool there = f && fread(n->identity, 1, sizeof n->identity - 1, f) == sizeof n->identity - 1;
    if (f) fclose(f);
    if (there) return true;
    if (getrandom(random, sizeof random, 0) != (ssize_t)sizeof random) return err_errno(e, ERR_IO, "nodes", "random bytes");
    hex_encode(random, sizeof random, n->identity);
    f = fopen(path, "we");
    bool ok = f && fwrite(n->identity, 1, sizeof n->identity - 1, f) == sizeof n->identity - 1;
    if (f && fclose(f) != 0) ok = false;
    return ok || err_errno(e, ERR_IO, "nodes", "write %s", path);
}

static bool run_named(struct db *d, const char *sql, const char *name, struct err *e) {
    struct db_stmt *s = db_prepare(d, sql, e);
    if (!s) return false;
    db_bind_text(s, 1, str_of(name));
    bool ok = db_next(s, e) == DB_END;
    db_done(s);
    return ok;
}

// What a node of this name held when it ended.
static bool give_back(struct node *n, struct db *d, struct err *e) {
    return run_named(d, "UPDATE leases SET until_ms = 0, token = token + 1 WHERE node = ?1", n->name, e) &&
           run_named(d, "UPDATE jobs SET until_ms = 0 WHERE node = ?1 AND until_ms > 0", n->name, e);
}

// *seen: when whoever has our name was last heard of; 0: nobody. *alone: the command that works alone, or "".
static bool look_round(struct node *n, struct db *d, int64_t *seen, char alone[64], struct err *e) {
    struct db_stmt *s = db_prepare(d,
                                   "SELECT coalesce((SELECT seen_ms FROM nodes WHERE name = ?1), 0), "
                                   "coalesce((SELECT node FROM leases WHERE name = ?2 AND until_ms > {now}), '')",
                                   e);
    if (!s) return false;
    db_bind_text(s, 1, str_of(n->name));
    db_bind_text(s, 2, STR_LIT(LEASE_ALONE));
    bool ok = db_next(s, e) == DB_ROW;
    if (ok) {
        *seen = db_int(s, 0);
        snprintf(alone, 64, "%.*s", STR_FMT(db_text(s, 1)));
    }
    db_done(s);
    return ok;
}

static bool refuse_beside(const char *alone, struct err *e) {
    return !alone[0] || err_set(e, ERR_BUSY, "nodes", "%s works on this archive alone: start again when it is done", alone);
}

// The command takes its lease and then looks for nodes; we say that we are there and then look for it again: one of the two sees the other.
static bool stay_beside_nobody(struct node *n, struct db *d, struct err *e) {
    char alone[64] = "";
    int64_t seen;
    if (!look_round(n, d, &seen, alone, e)) return false;
    if (!alone[0]) return true;
    run_named(d, "UPDATE nodes SET state = 'stopped' WHERE name = ?1", n->name, NULL);
    return refuse_beside(alone, e);
}

static bool try_join(struct node *n, bool *ours, int64_t *seen, struct err *e) {
    char alone[64] = "";
    struct db *d = db_side(n->ar->db, e);
    bool ok = d && look_round(n, d, seen, alone, e) && refuse_beside(alone, e);
    ok = ok && write_join(n, d, ours, e) && (!*ours || (stay_beside_nobody(n, d, e) && give_back(n, d, e)));
    db_return(n->ar->db, d);
    return ok;
}

// Who has the name and says so again while we wait lives; who does not is dead in the end.
static bool join(struct node *n, struct err *e) {
    int64_t first = 0, seen = 0;
    for (int waited = 0; waited <= NODE_DEAD_MS + 2 * WAIT_STEP_MS; waited += WAIT_STEP_MS) {
        bool ours = false;
        if (!try_join(n, &ours, &seen, e)) return false;
        if (ours) return true;
        if (first && seen > first) break;
        if (!first) log_line(LOG_INFO, "nodes", "node %s was heard of lately: waiting whether it lives", n->name);
        first = seen;
        struct timespec step = {.tv_sec = WAIT_STEP_MS / 1000};
        nanosleep(&step, NULL);
    }
    return err_set(e, ERR_CONFLICT, "nodes", "a node named %s works on this archive already: give this one a name of its own (node:)", n->name);
}

static void free_node(struct node *n) {
    pthread_mutex_destroy(&n->lock);
    pthread_cond_destroy(&n->wake);
    pthread_cond_destroy(&n->served_one);
    free(n);
}

static struct node *make_node(struct archive *ar, const struct node_options *o) {
    struct node *n = calloc(1, sizeof *n);
    if (!n) return NULL;
    n->ar = ar;
    n->o = *o;
    n->start_ms = clock_mono_ms();
    snprintf(n->name, sizeof n->name, "%s", o->name);
    snprintf(n->version, sizeof n->version, "%s", o->version);
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_mutex_init(&n->lock, NULL);
    pthread_cond_init(&n->wake, &attr);
    pthread_cond_init(&n->served_one, &attr);
    pthread_condattr_destroy(&attr);
    node_set_doors(n, o->dicom, o->http);
    return n;
}

bool node_join(struct archive *ar, const struct node_options *o, struct node **out, struct err *e) {
    struct node *n = make_node(ar, o);
    if (!n) return err_nomem(e, "nodes");
    ar->heard_ms = 0;
    bool joined = take_identity(n, e) && join(n, e);
    if (joined) ar->heard_ms = n->start_ms;
    if (joined && thread_start(&n->thread, "node", run, n, e)) {
        *out = n;
        return true;
    }
    free_node(n);
    return false;
}

// ---- saying ----

static void ask_beat(struct node *n) {
    n->wanted++;
    pthread_cond_signal(&n->wake);
}

void node_set_doors(struct node *n, const char *dicom, const char *http) {
    pthread_mutex_lock(&n->lock);
    snprintf(n->dicom, sizeof n->dicom, "%s", dicom ? dicom : "");
    snprintf(n->http, sizeof n->http, "%s", http ? http : "");
    ask_beat(n);
    pthread_mutex_unlock(&n->lock);
}

void node_set_state(struct node *n, enum node_state state) {
    pthread_mutex_lock(&n->lock);
    n->state = state;
    ask_beat(n);
    pthread_mutex_unlock(&n->lock);
}

enum node_state node_get_state(struct node *n) {
    pthread_mutex_lock(&n->lock);
    enum node_state state = n->state;
    pthread_mutex_unlock(&n->lock);
    return state;
}

const char *node_name(const struct node *n) {
    return n->name;
}

const char *node_version(const struct node *n) {
    return n->version;
}

void node_leave(struct node *n) {
    struct err e = {0};
    if (!n) return;
    node_set_state(n, NODE_STOPPED);
    pthread_mutex_lock(&n->lock);
    n->stopping = true;
    pthread_cond_signal(&n->wake);
    pthread_mutex_unlock(&n->lock);
    pthread_join(n->thread, NULL);
    struct db *d = db_side(n->ar->db, &e);
    bool ours, ok = d && write_beat(n, d, STR_LIT("{}"), &ours, &e) && (!ours || give_back(n, d, &e));
    if (!ok) log_err(&e, "node %s could not say that it leaves", n->name);
    db_return(n->ar->db, d);
    n->ar->heard_ms = 0;
    free_node(n);
}

// ---- ready ----

static void set_schema(struct node *n, int64_t schema) {
    pthread_mutex_lock(&n->lock);
    n->schema = schema;
    pthread_mutex_unlock(&n->lock);
}

// A file answers at once or not at all.
static bool ask_file(struct node *n, struct err *why) {
    int64_t last, schema = 0;
    struct db *d = db_reader(n->ar->db, why);
    bool ok = d && read_sequence(d, &last, &schema, why);
    db_return(n->ar->db, d);
    if (ok) set_schema(n, schema);
    return ok;
}

// A beat that began just now, or one more.
static bool ask_server(struct node *n, struct err *why) {
    const struct timespec until = in_ms(ANSWER_MS);
    int waited = 0;
    if (n->beat_ms && n->beat_err.kind == ERR_NONE && clock_mono_ms() - n->beat_ms < ANSWER_MS) return true;
    ask_beat(n);
    const uint64_t mine = n->wanted;
    while (n->served < mine && waited == 0) waited = pthread_cond_timedwait(&n->served_one, &n->lock, &until);
    if (n->served < mine) return err_set(why, ERR_TIMEOUT, "nodes", "the database has not answered within a second");
    if (n->beat_err.kind != ERR_NONE) *why = n->beat_err;
    return n->beat_err.kind == ERR_NONE;
}

static bool ask_database(struct node *n, struct err *why) {
    if (db_pool_engine(n->ar->db) == DB_SQLITE) return ask_file(n, why);
    pthread_mutex_lock(&n->lock);
    bool ok = ask_server(n, why);
    pthread_mutex_unlock(&n->lock);
    return ok;
}

static bool check_state(struct node *n, struct err *why) {
    static const char *const words[] = {[NODE_STARTING] = "starting", [NODE_DRAINING] = "shutting down", [NODE_STOPPED] = "stopped"};
    enum node_state state = node_get_state(n);
    return state == NODE_READY || err_set(why, ERR_BUSY, "nodes", "%s", words[state]);
}

static bool check_schema(struct node *n, struct err *why) {
    pthread_mutex_lock(&n->lock);
    int64_t schema = n->schema;
    pthread_mutex_unlock(&n->lock);
    if (schema <= (int64_t)DB_MIGRATION_COUNT + SCHEMA_AHEAD) return true;
    return err_set(why, ERR_UNSUPPORTED, "nodes", "the index has schema %lld and this program knows %u: upgrade this node", (long long)schema,
                   DB_MIGRATION_COUNT);
}

// While small volumes can still be kept in the index, senders notice nothing. A full disk alone is no reason: there is everything to be read, and only
// what is sent shows that there is room again.
static bool check_store(struct node *n, struct err *why) {
    struct vol_stats v;
    vol_stats_get(n->ar->volumes, &v);
    pthread_mutex_lock(&n->lock);
    bool away = n->away_ms && clock_mono_ms() - n->away_ms > AWAY_MS;
    pthread_mutex_unlock(&n->lock);
    if (away && v.bucket_away && (v.full || !n->ar->keeps_small))
        return err_set(why, ERR_NET, "nodes", "the bucket is away, and nothing %s kept without it", v.full ? "more is" : "is");
    if (v.read_only || n->ar->read_only) return err_set(why, ERR_FORBIDDEN, "nodes", "nothing can be stored: a flush failed");
    return true;
}

typedef bool node_check(struct node *n, struct err *why);
static node_check *const CHECKS[] = {check_state, ask_database, check_schema, check_store};
enum { CHECK_COUNT = sizeof CHECKS / sizeof *CHECKS };

bool node_is_ready(struct node *n, struct err *why) {
    for (unsigned i = 0; i < CHECK_COUNT; i++)
        if (!CHECKS[i](n, why)) return false;
    return true;
}

// What PostgreSQL or its library says names hosts, users and statements.
static const char *said_of(const struct err *why, bool to_insiders) {
    return to_insiders || strcmp(why->module, "nodes") == 0 ? why->message : "the index does not answer: the log says why";
}

bool node_ready_json(struct node *n, bool to_insiders, struct buf *to) {
    struct json_writer w;
    bool ready = true;
    json_init(&w, to, false);
    json_begin_object(&w);
    json_put_strz(&w, "node", n->name);
    json_put_strz(&w, "version", n->version);
    json_put_strz(&w, "state", STATES[node_get_state(n)]);
    json_key(&w, "reasons");
    json_begin_array(&w);
    for (unsigned i = 0; i < CHECK_COUNT; i++) {
        struct err why = {0};
        if (CHECKS[i](n, &why)) continue;
        ready = false;
        json_strz(&w, said_of(&why, to_insiders));
    }
    json_end_array(&w);
    json_put_bool(&w, "ready", ready);
    json_end_object(&w);
    return ready;
}
