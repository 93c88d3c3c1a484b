// The guard over outgoing connections.
#include "net/guard.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>

#include "net/network.h"

// IANA's registries of special-purpose addresses (RFC 6890 and after), and the addresses at which clouds answer their machines.
static const struct special {
    const char *network;
    enum net_place place;
} SPECIAL[] = {
    {"127.0.0.0/8", NET_PLACE_LOOPBACK},     {"::1", NET_PLACE_LOOPBACK},
    {"0.0.0.0/8", NET_PLACE_NEVER},          {"169.254.0.0/16", NET_PLACE_NEVER}, // link-local; metadata of AWS, Azure, GCP, OpenStack, Tencent
    {"100.100.100.200/32", NET_PLACE_NEVER},                                      // metadata of Alibaba Cloud
    {"168.63.129.16/32", NET_PLACE_NEVER},                                        // Azure's own
    {"192.0.0.0/24", NET_PLACE_NEVER},                                            // Oracle's metadata too
    {"198.18.0.0/15", NET_PLACE_NEVER},      {"224.0.0.0/4", NET_PLACE_NEVER},
    {"240.0.0.0/4", NET_PLACE_NEVER},        {"::/128", NET_PLACE_NEVER},
    {"100::/64", NET_PLACE_NEVER},           {"fe80::/10", NET_PLACE_NEVER},
    {"fec0::/10", NET_PLACE_NEVER},          {"ff00::/8", NET_PLACE_NEVER},
    {"fd00:ec2::/32", NET_PLACE_NEVER}, // metadata of AWS
    {"fd20:ce::/32", NET_PLACE_NEVER},  // of GCP
    {"10.0.0.0/8", NET_PLACE_PRIVATE},       {"172.16.0.0/12", NET_PLACE_PRIVATE},
    {"192.168.0.0/16", NET_PLACE_PRIVATE},   {"100.64.0.0/10", NET_PLACE_PRIVATE},
    {"fc00::/7", NET_PLACE_PRIVATE},
};

// Where IPv6 addresses hold an IPv4 one; flipped: all its bits are the other way round.
static const struct embedding {
    const char *network;
    unsigned at;
    uint8_t flip;
} EMBEDDINGS[] = {
    {"::/96", 12, 0},           // RFC 4291 2.5.5.1
    {"64:ff9b::/96", 12, 0},    // RFC 6052
    {"64:ff9b:1::/48", 12, 0},  // RFC 8215
    {"2002::/16", 2, 0},        // RFC 3056
    {"2001::/32", 12, 0xFF},    // RFC 4380
    {"::ffff:0:0:0/96", 12, 0}, // RFC 2765
};

static enum net_place listed(struct str address) {
    for (size_t i = 0; i < sizeof SPECIAL / sizeof *SPECIAL; i++)
        if (net_address_in(address, &SPECIAL[i].network, 1)) return SPECIAL[i].place;
    return NET_PLACE_PUBLIC;
}

static enum net_place closer(enum net_place a, enum net_place b) {
    return a > b ? a : b;
}

enum net_place net_place_of(struct str address) {
    char z[INET6_ADDRSTRLEN];
    uint8_t bytes[16];
    if (address.n == 0 || address.n >= sizeof z) return NET_PLACE_NEVER;
    snprintf(z, sizeof z, "%.*s", STR_FMT(address));
    bool v4 = inet_pton(AF_INET, z, bytes) == 1;
    if (!v4 && inet_pton(AF_INET6, z, bytes) != 1) return NET_PLACE_NEVER;
    enum net_place place = listed(address);
    for (size_t i = 0; i < sizeof EMBEDDINGS / sizeof *EMBEDDINGS && !v4; i++) {
        const struct embedding *m = &EMBEDDINGS[i];
        uint8_t inner[4];
        char text[INET_ADDRSTRLEN];
        if (place != NET_PLACE_PUBLIC || !net_address_in(address, &m->network, 1)) continue;
        for (unsigned k = 0; k < 4; k++) inner[k] = bytes[m->at + k] ^ m->flip;
        inet_ntop(AF_INET, inner, text, sizeof text);
        place = closer(place, listed(str_of(text)));
    }
    return place;
}

static const char *const WORDS[] = {
    [NET_PLACE_PRIVATE] = "is in a private network",
    [NET_PLACE_LOOPBACK] = "is this machine itself",
    [NET_PLACE_NEVER] = "is link-local, reserved or a cloud's own",
};

bool net_guard_allows(const struct net_guard *g, struct str address, struct err *e) {
    if (!g) return true;
    if (g->only_count)
        return net_address_in(address, g->only, g->only_count) ||
               err_set(e, ERR_FORBIDDEN, "net", "%.*s is in none of the networks that this server may connect to (outgoing: networks)", STR_FMT(address));
    enum net_place place = net_place_of(address);
    if (place <= g->closest && place != NET_PLACE_NEVER) return true;
    return err_set(e, ERR_FORBIDDEN, "net", "%.*s %s, and this server was not told to connect there (outgoing: networks)", STR_FMT(address), WORDS[place]);
}

bool net_guard_allows_socket(const struct net_guard *g, const struct sockaddr *to, struct err *e) {
    char text[INET6_ADDRSTRLEN] = "";
    if (to->sa_family == AF_INET)
        inet_ntop(AF_INET, &((const struct sockaddr_in *)(const void *)to)->sin_addr, text, sizeof text);
    else if (to->sa_family == AF_INET6)
        inet_ntop(AF_INET6, &((const struct sockaddr_in6 *)(const void *)to)->sin6_addr, text, sizeof text);
    return net_guard_allows(g, str_of(text), e);
}
