// Every service of the table, for peers of every role and kind of scope: what is out of reach is answered as what is not there.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
// cmocka needs the four above first
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "core/peers.h"
#include "dicom/uid.h"
#include "dicom/write.h"
#include "dimse/scu.h"
#include "matrix_targets.h"
#include "mod/dicom/dicom.h"

enum { ASKERS_MAX = 32, CASES_AT_LEAST = 200 };
#define CT "1.2.840.10008.5.1.4.1.1.2"

// ---- peers ----

static const char *const SCOPES[] = {"tenant:T", "site:T/S", "department:T/S/D", "label:T/L"};
static struct peer_setting settings[ASKERS_MAX + 1];
static char titles[ASKERS_MAX][8];
static unsigned peer_count;

static void add_peer(const char *role, const char *scope) {
    snprintf(titles[peer_count], sizeof titles[0], "P%u", peer_count);
    settings[peer_count] = (struct peer_setting){.aet = titles[peer_count], .host = "127.0.0.1", .port = 9, .role = role, .scope = scope, .realm = "T/S/D"};
    peer_count++;
}

static void make_peers(void) {
    peer_count = 0;
    for (unsigned i = 0; i < ACCESS_ROLE_COUNT; i++) add_peer(ACCESS_ROLES[i].name, SCOPES[0]);
    for (unsigned k = 1; k < 4; k++) add_peer("service", SCOPES[k]);
}

// ---- server ----

struct site {
    struct fixture *f;
    struct peers *peers, *anybody;
    struct dicom_config config, other;
    struct dicom_module *dicom, *destination; // of C-MOVE: it takes what it has already
    unsigned cases;
};

static int set_up(void **state) {
    static struct site s;
    struct err e = {0};
    s = (struct site){0};
    log_set_level(LOG_ERROR);
    if (fixture_setup((void **)&s.f) != 0) return -1;
    make_peers();
    targets_store(s.f);
    const struct peers_options any = {.unknown = (const char *const[]){"loopback"}, .unknown_count = 1};
    if (!peers_open(s.f->ar, &any, &s.anybody, &e)) fail_msg("%s", e.message);
    s.other = (struct dicom_config){.aet = "OTHER", .bind = "127.0.0.1", .peers = s.anybody, .any_called = true};
    if (!dicom_start(&s.other, s.f->ar, &s.destination, &e)) fail_msg("%s", e.message);
    settings[0].port = dicom_port(s.destination);
    const struct peers_options o = {.known = settings, .known_count = peer_count};
    if (!peers_open(s.f->ar, &o, &s.peers, &e)) fail_msg("%s", e.message);
    s.config = (struct dicom_config){.aet = "GANTRY", .bind = "127.0.0.1", .peers = s.peers, .any_called = true};
    if (!dicom_start(&s.config, s.f->ar, &s.dicom, &e)) fail_msg("%s", e.message);
    *state = &s;
    return 0;
}

static int tear_down(void **state) {
    struct site *s = *state;
    dicom_stop(s->dicom);
    dicom_stop(s->destination);
    peers_close(s->peers);
    peers_close(s->anybody);
    return fixture_teardown((void **)&s->f);
}

// ---- one request ----

struct answer {
    uint16_t status;
    char comment[65];
    uint64_t answers;
    unsigned suboperations;
};

static bool open_as(const struct site *s, unsigned peer, const char *uid, struct dimse *d, struct arena *a) {
    struct scu_target to = {.host = "127.0.0.1", .port = dicom_port(s->dicom)};
    struct scu_proposal *p = arena_zero(a, 1, sizeof *p, NULL);
    struct err e = {0};
    snprintf(to.aet, sizeof to.aet, "GANTRY");
    scu_proposal_init(p, a);
    assert_true(scu_propose(p, uid, SCU_TS_PLAIN, 2, &e));
    return scu_open(d, &to, titles[peer], p, NULL, &e);
}

static struct dcm_dataset *make_keys(struct arena *a, const struct target *t, bool with_patient) {
    struct err e = {0};
    struct dcm_dataset *ds = dcm_dataset_new(a, &e);
    bool ok = dcm_putz(ds, DCM_QueryRetrieveLevel, "STUDY", &e) && dcm_putz(ds, DCM_StudyInstanceUID, t->study, &e);
    if (ok && with_patient) ok = dcm_putz(ds, DCM_PatientID, t->name, &e);
    assert_true(ok);
    return ds;
}

static void run_query(struct dimse *d, const struct ul_context *c, enum dimse_field field, struct dcm_dataset *keys, struct answer *out) {
    struct err e = {0};
    struct dimse_command rq = dimse_request(field, 0, c->abstract_syntax);
    struct scu_result r = {0};
    uint16_t id;
    if (field == DIMSE_C_MOVE) snprintf(rq.move_destination, sizeof rq.move_destination, "P0"), rq.has |= DIMSE_HAS_MOVE_DESTINATION;
    if (!scu_send(d, c, &rq, keys, &id, &e) || !scu_run(d, c, id, &(struct scu_events){0}, &r, &e)) fail_msg("%s", e.message);
    *out = (struct answer){.status = r.status, .answers = r.answers, .suboperations = (unsigned)r.completed + r.failed + r.warning};
    snprintf(out->comment, sizeof out->comment, "%s", r.comment);
}

static enum dimse_field field_of(const char *uid) {
    char last = uid[strlen(uid) - 1];
    return last == '1' ? DIMSE_C_FIND : last == '2' ? DIMSE_C_MOVE : DIMSE_C_GET;
}

static void ask(struct site *s, unsigned peer, const char *uid, const struct target *t, struct answer *out) {
    struct arena a;
    struct dimse d;
    struct err e = {0};
    arena_init(&a, 16 << 20);
    if (!open_as(s, peer, uid, &d, &a)) fail_msg("no association for %s", titles[peer]);
    const struct ul_context *c = scu_context(&d, uid, &e);
    if (!c) fail_msg("%s", e.message);
    run_query(&d, c, field_of(uid), make_keys(&a, t, strncmp(uid, "1.2.840.10008.5.1.4.1.2.2", 25) != 0), out);
    scu_close(&d);
    arena_deinit(&a);
    s->cases++;
}

// ---- judging ----

static uint64_t permissions_of(unsigned peer) {
    return access_role_find(str_of(settings[peer].role))->permissions;
}

static void judge(struct site *s, const char *uid, unsigned permission, unsigned peer) {
    const struct target *hidden[] = {&FOREIGN, settings[peer].scope == SCOPES[0] ? NULL : &SIBLING};
    bool may = permissions_of(peer) & ACCESS_BIT(permission);
    struct answer own, there, missing;
    ask(s, peer, uid, &OWN, &own);
    if (may && own.answers + own.suboperations == 0) fail_msg("%s as %s %s: %04X %s", uid, settings[peer].role, settings[peer].scope, own.status, own.comment);
    if (!may && (own.status == DIMSE_SUCCESS || own.answers + own.suboperations > 0)) fail_msg("%s as %s is not refused", uid, settings[peer].role);
    ask(s, peer, uid, &MISSING, &missing);
    for (int i = 0; i < 2 && hidden[i]; i++) {
        ask(s, peer, uid, hidden[i], &there);
        if (memcmp(&there, &missing, sizeof there) != 0)
            fail_msg("%s as %s: %04X %s, of what is missing %04X %s", uid, settings[peer].role, there.status, there.comment, missing.status, missing.comment);
    }
}

static void no_service_tells_a_peer_of_what_is_out_of_reach(void **state) {
    struct site *s = *state;
    const char *uid;
    unsigned permission, services = 0;
    for (unsigned i = 0; dicom_service_at(i, &uid, &permission); i++) {
        if (!uid || permission == ACCESS_OPEN || permission == ACCESS_STUDY_COMMIT) continue;
        services++;
        for (unsigned p = 0; p < peer_count; p++) judge(s, uid, permission, p);
    }
    assert_int_equal(services, 9);
    assert_true(s->cases >= CASES_AT_LEAST);
    print_message("%u requests\n", s->cases);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(no_service_tells_a_peer_of_what_is_out_of_reach, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
