// gantry import: files, folders and archives into the archive on this machine, or into a server elsewhere.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "app/commands.h"
#include "app/import.h"
#include "app/import_to.h"
#include "app/opening.h"
#include "app/tls_cli.h"
#include "core/access.h"
#include "base/buf.h"
#include "core/ingest.h"
#include "text/json.h"

enum { WORKERS_DEFAULT = 8, CHUNK_BYTES = 256 * 1024 };

// ---- into a data directory ----

// Who imports: the system itself, or, for a place, somebody who may store in its tenant alone.
struct importer {
    struct archive *ar;
    struct actor who;
    struct principal principal;
    struct access_grant grant;
};

static bool take_realm(struct cli_args *args, struct importer *out, struct err *e) {
    const char *realm = cli_text(args, "realm", NULL);
    out->who = (struct actor){.door = DOOR_COMMAND, .user = {"import", 6}};
    if (!realm) return true;
    if (!realm_parse(str_of(realm), &out->principal.home, e)) return false;
    out->grant = (struct access_grant){.role = PRINCIPAL_OF_SYSTEM.name,
                                       .permissions = ACCESS_BIT(ACCESS_STUDY_STORE),
                                       .scope = {.kind = SCOPE_TENANT, .realm = {.tenant = out->principal.home.tenant}}};
    out->principal.kind = PRINCIPAL_SYSTEM;
    out->principal.name = PRINCIPAL_OF_SYSTEM.name;
    out->principal.grants = &out->grant;
    out->principal.grant_count = 1;
    out->who.principal = &out->principal;
    return true;
}

struct local {
    const struct importer *importer;
    char *chunk;
};

static void *local_open(void *shared, struct err *e) {
    struct local *l = malloc(sizeof *l + CHUNK_BYTES);
    if (!l) return err_nomem(e, "import"), NULL;
    *l = (struct local){shared, (char *)(l + 1)};
    return l;
}

static bool feed(struct local *l, struct ingest *in, const struct import_item *item, struct err *e) {
    for (uint64_t at = 0, n; at < item->size; at += n) {
        n = item->size - at < CHUNK_BYTES ? item->size - at : CHUNK_BYTES;
        if (!import_read(item, at, l->chunk, n, e) || !ingest_write(in, l->chunk, n, e)) return false;
    }
    return true;
}

static enum import_outcome outcome_of(bool ok, const struct ingest_result *r, struct err *why) {
    if (!ok && r->outcome == INGEST_QUARANTINED) return IMPORT_QUARANTINED;
    if (!ok) return why->kind == ERR_UNSUPPORTED ? IMPORT_NOT_DICOM : IMPORT_FAILED;
    if (r->outcome == INGEST_KNOWN) return IMPORT_KNOWN;
    if (r->outcome == INGEST_STORED) return IMPORT_STORED;
    err_set(why, ERR_CONFLICT, "import", "%s", r->reason);
    return IMPORT_CONFLICT;
}

static enum import_outcome local_put(void *worker, const struct import_item *item, struct err *why) {
    struct local *l = worker;
    struct ingest_result r = {0};
    struct ingest *in = ingest_begin(l->importer->ar, &l->importer->who, NULL, why);
    if (!in) return IMPORT_FAILED;
    if (!feed(l, in, item, why)) {
        ingest_abort(in);
        return IMPORT_FAILED;
    }
    return outcome_of(ingest_commit(in, &r, why), &r, why);
}

// ---- report ----

struct report {
    bool json;
    struct buf items; // JSON of what needs a look
    struct json_writer j;
};

static void on_item(void *ctx, const char *name, enum import_outcome outcome, const struct err *why) {
    struct report *r = ctx;
    if (outcome == IMPORT_STORED || outcome == IMPORT_KNOWN || outcome == IMPORT_NOT_DICOM) return;
    if (!r->json) {
        bool named = str_starts(str_of(why->message), str_of(name));
        fprintf(stderr, "%s: %s%s%s\n", IMPORT_OUTCOME_NAMES[outcome], named ? "" : name, named ? "" : ": ", why->message);
        return;
    }
    json_begin_object(&r->j);
    json_put_strz(&r->j, "path", name);
    json_put_strz(&r->j, "outcome", IMPORT_OUTCOME_NAMES[outcome]);
    json_put_strz(&r->j, "reason", why->message);
    json_end_object(&r->j);
}

static void on_progress(void *ctx, uint64_t done, uint64_t found) {
    (void)ctx;
    if (done < found) cli_progress("import", done, found);
}

static void print_json(struct report *r, const struct import_counts *c) {
    struct buf b;
    struct json_writer j;
    buf_init(&b, 1UL << 30);
    json_init(&j, &b, false);
    json_begin_object(&j);
    for (int i = 0; i < IMPORT_OUTCOMES; i++) json_put_uint(&j, IMPORT_OUTCOME_NAMES[i], c->of[i]);
    json_put_uint(&j, "bytes_stored", c->bytes);
    json_key(&j, "items");
    json_raw(&j, buf_str(&r->items));
    json_end_object(&j);
    printf("%.*s\n", STR_FMT(buf_str(&b)));
    buf_deinit(&b);
}

static void print_text(const struct import_counts *c) {
    const unsigned long long n[IMPORT_OUTCOMES] = {c->of[0], c->of[1], c->of[2], c->of[3], c->of[4], c->of[5]};
    printf("%llu stored, %llu already there, %llu conflicting, %llu quarantined, %llu not DICOM, %llu failed\n", n[0], n[1], n[2], n[3], n[4], n[5]);
}

static int import_into(struct cli_args *args, const struct import_target *target, unsigned workers) {
    struct err e = {0};
    struct import_counts counts = {0};
    struct report r = {.json = cli_flag(args, "json")};
    buf_init(&r.items, 1UL << 30);
    json_init(&r.j, &r.items, false);
    json_begin_array(&r.j);
    const struct import_run run = {.target = target, .workers = workers, .on_item = on_item, .on_progress = on_progress, .ctx = &r};
    bool ok = import_paths(&run, args->positional, args->positional_count, &counts, &e);
    json_end_array(&r.j);
    uint64_t all = 0;
    for (int i = 0; i < IMPORT_OUTCOMES; i++) all += counts.of[i];
    if (all) cli_progress("import", all, all);
    if (r.json)
        print_json(&r, &counts);
    else
        print_text(&counts);
    buf_deinit(&r.items);
    if (!ok) return cli_fail(args, &e);
    return counts.of[IMPORT_FAILED] ? EX_IOERR : 0;
}

static void local_close(void *worker) {
    free(worker);
}

static int import_local(struct cli_args *args, unsigned workers) {
    struct err e = {0};
    struct opening o;
    struct importer importer = {0};
    if (!take_realm(args, &importer, &e) || !opening_begin(args, OPENING_MAY_BE_NEW, &o, &e)) return cli_fail(args, &e);
    importer.ar = o.archive;
    int code = import_into(args, &(struct import_target){local_open, local_put, local_close, &importer}, workers);
    opening_end(&o);
    return code;
}

static int run(struct cli_args *args) {
    struct err e = {0};
    struct import_target target;
    int64_t workers;
    const char *to = cli_text(args, "to", NULL);
    if (!cli_int(args, "jobs", WORKERS_DEFAULT, 1, 64, &workers)) return EX_USAGE;
    if (!to) return import_local(args, (unsigned)workers);
    if (cli_text(args, "data", NULL) || cli_text(args, "config", NULL) || cli_text(args, "realm", NULL))
        return err_set(&e, ERR_USAGE, "import", "--to excludes --data, --config and --realm"), cli_fail(args, &e);
    struct import_server server = {.to = to,
                                   .token = cli_text(args, "token", NULL),
                                   .ca = cli_text(args, "tls-ca", NULL),
                                   .calling = cli_text(args, "aet", "GANTRY"),
                                   .tls_name = cli_text(args, "tls-name", NULL)};
    if (!tls_cli_open(args, &server.tls, &e) || !import_to(args->arena, &server, &target, &e)) return cli_fail(args, &e);
    return import_into(args, &target, (unsigned)workers);
}

static const struct cli_option OPTIONS[] = {
    OPENING_OPTIONS,
    {"to", "URL|AE", "a running server instead: http://host:port (STOW-RS) or AET@host:port (C-STORE)"},
    {"token", "TOKEN", "token for --to URL"},
    {"aet", "NAME", "calling AE title for --to AET@host:port (default: GANTRY)"},
    {"realm", "PLACE", "where new studies belong: TENANT/SITE/DEPARTMENT (default: the own hospital)"},
    {"jobs", "N", "objects under way at once (default: 8)"},
    {"json", NULL, "print counts, and each object that needs a look, as JSON"},
    TLS_CLI_OPTIONS,
    {0},
};

const struct cli_command CMD_IMPORT = {
    .name = "import",
    .synopsis = "[--data DIR | --config FILE | --to URL|AET@HOST:PORT] [--realm PLACE] [--json] PATH...",
    .summary = "Take objects from files, folders, media, zip and tar",
    .permission = ACCESS_STUDY_STORE,
    .group = "Keeping",
    .details =
        "Folders are walked whole; a DICOMDIR in them is skipped, since the files it lists are found beside it; named itself, it stands for these files.\n"
        "An object that is there already is counted, not stored again; other bytes under the same UID are kept beside the first; what cannot be\n"
        "understood goes to quarantine with its reason. Over C-STORE, what the server has already counts as stored: DICOM has no status that tells.",
    .options = OPTIONS,
    .positional_min = 1,
    .positional_max = UINT32_MAX,
    .run = run,
};
