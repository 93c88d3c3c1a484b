// From the tables of administration to commands: options from fields, JSON from options, words from JSON.
#include "app/cmd_admin.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "app/admin_print.h"
#include "app/control.h"
#include "app/opening.h"
#include "core/accounts.h"
#include "core/peers.h"
#include "mod/admin/admin.h"

enum { OPTIONS_COMMON = 3, ANSWER_BYTES_MAX = 256 << 20, SECRET_LINE_MAX = 4096 };

// ---- from options to JSON ----

// A line of standard input; of a terminal without showing it.
static bool read_secret(const char *label, char out[SECRET_LINE_MAX], struct err *e) {
    struct termios before;
    bool terminal = isatty(STDIN_FILENO) && tcgetattr(STDIN_FILENO, &before) == 0;
    if (terminal) {
        struct termios silent = before;
        silent.c_lflag &= (tcflag_t)~ECHO;
        tcsetattr(STDIN_FILENO, TCSAFLUSH, &silent);
        fprintf(stderr, "%s: ", label);
    }
    bool got = fgets(out, SECRET_LINE_MAX, stdin) != NULL;
    if (terminal) {
        tcsetattr(STDIN_FILENO, TCSAFLUSH, &before);
        fprintf(stderr, "\n");
    }
    if (!got) return err_set(e, ERR_USAGE, "admin", "no %s came in", label);
    out[strcspn(out, "\r\n")] = '\0';
    return true;
}

static bool secret_of(const struct admin_field *f, const char *path, char out[SECRET_LINE_MAX], struct err *e) {
    if (strcmp(path, "-") == 0) return read_secret(f->name, out, e);
    FILE *file = fopen(path, "re");
    if (!file) return err_errno(e, ERR_IO, "admin", "open %s", path);
    bool got = fgets(out, SECRET_LINE_MAX, file) != NULL;
    fclose(file);
    if (!got) return err_set(e, ERR_USAGE, "admin", "%s holds no line of text", path);
    out[strcspn(out, "\r\n")] = '\0';
    return true;
}

static bool put_secret(struct json_writer *w, const struct admin_field *f, const char *path, struct err *e) {
    char line[SECRET_LINE_MAX];
    bool ok = secret_of(f, path, line, e);
    if (ok) json_put_strz(w, f->name, line);
    explicit_bzero(line, sizeof line);
    return ok;
}

static bool put_number(struct json_writer *w, const struct admin_field *f, const char *text, struct err *e) {
    int64_t n;
    if (!str_to_i64(str_of(text), &n)) return err_set(e, ERR_USAGE, "admin", "--%s takes a whole number, not '%s'", f->name, text);
    json_put_int(w, f->name, n);
    return true;
}

static void put_list(struct cli_args *args, struct json_writer *w, const struct admin_field *f, unsigned from) {
    const char *one;
    json_key(w, f->name);
    json_begin_array(w);
    for (unsigned i = 0; !f->positional && (one = cli_text_at(args, f->name, i)); i++) json_strz(w, one);
    for (unsigned i = from; f->positional && i < args->positional_count; i++) json_strz(w, args->positional[i]);
    json_end_array(w);
}

static bool put_option(struct cli_args *args, struct json_writer *w, const struct admin_field *f, struct err *e) {
    char name[80];
    snprintf(name, sizeof name, "%s%s", f->name, f->type == ADMIN_SECRET ? "-file" : "");
    const char *text = cli_text(args, name, NULL);
    if (!text) return true;
    switch (f->type) {
    case ADMIN_SECRET:
        return put_secret(w, f, text, e);
    case ADMIN_NUMBER:
        return put_number(w, f, text, e);
    case ADMIN_FLAG:
        json_put_bool(w, f->name, true);
        return true;
    case ADMIN_LIST:
        put_list(args, w, f, 0);
        return true;
    case ADMIN_TEXT:
        json_put_strz(w, f->name, text);
        return true;
    }
    return true;
}

static bool put_positional(struct cli_args *args, struct json_writer *w, const struct admin_field *f, unsigned *at, struct err *e) {
    if (*at >= args->positional_count) return true;
    if (f->type == ADMIN_LIST) {
        put_list(args, w, f, *at);
        *at = args->positional_count;
        return true;
    }
    const char *text = args->positional[(*at)++];
    if (f->type == ADMIN_NUMBER) return put_number(w, f, text, e);
    json_put_strz(w, f->name, text);
    return true;
}

static bool put_all(struct cli_args *args, const struct admin_operation *op, struct buf *to, struct err *e) {
    struct json_writer w;
    unsigned at = 0;
    json_init(&w, to, false);
    json_begin_object(&w);
    for (const struct admin_field *f = op->fields; f && f->name; f++)
        if (!(f->positional ? put_positional(args, &w, f, &at, e) : put_option(args, &w, f, e))) return false;
    json_end_object(&w);
    return buf_ok(to, e);
}

// ---- asking ----

// No server is there: the archive is opened here.
static bool run_here(struct cli_args *args, const struct admin_operation *op, const struct json *in, struct buf *answer, struct err *e) {
    static const struct actor WHO = {.door = DOOR_COMMAND};
    struct opening o;
    struct actor who = WHO;
    struct json_writer w;
    struct admin_call c = {.who = &who, .arena = args->arena, .in = in, .out = &w};
    const char *user = getenv("USER");
    who.user = str_of(user ? user : "");
    json_init(&w, answer, false);
    if (!opening_begin(args, 0, &o, e)) return false;
    c.archive = o.archive;
    bool ok = accounts_open(o.archive, NULL, &c.accounts, e) && peers_open(o.archive, NULL, &c.peers, e) && admin_run(op, &c, e);
    peers_close(c.peers);
    accounts_close(c.accounts);
    opening_end(&o);
    return ok;
}

static bool ask(struct cli_args *args, const struct admin_operation *op, struct str request, const struct json **out, struct err *e) {
    struct settings *s;
    struct buf answer;
    struct str text;
    bool there;
    if (!opening_settings(args, &s, e) || !control_ask(s->data_dir, args->arena, op->noun, op->verb, request, &there, out, e)) return false;
    if (there) return true;
    const struct json *in = json_read(args->arena, request, 0, e);
    if (!in) return false;
    buf_init(&answer, ANSWER_BYTES_MAX);
    bool ok = run_here(args, op, in, &answer, e) && buf_ok(&answer, e) && arena_dup(args->arena, buf_str(&answer), &text, e);
    buf_deinit(&answer);
    return ok && (*out = json_read(args->arena, text, 0, e));
}

static int run(struct cli_args *args) {
    const struct admin_operation *op = admin_find(str_of(args->within), str_of(args->command->name));
    const struct json *out = NULL;
    struct err e = {0};
    struct buf request;
    buf_init(&request, 1 << 20);
    bool ok = put_all(args, op, &request, &e) && ask(args, op, buf_str(&request), &out, &e);
    explicit_bzero(request.p ? request.p : (char *)&e.kind, request.p ? request.n : 0);
    buf_deinit(&request);
    if (!ok) return cli_fail(args, &e);
    admin_print(out, cli_flag(args, "json"));
    return 0;
}

// ---- the commands ----

static const struct cli_option COMMON[OPTIONS_COMMON] = {OPENING_OPTIONS, {"json", NULL, "print JSON"}};

static bool make_option(struct arena *a, const struct admin_field *f, struct cli_option *out) {
    static const char *const VALUES[] = {[ADMIN_TEXT] = "TEXT", [ADMIN_NUMBER] = "N", [ADMIN_FLAG] = NULL, [ADMIN_LIST] = "TEXT", [ADMIN_SECRET] = "FILE"};
    *out = (struct cli_option){.name = f->name, .value = VALUES[f->type], .help = f->help, .repeat = f->type == ADMIN_LIST};
    if (f->type == ADMIN_SECRET) {
        out->name = arena_printf(a, NULL, "%s-file", f->name);
        out->help = arena_printf(a, NULL, "first line of a file, - for the terminal: %s", f->help);
    }
    return out->name && out->help;
}

static const char *synopsis_of(struct arena *a, const struct admin_operation *op) {
    const char *out = "[--data DIR | --config FILE] [--json]";
    for (const struct admin_field *f = op->fields; out && f && f->name; f++) {
        const char *open = f->required ? "" : "[", *shut = f->required ? "" : "]", *secret = f->type == ADMIN_SECRET ? "-file" : "";
        out = f->positional ? arena_printf(a, NULL, "%s %s%s%s%s", out, open, f->name, f->type == ADMIN_LIST ? "..." : "", shut)
                            : arena_printf(a, NULL, "%s %s--%s%s%s%s", out, open, f->name, secret, f->type == ADMIN_FLAG ? "" : " X", shut);
    }
    return out;
}

static const struct cli_command *make_command(struct arena *a, const struct admin_operation *op) {
    unsigned fields = 0, at = OPTIONS_COMMON;
    for (const struct admin_field *f = op->fields; f && f->name; f++) fields++;
    struct cli_command *c = arena_zero(a, 1, sizeof *c, NULL);
    struct cli_option *options = arena_zero(a, fields + OPTIONS_COMMON + 1, sizeof *options, NULL);
    if (!c || !options) return NULL;
    memcpy(options, COMMON, sizeof COMMON);
    *c = (struct cli_command){.name = op->verb, .summary = op->help, .group = "Commands", .permission = op->permission, .options = options, .run = run};
    for (const struct admin_field *f = op->fields; f && f->name; f++) {
        c->positional_min += f->positional && f->required;
        if (f->positional) c->positional_max = f->type == ADMIN_LIST ? UINT32_MAX : c->positional_max + 1;
        if (!f->positional && !make_option(a, f, &options[at++])) return NULL;
    }
    c->synopsis = synopsis_of(a, op);
    return c->synopsis ? c : NULL;
}

static unsigned count(const struct cli_command *const *all) {
    unsigned n = 0;
    while (all && all[n]) n++;
    return n;
}

// "Administer users": what stands in the list of commands.
static const char *summary_of(const char *noun) {
    static const char *const WORDS[][2] = {{"user", "Add, change and list who may sign in"},
                                           {"role", "Make and list roles"},
                                           {"token", "Make, end and list the tokens of programs"},
                                           {"site", "Name and list tenants, sites and departments"},
                                           {"session", "List and end sessions"},
                                           {"peer", "Add, change and list known application entities"},
                                           {"glass", "List and review broken glasses"},
                                           {"label", "Label studies"},
                                           {"assign", "Assign studies to users"},
                                           {"audit", "Verify, search and export the audit trail"}};
    for (unsigned i = 0; i < sizeof WORDS / sizeof *WORDS; i++)
        if (str_eqz(str_of(noun), WORDS[i][0])) return WORDS[i][1];
    return "Administer the server";
}

// One noun's command; old (may be NULL): what has that name already.
static const struct cli_command *make_noun(struct arena *a, const struct admin_operation *table, const struct cli_command *old) {
    static const char ABOUT[] =
        "A running server of this data directory is asked through its control socket and counts the change at once; else the archive is opened here.";
    const struct cli_command *const *had = old ? old->subcommands : NULL;
    unsigned n = count(had), verbs = 0;
    while (table[verbs].noun) verbs++;
    struct cli_command *c = arena_zero(a, 1, sizeof *c, NULL);
    const struct cli_command **all = arena_zero(a, n + verbs + 1, sizeof(const struct cli_command *), NULL);
    if (!c || !all) return NULL;
    for (unsigned i = 0; had && i < n; i++) all[i] = had[i];
    for (unsigned i = 0; i < verbs; i++)
        if (!(all[n + i] = make_command(a, &table[i]))) return NULL;
    *c = (struct cli_command){.name = table->noun,
                              .synopsis = "<command> ...",
                              .summary = old ? old->summary : summary_of(table->noun),
                              .group = old ? old->group : "Access",
                              .permission = old ? old->permission : table->permission,
                              .details = old && old->details ? old->details : ABOUT,
                              .subcommands = all};
    return c;
}

const struct cli_command *const *admin_commands(struct arena *a, const struct cli_command *const *others) {
    unsigned n = count(others), tables = 0;
    while (ADMIN_TABLES[tables]) tables++;
    const struct cli_command **all = arena_zero(a, n + tables + 1, sizeof(const struct cli_command *), NULL);
    if (!all) return NULL;
    for (unsigned i = 0; i < n; i++) all[i] = others[i];
    for (unsigned t = 0; t < tables; t++) {
        unsigned at = 0;
        while (at < n && strcmp(all[at]->name, ADMIN_TABLES[t]->noun) != 0) at++;
        const struct cli_command *old = at < n ? all[at] : NULL;
        if (old && !old->subcommands) return NULL; // a command of that name without subcommands cannot be joined
        if (!(all[at] = make_noun(a, ADMIN_TABLES[t], old))) return NULL;
        n += at == n;
    }
    return all;
}
