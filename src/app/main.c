// The gantry command: its table of subcommands, and the other life as a worker process.
#include <string.h>

#include "app/cli.h"
#include "app/commands.h"
#include "codec/pool.h"

int main(int argc, char **argv) {
    if (argc == 2 && strcmp(argv[1], CODEC_WORKER_ARGUMENT) == 0) return codec_worker_main();
    return cli_main(argc, argv, COMMANDS);
}
