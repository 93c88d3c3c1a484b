// Unix socket of a running server: a few threads that take one request after the other.
#include "app/control.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "app/audit_used.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/thread.h"
#include "mod/admin/admin.h"

#define NAME "control.sock"

enum {
    THREADS = 3,
    REQUEST_BYTES_MAX = 1 << 20,
    ANSWER_BYTES_MAX = 256 << 20,
    ARENA_BYTES_MAX = 512 << 20,
    REQUEST_MS = 10 * 1000,     // of a request, once somebody has called
    ANSWER_MS = 60 * 60 * 1000, // of the longest operation
    POLL_MS = 200
};

struct control {
    struct server *server;
    int fd;
    char path[4096];
    pthread_t threads[THREADS];
    unsigned started;
    _Atomic bool stopping;
};

// A path of any length, by way of its directory's descriptor: a socket's address has room for 107 bytes.
static bool address_of(const char *dir, int *dir_fd, struct sockaddr_un *out, struct err *e) {
    *dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (*dir_fd < 0) return err_errno(e, ERR_IO, "control", "open %s", dir);
    *out = (struct sockaddr_un){.sun_family = AF_UNIX};
    snprintf(out->sun_path, sizeof out->sun_path, "/proc/self/fd/%d/" NAME, *dir_fd);
    return true;
}

// ---- bytes ----

static bool wait_for(int fd, short what, int64_t until_ms, const _Atomic bool *stopping, struct err *e) {
    for (;;) {
        struct pollfd p = {.fd = fd, .events = what};
        int64_t left = until_ms - clock_mono_ms();
        if (left <= 0) return err_set(e, ERR_TIMEOUT, "control", "no answer in time");
        if (stopping && *stopping) return err_set(e, ERR_CANCELLED, "control", "the server is stopping");
        int n = poll(&p, 1, left < POLL_MS ? (int)left : POLL_MS);
        if (n < 0 && errno != EINTR) return err_errno(e, ERR_IO, "control", "poll");
        if (n > 0) return true;
    }
}

static bool read_line(int fd, struct buf *to, int64_t for_ms, const _Atomic bool *stopping, struct err *e) {
    int64_t until = clock_mono_ms() + for_ms;
    char piece[16 * 1024];
    while (to->n == 0 || to->p[to->n - 1] != '\n') {
        if (!wait_for(fd, POLLIN, until, stopping, e)) return false;
        ssize_t n = recv(fd, piece, sizeof piece, 0);
        if (n == 0) return err_set(e, ERR_NET, "control", "the connection ended");
        if (n < 0 && errno != EINTR) return err_errno(e, ERR_NET, "control", "receive");
        if (n > 0) buf_add(to, piece, (size_t)n);
        if (!buf_ok(to, e)) return false;
    }
    return true;
}

static bool write_all(int fd, struct str s, const _Atomic bool *stopping, struct err *e) {
    int64_t until = clock_mono_ms() + REQUEST_MS;
    while (s.n) {
        if (!wait_for(fd, POLLOUT, until, stopping, e)) return false;
        ssize_t n = send(fd, s.p, s.n, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0 && errno != EINTR && errno != EAGAIN) return err_errno(e, ERR_NET, "control", "send");
        if (n > 0) s = str_sub(s, (size_t)n, s.n), until = clock_mono_ms() + REQUEST_MS;
    }
    return true;
}

// ---- the server's side ----

// The name of whoever calls, when it is root or the one who runs the server.
static bool caller(int fd, char name[64], struct err *e) {
    struct ucred who;
    socklen_t n = sizeof who;
    char room[4096];
    struct passwd entry, *found = NULL;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &n) != 0) return err_errno(e, ERR_IO, "control", "who calls");
    if (who.uid != 0 && who.uid != geteuid()) return err_set(e, ERR_FORBIDDEN, "control", "only the server's own user and root administer by this way");
    getpwuid_r(who.uid, &entry, room, sizeof room, &found);
    if (found)
        snprintf(name, 64, "%.60s", entry.pw_name);
    else
        snprintf(name, 64, "uid-%u", (unsigned)who.uid);
    return true;
}

static bool run(struct control *c, struct arena *a, const char *user, struct str line, struct json_writer *w, struct err *e) {
    const struct json *request = json_read(a, line, 0, e);
    if (!request) return false;
    const struct actor who = {.door = DOOR_COMMAND, .user = str_of(user)};
    struct str noun = json_text(json_get(request, "noun")), verb = json_text(json_get(request, "verb"));
    const struct admin_operation *op = admin_find(noun, verb);
    if (str_eqz(noun, "audit") && str_eqz(verb, AUDIT_USED_VERB)) {
        json_bool(w, true);
        return audit_used_note(c->server->archive, &who, json_get(request, "in"), e);
    }
    if (!op) return err_set(e, ERR_NOT_FOUND, "control", "this server knows no such operation: is it of another version?");
    struct admin_call call = {.archive = c->server->archive,
                              .accounts = c->server->accounts,
                              .peers = c->server->peers,
                              .who = &who,
                              .arena = a,
                              .in = json_get(request, "in"),
                              .out = w};
    return admin_run(op, &call, e);
}

static void put_error(struct buf *b, const struct err *why) {
    struct json_writer w;
    buf_clear(b);
    json_init(&w, b, false);
    json_begin_object(&w);
    json_put_int(&w, "kind", why->kind);
    json_put_strz(&w, "message", why->message);
    json_end_object(&w);
}

static void serve(struct control *c, int fd) {
    struct buf request, answer;
    struct json_writer w;
    struct arena a;
    struct err e = {0};
    char user[64];
    buf_init(&request, REQUEST_BYTES_MAX);
    buf_init(&answer, ANSWER_BYTES_MAX);
    arena_init(&a, ARENA_BYTES_MAX);
    json_init(&w, &answer, false);
    json_begin_object(&w);
    json_key(&w, "out");
    bool ok = caller(fd, user, &e) && read_line(fd, &request, REQUEST_MS, &c->stopping, &e) && run(c, &a, user, buf_str(&request), &w, &e);
    json_end_object(&w);
    if (!ok || !buf_ok(&answer, &e)) put_error(&answer, &e);
    buf_addc(&answer, '\n');
    if (!write_all(fd, buf_str(&answer), &c->stopping, &e)) log_err(&e, "a command of administration");
    explicit_bzero(request.p ? request.p : user, request.p ? request.n : 0); // a password may have been in it
    buf_deinit(&request);
    buf_deinit(&answer);
    arena_deinit(&a);
}

static void *take_calls(void *arg) {
    struct control *c = arg;
    while (!c->stopping) {
        struct pollfd p = {.fd = c->fd, .events = POLLIN};
        if (poll(&p, 1, POLL_MS) <= 0) continue;
        int fd = accept4(c->fd, NULL, NULL, SOCK_CLOEXEC);
        if (fd < 0) continue;
        serve(c, fd);
        close(fd);
    }
    return NULL;
}

// What a server that was killed left behind goes: the archive's lock says that no other has this directory.
static bool listen_at(struct control *c, struct err *e) {
    struct sockaddr_un at;
    int dir;
    if (!address_of(c->server->settings->data_dir, &dir, &at, e)) return false;
    c->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    unlinkat(dir, NAME, 0);
    // Until the mode is set nobody can connect: it does not listen yet.
    bool ok = c->fd >= 0 && bind(c->fd, (const struct sockaddr *)&at, sizeof at) == 0 && fchmodat(dir, NAME, 0600, 0) == 0 && listen(c->fd, 16) == 0;
    if (!ok) err_errno(e, ERR_IO, "control", "listen at %s", c->path);
    close(dir);
    return ok;
}

bool control_start(struct server *s, void **state, struct err *e) {
    struct control *c = calloc(1, sizeof *c);
    if (!c) return err_nomem(e, "control");
    c->server = s;
    c->fd = -1;
    snprintf(c->path, sizeof c->path, "%.3900s/" NAME, s->settings->data_dir);
    bool ok = listen_at(c, e);
    while (ok && c->started < THREADS && (ok = thread_start(&c->threads[c->started], "control", take_calls, c, e))) c->started++;
    *state = c;
    if (!ok) control_stop(s, c);
    return ok;
}

void control_stop(struct server *s, void *state) {
    struct control *c = state;
    (void)s;
    c->stopping = true;
    for (unsigned i = 0; i < c->started; i++) pthread_join(c->threads[i], NULL);
    if (c->fd >= 0) {
        close(c->fd);
        unlink(c->path);
    }
    free(c);
}

// ---- the command's side ----

static bool call(const char *data_dir, int *fd, bool *there, struct err *e) {
    struct sockaddr_un at;
    int dir;
    *there = false;
    *fd = -1;
    if (!address_of(data_dir, &dir, &at, NULL)) return true;
    *fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool made = *fd >= 0, done = made && connect(*fd, (const struct sockaddr *)&at, sizeof at) == 0;
    int why = errno;
    close(dir);
    *there = done;
    if (done || (made && (why == ENOENT || why == ECONNREFUSED))) return true;
    errno = why;
    return err_errno(e, ERR_FORBIDDEN, "control", "a server has %s: be the user that runs it, or root", data_dir);
}

static bool take_answer(struct arena *a, const struct buf *answer, const struct json **out, struct err *e) {
    struct str text;
    int64_t kind;
    if (!arena_dup(a, buf_str(answer), &text, e)) return false;
    const struct json *all = json_read(a, text, 0, e);
    if (!all) return false;
    *out = json_get(all, "out");
    if (*out) return true;
    bool known = json_to_i64(json_get(all, "kind"), &kind) && kind > ERR_NONE && kind < ERR_KIND_COUNT;
    return err_set(e, known ? (enum err_kind)kind : ERR_PEER, "control", "%.*s", STR_FMT(json_text(json_get(all, "message"))));
}

bool control_ask(const char *data_dir, struct arena *a, const char *noun, const char *verb, struct str in, bool *there, const struct json **out,
                 struct err *e) {
    struct buf request, answer;
    struct json_writer w;
    int fd;
    if (!call(data_dir, &fd, there, e)) return false;
    if (!*there) {
        if (fd >= 0) close(fd);
        return true;
    }
    buf_init(&request, REQUEST_BYTES_MAX);
    buf_init(&answer, ANSWER_BYTES_MAX);
    json_init(&w, &request, false);
    json_begin_object(&w);
    json_put_strz(&w, "noun", noun);
    json_put_strz(&w, "verb", verb);
    json_key(&w, "in");
    json_raw(&w, in);
    json_end_object(&w);
    buf_addc(&request, '\n');
    bool ok = buf_ok(&request, e) && write_all(fd, buf_str(&request), NULL, e) && read_line(fd, &answer, ANSWER_MS, NULL, e) && take_answer(a, &answer, out, e);
    buf_deinit(&request);
    buf_deinit(&answer);
    close(fd);
    return ok;
}
