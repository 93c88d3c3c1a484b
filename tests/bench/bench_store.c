// Objects a second into a volume set, next to a loop of append and fdatasync of the same sizes and groups on the same disk.
//
// bench_store DIR [seconds for each measurement] [rounds]: interleaved, both sides in DIR. The raw side is one thread that appends as many objects as
// there are senders and flushes, which is what the disk itself does for such a group at best.
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/clock.h"
#include "store/volume.h"
#include "sys/digest.h"

enum { THREADS_MAX = 16 };

struct result {
    double rate, cpu_per_gb;
    unsigned long flushes;
};

static double cpu_seconds(void) {
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) + (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

static void die(const char *what) {
    fprintf(stderr, "bench_store: %s\n", what);
    exit(1);
}

static struct result raw(const char *dir, size_t size, int group, double seconds) {
    char path[4096];
    snprintf(path, sizeof path, "%.4000s/raw.bin", dir);
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
    char *p = malloc(size);
    if (fd < 0 || !p) die("raw file");
    memset(p, 7, size);
    double cpu = cpu_seconds();
    int64_t began = clock_mono_us(), until = began + (int64_t)(seconds * 1e6);
    unsigned long n = 0, flushes = 0;
    while (clock_mono_us() < until) {
        for (int i = 0; i < group; i++, n++) {
            if (write(fd, p, size) != (ssize_t)size) die("raw write");
        }
        if (fdatasync(fd) != 0) die("raw flush");
        flushes++;
    }
    double took = (double)(clock_mono_us() - began) / 1e6;
    struct result r = {.rate = (double)n / took, .cpu_per_gb = (cpu_seconds() - cpu) / ((double)n * (double)size / 1e9), .flushes = flushes};
    close(fd);
    unlink(path);
    free(p);
    return r;
}

struct sender {
    struct vol_set *vs;
    size_t size;
    int64_t until;
    unsigned number;
    bool digest;
    unsigned long n;
};

static void *send_run(void *arg) {
    struct sender *s = arg;
    char sop[65], *p = malloc(s->size);
    struct err e = {0};
    if (!p) die("memory");
    memset(p, (int)s->number, s->size);
    while (clock_mono_us() < s->until) {
        snprintf(sop, sizeof sop, "1.2.826.0.1.3680043.9.%u.%lu", s->number, s->n++);
        struct vol_put put = {.entry = {.kind = VOL_OBJECT, .study = STR_LIT("1.2.826.0.1.3680043.8"), .series = STR_LIT("1.2.826.0.1.3680043.8.1")}};
        put.entry.sop = str_of(sop);
        put.entry.ts = STR_LIT("1.2.840.10008.1.2.1");
        put.entry.received_ms = clock_wall_ms();
        put.head = p;
        put.head_n = s->size;
        if (s->digest && !digest_of(p, s->size, put.entry.digest, &e)) die(e.message);
        if (!vol_append(s->vs, &put, &e)) die(e.message);
    }
    free(p);
    return NULL;
}

static struct result ours(const char *dir, size_t size, int threads, double seconds, bool digest) {
    char path[4096], command[4200];
    struct vol_options o = {.dir = path};
    struct vol_set *vs;
    struct err e = {0};
    struct sender s[THREADS_MAX];
    struct vol_stats st;
    pthread_t t[THREADS_MAX];
    snprintf(path, sizeof path, "%.4000s/bench-set", dir);
    if (!vol_open(&o, &vs, &e)) die(e.message);
    usleep(1000000); // as a server that has just been started and waits
    double cpu = cpu_seconds();
    int64_t began = clock_mono_us();
    for (int i = 0; i < threads; i++) {
        s[i] = (struct sender){.vs = vs, .size = size, .until = began + (int64_t)(seconds * 1e6), .number = (unsigned)i + 1, .digest = digest};
        if (pthread_create(&t[i], NULL, send_run, &s[i]) != 0) die("thread");
    }
    unsigned long n = 0;
    for (int i = 0; i < threads; i++) {
        pthread_join(t[i], NULL);
        n += s[i].n;
    }
    double took = (double)(clock_mono_us() - began) / 1e6;
    vol_stats_get(vs, &st);
    struct result r = {.rate = (double)n / took, .cpu_per_gb = (cpu_seconds() - cpu) / ((double)n * (double)size / 1e9), .flushes = st.flushes};
    vol_close(vs);
    snprintf(command, sizeof command, "rm -rf '%s'", path);
    if (system(command) != 0) die("clean up");
    return r;
}

static int by_rate(const void *a, const void *b) {
    double x = ((const struct result *)a)->rate, y = ((const struct result *)b)->rate;
    return (x > y) - (x < y);
}

static void compare(const char *dir, size_t size, int threads, double seconds, int rounds) {
    struct result a[16], b[16], c[16];
    if (rounds > 16) rounds = 16;
    for (int i = 0; i < rounds; i++) {
        a[i] = raw(dir, size, threads, seconds);
        b[i] = ours(dir, size, threads, seconds, false);
        c[i] = ours(dir, size, threads, seconds, true);
    }
    qsort(a, (size_t)rounds, sizeof *a, by_rate);
    qsort(b, (size_t)rounds, sizeof *b, by_rate);
    qsort(c, (size_t)rounds, sizeof *c, by_rate);
    struct result r = a[rounds / 2], s = b[rounds / 2], d = c[rounds / 2];
    printf(
        "%7zu bytes %2d senders: raw %6.0f/s %5.2f CPU s/GB | store %6.0f/s (%3.0f %%) %5.2f CPU s/GB, %.1f objects a flush | with digest %6.0f/s (%3.0f %%) "
        "%5.2f CPU s/GB\n",
        size, threads, r.rate, r.cpu_per_gb, s.rate, 100 * s.rate / r.rate, s.cpu_per_gb, s.rate * seconds / (double)s.flushes, d.rate, 100 * d.rate / r.rate,
        d.cpu_per_gb);
    fflush(stdout);
}

int main(int argc, char **argv) {
    if (argc < 2) die("bench_store DIR [seconds] [rounds]");
    double seconds = argc > 2 ? atof(argv[2]) : 2;
    int rounds = argc > 3 ? atoi(argv[3]) : 3;
    const size_t sizes[] = {526 * 1024, 10 * 1024};
    const int threads[] = {1, 4, 16};
    for (unsigned i = 0; i < 2; i++) {
        for (unsigned j = 0; j < 3; j++) compare(argv[1], sizes[i], threads[j], seconds, rounds < 1 ? 1 : rounds);
    }
    return 0;
}
