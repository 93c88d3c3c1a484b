// gantry synth: digital phantoms with known truth.
#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>

#include "app/cli.h"
#include "app/cmd_synth_index.h"
#include "app/commands.h"
#include "mod/synth/synth.h"

static const struct cli_option OPTIONS[] = {
    {"out", "DIR", "folder for the objects and their truth.json (default: synth)", false},
    {"kind", "KIND", "chest-ct, head-ct, cr, dx, mr, us or pet (default: every kind)", true},
    {"seed", "N", "the same seed makes the same bytes (default: 1)", false},
    {"count", "N", "cases of each kind, with seeds N, N+1, ... (default: 1)", false},
    {"size", "N", "rows and columns of CT slices, 64 to 1024 (default: 256)", false},
    {"slices", "N", "slices of CT and PET, 1 to 1000 (default: 40)", false},
    {"nodules", "MM,MM", "diameters of the chest CT's nodules in mm (default: 6,10,16)", false},
    {"growth", "FACTOR", "diameter at the second date over the first (default: 1.25)", false},
    {"name", "PN", "patient's name in UTF-8 (default: one of the seed's)", false},
    {"patient-id", "ID", "patient's ID (default: one of the seed's)", false},
    {"charset", "TERM", "Specific Character Set, such as GB18030 or 'ISO 2022 IR 6\\ISO 2022 IR 58' (default: ISO_IR 192)", false},
    {"demo", NULL, "the demonstration studies: every kind, Chinese and English names in several character sets", false},
    {"index-only", "N", "no objects: fill the index under --data with N studies, for benchmarks", false},
    {"data", "DIR", "with --index-only: the data directory", false},
    {"config", "FILE", "with --index-only: a server's configuration instead", false},
    {0},
};

// "6,10,16" into diameters; false when one is no number from 1 to 60.
static bool parse_nodules(struct synth_options *o, struct str list) {
    o->nodule_count = 0;
    while (list.p) {
        double mm;
        if (!str_to_f64(str_split(&list, ','), &mm) || mm < 1 || mm > 60 || o->nodule_count == SYNTH_NODULES_MAX) return false;
        o->nodule_mm[o->nodule_count++] = mm;
    }
    return true;
}

static bool parse_options(const struct cli_args *args, struct synth_options *o, int64_t *count) {
    int64_t seed, size, slices;
    if (!cli_int(args, "seed", 1, 0, 1000000000, &seed) || !cli_int(args, "count", 1, 1, 100000, count) || !cli_int(args, "size", 256, 64, 1024, &size) ||
        !cli_int(args, "slices", 40, 1, 1000, &slices))
        return false;
    *o = (struct synth_options){.seed = (uint64_t)seed,
                                .size = (unsigned)size,
                                .slices = (unsigned)slices,
                                .out = cli_text(args, "out", "synth"),
                                .name = cli_text(args, "name", NULL),
                                .patient_id = cli_text(args, "patient-id", NULL),
                                .charset = cli_text(args, "charset", "ISO_IR 192")};
    if (!parse_nodules(o, str_of(cli_text(args, "nodules", "6,10,16")))) {
        fprintf(stderr, "gantry synth: --nodules takes at most %d diameters from 1 to 60 mm, separated by commas\n", SYNTH_NODULES_MAX);
        return false;
    }
    if (!str_to_f64(str_of(cli_text(args, "growth", "1.25")), &o->growth) || o->growth < 0.1 || o->growth > 4) {
        fprintf(stderr, "gantry synth: --growth takes a factor from 0.1 to 4\n");
        return false;
    }
    return true;
}

static bool make(struct cli_args *args, const struct synth_kind *kind, const struct synth_options *o, struct err *e) {
    struct arena_mark mark = arena_mark(args->arena);
    bool ok = kind->make(args->arena, o, e);
    arena_rewind(args->arena, mark);
    if (ok) printf("%s/%s-%llu\n", o->out, kind->name, (unsigned long long)o->seed);
    return ok;
}

// Two rounds of every kind; names and character sets differ from case to case.
static bool make_demo(struct cli_args *args, struct synth_options o, struct err *e) {
    static const struct {
        const char *name, *charset;
    } PATIENT[] = {
        {"Wang^XiaoDong=王^小东", "GB18030"},
        {"Ouyang^Na=欧阳^娜", "ISO_IR 192"},
        {"Smith^John", "ISO_IR 100"},
        {"陈^伟", "GBK"},
        {"Zhang^XiaoDong=张^小东", "\\ISO 2022 IR 58"},
        {"Müller^Anna", "ISO_IR 100"},
        {"Lü^Jian=吕^健", "ISO_IR 192"},
        {"Yamada^Tarou=山田^太郎=やまだ^たろう", "\\ISO 2022 IR 87"},
    };
    enum { PATIENTS = sizeof PATIENT / sizeof *PATIENT, ROUNDS = 2 };
    unsigned i = 0;
    for (unsigned round = 0; round < ROUNDS; round++)
        for (const struct synth_kind *k = SYNTH_KINDS; k->name; k++, i++) {
            o.seed = 100 + i;
            o.name = PATIENT[i % PATIENTS].name;
            o.charset = PATIENT[i % PATIENTS].charset;
            if (!make(args, k, &o, e)) return false;
        }
    return true;
}

static bool make_kinds(struct cli_args *args, struct synth_options *o, int64_t count, struct err *e) {
    uint64_t first = o->seed;
    for (int64_t i = 0; i < count; i++) {
        o->seed = first + (uint64_t)i;
        for (const struct synth_kind *k = SYNTH_KINDS; k->name && !cli_flag(args, "kind"); k++)
            if (!make(args, k, o, e)) return false;
        const char *name;
        for (unsigned n = 0; (name = cli_text_at(args, "kind", n)) != NULL; n++) {
            const struct synth_kind *kind = synth_kind_find(str_of(name));
            if (!kind) return err_set(e, ERR_USAGE, "synth", "there is no kind '%s'; 'gantry synth --help' lists them", name);
            if (!make(args, kind, o, e)) return false;
        }
    }
    return true;
}

static int fill_index(struct cli_args *args, uint64_t n, uint64_t seed) {
    if (cli_text(args, "data", NULL) || cli_text(args, "config", NULL)) return cmd_synth_index(args, n, seed);
    fprintf(stderr, "gantry synth: --index-only needs --data DIR, a data directory of its own, or --config FILE\n");
    return EX_USAGE;
}

static int run(struct cli_args *args) {
    struct synth_options o;
    struct err e = {0};
    int64_t count, index_only;
    if (!parse_options(args, &o, &count) || !cli_int(args, "index-only", 0, 1, 100000000, &index_only)) return EX_USAGE;
    if (index_only) return fill_index(args, (uint64_t)index_only, o.seed);
    bool ok = cli_flag(args, "demo") ? make_demo(args, o, &e) : make_kinds(args, &o, count, &e);
    return ok ? 0 : cli_fail(args, &e);
}

const struct cli_command CMD_SYNTH = {
    .name = "synth",
    .synopsis = "[--out DIR] [--kind KIND]... [options]",
    .summary = "Make digital phantoms as valid DICOM objects, with their truth beside them",
    .permission = ACCESS_LOCAL,
    .group = "Keeping",
    .details = "Each case is a folder <kind>-<seed> with Part 10 files and a truth.json: positions, diameters, volumes, densities, uptake.\n"
               "Nothing in them comes from a person; the same seed makes the same bytes.",
    .options = OPTIONS,
    .positional_max = 0,
    .run = run,
};
