// Accounts: who signs in, how often they may try, what their grants, tokens and sessions reach, and that nobody gives away more than he has.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
// cmocka needs the four above first
#include <cmocka.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "core/accounts_manage.h"
#include "core/accounts_part.h"
#include "core/passwords.h"
#include "encrypted.h"
#include "core_fixture.h"
#include "sys/digest.h"
#include "sys/otp.h"
#include "sys/password.h"
#include "text/base32.h"
#include "text/json.h"

static const struct str ADMIN = {"admin", 5}, PASSWORD = {"seven purple elephants", 22};
static const struct str HERE = {"10.0.0.7", 8};
enum { STEP_MS = 1000 * OTP_STEP_S };

static int setup(void **state) {
    clock_shift_wall_ms(0);
    return fixture_setup(state);
}

static struct accounts *open_accounts(struct fixture *f) {
    struct accounts *a;
    struct err e = {0};
    if (!accounts_open(f->ar, NULL, &a, &e)) fail_msg("%s", e.message);
    return a;
}

static struct signed_in sign_in(struct accounts *a, struct str name, struct str password, struct str code) {
    struct signed_in out;
    struct err e = {0};
    const struct sign_in in = {name, password, code, HERE, STR_LIT("test")};
    if (!account_sign_in(a, &in, &out, &e)) fail_msg("%s", e.message);
    return out;
}

static struct account_session session_of(struct fixture *f, struct accounts *a, const char *secret) {
    struct account_session s;
    struct err e = {0};
    if (!account_by_session(a, &f->arena, str_of(secret), &s, &e)) fail_msg("%s", e.message);
    return s;
}

static void add_user(struct accounts *a, struct str name, const char *role, const char *scope) {
    char one_time[ACCOUNT_SECRET_HEX + 1];
    struct err e = {0};
    const struct account_user u = {.name = name, .password = PASSWORD, .role = str_of(role), .scope = str_of(scope)};
    if (!account_user_add(a, &TESTER, &u, one_time, &e)) fail_msg("%s", e.message);
    assert_string_equal(one_time, "");
}

// One who changed the given password and is signed in.
static struct account_session settled(struct fixture *f, struct accounts *a, struct str name, struct str password, char secret[ACCOUNT_SECRET_HEX + 1]) {
    struct signed_in in = sign_in(a, name, PASSWORD, STR_LIT(""));
    struct err e = {0};
    assert_int_equal(in.outcome, SIGN_IN_DONE);
    struct account_session s = session_of(f, a, in.secret);
    const struct actor who = {.door = DOOR_PAGE, .address = HERE, .user = s.principal->name, .principal = s.principal};
    if (!account_password_change(a, &who, PASSWORD, password, str_of(in.secret), &e)) fail_msg("%s", e.message);
    memcpy(secret, in.secret, sizeof in.secret);
    return session_of(f, a, secret);
}

static int64_t events_of(struct fixture *f, const char *type) {
    char sql[128];
    snprintf(sql, sizeof sql, "SELECT count(*) FROM events WHERE type = '%s'", type);
    return count_rows(f, sql);
}

static void the_first_start_makes_one_administrator_who_must_change_the_password(void **state) {
    struct fixture *f = *state;
    struct accounts *a = open_accounts(f);
    char secret[ACCOUNT_SECRET_HEX + 1], again[ACCOUNT_SECRET_HEX + 1];
    struct err e = {0};
    bool made;
    assert_true(accounts_first(a, secret, &made, &e) && made);
    assert_int_equal(strlen(secret), 29);
    assert_true(accounts_first(a, again, &made, &e) && !made && again[0] == '\0');
    assert_int_equal(sign_in(a, ADMIN, STR_LIT("admin"), STR_LIT("")).outcome, SIGN_IN_REFUSED);
    struct signed_in in = sign_in(a, STR_LIT(" Admin "), str_of(secret), STR_LIT(""));
    assert_true(in.outcome == SIGN_IN_DONE && in.must_change);
    struct account_session s = session_of(f, a, in.secret);
    assert_true(s.must_change);
    const struct actor who = {.door = DOOR_PAGE, .address = HERE, .user = s.principal->name, .principal = s.principal};
    assert_false(access_require(&who, ACCESS_STUDY_FIND, &e));
    assert_true(access_require(&who, ACCESS_SELF, &e));
    assert_false(account_password_change(a, &who, STR_LIT("wrong"), PASSWORD, str_of(in.secret), &e));
    assert_int_equal(e.kind, ERR_FORBIDDEN);
    assert_false(account_password_change(a, &who, str_of(secret), str_of(secret), str_of(in.secret), &e));
    assert_false(account_password_change(a, &who, str_of(secret), STR_LIT("Administrator2026!"), str_of(in.secret), &e));
    assert_int_equal(e.kind, ERR_USAGE);
    if (!account_password_change(a, &who, str_of(secret), PASSWORD, str_of(in.secret), &e)) fail_msg("%s", e.message);
    s = session_of(f, a, in.secret);
    assert_true(s.principal && !s.must_change && s.principal->grant_count == 1 && s.principal->grants[0].permissions == ACCESS_ALL_BITS);
    assert_int_equal(sign_in(a, ADMIN, str_of(secret), STR_LIT("")).outcome, SIGN_IN_REFUSED);
    assert_int_equal(sign_in(a, ADMIN, PASSWORD, STR_LIT("")).outcome, SIGN_IN_DONE);
    assert_int_equal(events_of(f, "session.begun"), 2);
    assert_int_equal(count_rows(f, "SELECT count(*) FROM users WHERE password LIKE '$argon2id$%'"), 1);
    accounts_close(a);
}

static void guessing_takes_longer_each_time_and_tells_nothing_of_who_is_there(void **state) {
    struct fixture *f = *state;
    struct accounts *a = open_accounts(f);
    const int64_t start = clock_wall_ms();
    add_user(a, STR_LIT("li.wei"), "viewer", "*");
    const struct str names[] = {STR_LIT("li.wei"), STR_LIT("nobody")};
    for (unsigned n = 0; n < 2; n++) {
        unsigned refused = 0, waits = 0, last = 0;
        for (unsigned i = 0; i < 12; i++) {
            clock_hold_wall_ms(start + last * 1000LL); // however long checking a password takes here
            struct signed_in in = sign_in(a, names[n], STR_LIT("guess guess guess"), STR_LIT(""));
            refused += in.outcome == SIGN_IN_REFUSED;
            waits += in.outcome == SIGN_IN_WAIT;
            if (in.outcome == SIGN_IN_WAIT) last = in.wait_s;
        }
        assert_true(refused >= 5 && refused < 12 && waits > 0 && last >= 1);
        clock_hold_wall_ms(start);
        // The right password waits, too.
        assert_int_equal(sign_in(a, names[n], PASSWORD, STR_LIT("")).outcome, SIGN_IN_WAIT);
    }
    struct err e = {0};
    assert_true(account_user_unlock(a, &TESTER, names[0], false, &e));
    assert_int_equal(sign_in(a, names[0], PASSWORD, STR_LIT("")).outcome, SIGN_IN_DONE);
    accounts_close(a);
}

struct guesser {
    struct accounts *a;
    unsigned refused;
};

static void *guess(void *arg) {
    struct guesser *g = arg;
    for (unsigned i = 0; i < 4; i++) {
        const struct sign_in in = {STR_LIT("li.wei"), STR_LIT("guess guess guess"), STR_LIT(""), HERE, STR_LIT("test")};
        struct signed_in out;
        if (account_sign_in(g->a, &in, &out, NULL)) g->refused += out.outcome == SIGN_IN_REFUSED;
    }
    return NULL;
}

static void many_at_once_guess_no_more_than_one_after_the_other(void **state) {
    enum { THREADS = 12, FREE = 5 };
    struct fixture *f = *state;
    struct accounts *a = open_accounts(f);
    struct guesser all[THREADS];
    pthread_t threads[THREADS];
    unsigned refused = 0;
    add_user(a, STR_LIT("li.wei"), "viewer", "*");
    int64_t began = clock_mono_ms();
    for (unsigned i = 0; i < THREADS; i++) {
        all[i] = (struct guesser){a, 0};
        assert_int_equal(pthread_create(&threads[i], NULL, guess, &all[i]), 0);
    }
    for (unsigned i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
        refused += all[i].refused;
    }
    // One more for each second that it took, at most: that is how long the first wait is.
    assert_in_range(refused, 1, FREE + 1 + (unsigned)((clock_mono_ms() - began) / 1000));
    accounts_close(a);
}

static void a_session_ends_by_idleness_by_age_and_at_once_when_it_is_ended(void **state) {
    struct fixture *f = *state;
    struct accounts *a = open_accounts(f);
    struct err e = {0};
    add_user(a, STR_LIT("li.wei"), "viewer", "*");
    struct signed_in one = sign_in(a, STR_LIT("li.wei"), PASSWORD, STR_LIT("")), two = sign_in(a, STR_LIT("li.wei"), PASSWORD, STR_LIT(""));
    struct accounts *other = open_accounts(f); // a process that believes nothing yet
    assert_non_null(session_of(f, a, one.secret).principal);
    assert_non_null(session_of(f, other, one.secret).principal);
    assert_true(account_session_end(a, str_of(one.secret), &e));
    assert_null(session_of(f, a, one.secret).principal);
    assert_non_null(session_of(f, a, two.secret).principal);
    clock_shift_wall_ms(29 * 60 * 1000);
    assert_non_null(session_of(f, a, two.secret).principal); // in use: its idle time begins anew
    clock_shift_wall_ms(58 * 60 * 1000);
    struct accounts *late = open_accounts(f);
    assert_non_null(session_of(f, late, two.secret).principal);
    clock_shift_wall_ms(89 * 60 * 1000);
    accounts_close(late);
    late = open_accounts(f);
    assert_null(session_of(f, late, two.secret).principal);
    clock_shift_wall_ms(13 * 60 * 60 * 1000);
    assert_null(session_of(f, a, two.secret).principal);
    clock_shift_wall_ms(0);
    assert_int_equal(session_of(f, a, "").principal ? 1 : 0, 0);
    accounts_close(late);
    accounts_close(other);
    accounts_close(a);
}

static struct str code_of(const char *secret, int64_t step, char out[OTP_TEXT]) {
    uint8_t key[64];
    size_t n;
    struct err e = {0};
    assert_true(base32_decode(str_of(secret), key, sizeof key, &n) && otp_code(key, n, step, OTP_DIGITS, out, &e));
    return str_of(out);
}

static void a_second_factor_is_asked_for_and_each_code_counts_once(void **state) {
    struct fixture *f = *state;
    struct accounts *a = open_accounts(f);
    struct err e = {0};
    char secret[TOTP_SECRET_TEXT], code[OTP_TEXT], session[ACCOUNT_SECRET_HEX + 1], recovery[RECOVERY_CODES][RECOVERY_TEXT];
    const struct str name = STR_LIT("li.wei"), own = STR_LIT("nine yellow tractors");
    int64_t step = 60000000;
    clock_hold_wall_ms(step * STEP_MS);
    add_user(a, name, "viewer", "*");
    struct account_session s = settled(f, a, name, own, session);
    const struct actor who = {.door = DOOR_PAGE, .address = HERE, .user = s.principal->name, .principal = s.principal};
    assert_true(account_totp_begin(secret, &e));
    assert_false(account_totp_confirm(a, &who, str_of(secret), STR_LIT("000000"), recovery, &e));
    if (!account_totp_confirm(a, &who, str_of(secret), code_of(secret, step, code), recovery, &e)) fail_msg("%s", e.message);
    assert_int_equal(sign_in(a, name, own, STR_LIT("")).outcome, SIGN_IN_CODE_NEEDED);
    assert_int_equal(sign_in(a, name, STR_LIT("wrong wrong wrong"), STR_LIT("")).outcome, SIGN_IN_REFUSED);
    assert_int_equal(sign_in(a, name, own, code_of(secret, step, code)).outcome, SIGN_IN_REFUSED);  // it was shown already
    assert_int_equal(sign_in(a, name, own, code_of(secret, step + 1, code)).outcome, SIGN_IN_DONE); // the telephone is a little fast
    assert_int_equal(sign_in(a, name, own, code_of(secret, step + 1, code)).outcome, SIGN_IN_REFUSED);
    assert_int_equal(sign_in(a, name, own, code_of(secret, step + 2, code)).outcome, SIGN_IN_REFUSED); // too fast
    assert_true(account_user_unlock(a, &TESTER, name, false, &e));
    assert_int_equal(sign_in(a, name, own, str_of(recovery[3])).outcome, SIGN_IN_DONE);
    assert_int_equal(sign_in(a, name, own, str_of(recovery[3])).outcome, SIGN_IN_REFUSED);
    assert_int_equal(count_rows(f, "SELECT count(*) FROM users WHERE recovery LIKE '%-%'"), 0);
    assert_false(account_totp_off(a, &who, STR_LIT("wrong"), &e));
    assert_true(account_totp_off(a, &who, own, &e));
    assert_int_equal(sign_in(a, name, own, STR_LIT("")).outcome, SIGN_IN_DONE);
    clock_shift_wall_ms(0);
    accounts_close(a);
}

// One who has a second factor by the secret.
static void with_second_factor(struct fixture *f, struct accounts *a, struct str name, struct str own, int64_t step, char secret[TOTP_SECRET_TEXT]) {
    char code[OTP_TEXT], session[ACCOUNT_SECRET_HEX + 1], recovery[RECOVERY_CODES][RECOVERY_TEXT];
    struct err e = {0};
    add_user(a, name, "viewer", "*");
    struct account_session s = settled(f, a, name, own, session);
    const struct actor who = {.door = DOOR_PAGE, .address = HERE, .user = s.principal->name, .principal = s.principal};
    assert_true(account_totp_begin(secret, &e));
    if (!account_totp_confirm(a, &who, str_of(secret), code_of(secret, step, code), recovery, &e)) fail_msg("%s", e.message);
}

static void who_knows_the_password_does_not_guess_codes_without_end(void **state) {
    struct fixture *f = *state;
    struct accounts *a = open_accounts(f);
    char secret[TOTP_SECRET_TEXT], code[OTP_TEXT];
    const struct str name = STR_LIT("li.wei"), own = STR_LIT("nine yellow tractors");
    int64_t step = 60000000;
    clock_hold_wall_ms(step * STEP_MS);
    with_second_factor(f, a, name, own, step, secret);
    for (unsigned i = 0; i < 8; i++) assert_int_equal(sign_in(a, name, own, STR_LIT("")).outcome, SIGN_IN_CODE_NEEDED); // no failure of anybody
    unsigned guesses = 0;
    while (guesses < 12 && sign_in(a, name, own, STR_LIT("")).outcome == SIGN_IN_CODE_NEEDED)
        guesses += sign_in(a, name, own, STR_LIT("000000")).outcome == SIGN_IN_REFUSED;
    assert_int_equal(guesses, 5);
    assert_int_equal(sign_in(a, name, own, code_of(secret, step + 1, code)).outcome, SIGN_IN_WAIT);
    clock_shift_wall_ms(0);
    accounts_close(a);
}

static void of_an_ipv6_address_its_network_waits(void **state) {
    struct fixture *f = *state;
    struct accounts *a = open_accounts(f);
    char name[16], address[64];
    struct err e = {0};
    unsigned wait_s = 0, i;
    for (i = 0; i < 40 && !wait_s; i++) {
        snprintf(name, sizeof name, "name%u", i);
        snprintf(address, sizeof address, "2001:db8:0:7::%x:1", i);
        assert_true(attempt_begin(a, str_of(name), str_of(address), &wait_s, &e));
    }
    assert_in_range(i, 30, 39);
    assert_true(attempt_begin(a, STR_LIT("other"), STR_LIT("2001:db8:0:8::1"), &wait_s, &e) && !wait_s);
    for (i = 0; i < 40; i++) {
        snprintf(name, sizeof name, "mapped%u", i);
        snprintf(address, sizeof address, "::ffff:10.0.0.%u", i);
        assert_true(attempt_begin(a, str_of(name), str_of(address), &wait_s, &e) && !wait_s);
    }
    accounts_close(a);
}

static void what_changes_while_a_password_is_checked_counts(void **state) {
    struct fixture *f = *state;
    if (f->schema[0]) skip(); // the trigger is SQLite's
    struct accounts *a = open_accounts(f);
    char secret[TOTP_SECRET_TEXT], code[OTP_TEXT];
    const struct str name = STR_LIT("li.wei"), own = STR_LIT("nine yellow tractors");
    int64_t step = 60000000;
    clock_hold_wall_ms(step * STEP_MS);
    with_second_factor(f, a, name, own, step, secret);
    run_sql(f, "CREATE TRIGGER meanwhile AFTER UPDATE OF totp_step ON users BEGIN UPDATE users SET state = 'off' WHERE id = NEW.id; END");
    struct signed_in in = sign_in(a, name, own, code_of(secret, step + 1, code));
    assert_int_equal(in.outcome, SIGN_IN_REFUSED);
    assert_string_equal(in.secret, "");
    clock_shift_wall_ms(0);
    accounts_close(a);
}

// RFC 6238 appendix B, the SHA-1 rows.
static void one_time_codes_are_those_of_the_standard(void **state) {
    static const struct {
        int64_t time;
        const char *code;
    } ROWS[] = {{59, "94287082"},         {1111111109, "07081804"}, {1111111111, "14050471"},
                {1234567890, "89005924"}, {2000000000, "69279037"}, {20000000000, "65353130"}};
    char code[OTP_TEXT];
    (void)state;
    for (unsigned i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        assert_true(otp_code("12345678901234567890", 20, ROWS[i].time / 30, 8, code, NULL));
        assert_string_equal(code, ROWS[i].code);
    }
}

// RFC 4648 section 10, without padding.
static void base32_is_that_of_the_standard(void **state) {
    static const char *const ROWS[][2] = {
        {"", ""}, {"f", "MY"}, {"fo", "MZXQ"}, {"foo", "MZXW6"}, {"foob", "MZXW6YQ"}, {"fooba", "MZXW6YTB"}, {"foobar", "MZXW6YTBOI"}};
    (void)state;
    for (unsigned i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        char text[16];
        uint8_t back[16];
        size_t n;
        base32_encode((const uint8_t *)ROWS[i][0], strlen(ROWS[i][0]), text);
        assert_string_equal(text, ROWS[i][1]);
        assert_true(base32_decode(str_of(text), back, sizeof back, &n) && n == strlen(ROWS[i][0]) && memcmp(back, ROWS[i][0], n) == 0);
    }
    uint8_t one[1];
    size_t n;
    assert_false(base32_decode(STR_LIT("M1"), one, 1, &n));
    assert_false(base32_decode(STR_LIT("MZXW6"), one, 1, &n));
}

static void passwords_that_everybody_takes_are_refused(void **state) {
    static const char *const COMMON[] = {"password1234",  "P@ssw0rd2026!",  "qwertyuiop123", "administrator", "Admin123456789",   "aaaaaaaaaaaa",
                                         "123456789012",  "hospital-2026",  "iloveyou1234",  "woaini5201314", "abcabcabcabc",     "li.wei-li.wei-1",
                                         "Welcome123456", "radiology-pacs", "1qaz2wsx3edc4", "zaq12wsxcde34", "summer winter 99", "dragondragon1"};
    static const char *const FINE[] = {"seven purple elephants", "correct horse battery staple", "Vq8#xlWm2!tR", "我每天骑车去医院上班看片子",
                                       "cL7vnq-orange-tb"};
    (void)state;
    for (unsigned i = 0; i < sizeof COMMON / sizeof *COMMON; i++)
        if (!password_is_common(str_of(COMMON[i]), STR_LIT("li.wei"))) fail_msg("'%s' is let through", COMMON[i]);
    for (unsigned i = 0; i < sizeof FINE / sizeof *FINE; i++)
        if (password_is_common(str_of(FINE[i]), STR_LIT("li.wei"))) fail_msg("'%s' is refused", FINE[i]);
    const struct password_rules rules = {.least = 12};
    assert_false(password_fits(&rules, STR_LIT("Vq8#xlWm2!t"), STR_LIT("x"), NULL));
    assert_true(password_fits(&rules, STR_LIT("Vq8#xlWm2!tR"), STR_LIT("x"), NULL));
    assert_false(password_fits(&rules, STR_LIT("Vq8#xlWm2!t\xff"), STR_LIT("x"), NULL));
}

static void a_list_of_known_passwords_is_asked(void **state) {
    struct fixture *f = *state;
    char path[128];
    snprintf(path, sizeof path, "%s/known.txt", f->dir);
    FILE *list = fopen(path, "w");
    fputs("one\r\nVq8#xlWm2!tR\r\nlast", list);
    fclose(list);
    const struct password_rules rules = {.breached_file = path}, missing = {.breached_file = "/nowhere/list"};
    struct err e = {0};
    assert_false(password_fits(&rules, STR_LIT("Vq8#xlWm2!tR"), STR_LIT("x"), &e));
    assert_null(strstr(e.message, "Vq8"));
    assert_true(password_fits(&rules, STR_LIT("Vq8#xlWm2!tS"), STR_LIT("x"), &e));
    assert_false(password_fits(&missing, STR_LIT("Vq8#xlWm2!tS"), STR_LIT("x"), &e));
    assert_int_equal(e.kind, ERR_IO);
}

static const struct principal *token_principal(struct fixture *f, struct accounts *a, const char *token) {
    const struct principal *p;
    struct err e = {0};
    if (!account_by_token(a, &f->arena, str_of(token), &p, &e)) fail_msg("%s", e.message);
    return p;
}

static void a_token_opens_what_it_was_given_until_it_ends_is_renewed_or_revoked(void **state) {
    struct fixture *f = *state;
    struct accounts *a = open_accounts(f);
    struct err e = {0};
    char token[ACCOUNT_SECRET_HEX + 1], renewed[ACCOUNT_SECRET_HEX + 1], none[ACCOUNT_SECRET_HEX + 1];
    const struct account_token t = {
        .name = STR_LIT("mirror"), .role = STR_LIT("viewer"), .scope = STR_LIT("tenant:north"), .until_ms = clock_wall_ms() + 60000};
    if (!account_token_add(a, &TESTER, &t, token, &e)) fail_msg("%s", e.message);
    const struct principal *p = token_principal(f, a, token);
    assert_true(p && p->kind == PRINCIPAL_TOKEN && p->grant_count == 1 && str_eqz(p->name, "token:mirror"));
    assert_false(account_token_add(a, &TESTER, &t, none, &e));
    assert_int_equal(e.kind, ERR_CONFLICT);
    assert_true(account_token_renew(a, &TESTER, t.name, renewed, &e));
    assert_null(token_principal(f, a, token));
    assert_non_null(token_principal(f, a, renewed));
    clock_shift_wall_ms(61000);
    struct accounts *late = open_accounts(f);
    assert_null(token_principal(f, late, renewed));
    clock_shift_wall_ms(0);
    accounts_close(late);
    assert_true(account_token_revoke(a, &TESTER, t.name, &e));
    assert_null(token_principal(f, a, renewed));
    assert_int_equal(count_rows(f, "SELECT count(*) FROM tokens WHERE length(digest) = 64"), 1);
    accounts_close(a);
}

static void a_token_never_has_more_than_its_owner(void **state) {
    struct fixture *f = *state;
    struct accounts *a = open_accounts(f);
    struct err e = {0};
    char token[ACCOUNT_SECRET_HEX + 1], secret[ACCOUNT_SECRET_HEX + 1], none[ACCOUNT_SECRET_HEX + 1];
    const struct str name = STR_LIT("li.wei");
    add_user(a, name, "radiologist", "tenant:north");
    struct account_session s = settled(f, a, name, STR_LIT("nine yellow tractors"), secret);
    const struct actor who = {.door = DOOR_PAGE, .user = s.principal->name, .principal = s.principal};
    struct account_token t = {.name = STR_LIT("mine"), .owner = name, .role = STR_LIT("viewer"), .scope = STR_LIT("*")};
    assert_false(account_token_add(a, &who, &t, none, &e));
    assert_int_equal(e.kind, ERR_FORBIDDEN);
    t.scope = STR_LIT("site:north/east");
    if (!account_token_add(a, &who, &t, token, &e)) fail_msg("%s", e.message);
    assert_true(token_principal(f, a, token)->grants[0].permissions & ACCESS_BIT(ACCESS_STUDY_READ));
    assert_true(account_ungrant(a, &TESTER, "user", name, STR_LIT("radiologist"), STR_LIT("tenant:north"), &e) || e.kind == ERR_CONFLICT);
    assert_int_equal(token_principal(f, a, token)->grants[0].permissions, 0);
    add_user(a, STR_LIT("root2"), "administrator", "*");
    assert_true(account_user_set(a, &TESTER, name, (struct str){0}, STR_LIT("off"), &e));
    assert_null(token_principal(f, a, token));
    assert_null(session_of(f, a, secret).principal);
    assert_int_equal(sign_in(a, name, STR_LIT("nine yellow tractors"), STR_LIT("")).outcome, SIGN_IN_REFUSED);
    accounts_close(a);
}

static void nobody_gives_away_more_than_he_has(void **state) {
    struct fixture *f = *state;
    struct accounts *a = open_accounts(f);
    struct err e = {0};
    char secret[ACCOUNT_SECRET_HEX + 1], one_time[ACCOUNT_SECRET_HEX + 1];
    const struct str rights[] = {STR_LIT("user.read"), STR_LIT("user.write"), STR_LIT("study.find"), STR_LIT("token.write")};
    assert_true(account_role_set(a, &TESTER, STR_LIT("desk"), rights, 4, STR_LIT("Makes users"), &e));
    add_user(a, STR_LIT("boss"), "administrator", "*");
    add_user(a, STR_LIT("desk1"), "desk", "*");
    struct account_session s = settled(f, a, STR_LIT("desk1"), STR_LIT("nine yellow tractors"), secret);
    const struct actor who = {.door = DOOR_PAGE, .user = s.principal->name, .principal = s.principal};
    const struct account_user more = {.name = STR_LIT("crony"), .role = STR_LIT("administrator"), .scope = STR_LIT("*")};
    const struct account_user less = {.name = STR_LIT("helper"), .role = STR_LIT("desk"), .scope = STR_LIT("tenant:north")};
    assert_false(account_user_add(a, &who, &more, one_time, &e));
    assert_int_equal(e.kind, ERR_FORBIDDEN);
    assert_true(account_user_add(a, &who, &less, one_time, &e) && one_time[0]);
    assert_false(account_grant(a, &who, "user", less.name, STR_LIT("administrator"), STR_LIT("*"), 0, &e));
    assert_false(account_user_password(a, &who, STR_LIT("boss"), (struct str){0}, one_time, &e)); // it would be his own key to everything
    assert_int_equal(e.kind, ERR_FORBIDDEN);
    assert_false(account_user_remove(a, &who, STR_LIT("boss"), &e));
    assert_true(account_user_password(a, &who, less.name, (struct str){0}, one_time, &e) && one_time[0]);
    // Nor is another's key his: of a token, of a session.
    const struct account_token key = {.name = STR_LIT("key"), .role = STR_LIT("administrator"), .scope = STR_LIT("*")};
    assert_true(account_token_add(a, &TESTER, &key, one_time, &e));
    assert_false(account_token_renew(a, &who, key.name, one_time, &e));
    assert_int_equal(e.kind, ERR_FORBIDDEN);
    assert_false(account_token_revoke(a, &who, key.name, &e));
    assert_false(account_sessions_end(a, &who, STR_LIT("boss"), (struct str){0}, (struct str){0}, &e));
    assert_int_equal(e.kind, ERR_FORBIDDEN);
    assert_false(account_role_remove(a, &TESTER, STR_LIT("desk"), &e));
    assert_int_equal(e.kind, ERR_CONFLICT);
    assert_false(account_role_set(a, &TESTER, STR_LIT("viewer"), rights, 3, STR_LIT(""), &e));
    // The last administrator stays.
    assert_false(account_user_remove(a, &TESTER, STR_LIT("boss"), &e));
    assert_int_equal(e.kind, ERR_CONFLICT);
    assert_false(account_user_set(a, &TESTER, STR_LIT("boss"), (struct str){0}, STR_LIT("off"), &e));
    assert_false(account_ungrant(a, &TESTER, "user", STR_LIT("boss"), STR_LIT("administrator"), STR_LIT("*"), &e));
    add_user(a, STR_LIT("boss2"), "administrator", "*");
    assert_true(account_user_remove(a, &TESTER, STR_LIT("boss"), &e));
    accounts_close(a);
}

static void what_ends_is_not_given_on_without_end(void **state) {
    struct fixture *f = *state;
    struct accounts *a = open_accounts(f);
    struct err e = {0};
    char secret[ACCOUNT_SECRET_HEX + 1], one_time[ACCOUNT_SECRET_HEX + 1];
    int64_t now = clock_wall_ms(), end = now + 3600000;
    add_user(a, STR_LIT("boss"), "administrator", "*");
    add_user(a, STR_LIT("guest"), "viewer", "assigned");
    add_user(a, STR_LIT("reader"), "viewer", "*");
    assert_true(account_grant(a, &TESTER, "user", STR_LIT("guest"), STR_LIT("administrator"), STR_LIT("*"), end, &e));
    struct account_session s = settled(f, a, STR_LIT("guest"), STR_LIT("nine yellow tractors"), secret);
    const struct actor who = {.door = DOOR_PAGE, .user = s.principal->name, .principal = s.principal};
    const struct account_user crony = {.name = STR_LIT("crony"), .role = STR_LIT("viewer"), .scope = STR_LIT("*")};
    struct account_token key = {.name = STR_LIT("key"), .role = STR_LIT("viewer"), .scope = STR_LIT("*"), .until_ms = end + 1};
    assert_false(account_grant(a, &who, "user", STR_LIT("guest"), STR_LIT("viewer"), STR_LIT("*"), 0, &e));
    assert_int_equal(e.kind, ERR_FORBIDDEN);
    assert_false(account_grant(a, &who, "user", STR_LIT("guest"), STR_LIT("viewer"), STR_LIT("*"), end + 1, &e));
    assert_true(account_grant(a, &who, "user", STR_LIT("guest"), STR_LIT("viewer"), STR_LIT("*"), end, &e));
    assert_false(account_user_add(a, &who, &crony, one_time, &e));
    assert_false(account_token_add(a, &who, &key, one_time, &e));
    key.until_ms = end;
    assert_false(account_token_add(a, &who, &key, one_time, &e)); // with it he would give himself what does not end
    key.owner = STR_LIT("guest");
    assert_true(account_token_add(a, &who, &key, one_time, &e));                                    // this one is bound by what he has
    assert_false(account_user_password(a, &who, STR_LIT("reader"), (struct str){0}, one_time, &e)); // would be his own without end
    assert_true(account_user_set(a, &who, STR_LIT("reader"), (struct str){0}, STR_LIT("off"), &e));
    // Nor by a token that another made for him.
    const struct account_token own = {.name = STR_LIT("own"), .owner = STR_LIT("guest"), .role = STR_LIT("administrator"), .scope = STR_LIT("*")};
    assert_true(account_token_add(a, &TESTER, &own, one_time, &e));
    const struct principal *token = token_principal(f, a, one_time);
    const struct actor by_token = {.door = DOOR_PAGE, .user = token->name, .principal = token};
    assert_int_equal(access_decide(token, ACCESS_USER_WRITE, NULL, now, NULL), ACCESS_ALLOWED);
    assert_false(account_grant(a, &by_token, "user", STR_LIT("guest"), STR_LIT("viewer"), STR_LIT("*"), 0, &e));
    // What a broken glass lends is nobody's own, even for its time.
    const struct access_grant lent = {.permissions = ACCESS_ALL_BITS, .until_ms = end, .lent = true};
    const struct principal breaker = {.kind = PRINCIPAL_USER, .grants = &lent, .grant_count = 1};
    assert_false(grants_cover(&breaker, ACCESS_BIT(ACCESS_STUDY_READ), &lent.scope, end));
    accounts_close(a);
}

static void the_studies_of_one_who_was_removed_are_not_the_next_ones(void **state) {
    struct fixture *f = *state;
    struct accounts *a = open_accounts(f);
    struct err e = {0};
    char one_time[ACCOUNT_SECRET_HEX + 1];
    struct str name;
    const struct account_user li = {.name = STR_LIT("li.wei"), .role = STR_LIT("radiologist"), .scope = STR_LIT("assigned")};
    add_user(a, ADMIN, "administrator", "*");
    add_user(a, li.name, "radiologist", "assigned");
    assert_true(account_user_name(a, &TESTER, &f->arena, STR_LIT(" Li.Wei"), &name, &e) && str_eq(name, li.name));
    run_sql(f, "INSERT INTO study_assignments VALUES ('1.2.3', '', 'li.wei', 1, 1, 0, 'test')");
    assert_true(account_user_remove(a, &TESTER, li.name, &e));
    assert_false(account_user_name(a, &TESTER, &f->arena, li.name, &name, &e));
    assert_false(account_user_add(a, &TESTER, &li, one_time, &e));
    assert_int_equal(e.kind, ERR_CONFLICT);
    run_sql(f, "UPDATE study_assignments SET given = 0");
    if (!account_user_add(a, &TESTER, &li, one_time, &e)) fail_msg("%s", e.message);
    accounts_close(a);
}

static void what_a_removed_token_opened_is_closed(void **state) {
    struct fixture *f = *state;
    struct accounts *a = open_accounts(f);
    struct err e = {0};
    char token[ACCOUNT_SECRET_HEX + 1], secret[ACCOUNT_SECRET_HEX + 1];
    struct account_token t = {.name = STR_LIT("own"), .owner = STR_LIT("li.wei"), .role = STR_LIT("viewer"), .scope = STR_LIT("*")};
    add_user(a, ADMIN, "administrator", "*");
    add_user(a, t.owner, "viewer", "*");
    assert_true(account_token_add(a, &TESTER, &t, token, &e) && account_token_session(a, str_of(token), HERE, STR_LIT("test"), secret, &e));
    assert_true(account_user_remove(a, &TESTER, t.owner, &e));
    assert_int_equal(count_rows(f, "SELECT count(*) FROM user_sessions"), 0);
    t.owner = (struct str){0};
    assert_true(account_token_add(a, &TESTER, &t, token, &e) && account_token_session(a, str_of(token), HERE, STR_LIT("test"), secret, &e));
    run_sql(f, "UPDATE tokens SET revoked_ms = 1"); // as a program beside this one may leave it
    t.role = STR_LIT("administrator");
    assert_true(account_token_add(a, &TESTER, &t, token, &e));
    assert_int_equal(count_rows(f, "SELECT count(*) FROM user_sessions"), 0);
    assert_null(session_of(f, a, secret).principal);
    accounts_close(a);
}

static void who_another_authority_names_is_a_user_of_his_own(void **state) {
    struct fixture *f = *state;
    struct accounts *a = open_accounts(f);
    struct err e = {0};
    char secret[ACCOUNT_SECRET_HEX + 1];
    const struct access_role *viewer = access_role_find(STR_LIT("viewer"));
    const struct access_grant grant = {
        .role = STR_LIT("viewer"), .permissions = viewer->permissions, .scope = {.kind = SCOPE_TENANT, .realm = {STR_LIT("north"), {"", 0}, {"", 0}}}};
    struct account_external x = {.issuer = STR_LIT("https://id.example.org/realm"),
                                 .subject = STR_LIT("s-1"),
                                 .name = STR_LIT("li.wei"),
                                 .display = STR_LIT("李伟"),
                                 .address = HERE,
                                 .grants = &grant,
                                 .grant_count = 1,
                                 .sid = STR_LIT("sid-1"),
                                 .id_token = STR_LIT("hint")};
    add_user(a, STR_LIT("li.wei"), "administrator", "*");
    if (!account_external_sign_in(a, &x, secret, &e)) fail_msg("%s", e.message);
    struct account_session s = session_of(f, a, secret);
    assert_true(s.principal && str_eqz(s.principal->name, "li.wei@id.example.org") && str_eqz(s.principal->grants[0].role, "viewer"));
    assert_true(str_eq(s.issuer, x.issuer) && str_eqz(s.id_token_hint, "hint") && str_eqz(s.principal->display, "李伟"));
    assert_int_equal(sign_in(a, STR_LIT("li.wei@id.example.org"), STR_LIT(""), STR_LIT("")).outcome, SIGN_IN_REFUSED);
    bool on;
    const struct principal *user = s.principal;
    char other[ACCOUNT_SECRET_HEX + 1];
    x.grant_count = 0;
    assert_false(account_external_sign_in(a, &x, other, &e));
    assert_int_equal(e.kind, ERR_FORBIDDEN);
    // Refused, and what the groups gave before is over.
    assert_null(session_of(f, a, secret).principal);
    assert_int_equal(count_rows(f, "SELECT count(*) FROM grants WHERE granted_by = 'oidc'"), 0);
    run_sql(f,
            "INSERT INTO grants (holder, holder_id, role, scope, granted_by, until_ms) SELECT 'user', id, 'viewer', '*', 'admin', 1 FROM users WHERE subject "
            "= 's-1'");
    assert_false(account_external_sign_in(a, &x, other, &e)); // one that is over is none
    x.subject = STR_LIT("s-2");
    assert_false(account_external_sign_in(a, &x, other, &e));
    assert_int_equal(count_rows(f, "SELECT count(*) FROM users WHERE subject = 's-2'"), 0);
    x.subject = STR_LIT("s-1");
    assert_true(account_is_on(a, user, &on, &e) && on);
    run_sql(f, "UPDATE users SET state = 'off' WHERE subject = 's-1'");
    assert_true(account_is_on(a, user, &on, &e) && !on);
    run_sql(f, "UPDATE users SET state = 'on'");
    x.grant_count = 1;
    assert_true(account_external_sign_in(a, &x, secret, &e));
    assert_true(account_external_end(a, x.issuer, (struct str){0}, STR_LIT("other"), &e));
    assert_non_null(session_of(f, a, secret).principal);
    assert_true(account_external_end(a, x.issuer, (struct str){0}, STR_LIT("sid-1"), &e));
    assert_null(session_of(f, a, secret).principal);
    assert_int_equal(count_rows(f, "SELECT count(*) FROM users WHERE subject = 's-1'"), 1);
    accounts_close(a);
}

static void the_old_token_is_taken_over(void **state) {
    struct fixture *f = *state;
    struct accounts *a = open_accounts(f);
    static const char OLD[] = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
    char digest[DIGEST_HEX + 1] = "", renewed[ACCOUNT_SECRET_HEX + 1];
    uint8_t bytes[DIGEST_BYTES];
    struct err e = {0};
    assert_true(digest_of(OLD, 64, bytes, &e));
    hex_encode(bytes, DIGEST_BYTES, digest);
    assert_true(accounts_take_over(a, str_of(digest), &e) && accounts_take_over(a, str_of(digest), &e));
    assert_true(token_principal(f, a, OLD)->grants[0].permissions == ACCESS_ALL_BITS);
    assert_true(account_first_token(a, &TESTER, 0, renewed, &e));
    assert_null(token_principal(f, a, OLD));
    assert_non_null(token_principal(f, a, renewed));
    accounts_close(a);
}

static void nothing_secret_is_kept_or_told(void **state) {
    struct fixture *f = *state;
    struct accounts *a = open_accounts(f);
    struct err e = {0};
    char token[ACCOUNT_SECRET_HEX + 1], sql[512];
    const struct account_token t = {.name = STR_LIT("mirror"), .role = STR_LIT("viewer"), .scope = STR_LIT("*")};
    add_user(a, STR_LIT("li.wei"), "viewer", "*");
    struct signed_in in = sign_in(a, STR_LIT("li.wei"), PASSWORD, STR_LIT(""));
    assert_true(account_token_add(a, &TESTER, &t, token, &e));
    sign_in(a, STR_LIT("li.wei"), STR_LIT("a mistyped password"), STR_LIT(""));
    snprintf(sql, sizeof sql,
             "SELECT count(*) FROM events WHERE detail LIKE '%%%s%%' OR detail LIKE '%%%s%%' OR detail LIKE '%%purple%%' OR detail LIKE '%%mistyped%%'", token,
             in.secret);
    assert_int_equal(count_rows(f, sql), 0);
    int64_t checked;
    assert_true(events_verify(f->ar, &checked, &e));
    assert_int_equal(events_of(f, "session.refused"), 1);
    accounts_close(a);
}

static void a_rebuilt_index_knows_the_same_people(void **state) {
    struct fixture *f = *state;
    if (f->schema[0]) skip(); // an archive of several nodes is rebuilt another way
    struct accounts *a = open_accounts(f);
    struct err e = {0};
    char token[ACCOUNT_SECRET_HEX + 1];
    uint64_t objects;
    const struct account_token t = {.name = STR_LIT("mirror"), .role = STR_LIT("viewer"), .scope = STR_LIT("site:north/east")};
    add_user(a, STR_LIT("li.wei"), "radiologist", "tenant:north");
    assert_true(account_site_set(a, &TESTER, STR_LIT("north/east"), STR_LIT("东院"), &e));
    assert_true(account_token_add(a, &TESTER, &t, token, &e));
    accounts_close(a);
    fixture_close(f);
    if (!archive_reindex(f->dir, encrypted(), NULL, NULL, &objects, &e)) fail_msg("%s", e.message);
    fixture_open(f);
    a = open_accounts(f);
    assert_int_equal(sign_in(a, STR_LIT("li.wei"), PASSWORD, STR_LIT("")).outcome, SIGN_IN_DONE);
    assert_true(token_principal(f, a, token)->grants[0].scope.kind == SCOPE_SITE);
    assert_int_equal(count_rows(f, "SELECT count(*) FROM realms WHERE display = '东院'"), 1);
    int64_t checked;
    assert_true(events_verify(f->ar, &checked, &e) && events_of(f, "token.added") == 1);
    accounts_close(a);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_time_codes_are_those_of_the_standard),
        cmocka_unit_test(base32_is_that_of_the_standard),
        cmocka_unit_test(passwords_that_everybody_takes_are_refused),
        cmocka_unit_test_setup_teardown(a_list_of_known_passwords_is_asked, setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(the_first_start_makes_one_administrator_who_must_change_the_password, setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(guessing_takes_longer_each_time_and_tells_nothing_of_who_is_there, setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(many_at_once_guess_no_more_than_one_after_the_other, setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(a_session_ends_by_idleness_by_age_and_at_once_when_it_is_ended, setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(a_second_factor_is_asked_for_and_each_code_counts_once, setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(who_knows_the_password_does_not_guess_codes_without_end, setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(of_an_ipv6_address_its_network_waits, setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(what_changes_while_a_password_is_checked_counts, setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(a_token_opens_what_it_was_given_until_it_ends_is_renewed_or_revoked, setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(a_token_never_has_more_than_its_owner, setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(nobody_gives_away_more_than_he_has, setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(what_ends_is_not_given_on_without_end, setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(the_studies_of_one_who_was_removed_are_not_the_next_ones, setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(what_a_removed_token_opened_is_closed, setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(who_another_authority_names_is_a_user_of_his_own, setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(the_old_token_is_taken_over, setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(a_rebuilt_index_knows_the_same_people, setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(nothing_secret_is_kept_or_told, setup, fixture_teardown),
    };
    password_cost_kib(256);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
