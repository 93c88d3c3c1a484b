// A C-STORE load generator that costs almost nothing itself: objects are prepared once and only their UIDs change.
//
//   load HOST PORT CALLED_AET ASSOCIATIONS OBJECTS_PER_ASSOCIATION PIXEL_BYTES SEED
//
// LOAD_ACKED=FILE in the environment: "UID CRC32-of-the-data-set" is appended for every object that was acknowledged.
// Prints one JSON object: objects, seconds, objects_per_s, mb_per_s, failed. Speaks PS3.8 and PS3.7 by itself, so that no peer is
// measured with a client of its own kind.
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>
#include <zlib.h>

enum { UID_LEN = 48, PER_SERIES = 100, MAX_PDU_OFFERED = 256 * 1024 };

static struct {
    const char *host, *called;
    int port;
    unsigned associations, objects, seed;
    size_t pixel_bytes;
} options;

static _Atomic unsigned failed_objects;
static int acked_fd = -1; // one write(2) a line: lines of several threads do not mix

struct bytes {
    uint8_t *p;
    size_t n;
};

static void put(struct bytes *b, const void *p, size_t n) {
    memcpy(b->p + b->n, p, n);
    b->n += n;
}

static void put_le(struct bytes *b, uint32_t v, int n) {
    for (int i = 0; i < n; i++) b->p[b->n++] = (uint8_t)(v >> 8 * i);
}

static void put_be(struct bytes *b, uint32_t v, int n) {
    for (int i = n - 1; i >= 0; i--) b->p[b->n++] = (uint8_t)(v >> 8 * i);
}

// Explicit VR little endian element with a short text value; returns where the value lies.
static size_t put_text(struct bytes *b, uint16_t group, uint16_t element, const char *vr, const char *value) {
    size_t n = strlen(value);
    put_le(b, group, 2), put_le(b, element, 2), put(b, vr, 2), put_le(b, (uint32_t)(n + (n & 1)), 2);
    size_t at = b->n;
    put(b, value, n);
    if (n & 1) b->p[b->n++] = strcmp(vr, "UI") == 0 ? 0 : ' ';
    return at;
}

static void put_us(struct bytes *b, uint16_t element, unsigned value) {
    put_le(b, 0x0028, 2), put_le(b, element, 2), put(b, "US", 2), put_le(b, 2, 2), put_le(b, value, 2);
}

static void uid_of(char out[UID_LEN + 1], unsigned kind, unsigned a, unsigned b) {
    int n = snprintf(out, UID_LEN + 1, "1.2.826.0.1.3680043.10.9.%u.%010u.%010u", kind, 1000000000u + options.seed, 1000000000u + a * 1000000 + b);
    while (n < UID_LEN) out[n++] = '7'; // fixed width: offsets stay
    out[UID_LEN] = '\0';
}

struct object {
    struct bytes data;
    size_t sop_at, study_at, series_at, accession_at, patient_at;
};

static void put_header(struct object *o) {
    struct bytes *b = &o->data;
    char uid[UID_LEN + 1];
    uid_of(uid, 1, 0, 0);
    put_text(b, 0x0008, 0x0005, "CS", "ISO_IR 100"), put_text(b, 0x0008, 0x0008, "CS", "ORIGINAL\\PRIMARY\\AXIAL");
    put_text(b, 0x0008, 0x0016, "UI", "1.2.840.10008.5.1.4.1.1.2");
    o->sop_at = put_text(b, 0x0008, 0x0018, "UI", uid);
    put_text(b, 0x0008, 0x0020, "DA", "20250310"), put_text(b, 0x0008, 0x0030, "TM", "093000");
    o->accession_at = put_text(b, 0x0008, 0x0050, "SH", "A0000000");
    put_text(b, 0x0008, 0x0060, "CS", "CT"), put_text(b, 0x0008, 0x0070, "LO", "Load"), put_text(b, 0x0008, 0x1030, "LO", "Load test of the chest");
    put_text(b, 0x0010, 0x0010, "PN", "Load^Test");
    o->patient_at = put_text(b, 0x0010, 0x0020, "LO", "P0000000");
    put_text(b, 0x0010, 0x0030, "DA", "19700101"), put_text(b, 0x0010, 0x0040, "CS", "F");
    put_text(b, 0x0018, 0x0050, "DS", "1.25"), put_text(b, 0x0018, 0x0060, "DS", "120");
    o->study_at = put_text(b, 0x0020, 0x000D, "UI", uid);
    o->series_at = put_text(b, 0x0020, 0x000E, "UI", uid);
    put_text(b, 0x0020, 0x0010, "SH", "1"), put_text(b, 0x0020, 0x0011, "IS", "1"), put_text(b, 0x0020, 0x0013, "IS", "1");
    put_text(b, 0x0020, 0x0032, "DS", "-180\\-180\\0"), put_text(b, 0x0020, 0x0037, "DS", "1\\0\\0\\0\\1\\0");
}

static void build_object(struct object *o) {
    o->data.p = malloc(4096 + options.pixel_bytes);
    put_header(o);
    struct bytes *b = &o->data;
    unsigned columns = 64, rows = (unsigned)(options.pixel_bytes / 2 / columns);
    while (rows > 1024) rows /= 2, columns *= 2;
    put_us(b, 0x0002, 1), put_text(b, 0x0028, 0x0004, "CS", "MONOCHROME2"), put_us(b, 0x0010, rows), put_us(b, 0x0011, columns);
    put_us(b, 0x0100, 16), put_us(b, 0x0101, 12), put_us(b, 0x0102, 11), put_us(b, 0x0103, 0);
    put_text(b, 0x0028, 0x1052, "DS", "-1024"), put_text(b, 0x0028, 0x1053, "DS", "1");
    uint32_t bytes = rows * columns * 2;
    put_le(b, 0x7FE0, 2), put_le(b, 0x0010, 2), put(b, "OW\0\0", 4), put_le(b, bytes, 4);
    uint32_t noise = 12345 + options.seed;
    for (uint32_t i = 0; i < bytes / 2; i++) {
        noise = noise * 1664525 + 1013904223;
        put_le(b, 1024 + (noise >> 26), 2);
    }
}

static void stamp(struct object *o, unsigned association, unsigned number) {
    char uid[UID_LEN + 1], text[16];
    uid_of(uid, 1, association, number);
    memcpy(o->data.p + o->sop_at, uid, UID_LEN);
    uid_of(uid, 2, association, number / PER_SERIES);
    memcpy(o->data.p + o->study_at, uid, UID_LEN);
    uid_of(uid, 3, association, number / PER_SERIES);
    memcpy(o->data.p + o->series_at, uid, UID_LEN);
    snprintf(text, sizeof text, "%07u", (association * 10007 + number / PER_SERIES) % 10000000);
    memcpy(o->data.p + o->accession_at + 1, text, 7);
    memcpy(o->data.p + o->patient_at + 1, text, 7);
}

static int send_all(int fd, struct iovec *v, int n) {
    while (n > 0) {
        ssize_t done = writev(fd, v, n);
        if (done <= 0) return -1;
        while (n > 0 && (size_t)done >= v->iov_len) done -= (ssize_t)v->iov_len, v++, n--;
        if (n > 0) v->iov_base = (char *)v->iov_base + done, v->iov_len -= (size_t)done;
    }
    return 0;
}

static int receive(int fd, uint8_t *p, size_t n) {
    for (size_t at = 0; at < n;) {
        ssize_t got = recv(fd, p + at, n - at, 0);
        if (got <= 0) return -1;
        at += (size_t)got;
    }
    return 0;
}

// One PDU into buf; returns its type or -1.
static int receive_pdu(int fd, uint8_t *buf, size_t cap, size_t *n) {
    uint8_t head[6];
    if (receive(fd, head, 6) != 0) return -1;
    *n = (size_t)head[2] << 24 | (size_t)head[3] << 16 | (size_t)head[4] << 8 | head[5];
    if (*n > cap || receive(fd, buf, *n) != 0) return -1;
    return head[0];
}

static void put_item(struct bytes *b, uint32_t type, const char *text) {
    put_be(b, type << 8, 2), put_be(b, (uint32_t)strlen(text), 2), put(b, text, strlen(text));
}

static void put_request(struct bytes *b) {
    char aet[17];
    put_be(b, 0x0100, 2), put_be(b, 0, 4), put_be(b, 1, 2), put_be(b, 0, 2);
    snprintf(aet, sizeof aet, "%-16s", options.called), put(b, aet, 16), put(b, "LOAD            ", 16);
    memset(b->p + b->n, 0, 32), b->n += 32;
    put_item(b, 0x10, "1.2.840.10008.3.1.1.1");
    put_be(b, 0x2000, 2), put_be(b, 4 + 4 + 25 + 4 + 19, 2), put_be(b, 0x01000000, 4);
    put_item(b, 0x30, "1.2.840.10008.5.1.4.1.1.2"), put_item(b, 0x40, "1.2.840.10008.1.2.1");
    put_be(b, 0x5000, 2), put_be(b, 8 + 4 + 11, 2), put_be(b, 0x5100, 2), put_be(b, 4, 2), put_be(b, MAX_PDU_OFFERED, 4);
    put_item(b, 0x52, "1.2.3.4.5.6");
    struct bytes length = {b->p + 2, 0};
    put_be(&length, (uint32_t)b->n - 6, 4);
}

// The peer's maximum PDU length from an A-ASSOCIATE-AC; 0 when the context was refused.
static size_t parse_accept(const uint8_t *in, size_t n) {
    size_t max_pdu = 16384;
    for (size_t at = 68; at + 8 <= n;) {
        size_t length = (size_t)in[at + 2] << 8 | in[at + 3];
        if (in[at] == 0x21 && in[at + 6] != 0) return 0;
        if (in[at] == 0x51) max_pdu = (size_t)in[at + 4] << 24 | (size_t)in[at + 5] << 16 | (size_t)in[at + 6] << 8 | in[at + 7];
        at += in[at] == 0x50 ? 4 : 4 + length;
    }
    return max_pdu == 0 || max_pdu > MAX_PDU_OFFERED ? MAX_PDU_OFFERED : max_pdu;
}

static size_t associate(int fd) {
    uint8_t out[1024], in[8192];
    struct bytes b = {out, 0};
    put_request(&b);
    struct iovec v = {out, b.n};
    size_t n;
    if (send_all(fd, &v, 1) != 0 || receive_pdu(fd, in, sizeof in, &n) != 2) return 0;
    return parse_accept(in, n);
}

static void put_command(struct bytes *b, uint16_t element, const void *p, size_t n) {
    put_le(b, 0, 2), put_le(b, element, 2), put_le(b, (uint32_t)(n + (n & 1)), 4), put(b, p, n);
    if (n & 1) b->p[b->n++] = 0;
}

// C-STORE-RQ in its PDU (PS3.7 9.3.1.1).
static size_t build_command(uint8_t *out, const uint8_t *sop_uid, uint16_t id) {
    struct bytes b = {out + 12, 0};
    uint16_t field = 1, priority = 0, data_set = 1;
    put_command(&b, 0x0000, "\0\0\0\0", 4);
    size_t start = b.n;
    put_command(&b, 0x0002, "1.2.840.10008.5.1.4.1.1.2", 25), put_command(&b, 0x0100, &field, 2), put_command(&b, 0x0110, &id, 2);
    put_command(&b, 0x0700, &priority, 2), put_command(&b, 0x0800, &data_set, 2), put_command(&b, 0x1000, sop_uid, UID_LEN);
    struct bytes length = {out + 12 + 8, 0}, head = {out, 0};
    put_le(&length, (uint32_t)(b.n - start), 4);
    put_be(&head, 0x0400, 2), put_be(&head, (uint32_t)b.n + 6, 4), put_be(&head, (uint32_t)b.n + 2, 4), put_be(&head, 0x0103, 2);
    return b.n + 12;
}

// The Status of the response, or -1.
static int receive_status(int fd) {
    uint8_t in[16384];
    size_t n;
    if (receive_pdu(fd, in, sizeof in, &n) != 4) return -1;
    for (size_t at = 6; at + 10 <= n;) {
        uint32_t length = in[at + 4] | (uint32_t)in[at + 5] << 8 | (uint32_t)in[at + 6] << 16;
        if (in[at + 2] == 0x00 && in[at + 3] == 0x09) return in[at + 8] | in[at + 9] << 8;
        at += 8 + length;
    }
    return -1;
}

static int store_one(int fd, struct object *o, uint16_t id, size_t max_pdu, struct iovec *v, uint8_t (*heads)[12]) {
    uint8_t command[512];
    size_t chunk = max_pdu - 6;
    int count = 0, head = 0;
    v[count++] = (struct iovec){command, build_command(command, o->data.p + o->sop_at, id)};
    for (size_t at = 0; at < o->data.n; at += chunk) {
        size_t part = o->data.n - at < chunk ? o->data.n - at : chunk;
        struct bytes h = {heads[head++], 0};
        put_be(&h, 0x0400, 2), put_be(&h, (uint32_t)part + 6, 4), put_be(&h, (uint32_t)part + 2, 4);
        put_be(&h, 0x0100 | (at + part == o->data.n ? 2 : 0), 2);
        v[count++] = (struct iovec){h.p, h.n};
        v[count++] = (struct iovec){o->data.p + at, part};
    }
    for (int at = 0; at < count; at += 64)
        if (send_all(fd, v + at, count - at < 64 ? count - at : 64) != 0) return -1;
    return receive_status(fd);
}

static int connect_to_server(void) {
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)options.port)};
    int fd = socket(AF_INET, SOCK_STREAM, 0), one = 1;
    if (fd < 0 || inet_pton(AF_INET, options.host, &to.sin_addr) != 1 || connect(fd, (struct sockaddr *)&to, sizeof to) != 0) return -1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    return fd;
}

static void note_acked(const struct object *o) {
    char line[96];
    int n = snprintf(line, sizeof line, "%.*s %lu\n", UID_LEN, (const char *)o->data.p + o->sop_at, crc32(0, o->data.p, (uInt)o->data.n));
    if (write(acked_fd, line, (size_t)n) != n) abort();
}

static void release(int fd) {
    uint8_t request[10] = {5, 0, 0, 0, 0, 4}, in[64];
    struct iovec v = {request, sizeof request};
    size_t n;
    if (send_all(fd, &v, 1) == 0) receive_pdu(fd, in, sizeof in, &n);
    close(fd);
}

static void *run_association(void *arg) {
    unsigned number = (unsigned)(uintptr_t)arg;
    struct object o = {0};
    build_object(&o);
    int fd = connect_to_server();
    size_t max_pdu = fd < 0 ? 0 : associate(fd);
    if (max_pdu == 0) {
        fprintf(stderr, "load: no association: %s\n", strerror(errno));
        failed_objects += options.objects;
        return NULL;
    }
    size_t pdus = o.data.n / (max_pdu - 6) + 2;
    struct iovec *v = calloc(2 * pdus + 2, sizeof *v);
    uint8_t(*heads)[12] = calloc(pdus, sizeof *heads);
    for (unsigned i = 0; i < options.objects; i++) {
        stamp(&o, number, i);
        int status = store_one(fd, &o, (uint16_t)(i + 1), max_pdu, v, heads);
        if (status < 0) {
            failed_objects += options.objects - i;
            break;
        }
        if (status != 0)
            failed_objects++;
        else if (acked_fd >= 0)
            note_acked(&o);
    }
    release(fd);
    free(v);
    free(heads);
    free(o.data.p);
    return NULL;
}

static double now_s(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

int main(int argc, char **argv) {
    if (argc != 8) return fprintf(stderr, "usage: load HOST PORT CALLED_AET ASSOCIATIONS OBJECTS PIXEL_BYTES SEED\n"), 64;
    options.host = argv[1], options.port = atoi(argv[2]), options.called = argv[3];
    options.associations = (unsigned)atoi(argv[4]), options.objects = (unsigned)atoi(argv[5]);
    options.pixel_bytes = (size_t)atol(argv[6]), options.seed = (unsigned)atoi(argv[7]);
    const char *acked = getenv("LOAD_ACKED");
    if (acked) acked_fd = open(acked, O_WRONLY | O_CREAT | O_APPEND, 0600);
    signal(SIGPIPE, SIG_IGN);
    pthread_t threads[256];
    if (options.associations == 0 || options.associations > 256) return 64;
    double start = now_s();
    for (unsigned i = 0; i < options.associations; i++) pthread_create(&threads[i], NULL, run_association, (void *)(uintptr_t)i);
    for (unsigned i = 0; i < options.associations; i++) pthread_join(threads[i], NULL);
    double seconds = now_s() - start;
    unsigned objects = options.associations * options.objects;
    printf("{\"objects\":%u,\"seconds\":%.4f,\"objects_per_s\":%.1f,\"mb_per_s\":%.1f,\"failed\":%u}\n", objects, seconds, objects / seconds,
           objects * (double)options.pixel_bytes / seconds / 1e6, failed_objects);
    return failed_objects ? 1 : 0;
}
