// Addresses of names by the system's resolver.
#include "net/resolve.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

enum { ADDRESS_BYTES = 64 };

// Sixteen bytes, IPv4 as IPv6 writes it, so that both forms of one address are equal.
static bool bytes_of(const char *text, unsigned char out[16]) {
    static const unsigned char MAPPED[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
    if (inet_pton(AF_INET6, text, out) == 1) return true;
    memcpy(out, MAPPED, sizeof MAPPED);
    return inet_pton(AF_INET, text, out + sizeof MAPPED) == 1;
}

static bool read_address(struct str address, unsigned char out[16]) {
    char text[ADDRESS_BYTES];
    if (address.n >= sizeof text) return false;
    snprintf(text, sizeof text, "%.*s", STR_FMT(address));
    return bytes_of(text, out);
}

bool net_is_loopback(struct str address) {
    static const unsigned char SIX[16] = {[15] = 1}, FOUR[13] = {[10] = 0xff, [11] = 0xff, [12] = 127};
    unsigned char own[16];
    return read_address(address, own) && (memcmp(own, SIX, sizeof SIX) == 0 || memcmp(own, FOUR, sizeof FOUR) == 0);
}

static bool same(const struct sockaddr *at, const unsigned char own[16]) {
    char text[INET6_ADDRSTRLEN] = "";
    unsigned char other[16];
    if (at->sa_family == AF_INET) inet_ntop(AF_INET, &((const struct sockaddr_in *)(const void *)at)->sin_addr, text, sizeof text);
    if (at->sa_family == AF_INET6) inet_ntop(AF_INET6, &((const struct sockaddr_in6 *)(const void *)at)->sin6_addr, text, sizeof text);
    return text[0] && bytes_of(text, other) && memcmp(own, other, sizeof other) == 0;
}

bool net_host_is(const char *host, struct str address) {
    unsigned char own[16], other[16];
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    struct addrinfo *all = NULL;
    bool found = false;
    if (!read_address(address, own)) return false;
    if (bytes_of(host, other)) return memcmp(own, other, sizeof own) == 0;
    if (getaddrinfo(host, NULL, &hints, &all) != 0) return false;
    for (const struct addrinfo *i = all; i && !found; i = i->ai_next) found = same(i->ai_addr, own);
    freeaddrinfo(all);
    return found;
}
