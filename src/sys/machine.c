// Questions to the kernel.
#include "sys/machine.h"

#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/timex.h>
#include <unistd.h>

#define LISTENING "0A" // TCP_LISTEN in /proc/net/tcp

enum { LINE_BYTES = 512, USER_BYTES = 4096 };

bool sys_clock_kept(void) {
    struct timex t = {0};
    int state = adjtimex(&t);
    return state >= 0 && state != TIME_ERROR && !(t.status & STA_UNSYNC);
}

bool sys_rights_of(const char *path, struct sys_rights *out, struct err *e) {
    struct stat st;
    if (stat(path, &st) != 0) return err_errno(e, errno == ENOENT ? ERR_NOT_FOUND : ERR_IO, "file", "%s", path);
    *out = (struct sys_rights){st.st_mode & 07777, st.st_uid, st.st_gid, S_ISDIR(st.st_mode), (uint64_t)st.st_dev};
    return true;
}

void sys_user_name(unsigned uid, char *out, size_t n) {
    char space[USER_BYTES];
    struct passwd entry, *found = NULL;
    bool known = getpwuid_r(uid, &entry, space, sizeof space, &found) == 0 && found;
    if (known)
        snprintf(out, n, "%s", entry.pw_name);
    else
        snprintf(out, n, "%u", uid);
}

unsigned sys_own_user(void) {
    return geteuid();
}

// The address of a line is in hexadecimal, words of 32 bits in the machine's order: 127.0.0.0/8, ::1 and ::ffff:127.0.0.0/104 are this machine's.
static bool is_own(const char *address) {
    size_t n = strlen(address);
    if (n == 8) return strcmp(address + 6, "7F") == 0;
    if (strcmp(address, "00000000000000000000000001000000") == 0) return true;
    return n == 32 && strncmp(address, "0000000000000000FFFF0000", 24) == 0 && strcmp(address + 30, "7F") == 0;
}

static unsigned add(uint16_t *out, unsigned count, unsigned max, uint16_t port) {
    unsigned at = 0;
    while (at < count && out[at] < port) at++;
    if ((at < count && out[at] == port) || count == max) return count;
    memmove(out + at + 1, out + at, (count - at) * sizeof *out);
    out[at] = port;
    return count + 1;
}

static unsigned gather(const char *path, uint16_t *out, unsigned count, unsigned max) {
    char line[LINE_BYTES];
    FILE *f = fopen(path, "re");
    if (!f) return count;
    while (fgets(line, sizeof line, f)) {
        char address[33], port[5], state[3];
        if (sscanf(line, " %*[0-9]: %32[0-9A-F]:%4[0-9A-F] %*[0-9A-F]:%*[0-9A-F] %2[0-9A-F]", address, port, state) != 3) continue;
        if (strcmp(state, LISTENING) == 0 && !is_own(address)) count = add(out, count, max, (uint16_t)strtoul(port, NULL, 16));
    }
    fclose(f);
    return count;
}

unsigned sys_open_ports(uint16_t *out, unsigned max) {
    return gather("/proc/net/tcp6", out, gather("/proc/net/tcp", out, 0, max), max);
}
