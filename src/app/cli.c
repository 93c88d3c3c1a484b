// Option parsing, help and failure lines.
#include "app/cli.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "app/version.h"
#include "base/clock.h"

// For "%s%s%s": "evidence roc", or "dump".
#define NAMED(args) (args)->within ? (args)->within : "", (args)->within ? " " : "", (args)->command->name

enum { COMMAND_ARENA_BYTES = 1 << 30, PROGRESS_STEP_MS = 100 };

static const struct cli_option *find_option(const struct cli_command *command, struct str name) {
    for (const struct cli_option *o = command->options; o && o->name; o++)
        if (str_eqz(name, o->name)) return o;
    return NULL;
}

bool cli_flag(const struct cli_args *args, const char *name) {
    return cli_text_at(args, name, 0) != NULL;
}

const char *cli_text(const struct cli_args *args, const char *name, const char *fallback) {
    const char *found = fallback;
    for (unsigned i = 0; i < args->given_count; i++)
        if (strcmp(args->given[i]->name, name) == 0) found = args->values[i];
    return found;
}

const char *cli_text_at(const struct cli_args *args, const char *name, unsigned i) {
    assert(find_option(args->command, str_of(name)));
    for (unsigned k = 0; k < args->given_count; k++)
        if (strcmp(args->given[k]->name, name) == 0 && i-- == 0) return args->values[k];
    return NULL;
}

bool cli_int(const struct cli_args *args, const char *name, int64_t fallback, int64_t min, int64_t max, int64_t *out) {
    const char *text = cli_text(args, name, NULL);
    *out = fallback;
    if (!text) return true;
    if (str_to_i64(str_of(text), out) && *out >= min && *out <= max) return true;
    fprintf(stderr, "gantry %s%s%s: --%s takes a whole number from %lld to %lld, not '%s'\n", NAMED(args), name, (long long)min, (long long)max, text);
    return false;
}

int cli_fail(const struct cli_args *args, const struct err *e) {
    fprintf(stderr, "gantry %s%s%s: %s\n", NAMED(args), e->message);
    int code = err_class_of(e->kind)->exit;
    return code ? code : EX_SOFTWARE;
}

void cli_progress(const char *what, uint64_t done, uint64_t total) {
    static int64_t last_ms;
    if (!isatty(STDERR_FILENO)) return;
    int64_t now = clock_mono_ms();
    if (done != total && now - last_ms < PROGRESS_STEP_MS) return;
    last_ms = now;
    enum { WIDTH = 30 };
    int filled = total ? (int)(done * WIDTH / total) : 0;
    fprintf(stderr, "\r%s [%.*s%*s] %llu/%llu%s", what, filled, "##############################", WIDTH - filled, "", (unsigned long long)done,
            (unsigned long long)total, done == total ? "\n" : "");
}

static void print_list(FILE *to, const struct cli_command *const *commands, int width) {
    const char *group = "";
    for (; *commands; commands++) {
        if (strcmp(group, (*commands)->group) != 0) {
            group = (*commands)->group;
            fprintf(to, "\n%s\n", group);
        }
        fprintf(to, "  %-*s %s\n", width, (*commands)->name, (*commands)->summary);
    }
}

static void print_commands(FILE *to, const struct cli_command *const *commands) {
    fprintf(to, "usage: gantry <command> [options] [arguments]\n");
    print_list(to, commands, 16);
    fprintf(to, "\n'gantry <command> --help' tells more of a command; 'gantry --version' prints the version.\n");
}

static void print_options(FILE *to, const struct cli_option *options) {
    if (!options || !options->name) return;
    fprintf(to, "\n");
    for (const struct cli_option *o = options; o->name; o++) {
        char left[80];
        snprintf(left, sizeof left, "--%s%s%s%s", o->name, o->value ? " " : "", o->value ? o->value : "", o->repeat ? " ..." : "");
        fprintf(to, "  %-26s %s\n", left, o->help);
    }
}

static void print_help(FILE *to, const struct cli_args *args) {
    const struct cli_command *command = args->command;
    fprintf(to, "usage: gantry %s%s%s %s\n\n%s.\n", NAMED(args), command->synopsis, command->summary);
    if (command->details) fprintf(to, "\n%s\n", command->details);
    if (!command->subcommands) {
        print_options(to, command->options);
        return;
    }
    print_list(to, command->subcommands, 12);
    fprintf(to, "\n'gantry %s <command> --help' tells more of each.\n", command->name);
}

static int bad_usage(const struct cli_args *args, const char *what, const char *which) {
    fprintf(stderr, "gantry %s%s%s: %s%s\n", NAMED(args), what, which);
    fprintf(stderr, "usage: gantry %s%s%s %s\n", NAMED(args), args->command->synopsis);
    return EX_USAGE;
}

static const struct cli_command *find_command(const struct cli_command *const *commands, const char *name) {
    for (; *commands; commands++)
        if (strcmp((*commands)->name, name) == 0) return *commands;
    return NULL;
}

// Takes one --option at argv[*i]; returns 0, or an exit code.
static int take_option(struct cli_args *args, int argc, char **argv, int *i) {
    const char *word = argv[*i] + 2;
    const char *eq = strchr(word, '=');
    const struct cli_option *o = find_option(args->command, (struct str){word, eq ? (size_t)(eq - word) : strlen(word)});
    if (!o) return bad_usage(args, "unknown option ", argv[*i]);
    if (args->given_count == CLI_VALUES_MAX) return bad_usage(args, "too many options", "");
    const char *value = eq ? eq + 1 : "";
    if (!o->value && eq) return bad_usage(args, "this option takes no value: ", argv[*i]);
    if (o->value && !eq) {
        if (*i + 1 >= argc) return bad_usage(args, "a value is missing after ", argv[*i]);
        value = argv[++*i];
    }
    args->given[args->given_count] = o;
    args->values[args->given_count++] = value;
    return 0;
}

static int parse(struct cli_args *args, int argc, char **argv) {
    bool options_end = false;
    for (int i = 2; i < argc; i++) {
        if (!options_end && strcmp(argv[i], "--") == 0) {
            options_end = true;
        } else if (!options_end && strncmp(argv[i], "--", 2) == 0) {
            int code = take_option(args, argc, argv, &i);
            if (code) return code;
        } else {
            argv[2 + args->positional_count++] = argv[i];
        }
    }
    args->positional = argv + 2;
    if (args->positional_count < args->command->positional_min) return bad_usage(args, "an argument is missing", "");
    if (args->positional_count > args->command->positional_max) return bad_usage(args, "one argument too many: ", argv[1 + args->positional_count]);
    return 0;
}

static bool wants_help(int argc, char **argv) {
    for (int i = 2; i < argc && strcmp(argv[i], "--") != 0; i++)
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) return true;
    return false;
}

// The command's words are argv[2] on.
static int run_command(struct cli_args *args, int argc, char **argv) {
    if (wants_help(argc, argv)) return print_help(stdout, args), 0;
    struct arena arena;
    arena_init(&arena, COMMAND_ARENA_BYTES);
    args->arena = &arena;
    int code = parse(args, argc, argv);
    if (code == 0) code = args->command->run(args);
    arena_deinit(&arena);
    args->arena = NULL;
    if (fflush(stdout) != 0 && code == 0) {
        fprintf(stderr, "gantry %s%s%s: the output could not be written\n", NAMED(args));
        code = EX_IOERR;
    }
    return code;
}

// One of the command's subcommands, named by argv[2].
static int run_subcommand(struct cli_args *args, int argc, char **argv) {
    const char *name = argc > 2 ? argv[2] : "";
    bool help = strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0;
    if (help || argc <= 2) return print_help(help ? stdout : stderr, args), help ? 0 : EX_USAGE;
    const struct cli_command *command = find_command(args->command->subcommands, name);
    if (!command) {
        fprintf(stderr, "gantry %s: '%s' is none of its commands; 'gantry %s --help' lists them\n", args->command->name, name, args->command->name);
        return EX_USAGE;
    }
    struct cli_args inner = {.command = command, .within = args->command->name};
    return run_command(&inner, argc - 1, argv + 1);
}

// gantry help [COMMAND [SUBCOMMAND]]
static int run_help(int argc, char **argv, const struct cli_command *const *commands) {
    struct cli_args about = {.command = argc > 2 ? find_command(commands, argv[2]) : NULL};
    const struct cli_command *inner = about.command && about.command->subcommands && argc > 3 ? find_command(about.command->subcommands, argv[3]) : NULL;
    if (inner) about = (struct cli_args){.command = inner, .within = about.command->name};
    if (about.command)
        print_help(stdout, &about);
    else
        print_commands(stdout, commands);
    return 0;
}

int cli_main(int argc, char **argv, const struct cli_command *const *commands) {
    const char *name = argc > 1 ? argv[1] : "--help";
    if (strcmp(name, "--version") == 0) return printf("gantry %s\n", GANTRY_VERSION), 0;
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0) {
        print_commands(argc > 1 ? stdout : stderr, commands);
        return argc > 1 ? 0 : EX_USAGE;
    }
    if (strcmp(name, "help") == 0) return run_help(argc, argv, commands);
    struct cli_args args = {.command = find_command(commands, name)};
    if (args.command) return args.command->subcommands ? run_subcommand(&args, argc, argv) : run_command(&args, argc, argv);
    fprintf(stderr, "gantry: '%s' is not a command; 'gantry --help' lists them\n", name);
    return EX_USAGE;
}
