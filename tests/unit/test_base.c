// Behaviour of the base layer: text views, buffers with ceilings, arenas, errors.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
// cmocka needs the four above first
#include <cmocka.h>
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"
#include "base/thread.h"
#include "base/trace.h"

static void numbers_are_parsed_whole_or_not_at_all(void **state) {
    (void)state;
    int64_t v;
    assert_true(str_to_i64(STR_LIT(" -9223372036854775808 "), &v));
    assert_true(v == INT64_MIN);
    assert_false(str_to_i64(STR_LIT("9223372036854775808"), &v));
    assert_false(str_to_i64(STR_LIT("12a"), &v));
    assert_false(str_to_i64(STR_LIT("-+1"), &v));
    assert_false(str_to_i64(STR_LIT(""), &v));
    double d;
    assert_true(str_to_f64(STR_LIT("-1.5E+2"), &d));
    assert_true(d > -150.001 && d < -149.999);
    assert_false(str_to_f64(STR_LIT("nan"), &d));
    assert_false(str_to_f64(STR_LIT("1e999"), &d));
}

static void splitting_yields_every_part_even_empty_ones(void **state) {
    (void)state;
    struct str rest = STR_LIT("a\\\\b\\");
    const char *expected[] = {"a", "", "b", ""};
    unsigned n = 0;
    while (rest.p) {
        struct str part = str_split(&rest, '\\');
        assert_true(n < 4 && str_eqz(part, expected[n]));
        n++;
    }
    assert_int_equal(n, 4);
}

static void a_ceiling_below_the_first_allocation_holds(void **state) {
    (void)state;
    struct err e = {0};
    for (size_t ceiling = 0; ceiling < 300; ceiling++) {
        struct buf b;
        buf_init(&b, ceiling);
        for (size_t i = 0; i < ceiling; i++) buf_addc(&b, 'x');
        assert_true(buf_ok(&b, &e) && b.n == ceiling && b.cap <= ceiling);
        buf_addc(&b, 'x');
        assert_false(buf_ok(&b, &e));
        assert_int_equal(e.kind, ERR_TOO_LARGE);
        assert_int_equal(b.n, ceiling);
        buf_deinit(&b);
    }
}

static void a_buffer_stops_at_its_ceiling_and_remembers(void **state) {
    (void)state;
    struct buf b;
    struct err e = {0};
    buf_init(&b, 1000);
    for (int i = 0; i < 100; i++) buf_addf(&b, "%s", "0123456789");
    assert_false(buf_ok(&b, &e)); // the formatted NUL needs one byte more than the ceiling
    assert_int_equal(e.kind, ERR_TOO_LARGE);
    assert_true(b.n <= 1000);
    buf_clear(&b);
    buf_addz(&b, "xyz");
    buf_drop(&b, 1);
    assert_true(buf_ok(&b, &e) && str_eqz(buf_str(&b), "yz"));
    buf_deinit(&b);
}

static void an_arena_refuses_more_than_its_ceiling(void **state) {
    (void)state;
    struct arena a;
    struct err e = {0};
    volatile size_t huge = SIZE_MAX; // volatile: the compiler would refuse the constant
    arena_init(&a, 10000);
    assert_non_null(arena_alloc(&a, 9000, &e));
    assert_null(arena_alloc(&a, 9000, &e));
    assert_int_equal(e.kind, ERR_TOO_LARGE);
    assert_null(arena_zero(&a, huge / 2, 3, &e));
    assert_null(arena_alloc(&a, huge - 3, &e));
    arena_deinit(&a);
}

static void an_arena_goes_back_to_a_mark(void **state) {
    (void)state;
    struct arena a;
    struct err e = {0};
    arena_init(&a, 1 << 20);
    char *kept = arena_printf(&a, &e, "%d", 42);
    struct arena_mark m = arena_mark(&a);
    for (int i = 0; i < 100; i++) assert_non_null(arena_alloc(&a, 1000, &e));
    arena_rewind(&a, m);
    assert_string_equal(kept, "42");
    char *p = arena_alloc(&a, 8, &e);
    p = arena_grow(&a, p, 8, 200, &e);
    assert_non_null(p);
    arena_deinit(&a);
}

static void errors_chain_their_context_and_know_a_full_disk(void **state) {
    (void)state;
    struct err e = {0};
    errno = ENOSPC;
    assert_false(err_errno(&e, ERR_IO, "store", "write %s", "v1"));
    assert_int_equal(e.kind, ERR_FULL);
    assert_false(err_wrap(&e, "import %d", 7));
    assert_memory_equal(e.message, "import 7: write v1: ", 20);
    assert_int_equal(err_class_of(ERR_FULL)->http, 507);
    assert_int_equal(err_class_of(ERR_FULL)->dimse, 0xA700);
}

static void a_trace_goes_on_or_begins_anew(void **state) {
    (void)state;
    static const char *const NONE[] = {"",
                                       "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331",
                                       "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
                                       "00-00000000000000000000000000000000-b7ad6b7169203331-01",
                                       "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
                                       "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
                                       "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more"};
    char out[TRACE_PARENT_BYTES];
    trace_parent(out);
    assert_string_equal(out, "");
    // the example of W3C Trace Context 3.2.3; and one of a later version, 3.2.4
    trace_begin(STR_LIT("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"));
    trace_parent(out);
    assert_int_equal(strlen(out), 55);
    assert_memory_equal(out, "00-0af7651916cd43dd8448eb211c80319c-", 36);
    assert_string_not_equal(out + 36, "b7ad6b7169203331-00"); // its span is its own
    assert_string_equal(out + 52, "-00");
    trace_begin(STR_LIT("cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-what"));
    assert_true(str_eqz(trace_id(), "0af7651916cd43dd8448eb211c80319c"));
    for (unsigned i = 0; i < sizeof NONE / sizeof *NONE; i++) {
        trace_begin(str_of(NONE[i]));
        assert_int_equal(trace_id().n, 32);
        if (str_eqz(trace_id(), "0af7651916cd43dd8448eb211c80319c")) fail_msg("%s was taken", NONE[i]);
    }
    trace_end();
    assert_int_equal(trace_id().n, 0);
}

// ---- threads ----

enum { GUESTS = 100 };

static struct {
    pthread_mutex_t lock;
    pthread_cond_t fewer;
    struct thread_trail trail;
    unsigned here;
} inn = {.lock = PTHREAD_MUTEX_INITIALIZER, .fewer = PTHREAD_COND_INITIALIZER};

static pthread_key_t at_end;
static _Atomic unsigned ended;

// As libraries clean up what they keep for each thread: after its function has returned.
static void on_end(void *ignored) {
    (void)ignored;
    usleep(1000);
    ended++;
}

static void *visit(void *arg) {
    pthread_t before;
    pthread_setspecific(at_end, arg);
    pthread_mutex_lock(&inn.lock);
    inn.here--;
    pthread_cond_signal(&inn.fewer);
    bool any = thread_trail_pass(&inn.trail, &before);
    pthread_mutex_unlock(&inn.lock);
    if (any) pthread_join(before, NULL);
    return NULL;
}

static void threads_that_end_by_themselves_are_over_when_the_last_of_them_was_joined(void **state) {
    (void)state;
    pthread_t thread;
    assert_int_equal(pthread_key_create(&at_end, on_end), 0);
    for (unsigned i = 0; i < GUESTS; i++) {
        pthread_mutex_lock(&inn.lock);
        inn.here++;
        pthread_mutex_unlock(&inn.lock);
        assert_true(thread_start(&thread, "guest", visit, &inn, NULL));
    }
    pthread_mutex_lock(&inn.lock);
    while (inn.here) pthread_cond_wait(&inn.fewer, &inn.lock);
    pthread_mutex_unlock(&inn.lock);
    thread_trail_join(&inn.trail);
    assert_int_equal(ended, GUESTS);
    pthread_key_delete(at_end);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_are_parsed_whole_or_not_at_all),
        cmocka_unit_test(splitting_yields_every_part_even_empty_ones),
        cmocka_unit_test(a_ceiling_below_the_first_allocation_holds),
        cmocka_unit_test(a_buffer_stops_at_its_ceiling_and_remembers),
        cmocka_unit_test(an_arena_refuses_more_than_its_ceiling),
        cmocka_unit_test(an_arena_goes_back_to_a_mark),
        cmocka_unit_test(errors_chain_their_context_and_know_a_full_disk),
        cmocka_unit_test(a_trace_goes_on_or_begins_anew),
        cmocka_unit_test(threads_that_end_by_themselves_are_over_when_the_last_of_them_was_joined),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
