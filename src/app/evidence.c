// What the subcommands of `gantry evidence` share: their options and their input.
#include "app/evidence.h"

#include <fcntl.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/limits.h"
#include "mod/evidence/table.h"
#include "sys/file.h"

enum { PIECE_BYTES = 1024 * 1024 };

// ---- options ----

bool evidence_number(const struct cli_args *args, const char *name, double fallback, double min, double max, double *out, struct err *e) {
    const char *text = cli_text(args, name, NULL);
    *out = fallback;
    if (!text) return true;
    if (str_to_f64(str_of(text), out) && *out >= min && *out <= max) return true;
    if (isinf(max) && isinf(min)) return err_set(e, ERR_USAGE, "app", "--%s takes a number, not '%s'", name, text);
    if (isinf(max)) return err_set(e, ERR_USAGE, "app", "--%s takes a number of at least %g, not '%s'", name, min, text);
    return err_set(e, ERR_USAGE, "app", "--%s takes a number from %g to %g, not '%s'", name, min, max, text);
}

bool evidence_level(const struct cli_args *args, double *level, struct err *e) {
    const char *text = cli_text(args, "level", "0.95");
    struct str s = str_trim(str_of(text));
    bool percent = str_ends(s, STR_LIT("%"));
    if (percent) s.n--;
    if (str_to_f64(s, level)) {
        if (percent) *level /= 100;
        if (*level > 0.5 && *level < 1) return true;
    }
    return err_set(e, ERR_USAGE, "app", "--level takes a confidence level between 0.5 and 1, as 0.95 or 95%%, not '%s'", text);
}

bool evidence_language(const struct cli_args *args, enum ev_language *language, struct err *e) {
    const char *told = cli_text(args, "lang", NULL), *text = told;
    const char *const places[] = {"LC_ALL", "LC_MESSAGES", "LANG"};
    for (unsigned i = 0; i < 3 && (!text || !*text); i++) text = getenv(places[i]);
    *language = text && strncmp(text, "zh", 2) == 0 ? EV_ZH : EV_EN;
    if (!told || *language == EV_ZH || strncmp(told, "en", 2) == 0) return true;
    return err_set(e, ERR_USAGE, "app", "--lang takes en or zh-CN, not '%s'", told);
}

// ---- input ----

static bool read_pipe(struct arena *a, int fd, struct str *text, struct err *e) {
    char *p = NULL;
    size_t n = 0, room = 0;
    for (;;) {
        if (n == room) {
            size_t wanted = room ? 2 * room : PIECE_BYTES;
            if (wanted > (size_t)EV_INPUT_BYTES_MAX) return err_set(e, ERR_TOO_LARGE, "app", "more than %lld bytes", EV_INPUT_BYTES_MAX);
            p = arena_grow(a, p, room, wanted, e);
            if (!p) return false;
            room = wanted;
        }
        ssize_t got = read(fd, p + n, room - n);
        if (got < 0) return err_errno(e, ERR_IO, "app", "read");
        if (got == 0) break;
        n += (size_t)got;
    }
    *text = (struct str){p, n};
    return true;
}

static bool read_whole(struct arena *a, int fd, struct str *text, struct err *e) {
    struct sys_stat s;
    size_t n;
    if (!sys_stat_fd(fd, &s, e)) return false;
    if (s.size == 0) return read_pipe(a, fd, text, e);
    if (s.size > (uint64_t)EV_INPUT_BYTES_MAX) return err_set(e, ERR_TOO_LARGE, "app", "more than %lld bytes", EV_INPUT_BYTES_MAX);
    char *p = arena_alloc(a, (size_t)s.size, e);
    if (!p || !sys_read_upto(NULL, fd, p, (size_t)s.size, 0, &n, e)) return false;
    *text = (struct str){p, n};
    return true;
}

bool evidence_text(struct arena *a, const char *file, struct str *text, struct err *e) {
    bool standard = strcmp(file, "-") == 0;
    int fd = STDIN_FILENO;
    if (!standard && !sys_open(NULL, file, O_RDONLY, 0, &fd, e)) return false;
    bool ok = read_whole(a, fd, text, e);
    if (!standard) sys_close(NULL, fd);
    return ok || err_wrap(e, "%s", standard ? "standard input" : file);
}

bool evidence_read(struct cli_args *args, const char *file, struct csv *out, struct err *e) {
    struct str text;
    args->arena->ceiling = (size_t)EV_ARENA_BYTES_MAX; // millions of scores are ordinary here
    if (!evidence_text(args->arena, file, &text, e)) return false;
    return ev_table_read(args->arena, text, out, e) || err_wrap(e, "%s", strcmp(file, "-") == 0 ? "standard input" : file);
}
