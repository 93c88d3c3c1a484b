// First start and taking over.
#include "app/serve_accounts.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "core/accounts_manage.h"
#include "db/db.h"
#include "sys/digest.h"
#include "sys/file.h"

#define OLD_SETTING "admin-token-sha256"

enum { PATH_BYTES = 4096, FIRST_TOKEN_DAYS = 30, DAY_MS = 24 * 60 * 60 * 1000 };

// ---- the token of earlier versions: a file of a directory, a setting of a shared index ----

static bool file_digest(const char *path, char digest[DIGEST_HEX], bool *there, struct err *e) {
    uint8_t bytes[DIGEST_BYTES];
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    *there = fd >= 0;
    if (fd < 0) return errno == ENOENT || err_errno(e, ERR_IO, "accounts", "open %s", path);
    ssize_t n = read(fd, digest, DIGEST_HEX);
    close(fd);
    if (n == DIGEST_HEX && hex_decode(digest, DIGEST_BYTES, bytes)) return true;
    return err_set(e, ERR_CORRUPT, "accounts", "%s does not hold a SHA-256 digest; remove it, 'gantry token add' makes a token", path);
}

static bool take_over_file(struct server *s, struct err *e) {
    char path[PATH_BYTES], digest[DIGEST_HEX];
    bool there;
    snprintf(path, sizeof path, "%.3900s/admin-token.sha256", s->settings->data_dir);
    if (!file_digest(path, digest, &there, e)) return false;
    if (!there) return true;
    s->has_token = true;
    return accounts_take_over(s->accounts, (struct str){digest, DIGEST_HEX}, e) && sys_unlink(NULL, path, e) && sys_flush_dir(NULL, s->settings->data_dir, e);
}

static bool read_setting(struct server *s, char digest[DIGEST_HEX], bool *there, struct err *e) {
    struct db *d = db_reader(archive_db(s->archive), e);
    struct db_stmt *q = d ? db_prepare(d, "SELECT value FROM settings WHERE name = '" OLD_SETTING "'", e) : NULL;
    enum db_step step = q ? db_next(q, e) : DB_FAIL;
    *there = step == DB_ROW && db_text(q, 0).n == DIGEST_HEX;
    if (*there) memcpy(digest, db_text(q, 0).p, DIGEST_HEX);
    db_done(q);
    db_return(archive_db(s->archive), d);
    return step != DB_FAIL;
}

static bool take_over_setting(struct server *s, struct err *e) {
    char digest[DIGEST_HEX];
    bool there;
    if (!read_setting(s, digest, &there, e)) return false;
    if (!there) return true;
    s->has_token = true;
    if (!accounts_take_over(s->accounts, (struct str){digest, DIGEST_HEX}, e)) return false;
    struct db *d = db_side(archive_db(s->archive), e);
    bool ok = d && db_exec(d, "DELETE FROM settings WHERE name = '" OLD_SETTING "'", e);
    db_return(archive_db(s->archive), d);
    return ok;
}

// ---- first start ----

static bool first(struct server *s, struct err *e) {
    static const struct actor WHO = {.door = DOOR_JOB, .user = {"start", 5}};
    bool made;
    if (!accounts_first(s->accounts, s->one_time, &made, e)) return false;
    if (!made || s->has_token) return true;
    return account_first_token(s->accounts, &WHO, clock_wall_ms() + FIRST_TOKEN_DAYS * (int64_t)DAY_MS, s->token, e);
}

bool serve_accounts_open(struct server *s, struct err *e) {
    const struct accounts_options o = {.session_idle_s = s->settings->session_idle_s,
                                       .session_absolute_s = s->settings->session_absolute_s,
                                       .password_least = s->settings->password_least,
                                       .breached_file = s->settings->password_list};
    if (!accounts_open(s->archive, &o, &s->accounts, e)) return false;
    if (!s->settings->auth) return true; // nobody is asked for anything: the administrator is made when somebody is
    bool ok = take_over_file(s, e) && take_over_setting(s, e) && first(s, e);
    if (!ok) serve_accounts_close(s);
    return ok;
}

void serve_accounts_close(struct server *s) {
    accounts_close(s->accounts);
    s->accounts = NULL;
    explicit_bzero(s->one_time, sizeof s->one_time);
    explicit_bzero(s->token, sizeof s->token);
}

void serve_accounts_print(const struct server *s) {
    if (s->one_time[0])
        printf("administrator: sign in as 'admin' with the one-time password %s (shown this once; it is changed at the first sign-in)\n", s->one_time);
    if (s->token[0])
        printf("token %s (for programs, with all an administrator may, shown this once; it ends in %d days, 'gantry token' makes others)\n", s->token,
               FIRST_TOKEN_DAYS);
}
