// Objects of one instance each.
#include "matrix_targets.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
// cmocka needs the four above first
#include <cmocka.h>

#include "core/mark.h"

const struct target OWN = {"1.2.1", "1.2.1.5", "1.2.1.5.1", "Own^Patient"};
const struct target SIBLING = {"1.2.2", "1.2.2.5", "1.2.2.5.1", "Sibling^Patient"};
const struct target FOREIGN = {"1.2.3", "1.2.3.5", "1.2.3.5.1", "Foreign^Patient"};
const struct target MISSING = {"1.2.4", "1.2.4.5", "1.2.4.5.1", "Missing^Patient"};

void target_store(struct fixture *f, const struct target *t, const struct principal *sender) {
    const struct actor who = {.door = DOOR_DIMSE, .principal = sender};
    struct ingest_result r;
    struct err e = {0};
    make_object(f, &(struct sample){.study = t->study, .series = t->series, .sop = t->instance, .name = t->name, .patient_id = t->name});
    struct ingest *in = ingest_begin(f->ar, &who, NULL, &e);
    if (!in || !ingest_write(in, f->object.p, f->object.n, &e) || !ingest_commit(in, &r, &e)) fail_msg("%s", e.message);
    assert_int_equal(r.outcome, INGEST_STORED);
}

static void store(struct fixture *f, const struct target *t, struct realm home) {
    const struct principal p = {.kind = PRINCIPAL_PEER, .name = STR_LIT("peer"), .grants = PRINCIPAL_OF_SYSTEM.grants, .grant_count = 1, .home = home};
    target_store(f, t, &p);
}

void targets_store(struct fixture *f) {
    struct err e = {0};
    store(f, &FOREIGN, (struct realm){STR_LIT("F"), STR_LIT("S"), STR_LIT("D")});
    store(f, &SIBLING, (struct realm){STR_LIT("T"), STR_LIT("other"), STR_LIT("")});
    store(f, &OWN, (struct realm){STR_LIT("T"), STR_LIT("S"), STR_LIT("D")});
    if (!mark_set(f->ar, &TESTER, MARK_LABEL, str_of(OWN.study), STR_LIT("L"), true, &e)) fail_msg("%s", e.message);
}
