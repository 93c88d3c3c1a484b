// gantry audit: the event log proven, and handed out as audit messages of DICOM.
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "app/audit_used.h"
#include "app/commands.h"
#include "app/opening.h"
#include "core/audit.h"
#include "core/audit_search.h"
#include "core/audit_verify.h"
#include "mod/audit/message.h"
#include "sys/file.h"
#include "text/json.h"

enum { DIRS_MAX = 32, KEYS_MAX = 32, PATH_BYTES = 4096, MESSAGE_BYTES_MAX = 4 << 20, WRITE_BYTES = 1 << 20, EXIT_FOUND = 1 };

// ---- the archive, beside a server that has it ----

static bool open_beside(struct cli_args *args, struct opening *o, const char **dir, struct err *e) {
    struct settings *s;
    if (!opening_settings(args, &s, e)) return false;
    *dir = arena_printf(args->arena, e, "%s/audit", s->data_dir);
    return *dir && opening_begin(args, OPENING_BESIDE, o, e);
}

static unsigned texts_of(struct cli_args *args, const char *name, const char **out, unsigned max) {
    unsigned n = 0;
    while (n < max && (out[n] = cli_text_at(args, name, n))) n++;
    return n;
}

// ---- verify ----

struct telling {
    struct json_writer *j; // NULL: text
};

static void tell(void *ctx, const struct audit_finding *f) {
    struct telling *t = ctx;
    if (!t->j) {
        printf("%s %lld: %s\n", audit_fault_name(f->fault), (long long)f->seq, f->text);
        return;
    }
    json_begin_object(t->j);
    json_put_strz(t->j, "fault", audit_fault_name(f->fault));
    json_put_int(t->j, "seq", f->seq);
    json_put_int(t->j, "to", f->to);
    json_put_strz(t->j, "text", f->text);
    json_end_object(t->j);
}

static void tell_report(const struct audit_verify_report *r, struct json_writer *j) {
    if (j) {
        json_put_uint(j, "events", r->events);
        json_put_int(j, "first", r->first);
        json_put_int(j, "last", r->last);
        json_put_int(j, "proven", r->proven);
        json_put_int(j, "cut", r->cut);
        json_put_uint(j, "marks", r->marks);
        json_put_uint(j, "faults", r->findings);
        json_put_double(j, "seconds", r->seconds);
        return;
    }
    printf("%llu events (%lld to %lld), %llu marks, %.0f events/s: ", (unsigned long long)r->events, (long long)r->first, (long long)r->last,
           (unsigned long long)r->marks, r->seconds > 0 ? (double)r->events / r->seconds : 0);
    if (r->findings)
        printf("%llu faults\n", (unsigned long long)r->findings);
    else if (r->proven < r->last)
        printf("whole; proven by a signed mark up to event %lld, the %lld after it by the chain alone\n", (long long)r->proven,
               (long long)(r->last - r->proven));
    else
        printf("whole, and proven to its end by a signed mark\n");
}

static bool verify(struct cli_args *args, struct archive *ar, const char *dir, struct audit_verify_report *r, struct err *e) {
    const char *dirs[DIRS_MAX + 1], *keys[KEYS_MAX + 1];
    struct json_writer j;
    struct buf b;
    bool json = cli_flag(args, "json");
    struct telling t = {json ? &j : NULL};
    struct audit_verify_options o = {.dir = dir, .dirs = dirs, .keys = keys, .on_finding = tell, .ctx = &t};
    o.dir_count = texts_of(args, "checkpoints", dirs, DIRS_MAX);
    o.key_count = texts_of(args, "key", keys, KEYS_MAX);
    buf_init(&b, 1 << 28);
    json_init(&j, &b, false);
    json_begin_object(&j);
    json_key(&j, "findings");
    json_begin_array(&j);
    bool ok = audit_verify(ar, &o, r, e);
    json_end_array(&j);
    if (ok) tell_report(r, json ? &j : NULL);
    json_end_object(&j);
    if (ok && json) printf("%.*s\n", STR_FMT(buf_str(&b)));
    buf_deinit(&b);
    return ok;
}

// Afterwards, so that it was proven as it was found. One that is not whole is left so where no server goes on writing it anyway; and that of a copy which
// nobody can write is proven all the same.
static void note_verified(struct cli_args *args, const struct audit_verify_report *r) {
    const struct audit_use u = {.type = "audit.verified", .failed = r->findings > 0, .faults = r->findings};
    struct err e = {0};
    if (!audit_used(args, &u, r->findings == 0, &e)) fprintf(stderr, "not noted in the log: %s\n", e.message);
}

static int run_verify(struct cli_args *args) {
    struct err e = {0};
    struct opening o;
    struct audit_verify_report r;
    const char *dir;
    if (!open_beside(args, &o, &dir, &e)) return cli_fail(args, &e);
    bool ok = verify(args, o.archive, dir, &r, &e);
    opening_end(&o);
    if (!ok) return cli_fail(args, &e);
    note_verified(args, &r);
    return r.findings ? EXIT_FOUND : 0;
}

static const struct cli_option VERIFY_OPTIONS[] = {
    OPENING_OPTIONS,
    {"checkpoints", "DIR", "a further directory of checkpoints, such as a copy that was kept elsewhere", true},
    {"key", "HEX", "a public key (audit/key.pub) that is trusted, as it was noted elsewhere; default: the one beside the archive", true},
    {"json", NULL, "print findings and figures as JSON"},
    {0},
};

static const struct cli_command VERIFY = {
    .name = "verify",
    .synopsis = "[--data DIR | --config FILE] [--checkpoints DIR]... [--key HEX]... [--json]",
    .summary = "Prove that no event was changed, taken away, put in or cut off",
    .group = "Commands",
    .permission = ACCESS_AUDIT_READ,
    .details =
        "Computes every hash again and holds the chain against its signed marks; a server may be running. One line for each fault, with the number of the\n"
        "event. Exits 0 when all is well, 1 when not. Whoever can write to the archive's own directory could sign anew with its key: --checkpoints and\n"
        "--key of copies that were kept elsewhere prove against that, too.",
    .options = VERIFY_OPTIONS,
    .run = run_verify,
};

// ---- export ----

struct exporting {
    struct archive *ar;
    struct audit_source source;
    FILE *to;
    struct buf text;
    uint64_t count;
};

static bool write_text(struct exporting *x, struct err *e) {
    bool ok = x->text.n == 0 || fwrite(x->text.p, 1, x->text.n, x->to) == x->text.n;
    buf_clear(&x->text);
    return ok || err_errno(e, ERR_IO, "audit", "write the messages");
}

static bool export_one(void *ctx, const struct audit_hit *h, struct err *e) {
    struct exporting *x = ctx;
    struct str patient, issuer;
    if (!audit_patient_of(x->ar, h->arena, h->event->study_uid, &patient, &issuer, e) || !audit_message(&x->source, h, patient, issuer, &x->text, e))
        return false;
    buf_addc(&x->text, '\n');
    x->count++;
    return buf_ok(&x->text, e) && (x->text.n < WRITE_BYTES || write_text(x, e));
}

// 2026-11-22, or with a time: 2026-11-22T08:00:00, both UTC.
static bool take_time(struct cli_args *args, const char *name, int64_t *out, struct err *e) {
    const char *text = cli_text(args, name, NULL);
    struct tm tm = {0};
    if (!text) return true;
    const char *end = strptime(text, "%Y-%m-%d", &tm);
    if (end && *end == 'T') end = strptime(end, "T%H:%M:%S", &tm);
    if (!end || (*end && strcmp(end, "Z") != 0))
        return err_set(e, ERR_USAGE, "audit", "--%s takes 2026-11-22 or 2026-11-22T08:00:00 (UTC), not '%s'", name, text);
    *out = (int64_t)timegm(&tm) * 1000;
    return true;
}

static bool take_filter(struct cli_args *args, struct audit_filter *f, struct err *e) {
    int64_t after;
    f->patient_id = str_of(cli_text(args, "patient", NULL));
    f->issuer = str_of(cli_text(args, "issuer", NULL));
    f->study_uid = str_of(cli_text(args, "study", NULL));
    f->user = str_of(cli_text(args, "user", NULL));
    f->type = str_of(cli_text(args, "type", NULL));
    if (!cli_int(args, "after", 0, 0, INT64_MAX, &after)) return err_set(e, ERR_USAGE, "audit", "--after is an event's number");
    f->after = after;
    return take_time(args, "from", &f->from_ms, e) && take_time(args, "to", &f->to_ms, e);
}

static bool export(struct cli_args *args, struct exporting *x, struct err *e) {
    struct audit_filter f = {0};
    if (!take_filter(args, &f, e)) return false;
    buf_init(&x->text, MESSAGE_BYTES_MAX);
    bool ok = audit_search(x->ar, &f, export_one, x, NULL, e) && write_text(x, e);
    buf_deinit(&x->text);
    return ok;
}

static bool open_output(struct cli_args *args, struct exporting *x, struct err *e) {
    const char *path = cli_text(args, "out", NULL);
    int fd = -1;
    x->to = stdout;
    if (!path) return true;
    if (!sys_open(NULL, path, O_WRONLY | O_CREAT | O_TRUNC, 0600, &fd, e)) return false;
    x->to = fdopen(fd, "w");
    return x->to || err_errno(e, ERR_IO, "audit", "open %s", path);
}

// Before anything goes out: what cannot be noted is not handed out.
static bool note_export(struct cli_args *args, struct err *e) {
    struct audit_filter f = {0};
    if (!take_filter(args, &f, e)) return false;
    const struct audit_use u = {.type = "audit.exported", .patient = f.patient_id, .issuer = f.issuer, .study = f.study_uid, .user = f.user};
    return audit_used(args, &u, true, e);
}

static int run_export(struct cli_args *args) {
    struct err e = {0};
    struct opening o;
    struct exporting x = {.count = 0};
    struct settings *s;
    const char *dir;
    char host[256] = "gantry";
    if (!opening_settings(args, &s, &e) || !note_export(args, &e) || !open_beside(args, &o, &dir, &e)) return cli_fail(args, &e);
    gethostname(host, sizeof host - 1);
    x.ar = o.archive;
    x.source = (struct audit_source){.id = s->node ? s->node : host, .aet = s->aet};
    bool ok = open_output(args, &x, &e) && export(args, &x, &e);
    if (x.to && x.to != stdout && fclose(x.to) != 0 && ok) ok = err_errno(&e, ERR_IO, "audit", "write the messages");
    opening_end(&o);
    if (!ok) return cli_fail(args, &e);
    if (x.to != stdout) printf("%llu messages\n", (unsigned long long)x.count);
    return 0;
}

static const struct cli_option EXPORT_OPTIONS[] = {
    OPENING_OPTIONS,
    {"patient", "ID", "only what touched this patient"},
    {"issuer", "NAME", "who issued that ID"},
    {"study", "UID", "only this study"},
    {"user", "NAME", "only what this user, token or AE title did"},
    {"type", "TYPE", "only events of this type, or of all that begin with it when it ends with a dot"},
    {"from", "TIME", "from this day or time on (UTC)"},
    {"to", "TIME", "before this day or time"},
    {"after", "N", "events after this number"},
    {"out", "FILE", "into this file (default: standard output)"},
    {0},
};

static const struct cli_command EXPORT = {
    .name = "export",
    .synopsis = "[--data DIR | --config FILE] [--patient ID] [--study UID] [--user NAME] [--from TIME] [--to TIME] [--out FILE]",
    .summary = "Write events as audit messages of DICOM (PS3.15 A.5), one XML document on each line",
    .group = "Commands",
    .permission = ACCESS_AUDIT_EXPORT,
    .options = EXPORT_OPTIONS,
    .run = run_export,
};

static const struct cli_command *const COMMANDS_OF_AUDIT[] = {&VERIFY, &EXPORT, NULL};

const struct cli_command CMD_AUDIT = {
    .name = "audit",
    .synopsis = "<command> ...",
    .summary = "Prove, search and hand out the event log",
    .group = "Access",
    .permission = ACCESS_AUDIT_READ,
    .subcommands = COMMANDS_OF_AUDIT,
};
