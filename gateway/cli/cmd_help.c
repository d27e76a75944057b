#include "cli/help.h"

enum { OPT_ROFF };

static enum ms_code run(struct ms_cli *cli, struct ms_error *reterr) {
    char name[64] = "";
    if (cli->given[OPT_ROFF]) {
        ms_help_print_roff(stdout);
        return MS_OK;
    }
    for (int i = 0; i < cli->args_n; i++) {
        size_t used = strlen(name);
        (void)snprintf(name + used, sizeof name - used, "%s%s", i ? " " : "", cli->args[i]);
    }
    if (cli->args_n == 0) {
        ms_help_print(NULL, stdout);
        return MS_OK;
    }
    for (size_t i = 0; ms_commands[i]; i++)
        if (strcmp(ms_commands[i]->name, name) == 0) {
            ms_help_print(ms_commands[i], stdout);
            return MS_OK;
        }
    return ms_help_unknown(cli->args_n, cli->args, reterr);
}

const struct ms_cmd ms_cmd_help = {
    .name = "help",
    .args = "[COMMAND]",
    .summary = "show help",
    .help = "Without a command: all commands and the global options.\n",
    .opts = {{"roff", 0, NULL, "print the manual page msasset(1)"}},
    .args_min = 0,
    .args_max = 2,
    .run = run,
};
