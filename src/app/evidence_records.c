// gantry evidence records: what the archive itself has recorded, as tables that the other commands read.
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>
#include <time.h>

#include "app/evidence.h"
#include "app/input.h"
#include "app/opening.h"
#include "base/limits.h"
#include "core/archive.h"
#include "db/db.h"

enum { DRAIN_BYTES = 1 << 16, MINUTE_MS = 60 * 1000 };

struct records {
    struct cli_args *args;
    struct buf out;
    bool daily;
    struct str modality;
    int64_t from_ms, to_ms; // arrivals in [from, to)
    int64_t first_ms, last_ms;
    struct tm day; // of the running count
    uint64_t count, studies;
};

// ---- rows ----

static void add_arrival(struct records *r, struct str study_uid, struct str modalities, int64_t ms) {
    char text[32];
    time_t s = (time_t)(ms / 1000);
    struct tm tm;
    if (r->studies == 0) {
        r->first_ms = r->last_ms = ms;
        buf_addz(&r->out, "study_uid,modalities,arrived,minutes,interval_min\n");
    }
    gmtime_r(&s, &tm);
    strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &tm);
    buf_addf(&r->out, "%.*s,\"%.*s\",%s.%03dZ,%.6f,%.6f\n", STR_FMT(study_uid), STR_FMT(modalities), text, (int)(ms % 1000),
             (double)(ms - r->first_ms) / MINUTE_MS, (double)(ms - r->last_ms) / MINUTE_MS);
    r->last_ms = ms;
}

static void end_day(struct records *r) {
    char text[16];
    strftime(text, sizeof text, "%Y-%m-%d", &r->day);
    buf_addf(&r->out, "%s,%" PRIu64 "\n", text, r->count);
    r->count = 0;
}

static struct tm day_of(int64_t ms) {
    time_t s = (time_t)(ms / 1000);
    struct tm tm;
    localtime_r(&s, &tm);
    return (struct tm){.tm_year = tm.tm_year, .tm_mon = tm.tm_mon, .tm_mday = tm.tm_mday, .tm_hour = 12, .tm_isdst = -1};
}

static bool same_day(const struct tm *a, const struct tm *b) {
    return a->tm_year == b->tm_year && a->tm_mon == b->tm_mon && a->tm_mday == b->tm_mday;
}

// Days without a study are rows too.
static void add_to_day(struct records *r, int64_t ms) {
    struct tm day = day_of(ms);
    if (r->studies == 0) {
        buf_addz(&r->out, "day,studies\n");
        r->day = day;
    }
    while (!same_day(&r->day, &day)) {
        end_day(r);
        r->day.tm_mday++;
        r->day.tm_isdst = -1;
        mktime(&r->day);
    }
    r->count++;
}

static bool has_modality(struct str modalities, struct str wanted) {
    while (modalities.p)
        if (str_eq_nocase(str_split(&modalities, '\\'), wanted)) return true;
    return false;
}

static bool take_row(struct records *r, struct db_stmt *s, struct err *e) {
    int64_t ms = db_int(s, 1);
    struct str modalities = db_text(s, 2);
    if (ms < r->from_ms || ms >= r->to_ms || (r->modality.n && !has_modality(modalities, r->modality))) return true;
    if (r->daily)
        add_to_day(r, ms);
    else
        add_arrival(r, db_text(s, 0), modalities, ms);
    r->studies++;
    return r->out.n < DRAIN_BYTES || output_drain(NULL, &r->out, e);
}

// ---- the command ----

// A study arrives with its first object. What was deleted since has arrived all the same.
static const char *const ARRIVALS = "SELECT a.study_uid, a.ms, (SELECT min(s.modalities) FROM studies s WHERE s.study_uid = a.study_uid) "
                                    "FROM (SELECT study_uid, min(time_ms) AS ms FROM events WHERE type = 'instance.stored' GROUP BY study_uid) a "
                                    "ORDER BY a.ms, a.study_uid";

static bool read_events(struct records *r, struct archive *ar, struct err *e) {
    struct db *d = db_reader(archive_db(ar), e);
    struct db_stmt *s = d ? db_prepare(d, ARRIVALS, e) : NULL;
    bool ok = s;
    enum db_step step = DB_END;
    while (ok && (step = db_next(s, e)) == DB_ROW) ok = take_row(r, s, e);
    db_done(s);
    db_return(archive_db(ar), d);
    return ok && step != DB_FAIL;
}

// A day as its first moment here, YYYY-MM-DD.
static bool take_day(const struct cli_args *args, const char *option, int64_t *ms, struct err *e) {
    const char *text = cli_text(args, option, NULL);
    struct tm tm = {.tm_isdst = -1};
    if (!text) return true;
    const char *end = strptime(text, "%Y-%m-%d", &tm);
    tm.tm_isdst = -1;
    time_t s = end && !*end ? mktime(&tm) : (time_t)-1;
    if (s == (time_t)-1) return err_set(e, ERR_USAGE, "app", "--%s takes a day as 2026-01-31, not '%s'", option, text);
    *ms = (int64_t)s * 1000;
    return true;
}

static bool take_options(struct records *r, struct err *e) {
    const char *what = cli_text(r->args, "by", "study");
    r->daily = strcmp(what, "day") == 0;
    if (!r->daily && strcmp(what, "study") != 0) return err_set(e, ERR_USAGE, "app", "--by takes study or day, not '%s'", what);
    r->modality = str_of(cli_text(r->args, "modality", NULL));
    r->from_ms = INT64_MIN;
    r->to_ms = INT64_MAX;
    return take_day(r->args, "from", &r->from_ms, e) && take_day(r->args, "to", &r->to_ms, e);
}

static int run(struct cli_args *args) {
    struct err e = {0};
    struct records r = {.args = args};
    struct opening o;
    if (!take_options(&r, &e) || !opening_begin(args, OPENING_INDEX_ONLY, &o, &e)) return cli_fail(args, &e);
    buf_init(&r.out, (size_t)EV_INPUT_BYTES_MAX);
    bool ok = read_events(&r, o.archive, &e);
    if (ok && r.daily && r.studies) end_day(&r);
    if (ok && r.studies == 0) ok = err_set(&e, ERR_NOT_FOUND, "app", "no study has arrived that is asked for");
    ok = ok && output_drain(NULL, &r.out, &e);
    buf_deinit(&r.out);
    opening_end(&o);
    return ok ? EX_OK : cli_fail(args, &e);
}

static const struct cli_option OPTIONS[] = {
    OPENING_OPTIONS,
    {"by", "study|day", "a row for each study (its arrival) or each day (how many); default: study", false},
    {"modality", "CODE", "only studies with this modality: CT", false},
    {"from", "DAY", "from this day on, as 2026-01-31", false},
    {"to", "DAY", "before this day", false},
    {0},
};

const struct cli_command EVIDENCE_RECORDS = {
    .name = "records",
    .synopsis = "[--data DIR | --config FILE] [--by study|day] [--modality CODE] [--from DAY] [--to DAY]",
    .summary = "Tables of the archive's own records: when studies arrived",
    .permission = ACCESS_EVENTS_READ,
    .group = "In use",
    .details = "CSV on standard output, made of the event log: study_uid, modalities, arrived (UTC), minutes since the first, interval_min; or day, studies.\n"
               "A study arrives with its first object. What comes out goes into the other commands:\n\n"
               "  gantry evidence records --data DIR > arrivals.csv; gantry evidence queue --arrivals arrivals.csv\n"
               "  gantry evidence records --data DIR --by day | gantry evidence drift --value studies -",
    .options = OPTIONS,
    .run = run,
};
