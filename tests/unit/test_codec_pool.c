// Behaviour of the worker processes: jobs come back from many threads, and a worker that crashes, hangs, eats memory, lies or tries to get out costs one job.
//
// This program is its own worker: what a job does to it stands in the first byte of its codestream.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
// cmocka needs the four above first
#include <cmocka.h>
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/thread.h"
#include "codec/perform.h"
#include "codec/wire.h"
#include "dicom/uids.h"

enum { THREADS = 50, JOBS_OF_A_THREAD = 20, SIDE = 64, WORKERS = 3 };
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { BOUNDED_MEMORY = 0 };
#else
enum { BOUNDED_MEMORY = 1 };
#endif

// ---- the worker ----

static char evil;

static void eat_memory(void) {
    for (size_t i = 0; i < 1u << 20; i++) {
        char *p = malloc(16 << 20);
        if (!p) abort();
        memset(p, 1, 16 << 20);
    }
}

static bool misbehave(struct codec_job *job, struct arena *a, struct err *e) {
    evil = job->input.n ? job->input.p[0] : 0;
    if (evil == 'c') __builtin_trap();
    if (evil == 'a') abort();
    if (evil == 'h')
        for (;;) {
        }
    if (evil == 'm' && BOUNDED_MEMORY) eat_memory();
    if (evil == 'n') return err_nomem(e, "test");
    if (evil == 'o' && open("/etc/passwd", O_RDONLY) >= 0) job->input.p = NULL;
    if (evil == 'x') execl("/bin/true", "true", (char *)NULL);
    if (evil == 's') (void)socket(AF_INET, SOCK_STREAM, 0);
    if (evil == 'k') kill(getppid(), SIGTERM);
    return codec_perform(job, a, e);
}

static void lie(struct wire *w) {
    struct wire_reply *r = &w->reply;
    switch (evil) {
    case '1':
        r->offset = UINT64_MAX - 10;
        break;
    case '2':
        r->bytes = UINT64_MAX;
        break;
    case '3':
        r->image.rows = 65535;
        break;
    case '4':
        r->image.bits_allocated = 16;
        break;
    case '5':
        r->image.photometric = PX_RGB;
        break;
    case '6':
        r->image.photometric = 4000000000u;
        break;
    case '7':
        r->ok = 77;
        break;
    case '8':
        r->ok = 0;
        r->kind = 12345;
        memset(r->message, '\x9b', sizeof r->message);
        break;
    case '9':
        r->bytes = 1;
        break;
    default:
        break;
    }
}

static int worker(void) {
    static const struct wire_worker how = {misbehave, lie};
    return wire_worker_run(&how);
}

// ---- jobs ----

static const struct dcm_ts *plain(void) {
    return dcm_ts_find(STR_LIT(DCM_UID_EncapsulatedUncompressedExplicitVRLittleEndian));
}

static struct codec_job job_of(const char pixels[SIDE * SIDE]) {
    return (struct codec_job){
        .task = CODEC_DECODE,
        .from = plain(),
        .image =
            {.rows = SIDE, .columns = SIDE, .frames = 1, .samples = 1, .bits_allocated = 8, .bits_stored = 8, .high_bit = 7, .photometric = PX_MONOCHROME2},
        .input = {pixels, SIDE * SIDE}};
}

static void fill(char pixels[SIDE * SIDE], char first, unsigned seed) {
    for (unsigned i = 0; i < SIDE * SIDE; i++) pixels[i] = (char)(i * seed >> 3);
    pixels[0] = first;
}

static bool try_job(char what, struct err *e) {
    char pixels[SIDE * SIDE];
    struct arena a;
    fill(pixels, what, 7);
    struct codec_job job = job_of(pixels);
    arena_init(&a, 1 << 20);
    bool ok = codec_job_run(&job, &a, e);
    if (ok) assert_memory_equal(job.frame.bytes, pixels, sizeof pixels);
    arena_deinit(&a);
    return ok;
}

static void works(void) {
    struct err e = {0};
    if (!try_job('.', &e)) fail_msg("%s", e.message);
}

// deadline_ms: of this job alone; 0: the usual one. A worker that must be started first may take longer on a busy machine.
static void costs_one_job_within(char what, const char *says, int64_t deadline_ms) {
    struct err e = {0};
    works();
    codec_pool_set_deadline(deadline_ms);
    assert_false(try_job(what, &e));
    codec_pool_set_deadline(0);
    assert_int_equal(e.kind, ERR_UNDECODABLE);
    if (!strstr(e.message, says)) fail_msg("'%c': \"%s\" does not say \"%s\"", what, e.message, says);
    for (int i = 0; i < WORKERS + 1; i++) works();
}

static void costs_one_job(char what, const char *says) {
    costs_one_job_within(what, says, 0);
}

// ---- the processes of this one ----

static int parent_of(int pid, char *state) {
    char path[64], text[512] = "";
    snprintf(path, sizeof path, "/proc/%d/stat", pid);
    FILE *f = fopen(path, "r");
    if (!f) return -1;
    size_t n = fread(text, 1, sizeof text - 1, f);
    fclose(f);
    text[n] = 0;
    const char *behind = strrchr(text, ')');
    int parent = -1;
    if (!behind || sscanf(behind + 1, " %c %d", state, &parent) != 2) return -1;
    return parent;
}

static unsigned children(int pids[WORKERS * 2]) {
    unsigned n = 0;
    DIR *d = opendir("/proc");
    for (struct dirent *entry; (entry = readdir(d)) != NULL;) {
        int pid = atoi(entry->d_name);
        char state_of;
        if (pid > 0 && parent_of(pid, &state_of) == getpid() && n < WORKERS * 2) pids[n++] = pid;
    }
    closedir(d);
    return n;
}

static unsigned descriptors(void) {
    unsigned n = 0;
    DIR *d = opendir("/proc/self/fd");
    while (readdir(d)) n++;
    closedir(d);
    return n;
}

// ---- tests ----

static void jobs_of_many_threads_come_back_to_them(void **state);

static void a_crash_costs_one_job(void **state) {
    (void)state;
    costs_one_job('c', "crashed");
    costs_one_job('a', "crashed");
}

static void a_hang_costs_one_job_and_its_time(void **state) {
    (void)state;
    int64_t before = clock_mono_ms();
    costs_one_job_within('h', "took longer than", 700);
    assert_in_range(clock_mono_ms() - before, 600, 90000);
}

static void running_out_of_memory_costs_one_job(void **state) {
    (void)state;
    if (BOUNDED_MEMORY) costs_one_job('m', "crashed");
    costs_one_job('n', "needed more memory");
}

static void a_worker_cannot_get_out(void **state) {
    (void)state;
    struct err e = {0};
    if (BOUNDED_MEMORY) assert_true(try_job('o', &e)); // opening fails, no more
    costs_one_job('x', "crashed");
    costs_one_job('s', "crashed");
    if (BOUNDED_MEMORY) costs_one_job('k', "crashed");
}

static void what_a_lying_worker_says_is_not_believed(void **state) {
    (void)state;
    for (char c = '1'; c <= '9'; c++) costs_one_job(c, "");
    struct err e = {0};
    assert_false(try_job('8', &e));
    for (const char *p = e.message; *p; p++) assert_in_range(*p, ' ', '~');
}

static void a_worker_that_dies_at_rest_costs_nothing(void **state) {
    (void)state;
    int pids[WORKERS * 2];
    works();
    unsigned n = children(pids);
    assert_in_range(n, 1, WORKERS);
    for (unsigned i = 0; i < n; i++) {
        char now = 0;
        kill(pids[i], SIGKILL);
        while (parent_of(pids[i], &now) == getpid() && now != 'Z') usleep(1000);
    }
    for (int i = 0; i < 10; i++) works();
}

// As a terminal and systemd send them: to every process of the service. The parent may have work for its workers before it ends.
static void what_is_sent_to_all_processes_ends_no_worker(void **state) {
    static const int SIGNALS[] = {SIGTERM, SIGINT, SIGHUP};
    (void)state;
    int all[WORKERS * 2], alive[WORKERS * 2];
    works();
    unsigned n = children(all), count = 0;
    char now = 0;
    for (unsigned i = 0; i < n; i++)
        if (parent_of(all[i], &now) == getpid() && now != 'Z') alive[count++] = all[i];
    assert_in_range(count, 1, WORKERS);
    for (unsigned i = 0; i < count; i++)
        for (unsigned k = 0; k < sizeof SIGNALS / sizeof *SIGNALS; k++) kill(alive[i], SIGNALS[k]);
    for (int i = 0; i < 4 * WORKERS; i++) works();
    for (unsigned i = 0; i < count; i++) {
        assert_int_equal(parent_of(alive[i], &now), getpid());
        assert_int_not_equal(now, 'Z');
    }
}

static void jobs_may_be_waited_for_in_any_order_and_more_than_there_are_workers(void **state) {
    (void)state;
    enum { MANY = 4 * WORKERS };
    static char pixels[MANY][SIDE * SIDE];
    struct codec_job jobs[MANY];
    struct arena a;
    arena_init(&a, 16 << 20);
    for (unsigned i = 0; i < MANY; i++) {
        fill(pixels[i], i == 5 ? 'c' : '.', i + 1);
        jobs[i] = job_of(pixels[i]);
        assert_true(codec_job_begin(&jobs[i], NULL));
    }
    for (unsigned k = 0; k < MANY; k++) {
        unsigned i = (k * 5 + 3) % MANY;
        assert_int_equal(codec_job_wait(&jobs[i], &a, NULL), i != 5);
        if (i != 5) assert_memory_equal(jobs[i].frame.bytes, pixels[i], SIDE * SIDE);
    }
    arena_deinit(&a);
}

// Two jobs at a time in each of many threads, now and then a crash: everybody gets his own pixels.
static void *crowd(void *arg) {
    unsigned seed = (unsigned)(uintptr_t)arg;
    uintptr_t wrong = 0;
    struct arena a;
    arena_init(&a, 16 << 20);
    for (unsigned i = 0; i < JOBS_OF_A_THREAD; i++) {
        char one[SIDE * SIDE], two[SIDE * SIDE];
        bool crash = (seed + i) % 97 == 0;
        fill(one, '.', seed * 31 + i);
        fill(two, crash ? 'c' : '.', seed * 17 + i);
        struct codec_job first = job_of(one), second = job_of(two);
        bool ok = codec_job_begin(&first, NULL) && codec_job_begin(&second, NULL);
        ok = ok && codec_job_wait(&second, &a, NULL) == !crash && codec_job_wait(&first, &a, NULL);
        if (!ok || memcmp(first.frame.bytes, one, sizeof one) != 0 || (!crash && memcmp(second.frame.bytes, two, sizeof two) != 0)) wrong++;
        arena_reset(&a);
    }
    arena_deinit(&a);
    return (void *)wrong;
}

static void jobs_of_many_threads_come_back_to_them(void **state) {
    (void)state;
    pthread_t threads[THREADS];
    for (uintptr_t i = 0; i < THREADS; i++) assert_true(thread_start(&threads[i], "crowd", crowd, (void *)i, NULL));
    for (unsigned i = 0; i < THREADS; i++) {
        void *wrong;
        pthread_join(threads[i], &wrong);
        assert_null(wrong);
    }
}

// Kilobytes of the shared memory that this process has touched and that are still there.
static unsigned long shared_kib(void) {
    char line[512];
    unsigned long sum = 0, now;
    bool ours = false;
    FILE *f = fopen("/proc/self/smaps", "r");
    while (f && fgets(line, sizeof line, f)) {
        unsigned long from, to;
        if (sscanf(line, "%lx-%lx ", &from, &to) == 2) ours = strstr(line, "memfd:gantry") != NULL;
        if (ours && sscanf(line, "Rss: %lu", &now) == 1) sum += now;
    }
    if (f) fclose(f);
    return sum;
}

static void large_frames_give_their_memory_back(void **state) {
    (void)state;
    struct arena a;
    enum { BIG = 5000, LITTLE_KIB = 10 * 1024 * WORKERS };
    arena_init(&a, 128 << 20);
    char *pixels = arena_zero(&a, BIG, BIG, NULL);
    struct codec_job job = job_of(pixels);
    memset(pixels, 7, (size_t)BIG * BIG);
    job.image.rows = job.image.columns = BIG;
    job.input.n = (size_t)BIG * BIG;
    pixels[0] = '.';
    for (int i = 0; i < WORKERS; i++) {
        struct arena result;
        arena_init(&result, 128 << 20);
        assert_true(codec_job_run(&job, &result, NULL));
        assert_memory_equal(job.frame.bytes, pixels, (size_t)BIG * BIG);
        arena_deinit(&result);
    }
    works();
    int64_t until = clock_mono_ms() + 60000;
    while (shared_kib() > LITTLE_KIB && clock_mono_ms() < until) usleep(20000);
    assert_true(shared_kib() <= LITTLE_KIB);
    works();
    arena_deinit(&a);
}

static void encoding_is_done_there_too(void **state) {
    (void)state;
    char pixels[SIDE * SIDE];
    struct arena a;
    arena_init(&a, 16 << 20);
    fill(pixels, '.', 3);
    struct codec_job job = job_of(pixels), back = job;
    job.task = CODEC_ENCODE;
    job.to = dcm_ts_find(STR_LIT(DCM_UID_RLELossless));
    struct err e = {0};
    if (!codec_job_run(&job, &a, &e)) fail_msg("%s", e.message);
    assert_true(job.result_image.encapsulated);
    back.from = job.to;
    back.input = job.codestream;
    assert_true(codec_job_run(&back, &a, &e));
    assert_memory_equal(back.frame.bytes, pixels, sizeof pixels);
    back.task = CODEC_TRANSCODE;
    back.to = plain();
    assert_true(codec_job_run(&back, &a, &e));
    assert_int_equal(back.codestream.n, sizeof pixels);
    assert_memory_equal(back.codestream.p, pixels, sizeof pixels);
    arena_deinit(&a);
}

static void a_program_that_is_not_there_is_told(void **state) {
    (void)state;
    struct err e = {0};
    codec_pool_stop();
    assert_true(codec_pool_start("/no/such/program", 2, NULL));
    assert_false(try_job('.', &e));
    assert_int_equal(e.kind, ERR_IO);
    codec_pool_stop();
    assert_true(codec_pool_start("/bin/true", 2, NULL)); // ends at once
    e = (struct err){0};
    assert_false(try_job('.', &e));
    codec_pool_stop();
    works(); // without workers jobs are done here
    assert_true(codec_pool_start("/proc/self/exe", WORKERS, NULL));
}

int main(int argc, char **argv) {
    if (argc == 2 && strcmp(argv[1], CODEC_WORKER_ARGUMENT) == 0) return worker();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(jobs_of_many_threads_come_back_to_them),
        cmocka_unit_test(a_crash_costs_one_job),
        cmocka_unit_test(a_hang_costs_one_job_and_its_time),
        cmocka_unit_test(running_out_of_memory_costs_one_job),
        cmocka_unit_test(a_worker_cannot_get_out),
        cmocka_unit_test(what_a_lying_worker_says_is_not_believed),
        cmocka_unit_test(a_worker_that_dies_at_rest_costs_nothing),
        cmocka_unit_test(what_is_sent_to_all_processes_ends_no_worker),
        cmocka_unit_test(jobs_may_be_waited_for_in_any_order_and_more_than_there_are_workers),
        cmocka_unit_test(large_frames_give_their_memory_back),
        cmocka_unit_test(encoding_is_done_there_too),
        cmocka_unit_test(a_program_that_is_not_there_is_told),
    };
    log_set_level(LOG_ERROR);
    unsigned before = descriptors();
    if (!codec_pool_start("/proc/self/exe", WORKERS, NULL)) return 1;
    int failed = cmocka_run_group_tests(tests, NULL, NULL), pids[WORKERS * 2];
    codec_pool_stop();
    if (children(pids) != 0) return printf("a child is left\n"), 1;
    if (descriptors() != before) return printf("%u descriptors were open before, %u are now\n", before, descriptors()), 1;
    return failed;
}
