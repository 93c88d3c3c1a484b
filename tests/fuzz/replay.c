// Runs a fuzz target over every file of the folders given: a corpus as an ordinary test.
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int replay_file(const char *path) {
    FILE *f = fopen(path, "rb");
    if (!f) return perror(path), 1;
    struct stat st;
    if (fstat(fileno(f), &st) != 0 || !S_ISREG(st.st_mode)) return fclose(f), 0;
    uint8_t *p = malloc((size_t)st.st_size ? (size_t)st.st_size : 1);
    size_t n = p ? fread(p, 1, (size_t)st.st_size, f) : 0;
    fclose(f);
    if (p) LLVMFuzzerTestOneInput(p, n);
    free(p);
    return p ? 0 : 1;
}

static int replay_folder(const char *folder, unsigned *count) {
    DIR *d = opendir(folder);
    if (!d) return perror(folder), 1;
    int failed = 0;
    for (struct dirent *entry; (entry = readdir(d));) {
        if (entry->d_name[0] == '.') continue;
        char path[4096];
        snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        failed |= replay_file(path);
        ++*count;
    }
    closedir(d);
    return failed;
}

int main(int argc, char **argv) {
    unsigned count = 0;
    int failed = LLVMFuzzerTestOneInput((const uint8_t *)"", 0);
    for (int i = 1; i < argc; i++) failed |= replay_folder(argv[i], &count);
    printf("%u inputs replayed\n", count);
    return failed || count == 0;
}
