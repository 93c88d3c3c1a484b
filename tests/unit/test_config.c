// Behaviour of the configuration file: several nodes over one database and bucket, secrets, and slips told with their line.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
// cmocka needs the four above first
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "app/settings.h"

struct config {
    char dir[32], path[64], secret[64];
    struct arena arena;
    struct settings settings;
    struct err err;
};

static int setup(void **state) {
    struct config *c = calloc(1, sizeof *c);
    snprintf(c->dir, sizeof c->dir, "/tmp/gantry-config-XXXXXX");
    if (!mkdtemp(c->dir)) return -1;
    snprintf(c->path, sizeof c->path, "%s/gantry.yaml", c->dir);
    snprintf(c->secret, sizeof c->secret, "%s/secret", c->dir);
    arena_init(&c->arena, 16 << 20);
    *state = c;
    return 0;
}

static int teardown(void **state) {
    struct config *c = *state;
    unlink(c->path);
    unlink(c->secret);
    rmdir(c->dir);
    arena_deinit(&c->arena);
    free(c);
    return 0;
}

static void write_text(const char *path, const char *text) {
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    fclose(f);
}

// As `gantry serve --config FILE` reads it.
static bool read_config(struct config *c, const char *text) {
    struct cli_args args = {.arena = &c->arena, .command = &(struct cli_command){.name = "serve", .options = SETTINGS_OPTIONS}};
    write_text(c->path, text);
    args.given[0] = &SETTINGS_OPTIONS[0];
    args.values[0] = c->path;
    args.given_count = 1;
    err_clear(&c->err);
    return settings_read(&args, &c->arena, &c->settings, &c->err);
}

static void is_refused(struct config *c, const char *text, const char *why) {
    if (read_config(c, text)) fail_msg("this was taken:\n%s", text);
    assert_int_equal(c->err.kind, ERR_USAGE);
    if (!strstr(c->err.message, why)) fail_msg("'%s' is not in: %s", why, c->err.message);
}

#define DATABASE "database:\n  url: postgresql://gantry@db.example.org/gantry\n"
#define STORE "store:\n  s3:\n    endpoint: https://s3.example.org\n    bucket: images\n    access-key: k\n    secret-key: s\n"

static void a_cluster_is_read_whole(void **state) {
    struct config *c = *state;
    write_text(c->secret, "p'w d\n");
    char text[2048];
    snprintf(text, sizeof text,
             "node: reading-room-1\ndata: %s\ndrain-seconds: 3\ndeadline-seconds: 60\n"
             "database:\n  url: postgresql://gantry@db.example.org/gantry\n  password-file: %s\n  schema: pacs\n  connections: 12\n  statement-seconds: 7\n"
             "store:\n  s3:\n    endpoint: https://s3.example.org\n    bucket: images\n    prefix: archive\n    region: cn-north-1\n    style: virtual-host\n"
             "    access-key: key\n    secret-key-file: %s\n    storage-class: STANDARD_IA\n    object-lock: {mode: compliance, days: 30}\n    stall-ms: 500\n"
             "  cache-gib: 50\n  small-mib: 2\n  index-gib: 4\n  writers: 3\n",
             c->dir, c->secret, c->secret);
    if (!read_config(c, text)) fail_msg("%s", c->err.message);
    const struct archive_options o = settings_archive(&c->settings);
    assert_string_equal(o.node, "reading-room-1");
    assert_string_equal(o.database_url, "postgresql://gantry@db.example.org/gantry?password=p%27w%20d");
    assert_string_equal(o.database_schema, "pacs");
    assert_int_equal(o.database_connections, 12);
    assert_int_equal(o.database_statement_ms, 7000);
    assert_int_equal(c->settings.drain_ms, 3000);
    assert_int_equal(c->settings.deadline_ms, 60000);
    const struct vol_remote *r = o.remote;
    assert_non_null(r);
    assert_string_equal(r->prefix, "archive/");
    assert_int_equal(r->cache_bytes, 50ULL << 30);
    assert_int_equal(r->small_bytes, 2 << 20);
    assert_int_equal(r->index_bytes_max, 4ULL << 30);
    assert_int_equal(r->writers, 3);
    assert_string_equal(r->s3->endpoint, "https://s3.example.org");
    assert_string_equal(r->s3->region, "cn-north-1");
    assert_int_equal(r->s3->style, S3_VIRTUAL_HOST);
    assert_int_equal(r->s3->credentials, S3_STATIC);
    assert_string_equal(r->s3->secret_key, "p'w d");
    assert_string_equal(r->s3->storage_class, "STANDARD_IA");
    assert_string_equal(r->s3->lock_mode, "COMPLIANCE");
    assert_int_equal(r->s3->lock_days, 30);
    assert_int_equal(r->s3->stall_ms, 500);
}

static void without_a_file_there_is_one_node_on_its_own(void **state) {
    struct config *c = *state;
    if (!read_config(c, "data: /tmp/gantry-nowhere\n")) fail_msg("%s", c->err.message);
    const struct archive_options o = settings_archive(&c->settings);
    assert_null(o.database_url);
    assert_null(o.remote);
    assert_non_null(strstr(o.node, ":11112"));
    assert_int_equal(c->settings.drain_ms, 0);
}

static void secrets_come_from_the_environment(void **state) {
    struct config *c = *state;
    setenv("GANTRY_TEST_SECRET", "of the/environment", 1);
    setenv("GANTRY_TEST_HOST", "db.example.org", 1);
    const char text[] = "database:\n  url: postgresql://gantry@${GANTRY_TEST_HOST}/gantry?sslmode=require\n  password: x${GANTRY_TEST_SECRET}\n"
                        "store:\n  small-volumes: bucket\n  s3:\n    endpoint: http://127.0.0.1:9000\n    bucket: ${GANTRY_TEST_SECRET}\n    access-key: k\n"
                        "    secret-key: ${GANTRY_TEST_SECRET}\n";
    if (!read_config(c, text)) fail_msg("%s", c->err.message);
    assert_string_equal(c->settings.database_url, "postgresql://gantry@db.example.org/gantry?sslmode=require&password=xof%20the%2Fenvironment");
    assert_string_equal(c->settings.s3.secret_key, "of the/environment");
    assert_string_equal(c->settings.s3.bucket, "${GANTRY_TEST_SECRET}"); // no secret: taken as it stands
    assert_int_equal(c->settings.remote.small_bytes, 0);
    assert_string_equal(c->settings.remote.prefix, "");
    unsetenv("GANTRY_TEST_SECRET");
    is_refused(c, text, "the environment has no GANTRY_TEST_SECRET");
}

static void a_password_joins_key_value_text_too(void **state) {
    struct config *c = *state;
    if (!read_config(c, "database:\n  url: host=/run/postgresql dbname=gantry\n  password: a'b\n" STORE)) fail_msg("%s", c->err.message);
    assert_string_equal(c->settings.database_url, "host=/run/postgresql dbname=gantry password='a\\'b'");
}

static void half_a_cluster_is_refused(void **state) {
    is_refused(*state, DATABASE, "name a bucket under store: s3:");
    is_refused(*state, STORE, "name it under database:");
}

static void slips_are_told_with_their_line(void **state) {
    struct config *c = *state;
    is_refused(c, DATABASE "  scheme: x\n" STORE, "Unexpected key: scheme (line: 3)");
    is_refused(c, DATABASE "store:\n  s3:\n    endpoint: https://s3.example.org\n    access-key: k\n", "bucket");
    is_refused(c, DATABASE STORE "    style: host\n", "line: 9");
    is_refused(c, DATABASE STORE "    credentials: none\n", "line: 9");
    is_refused(c, DATABASE "  connections: many\n" STORE, "line: 3");
    is_refused(c, DATABASE "  connections: 0\n" STORE, "connections is a number from 1");
    is_refused(c, "store: {s3: {endpoint: s3.example.org, bucket: b}}\n" DATABASE, "endpoint is a URL");
    is_refused(c, "node: two words\n", "is not a name");
}

static void credentials_are_whole_and_of_one_way(void **state) {
    struct config *c = *state;
    const char *const head = DATABASE "store:\n  s3:\n    endpoint: https://s3.example.org\n    bucket: images\n";
    char text[1024];
    const char *const cases[][2] = {
        {"    access-key: k\n", "credentials static needs access-key and secret-key"},
        {"    access-key: k\n    secret-key: s\n    secret-key-file: /f\n", "exclude each other"},
        {"    credentials: environment\n    access-key: k\n", "belong to credentials static"},
        {"    credentials: web-identity\n    role-arn: r\n", "needs role-arn and token-file"},
        {"    access-key: k\n    secret-key: s\n    object-lock: {mode: governance, days: 0}\n", "days is at least 1"},
        {"    access-key: k\n    secret-key-file: /nowhere/at/all\n", "store: s3: secret-key"},
    };
    for (unsigned i = 0; i < sizeof cases / sizeof *cases; i++) {
        snprintf(text, sizeof text, "%s%s", head, cases[i][0]);
        assert_false(read_config(c, text));
        if (!strstr(c->err.message, cases[i][1])) fail_msg("'%s' is not in: %s", cases[i][1], c->err.message);
    }
    snprintf(text, sizeof text, "%s    credentials: instance\n", head);
    if (!read_config(c, text)) fail_msg("%s", c->err.message);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_cluster_is_read_whole),
        cmocka_unit_test(without_a_file_there_is_one_node_on_its_own),
        cmocka_unit_test(secrets_come_from_the_environment),
        cmocka_unit_test(a_password_joins_key_value_text_too),
        cmocka_unit_test(half_a_cluster_is_refused),
        cmocka_unit_test(slips_are_told_with_their_line),
        cmocka_unit_test(credentials_are_whole_and_of_one_way),
    };
    return cmocka_run_group_tests_name("config", tests, setup, teardown);
}
