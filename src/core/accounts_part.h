// Inside of accounts: private to core/accounts*.c.
#ifndef GANTRY_CORE_ACCOUNTS_PART_H
#define GANTRY_CORE_ACCOUNTS_PART_H

#include <pthread.h>

#include "core/accounts.h"
#include "core/accounts_manage.h"
#include "core/charge.h"
#include "core/grants.h"
#include "core/index.h"
#include "core/passwords.h"
#include "core/state.h"
#include "sys/digest.h"
#include "sys/password.h"
#include "text/json.h"

enum {
    KNOWN_SETS = 128,
    KNOWN_WAYS = 4,
    KNOWN_BYTES_MAX = 256 * 1024, // of one
    ADDRESSES_MAX = 1024,
    SCRATCH_BYTES_MAX = 1 << 20,
    EVENT_DETAIL_MAX = 16 * 1024,
    SESSION_IDLE_S = 30 * 60,
    SESSION_ABSOLUTE_S = 12 * 60 * 60,
    SEEN_EVERY_MS = 60 * 1000, // how often the index learns that a session is in use
};

enum known_kind { KNOWN_FREE, KNOWN_SESSION, KNOWN_TOKEN };

// An answer that is believed for some seconds.
struct known {
    enum known_kind kind;
    uint8_t digest[DIGEST_BYTES];
    uint64_t epoch;
    int64_t until_mono_ms;
    int64_t noted_ms; // wall: when the index last learned that it is in use
    struct arena arena;
    struct account_session what;
};

// Failures from one address; in this process alone.
struct address_failures {
    uint8_t digest[DIGEST_BYTES];
    unsigned failures;
    int64_t at_ms, until_ms; // monotonic
};

struct accounts {
    struct archive *ar;
    struct password_rules rules;
    char *breached_file;
    int64_t idle_ms, absolute_ms;
    char nobody[PASSWORD_ENCODED_BYTES]; // of a password that nobody knows: what a name that is nobody's is compared with
    pthread_mutex_t lock;                // everything below
    uint64_t epoch;                      // what was believed under an earlier one counts no more
    struct known known[KNOWN_SETS][KNOWN_WAYS];
    struct address_failures addresses[ADDRESSES_MAX];
};

struct hex {
    char text[DIGEST_HEX + 1];
};
struct hex accounts_hex(const uint8_t digest[DIGEST_BYTES]);

// 256 random bits as hexadecimal digits, and their digest.
bool accounts_secret(char hex[ACCOUNT_SECRET_HEX + 1], uint8_t digest[DIGEST_BYTES], struct err *e);
// "k3vhq-7m2xw-...": 125 random bits that people type.
bool accounts_one_time(char out[ACCOUNT_SECRET_HEX + 1], struct err *e);

// The writing transaction of a change: begin, then end with whether it went well (false rolls back). What is believed here is forgotten.
struct db *accounts_begin(struct accounts *a, struct err *e);
bool accounts_end(struct accounts *a, struct db *w, bool ok, struct err *e);

// An event in the open transaction: detail's members are the actor's and those of more ("\"name\":value,...", may be empty).
bool accounts_tell(struct accounts *a, struct db *w, const struct actor *who, const char *type, struct str more, struct err *e);
// What changes nothing: a note of the audit trail. why: of a refusal, in a word; NULL: it went well.
bool accounts_note(struct accounts *a, const struct actor *who, const char *type, const char *why, struct err *e);

// What is believed of a digest, copied into arena; false: nothing.
bool known_get(struct accounts *a, enum known_kind kind, const uint8_t digest[DIGEST_BYTES], struct arena *arena, struct account_session *out, bool *note,
               struct err *e);
void known_put(struct accounts *a, enum known_kind kind, const uint8_t digest[DIGEST_BYTES], uint64_t epoch, int64_t noted_ms,
               const struct account_session *what);
uint64_t known_epoch(struct accounts *a);

// A token's principal: its grants, bounded by those of its owner. *out NULL: there is none such, or it is over.
bool accounts_token_principal(struct accounts *a, struct db *d, struct arena *arena, const char *where, struct str value, int64_t row,
                              const struct principal **out, struct err *e);
// Member "grants" of an open object: role, scope, until_ms, by.
bool accounts_put_grants(struct db *d, struct arena *arena, struct grant_holder of, struct json_writer *j, struct err *e);
// Whether a name is a user's, or was one's to whom studies are assigned still: who got it would see them.
bool accounts_name_taken(struct db *d, struct str folded, bool *user, bool *assigned, struct err *e);
// ERR_NOT_FOUND; folded.
bool accounts_user_id(struct db *d, struct str folded, int64_t *id, struct err *e);
// The same of one who is in the asker's hands: anybody else is not there.
bool accounts_user_of(struct db *d, const struct actor *who, enum permission what, struct str folded, int64_t *id, struct err *e);
bool accounts_token_of(struct db *d, const struct actor *who, enum permission what, struct str name, int64_t *id, struct err *e);
// Whether who may do something to a holder that has these grants: what it has, he has too. lasting: for as long, since he could use it as his own from
// then on (its password, its secret).
bool accounts_above(struct db *d, struct arena *arena, const struct actor *who, struct grant_holder holder, bool lasting, struct err *e);
// ERR_CONFLICT when nobody would be left who may do everything everywhere.
bool accounts_one_is_left(struct db *w, struct err *e);
// The realm that what somebody sends in belongs to: of the first grant that lets him store somewhere in particular.
struct realm accounts_home(const struct access_grant *grants, unsigned count);

// Attempts (accounts_failures.c). *wait_s > 0: not now. Each attempt counts as failed until attempt_good is called, with which somebody is signed in and all
// his failures are forgotten, or attempt_back, which takes this one back alone.
bool attempt_begin(struct accounts *a, struct str folded, struct str address, unsigned *wait_s, struct err *e);
bool attempt_good(struct accounts *a, struct str folded, struct str address, struct err *e);
bool attempt_back(struct accounts *a, struct str folded, struct str address, struct err *e);
bool attempt_unlock(struct db *w, struct str folded, struct err *e);

// The second factor (accounts_totp.c). Counts once: a code is taken from the index.
bool totp_take(struct accounts *a, int64_t user, struct str code, bool *good, struct err *e);

// A session's row and secret (accounts_sessions.c).
struct session_row {
    int64_t user, token;
    struct str address, agent, sid, id_token;
};
bool session_make(struct accounts *a, struct db *w, const struct session_row *row, char secret[ACCOUNT_SECRET_HEX + 1], struct err *e);
bool sessions_end_of(struct db *w, int64_t user, struct str but_digest, struct err *e);

// The name as it is compared and kept: folded, 1 to ACCOUNT_NAME_BYTES bytes of letters, digits and . _ - @ + of any script.
bool account_name_fold(struct arena *arena, struct str name, struct str *out, struct err *e);

#endif
