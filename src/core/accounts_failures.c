// Failed attempts to sign in: of a name in the index, whoever's or nobody's; of an address in memory. Each waits longer than the one before.
#include <arpa/inet.h>
#include <stdio.h>

#include "base/clock.h"
#include "core/accounts_part.h"

enum {
    FREE_OF_NAME = 5,
    FREE_OF_ADDRESS = 30,
    WAIT_MAX_S = 15 * 60,
    NETWORK_BYTES = 8, // of an IPv6 address: what one customer has
    ADDRESS_TEXT = 64,
    FORGET_MS = 24 * 60 * 60 * 1000, // failures that are older
};

// One second, two, four, ... after those that are free.
static int64_t wait_after(unsigned failures, unsigned free) {
    if (failures < free) return 0;
    unsigned doublings = failures - free;
    int64_t s = doublings < 10 ? INT64_C(1) << doublings : WAIT_MAX_S;
    return 1000 * (s < WAIT_MAX_S ? s : WAIT_MAX_S);
}

static unsigned seconds(int64_t ms) {
    return ms > 0 ? (unsigned)((ms + 999) / 1000) : 0;
}

// ---- of an address ----

// Of IPv6 the network counts, for whoever has one address there has all of them; one that is IPv4 in IPv6 form is the IPv4 one.
static bool address_digest(struct str address, uint8_t digest[DIGEST_BYTES]) {
    char text[ADDRESS_TEXT];
    struct in6_addr six;
    snprintf(text, sizeof text, "%.*s", STR_FMT(str_sub(address, 0, str_find(address, '%', 0))));
    if (inet_pton(AF_INET6, text, &six) != 1) return digest_of(address.n ? address.p : "", address.n, digest, NULL);
    if (!IN6_IS_ADDR_V4MAPPED(&six)) return digest_of(six.s6_addr, NETWORK_BYTES, digest, NULL);
    inet_ntop(AF_INET, six.s6_addr + 12, text, sizeof text);
    return digest_of(text, strlen(text), digest, NULL);
}

static struct address_failures *address_place(struct accounts *a, const uint8_t digest[DIGEST_BYTES]) {
    struct address_failures *oldest = &a->addresses[0];
    for (unsigned i = 0; i < ADDRESSES_MAX; i++) {
        struct address_failures *at = &a->addresses[i];
        if (at->failures && memcmp(at->digest, digest, DIGEST_BYTES) == 0) return at;
        if (!at->failures || (oldest->failures && at->at_ms < oldest->at_ms)) oldest = at;
    }
    *oldest = (struct address_failures){.failures = 0};
    memcpy(oldest->digest, digest, DIGEST_BYTES);
    return oldest;
}

// Counts an attempt, or says how long to wait; good takes it back.
static unsigned address_attempt(struct accounts *a, struct str address, bool good) {
    uint8_t digest[DIGEST_BYTES];
    unsigned wait_s = 0;
    int64_t now = clock_mono_ms();
    if (!address_digest(address, digest)) return 0;
    pthread_mutex_lock(&a->lock);
    struct address_failures *at = address_place(a, digest);
    if (now - at->at_ms > FORGET_MS) at->failures = 0;
    if (good) {
        if (at->failures) at->failures--;
        at->until_ms = 0;
    } else if ((wait_s = seconds(at->until_ms - now)) == 0) {
        at->at_ms = now;
        at->until_ms = now + wait_after(++at->failures, FREE_OF_ADDRESS);
    }
    pthread_mutex_unlock(&a->lock);
    return wait_s;
}

// ---- of a name ----

struct failures {
    int64_t failures, at_ms, locked_until_ms;
};

static bool count_failure(struct db *d, const struct hex *h, int64_t now, unsigned *wait_s, struct err *e) {
    int64_t row[3] = {0};
    bool found;
    if (!sql_one(d, "SELECT failures, at_ms, locked_until_ms FROM sign_in_failures WHERE digest = ?1", SQL_VALUES(SQL_T(str_of(h->text))), row, 3, &found, e))
        return false;
    if ((*wait_s = seconds(row[2] - now)) > 0) return true;
    unsigned failures = found && now - row[1] <= FORGET_MS ? (unsigned)row[0] + 1 : 1;
    // Of two that came at the same moment one counted meanwhile: the other waits.
    if (!sql_run(
            d,
            "INSERT INTO sign_in_failures (digest, failures, at_ms, locked_until_ms) VALUES (?1, ?2, ?3, ?4) ON CONFLICT (digest) DO UPDATE SET failures = "
            "excluded.failures, at_ms = excluded.at_ms, locked_until_ms = excluded.locked_until_ms WHERE sign_in_failures.failures = ?5 AND "
            "sign_in_failures.at_ms = ?6",
            SQL_VALUES(SQL_T(str_of(h->text)), SQL_I(failures), SQL_I(now), SQL_I(now + wait_after(failures, FREE_OF_NAME)), SQL_I(row[0]), SQL_I(row[1])), e))
        return false;
    if (db_changes(d) == 0) *wait_s = 1;
    return sql_run(d, "DELETE FROM sign_in_failures WHERE at_ms < ?1", SQL_VALUES(SQL_I(now - FORGET_MS)), e);
}

static bool hex_of(struct str folded, struct hex *out, struct err *e) {
    uint8_t digest[DIGEST_BYTES];
    if (!digest_of(folded.n ? folded.p : "", folded.n, digest, e)) return false;
    *out = accounts_hex(digest);
    return true;
}

bool attempt_begin(struct accounts *a, struct str folded, struct str address, unsigned *wait_s, struct err *e) {
    struct hex h;
    *wait_s = address_attempt(a, address, false);
    if (*wait_s) return true;
    struct db *d = hex_of(folded, &h, e) ? db_side(a->ar->db, e) : NULL;
    bool ok = d && db_begin(d, e) && count_failure(d, &h, clock_wall_ms(), wait_s, e) && db_commit(d, e);
    if (d && !ok) db_rollback(d);
    db_return(a->ar->db, d);
    return ok;
}

bool attempt_unlock(struct db *w, struct str folded, struct err *e) {
    struct hex h;
    return hex_of(folded, &h, e) && sql_run(w, "DELETE FROM sign_in_failures WHERE digest = ?1", SQL_VALUES(SQL_T(str_of(h.text))), e);
}

bool attempt_good(struct accounts *a, struct str folded, struct str address, struct err *e) {
    address_attempt(a, address, true);
    struct db *d = db_side(a->ar->db, e);
    bool ok = d && attempt_unlock(d, folded, e);
    db_return(a->ar->db, d);
    return ok;
}

bool attempt_back(struct accounts *a, struct str folded, struct str address, struct err *e) {
    struct hex h;
    address_attempt(a, address, true);
    struct db *d = hex_of(folded, &h, e) ? db_side(a->ar->db, e) : NULL;
    // It began when there was nothing to wait for: the wait is that of this attempt.
    bool ok = d && sql_run(d, "UPDATE sign_in_failures SET failures = failures - 1, locked_until_ms = 0 WHERE digest = ?1 AND failures > 0",
                           SQL_VALUES(SQL_T(str_of(h.text))), e);
    db_return(a->ar->db, d);
    return ok;
}
