// Connections to PostgreSQL: made, spoken to in pipeline mode, waited for with deadlines. Private to the driver (db/postgres.c); the only user of libpq.
//
// No wait is without an end: a connection is made within PG_CONNECT_MS for each host, a statement answered within wait_ms of its connection. Once the
// process ends (pg_hurry) nobody waits longer than PG_HURRY_MS for anything, and those who wait are woken.
#ifndef GANTRY_DB_PG_LINK_H
#define GANTRY_DB_PG_LINK_H

#include <stdatomic.h>

#include "db/driver.h"
#include "db/pg_values.h"

enum {
    PG_PARAMETERS_MAX = 64,
    PG_KNOWN_BUCKETS = 256,
    PG_CONNECT_MS = 5 * 1000,
    PG_HURRY_MS = 2 * 1000,
    PG_NAME_BYTES = 160, // a quoted name
};

// What is known of a statement's text since somebody prepared it: later connections need not ask.
struct pg_known {
    struct pg_known *next;
    char *sql;
    unsigned parameters, columns;
    unsigned types[]; // OIDs
};

struct pg_server {
    char *url, *schema, *password, *node;
    unsigned statement_ms;
    int32_t lock_key;
    int hurry_fd; // readable once the process ends
    _Atomic bool hurried;
    pthread_mutex_t lock; // guards what follows
    struct pg_known *known[PG_KNOWN_BUCKETS];
    unsigned failures;
    int64_t retry_at_ms;
    struct err why;
};

struct pg_conn;   // libpq's
struct pg_result; // libpq's

struct pg_link {
    struct pg_conn *pg;
    bool transaction, lost;
    struct err trouble;        // the transaction's; kind ERR_NONE: none
    unsigned in_flight, syncs; // statements whose results were not read, synchronisations likewise
    size_t in_flight_bytes;
    uint64_t batch; // counts synchronisations
    unsigned names, stale;
    int64_t changes;
    int64_t wait_ms;
};

struct pg_prepared {
    const struct pg_known *known;
    char name[24];
    bool sent;
    uint64_t batch; // in which it was
    struct pg_bound *bound;
    char (*scratch)[PG_SCRATCH_BYTES]; // of parameters, then of columns
    struct pg_result *result;
    int row;
    bool ran;
};

struct pg_server *pg_server_of(const struct db *d);
struct pg_link *pg_link_of(const struct db *d);

// ---- connections: the driver's functions of them ----

bool pg_check_url(const char *url, struct err *e);
bool pg_connect(struct db *d, struct err *e);
void pg_disconnect(struct db *d);
bool pg_usable(struct db *d);
bool pg_is_lost(const struct db *d);
int64_t pg_usual_wait(const struct pg_server *s);
void pg_hurry(struct pg_server *s);
unsigned pg_backend(const struct db *d);
bool pg_quote_name(struct db *d, const char *name, char out[PG_NAME_BYTES], struct err *e);

// ---- what is sent ----

// False when the transaction is lost already, or the connection: it does nothing more.
bool pg_sound(const struct db *d, struct err *e);
// Sent and not waited for.
bool pg_queue_text(struct db *d, const char *sql, struct err *e);
bool pg_queue_prepare(struct db *d, const char *name, const char *sql, const struct pg_known *k, struct err *e);
bool pg_queue_describe(struct db *d, const char *name, const char *sql, struct err *e);
bool pg_queue_execute(struct db *d, const char *name, const char *sql, int n, const char *const *values, const int *lengths, const int *formats, size_t bytes,
                      struct err *e);
// What is queued goes on its way.
bool pg_push(struct db *d, const char *doing, struct err *e);
// All that is under way is waited for; the result of the last statement, when it is wanted.
bool pg_settle(struct db *d, const char *doing, struct pg_result **result, struct err *e);
// Several statements in one text.
bool pg_script(struct db *d, const char *sql, struct err *e);
// The end of a reader's transaction is sent and not waited for: nothing hangs on it.
bool pg_leave(struct db *d, const char *sql);

// ---- results ----

void pg_result_free(struct pg_result *r); // NULL is fine
int pg_result_rows(const struct pg_result *r);
int pg_result_columns(const struct pg_result *r);
size_t pg_result_bytes(const struct pg_result *r);
const char *pg_result_status(struct pg_result *r);
// False: NULL, or no such place.
bool pg_result_value(const struct pg_result *r, int row, int column, struct str *out, unsigned *type);
// Of a description.
int pg_result_parameters(const struct pg_result *r);
unsigned pg_result_parameter(const struct pg_result *r, int i);

// ---- notifications ----

// A connection that listens; cancel_fd: readable when it is no longer wanted. NULL: none.
struct pg_conn *pg_news_open(struct pg_server *s, const char *sql, int cancel_fd, struct err *e);
int pg_news_fd(const struct pg_conn *pg);
// Several that came together are one piece of news. False: the connection was lost.
bool pg_news_take(struct pg_conn *pg);
void pg_news_close(struct pg_conn *pg); // NULL is fine

#endif
