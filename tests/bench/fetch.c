// An HTTP client that costs almost nothing itself: GETs one after the other on one connection, bodies are thrown away.
//
//   fetch PORT ACCEPT ENCODING < paths      (ENCODING: of Accept-Encoding, or "-")
//
// Prints one JSON object: count, seconds, bytes (of bodies), ms (of each request).
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { PATHS_MAX = 100000, BLOCK = 1 << 20 };

static char block[BLOCK + 1];
static size_t have, used; // of the block
static int fd, port;

static double now_ms(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static void fail(const char *what) {
    fprintf(stderr, "fetch: %s\n", what);
    exit(1);
}

static int more(void) {
    if (used < have) return 1;
    ssize_t n = recv(fd, block, BLOCK, 0);
    have = n > 0 ? (size_t)n : 0;
    used = 0;
    return n > 0;
}

static void refill(void) {
    if (!more()) fail("the connection was closed");
}

static void line(char *out, size_t cap) {
    size_t n = 0;
    for (;;) {
        refill();
        char c = block[used++];
        if (c == '\n') break;
        if (c != '\r' && n + 1 < cap) out[n++] = c;
    }
    out[n] = '\0';
}

static uint64_t skip(uint64_t n) {
    for (uint64_t left = n; left;) {
        refill();
        size_t part = have - used < left ? have - used : (size_t)left;
        used += part;
        left -= part;
    }
    return n;
}

static uint64_t chunks(void) {
    char text[128];
    uint64_t total = 0, n;
    do {
        line(text, sizeof text);
        n = strtoull(text, NULL, 16);
        total += skip(n);
        line(text, sizeof text);
    } while (n);
    return total;
}

static void reach(void) {
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int one = 1;
    fd = socket(AF_INET, SOCK_STREAM, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof to) != 0) fail("no connection");
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
}

// A body that ends with its connection.
static uint64_t to_the_end(void) {
    uint64_t total = 0;
    for (; more(); used = have) total += have - used;
    close(fd);
    reach();
    return total;
}

static uint64_t answer(const char *path) {
    char text[4096];
    uint64_t length = UINT64_MAX;
    int chunked = 0;
    line(text, sizeof text);
    if (strncmp(text, "HTTP/1.1 200", 12) != 0) fprintf(stderr, "fetch: %s: %s\n", path, text), exit(1);
    for (line(text, sizeof text); *text; line(text, sizeof text)) {
        if (strncasecmp(text, "Content-Length:", 15) == 0) length = strtoull(text + 15, NULL, 10);
        if (strncasecmp(text, "Transfer-Encoding: chunked", 26) == 0) chunked = 1;
    }
    if (chunked) return chunks();
    return length == UINT64_MAX ? to_the_end() : skip(length);
}

int main(int argc, char **argv) {
    static char *paths[PATHS_MAX];
    static double ms[PATHS_MAX];
    char text[8192];
    size_t n = 0;
    uint64_t bytes = 0;
    if (argc != 4) return fprintf(stderr, "usage: fetch PORT ACCEPT ENCODING < paths\n"), 64;
    while (n < PATHS_MAX && fgets(text, sizeof text, stdin)) {
        text[strcspn(text, "\n")] = '\0';
        paths[n++] = strdup(text);
    }
    port = atoi(argv[1]);
    reach();
    double start = now_ms();
    for (size_t i = 0; i < n; i++) {
        double begun = now_ms();
        int k = snprintf(text, sizeof text, "GET %s HTTP/1.1\r\nHost: 127.0.0.1:%s\r\nAccept: %s\r\n%s%s%s\r\n", paths[i], argv[1], argv[2],
                         *argv[3] == '-' ? "" : "Accept-Encoding: ", *argv[3] == '-' ? "" : argv[3], *argv[3] == '-' ? "" : "\r\n");
        if (send(fd, text, (size_t)k, 0) != k) fail("the connection was closed");
        bytes += answer(paths[i]);
        ms[i] = now_ms() - begun;
    }
    printf("{\"count\":%zu,\"seconds\":%.6f,\"bytes\":%llu,\"ms\":[", n, (now_ms() - start) / 1e3, (unsigned long long)bytes);
    for (size_t i = 0; i < n; i++) printf("%s%.4f", i ? "," : "", ms[i]);
    printf("]}\n");
    return 0;
}
