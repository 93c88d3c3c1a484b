// Addresses in networks.
#include "net/network.h"

#include <arpa/inet.h>
#include <netinet/in.h>

enum { IPV4_BITS = 32, IPV6_BITS = 128 };

// The address's bytes (4 or 16), 0 when it is none. An IPv4 address in IPv6 form counts as IPv4.
static unsigned address_bytes(struct str text, uint8_t out[16]) {
    static const uint8_t MAPPED[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF};
    char z[INET6_ADDRSTRLEN];
    if (text.n == 0 || text.n >= sizeof z) return 0;
    memcpy(z, text.p, text.n);
    z[text.n] = '\0';
    if (inet_pton(AF_INET, z, out) == 1) return 4;
    if (inet_pton(AF_INET6, z, out) != 1) return 0;
    if (memcmp(out, MAPPED, sizeof MAPPED) != 0) return 16;
    memmove(out, out + 12, 4);
    return 4;
}

static unsigned network_of(const char *network, uint8_t out[16], unsigned *bits) {
    struct str text = str_of(network), rest = text;
    struct str address = str_split(&rest, '/');
    unsigned n = address_bytes(address, out);
    uint64_t given = n == 4 ? IPV4_BITS : IPV6_BITS;
    if (n == 0 || (rest.p && (!str_to_u64(rest, &given) || given > n * 8))) return 0;
    *bits = (unsigned)given;
    return n;
}

bool net_network_valid(const char *network) {
    uint8_t bytes[16];
    unsigned bits;
    return network_of(network, bytes, &bits) != 0;
}

static bool same_bits(const uint8_t *x, const uint8_t *y, unsigned bits) {
    if (memcmp(x, y, bits / 8) != 0) return false;
    return bits % 8 == 0 || ((x[bits / 8] ^ y[bits / 8]) >> (8 - bits % 8)) == 0;
}

bool net_address_in(struct str address, const char *const *networks, unsigned count) {
    uint8_t own[16], net[16];
    unsigned n = address_bytes(address, own), bits = 0;
    for (unsigned i = 0; i < count && n; i++)
        if (network_of(networks[i], net, &bits) == n && same_bits(own, net, bits)) return true;
    return false;
}
