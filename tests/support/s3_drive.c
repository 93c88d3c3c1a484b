// Drives the S3 client from a command line, for tests: s3_drive ENDPOINT BUCKET OPTION=VALUE... -- COMMAND ARGUMENT...
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/thread.h"
#include "http/s3.h"
#include "sys/file.h"

#include <fcntl.h>
#include <unistd.h>

static bool read_file(void *ctx, uint64_t at, void *p, size_t n, struct err *e) {
    return sys_read_at(&sys_files, *(int *)ctx, p, n, at, e);
}

static bool put(struct s3 *c, char **args, bool create, struct err *e) {
    int fd;
    struct sys_stat st;
    if (!sys_open(&sys_files, args[1], O_RDONLY, 0, &fd, e) || !sys_stat_fd(fd, &st, e)) return false;
    struct s3_body b = {.read_at = read_file, .ctx = &fd, .size = st.size};
    bool ok = s3_put(c, args[0], &b, create, e);
    sys_close(&sys_files, fd);
    return ok;
}

static bool do_put(struct s3 *c, char **args, struct err *e) {
    return put(c, args, false, e);
}

static bool do_create(struct s3 *c, char **args, struct err *e) {
    return put(c, args, true, e);
}

// get KEY AT N FILE
static bool do_get(struct s3 *c, char **args, struct err *e) {
    size_t n = strtoull(args[2], NULL, 10);
    char *p = malloc(n ? n : 1);
    uint64_t size;
    bool ok = p && s3_get(c, args[0], strtoull(args[1], NULL, 10), p, n, &size, e);
    FILE *f = ok ? fopen(args[3], "wb") : NULL;
    if (f) ok = fwrite(p, 1, n, f) == n;
    if (f) fclose(f);
    if (ok) printf("size %llu\n", (unsigned long long)size);
    free(p);
    return ok && f;
}

// ---- many threads ----

struct hammer {
    struct s3 *c;
    unsigned number, rounds;
    size_t bytes;
    bool ok;
    struct err e;
};

static bool fill(void *ctx, uint64_t at, void *p, size_t n, struct err *e) {
    const struct hammer *h = ctx;
    (void)e;
    for (size_t i = 0; i < n; i++) ((uint8_t *)p)[i] = (uint8_t)((at + i) * 31 + h->number);
    return true;
}

static bool one_round(struct hammer *h, unsigned round, uint8_t *p, uint8_t *want, struct err *e) {
    char key[64];
    const struct s3_body b = {.read_at = fill, .ctx = h, .size = h->bytes};
    snprintf(key, sizeof key, "hammer/%u/%u", h->number, round);
    if (!s3_put(h->c, key, &b, true, e) || !s3_get(h->c, key, 0, p, h->bytes, NULL, e)) return false;
    fill(h, 0, want, h->bytes, e);
    if (memcmp(p, want, h->bytes) != 0) return err_set(e, ERR_CORRUPT, "drive", "%s came back different", key);
    return s3_delete(h->c, key, e);
}

static void *run_hammer(void *ctx) {
    struct hammer *h = ctx;
    uint8_t *p = malloc(2 * h->bytes + 1);
    h->ok = p != NULL;
    for (unsigned i = 0; h->ok && i < h->rounds; i++) h->ok = one_round(h, i, p, p + h->bytes, &h->e);
    free(p);
    return NULL;
}

// hammer THREADS ROUNDS BYTES: each thread puts, gets and deletes objects of its own
static bool do_hammer(struct s3 *c, char **args, struct err *e) {
    struct hammer h[64];
    pthread_t threads[64];
    unsigned n = (unsigned)atoi(args[0]);
    bool ok = n <= 64;
    for (unsigned i = 0; ok && i < n; i++) {
        h[i] = (struct hammer){.c = c, .number = i, .rounds = (unsigned)atoi(args[1]), .bytes = strtoull(args[2], NULL, 10)};
        if (!thread_start(&threads[i], "hammer", run_hammer, &h[i], e)) n = i, ok = false;
    }
    for (unsigned i = 0; i < n; i++) {
        pthread_join(threads[i], NULL);
        if (ok && !h[i].ok) *e = h[i].e, ok = false;
    }
    return ok;
}

static struct s3 *to_cancel;
static int64_t cancel_ms;
static pthread_t canceller;
static bool cancelling;

static void *cancel(void *ctx) {
    struct timespec t = {.tv_sec = cancel_ms / 1000, .tv_nsec = cancel_ms % 1000 * 1000000};
    nanosleep(&t, NULL);
    s3_cancel(to_cancel);
    return ctx;
}

// cancel-after MS: and the commands go on
static bool do_cancel_after(struct s3 *c, char **args, struct err *e) {
    to_cancel = c;
    cancel_ms = atoll(args[0]);
    return cancelling = thread_start(&canceller, "cancel", cancel, NULL, e);
}

static bool do_stats(struct s3 *c, char **args, struct err *e) {
    struct s3_stats s;
    (void)args, (void)e;
    s3_stats_get(c, &s);
    printf("puts=%llu gets=%llu heads=%llu deletes=%llu lists=%llu others=%llu retries=%llu failures=%llu out=%llu in=%llu\n", (unsigned long long)s.puts,
           (unsigned long long)s.gets, (unsigned long long)s.heads, (unsigned long long)s.deletes, (unsigned long long)s.lists, (unsigned long long)s.others,
           (unsigned long long)s.retries, (unsigned long long)s.failures, (unsigned long long)s.bytes_out, (unsigned long long)s.bytes_in);
    return true;
}

static bool print(void *ctx, const char *key, const struct s3_object *o, struct err *e) {
    (void)ctx, (void)e;
    printf("%s\t%llu\t%lld\t%s\t%s%s%s\n", key, (unsigned long long)o->size, (long long)o->modified_ms, o->etag, o->storage_class,
           o->archived ? " archived" : "", o->restoring ? " restoring" : "");
    return true;
}

static bool do_head(struct s3 *c, char **args, struct err *e) {
    struct s3_object o;
    return s3_head(c, args[0], &o, e) && print(NULL, args[0], &o, e);
}

static bool do_delete(struct s3 *c, char **args, struct err *e) {
    return s3_delete(c, args[0], e);
}

static bool do_make_bucket(struct s3 *c, char **args, struct err *e) {
    (void)args;
    return s3_make_bucket(c, e);
}

static bool do_list(struct s3 *c, char **args, struct err *e) {
    return s3_list(c, args[0], args[1], print, NULL, e);
}

static bool do_class(struct s3 *c, char **args, struct err *e) {
    return s3_set_class(c, args[0], args[1], e);
}

static bool do_restore(struct s3 *c, char **args, struct err *e) {
    return s3_restore(c, args[0], (unsigned)atoi(args[1]), e);
}

static bool do_hold(struct s3 *c, char **args, struct err *e) {
    return s3_legal_hold(c, args[0], strcmp(args[1], "on") == 0, e);
}

static bool do_abort_stale(struct s3 *c, char **args, struct err *e) {
    unsigned n = 0;
    bool ok = s3_abort_stale(c, args[0], atoll(args[1]), &n, e);
    if (ok) printf("%u\n", n);
    return ok;
}

static const struct {
    const char *name;
    int args;
    bool (*run)(struct s3 *c, char **args, struct err *e);
} COMMANDS[] = {
    {"put", 2, do_put},         {"create", 2, do_create},
    {"get", 4, do_get},         {"stats", 0, do_stats},
    {"hammer", 3, do_hammer},   {"cancel-after", 1, do_cancel_after},
    {"head", 1, do_head},       {"delete", 1, do_delete},
    {"class", 2, do_class},     {"abort-stale", 2, do_abort_stale},
    {"list", 2, do_list},       {"make-bucket", 0, do_make_bucket},
    {"restore", 2, do_restore}, {"hold", 2, do_hold},
};

static bool run(struct s3 *c, char **args, struct err *e) {
    for (size_t i = 0; i < sizeof COMMANDS / sizeof COMMANDS[0]; i++) {
        int n = 0;
        if (!args[0] || strcmp(args[0], COMMANDS[i].name) != 0) continue;
        while (args[n + 1]) n++;
        return n == COMMANDS[i].args ? COMMANDS[i].run(c, args + 1, e) : err_set(e, ERR_USAGE, "drive", "%s takes %d arguments", args[0], COMMANDS[i].args);
    }
    return err_set(e, ERR_USAGE, "drive", "no such command");
}

static const struct {
    const char *name;
    size_t at;
} TEXTS[] =
    {
        {"region", offsetof(struct s3_options, region)},
        {"access", offsetof(struct s3_options, access_key)},
        {"secret", offsetof(struct s3_options, secret_key)},
        {"token", offsetof(struct s3_options, session_token)},
        {"file", offsetof(struct s3_options, credentials_file)},
        {"profile", offsetof(struct s3_options, profile)},
        {"metadata", offsetof(struct s3_options, metadata_endpoint)},
        {"sts", offsetof(struct s3_options, sts_endpoint)},
        {"role", offsetof(struct s3_options, role_arn)},
        {"token-file", offsetof(struct s3_options, token_file)},
        {"ca", offsetof(struct s3_options, ca_file)},
        {"proxy", offsetof(struct s3_options, proxy)},
        {"class", offsetof(struct s3_options, storage_class)},
        {"lock", offsetof(struct s3_options, lock_mode)},
},
  NUMBERS[] = {
      {"lock-days", offsetof(struct s3_options, lock_days)}, {"connect-ms", offsetof(struct s3_options, connect_ms)},
      {"stall-ms", offsetof(struct s3_options, stall_ms)},   {"request-ms", offsetof(struct s3_options, request_ms)},
      {"retry-ms", offsetof(struct s3_options, retry_ms)},   {"attempts", offsetof(struct s3_options, attempts)},
      {"style", offsetof(struct s3_options, style)},         {"credentials", offsetof(struct s3_options, credentials)},
};

static bool option(struct s3_options *o, char *text) {
    char *value = strchr(text, '=');
    if (!value) return false;
    *value++ = 0;
    if (strcmp(text, "clock-s") == 0) return clock_shift_wall_ms(atoll(value) * 1000), true; // a machine whose clock is wrong
    for (size_t i = 0; i < sizeof TEXTS / sizeof TEXTS[0]; i++)
        if (strcmp(text, TEXTS[i].name) == 0) return *(const char **)((char *)o + TEXTS[i].at) = value, true;
    for (size_t i = 0; i < sizeof NUMBERS / sizeof NUMBERS[0]; i++)
        if (strcmp(text, NUMBERS[i].name) == 0) return *(unsigned *)((char *)o + NUMBERS[i].at) = (unsigned)atoi(value), true;
    return false;
}

// One command from the command line, or many: one a line of standard input, fields parted by tabs, what it prints, then a line "= ok" or "= kind: message", for each.
static int run_lines(struct s3 *c) {
    char line[4096];
    while (fgets(line, sizeof line, stdin)) {
        char *args[8] = {0}, *rest = line;
        struct err e = {0};
        line[strcspn(line, "\n")] = 0;
        for (int i = 0; i < 7 && rest; i++) args[i] = strsep(&rest, "\t");
        bool ok = run(c, args, &e);
        printf("= %s%s%s\n", ok ? "ok" : err_class_of(e.kind)->name, ok ? "" : ": ", ok ? "" : e.message);
        fflush(stdout);
    }
    return 0;
}

int main(int argc, char **argv) {
    struct s3_options o = {.endpoint = argc > 2 ? argv[1] : NULL, .bucket = argc > 2 ? argv[2] : NULL};
    struct err e = {0};
    struct s3 *c = NULL;
    int i = 3;
    for (; i < argc && strcmp(argv[i], "--") != 0; i++)
        if (!option(&o, argv[i])) return fprintf(stderr, "what is %s?\n", argv[i]), 64;
    bool ok = s3_open(&o, &c, &e);
    if (ok && i >= argc) {
        int code = run_lines(c);
        s3_close(c);
        return code;
    }
    ok = ok && run(c, argv + i + 1, &e);
    struct s3_stats st = {0};
    if (c) s3_stats_get(c, &st);
    if (!ok) fprintf(stderr, "%s: %s\n", err_class_of(e.kind)->name, e.message);
    fprintf(stderr, "retries %llu\n", (unsigned long long)st.retries);
    if (cancelling) pthread_join(canceller, NULL);
    s3_close(c);
    return ok ? 0 : err_class_of(e.kind)->exit;
}
