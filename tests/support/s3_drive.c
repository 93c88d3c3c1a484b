// Drives the S3 client from a command line, for tests: s3_drive ENDPOINT BUCKET OPTION=VALUE... -- COMMAND ARGUMENT...
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "http/s3.h"
#include "sys/file.h"

#include <fcntl.h>
#include <unistd.h>

enum { LINES_MAX = 1000000 };

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

// get KEY AT N > bytes
static bool do_get(struct s3 *c, char **args, struct err *e) {
    size_t n = strtoull(args[2], NULL, 10);
    char *p = malloc(n ? n : 1);
    uint64_t size;
    bool ok = p && s3_get(c, args[0], strtoull(args[1], NULL, 10), p, n, &size, e);
    if (ok) fwrite(p, 1, n, stdout);
    if (ok) fprintf(stderr, "size %llu\n", (unsigned long long)size);
    free(p);
    return ok;
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
    {"put", 2, do_put},
    {"create", 2, do_create},
    {"get", 3, do_get},
    {"head", 1, do_head},
    {"delete", 1, do_delete},
    {"class", 2, do_class},
    {"abort-stale", 2, do_abort_stale},
    {"list", 2, do_list},
    {"make-bucket", 0, do_make_bucket},
    {"restore", 2, do_restore},
    {"hold", 2, do_hold},
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
    for (size_t i = 0; i < sizeof TEXTS / sizeof TEXTS[0]; i++)
        if (strcmp(text, TEXTS[i].name) == 0) return *(const char **)((char *)o + TEXTS[i].at) = value, true;
    for (size_t i = 0; i < sizeof NUMBERS / sizeof NUMBERS[0]; i++)
        if (strcmp(text, NUMBERS[i].name) == 0) return *(unsigned *)((char *)o + NUMBERS[i].at) = (unsigned)atoi(value), true;
    return false;
}

// One command from the command line, or many: one a line of standard input, fields parted by tabs, an answer line "ok" or the error for each.
static int run_lines(struct s3 *c) {
    char line[4096];
    while (fgets(line, sizeof line, stdin)) {
        char *args[8] = {0}, *rest = line;
        struct err e = {0};
        line[strcspn(line, "\n")] = 0;
        for (int i = 0; i < 7 && rest; i++) args[i] = strsep(&rest, "\t");
        bool ok = run(c, args, &e);
        printf("%s%s%s\n", ok ? "ok" : err_class_of(e.kind)->name, ok ? "" : ": ", ok ? "" : e.message);
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
    s3_close(c);
    return ok ? 0 : err_class_of(e.kind)->exit;
}
