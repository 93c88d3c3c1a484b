// The gantry command: its table of subcommands.
#include "app/cli.h"
#include "app/commands.h"

int main(int argc, char **argv) {
    return cli_main(argc, argv, COMMANDS);
}
