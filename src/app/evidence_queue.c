// gantry evidence queue: what a triage device changes of the wait for a radiologist.
#include <math.h>
#include <string.h>

#include "app/evidence.h"
#include "mod/evidence/queue.h"

static const struct cli_option OPTIONS[] = {
    EVIDENCE_OPTIONS,
    {"radiologists", "N", "who read side by side (default: 1)"},
    {"traffic", "T", "work that comes in / work that can be done, below 1 (default: 0.8)"},
    {"interrupting", "F", "fraction of patients that interrupt everybody else (default: 0)"},
    {"prevalence", "P", "fraction of the others that is diseased (default: 0.1)"},
    {"sensitivity", "SE", "of the device (default: 0.9)"},
    {"specificity", "SP", "of the device (default: 0.9)"},
    {"read-diseased", "MIN", "mean reading time of the diseased (default: 10)"},
    {"read-nondiseased", "MIN", "mean reading time of the non-diseased (default: 10)"},
    {"read-interrupting", "MIN", "mean reading time of the interrupting (default: 5)"},
    {"patients", "N", "that are simulated; 0: theory alone (default: 1000000; with FILE 0)"},
    {"seed", "N", "of the simulation (default: 1)"},
    {"reading", "truth|class", "reading times of the simulation go by the patient's truth, or by the class as in the theory (default: truth)"},
    {"fit", "full|published", "busy periods of the theory for two radiologists: all stages, or those that QuCAD keeps (default: full)"},
    {"wait-for-end", NULL, "readings that have begun are not interrupted (simulation alone)"},
    {"arrivals", "FILE", "a table with the column 'minutes': times of arrival to simulate, in place of a random stream; traffic is then not used"},
    {0},
};

static bool plan_of(struct cli_args *args, bool table, struct queue_plan *plan, struct err *e) {
    double patients, seed;
    const char *reading = cli_text(args, "reading", "truth");
    if (!evidence_number(args, "patients", table ? 0 : 1e6, 0, (double)QUEUE_PATIENTS_MAX, &patients, e) ||
        !evidence_number(args, "seed", 1, 0, 1e15, &seed, e))
        return false;
    if (strcmp(reading, "truth") != 0 && strcmp(reading, "class") != 0) return err_set(e, ERR_USAGE, "queue", "--reading is truth or class, not %s", reading);
    const char *fit = cli_text(args, "fit", "full");
    if (strcmp(fit, "full") != 0 && strcmp(fit, "published") != 0) return err_set(e, ERR_USAGE, "queue", "--fit is full or published, not %s", fit);
    *plan = (struct queue_plan){.patients = (uint64_t)patients, .seed = (uint64_t)seed, .wait_for_end = cli_flag(args, "wait-for-end")};
    plan->fit = fit[0] == 'p' ? QUEUE_FIT_AS_PUBLISHED : QUEUE_FIT_FULL;
    plan->reading = reading[0] == 'c' ? QUEUE_READING_BY_CLASS : QUEUE_READING_BY_TRUTH;
    return true;
}

static bool arrivals_of(struct cli_args *args, const char *file, struct queue_plan *plan, struct err *e) {
    struct csv table;
    unsigned column;
    double *minutes;
    if (!evidence_read(args, file, &table, e) || !csv_column(&table, "minutes", &column, e) || !csv_numbers(&table, column, &minutes, e)) return false;
    for (size_t i = 0; i < table.rows; i++) {
        if (isnan(minutes[i])) return err_set(e, ERR_BAD_INPUT, "queue", "%s, line %u: no time of arrival", file, table.line[i]);
    }
    plan->arrivals = minutes;
    plan->patients = table.rows;
    return true;
}

static bool setting_of(struct cli_args *args, struct queue_triage *t, struct err *e) {
    double readers;
    if (!evidence_number(args, "radiologists", 1, 1, QUEUE_READERS_MAX, &readers, e)) return false;
    t->radiologists = (unsigned)readers;
    return evidence_number(args, "traffic", 0.8, 0, 1, &t->traffic, e) && evidence_number(args, "interrupting", 0, 0, 1, &t->interrupting, e) &&
           evidence_number(args, "prevalence", 0.1, 0, 1, &t->prevalence, e) && evidence_number(args, "sensitivity", 0.9, 0, 1, &t->sensitivity, e) &&
           evidence_number(args, "specificity", 0.9, 0, 1, &t->specificity, e) && evidence_number(args, "read-diseased", 10, 0, 1e6, &t->read_diseased, e) &&
           evidence_number(args, "read-nondiseased", 10, 0, 1e6, &t->read_nondiseased, e) &&
           evidence_number(args, "read-interrupting", 5, 0, 1e6, &t->read_interrupting, e);
}

// Each row of a table of settings, one group of values a row.
static bool table_report(struct cli_args *args, struct ev_report *r, const struct queue_plan *plan, struct err *e) {
    struct csv table;
    if (!evidence_read(args, args->positional[0], &table, e)) return false;
    if (table.rows == 0) return err_set(e, ERR_BAD_INPUT, "queue", "%s has no rows", args->positional[0]);
    for (size_t i = 0; i < table.rows; i++) {
        struct queue_triage t;
        unsigned before = r->entry_count;
        if (!queue_triage_row(&table, i, &t, e) || (!queue_triage_report(r, &t, plan, e) && !err_wrap(e, "line %u", table.line[i]))) return false;
        for (unsigned k = before; k < r->entry_count; k++) {
            struct ev_entry *entry = &r->entries[k];
            const char *group = arena_printf(args->arena, e, "%u: %.*s", table.line[i], STR_FMT(entry->group));
            if (!group) return false;
            entry->group = str_of(group);
        }
    }
    return true;
}

static bool work(struct cli_args *args, struct ev_report *r, struct err *e) {
    struct queue_triage t;
    struct queue_plan plan;
    double level;
    bool table = args->positional_count > 0;
    const char *arrivals = cli_text(args, "arrivals", NULL);
    if (!evidence_level(args, &level, e) || !plan_of(args, table, &plan, e) || (arrivals && !arrivals_of(args, arrivals, &plan, e))) return false;
    ev_report_init(r, args->arena, "Waiting time and triage", level);
    return table ? table_report(args, r, &plan, e) : setting_of(args, &t, e) && queue_triage_report(r, &t, &plan, e);
}

static int run(struct cli_args *args) {
    struct err e = {0};
    struct ev_report r;
    return work(args, &r, &e) ? evidence_print(args, &r) : cli_fail(args, &e);
}

const struct cli_command EVIDENCE_QUEUE = {
    .name = "queue",
    .synopsis = "[FILE] [--radiologists N] [--traffic T] [--interrupting F] ...",
    .summary = "Waits for a radiologist with and without a triage device: theory and simulation",
    .permission = ACCESS_LOCAL,
    .group = "In use",
    .details = "The setting stands in the options, or FILE has one in each row: n_radiologists, fraction_interrupting, traffic, prevalence, sens, spec, "
               "read_min_dis, read_min_nondis,\n"
               "read_min_int. A wait is the time in the system less the own reading. Theory is there for Poisson arrivals and readings that are interrupted "
               "(with interrupting patients for\n"
               "up to 8 radiologists); the simulation for everything.",
    .options = OPTIONS,
    .positional_min = 0,
    .positional_max = 1,
    .run = run,
};
