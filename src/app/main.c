// The gantry command: its table of subcommands, and the other life as a worker process.
#include <string.h>
#include <sysexits.h>

#include "app/cli.h"
#include "app/cmd_admin.h"
#include "app/commands.h"
#include "codec/pool.h"

enum { COMMANDS_BYTES_MAX = 4 << 20 };

int main(int argc, char **argv) {
    struct arena arena;
    if (argc == 2 && strcmp(argv[1], CODEC_WORKER_ARGUMENT) == 0) return codec_worker_main();
    arena_init(&arena, COMMANDS_BYTES_MAX);
    const struct cli_command *const *all = admin_commands(&arena, COMMANDS);
    int code = all ? cli_main(argc, argv, all) : EX_SOFTWARE;
    arena_deinit(&arena);
    return code;
}
