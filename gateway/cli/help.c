#include "cli/help.h"

static void print_opts(const struct ms_opt *opts, FILE *to) {
    for (size_t i = 0; opts[i].name; i++) {
        char left[64];
        (void)snprintf(left, sizeof left, "--%s%s%s", opts[i].name, opts[i].value ? " " : "",
                       opts[i].value ? opts[i].value : "");
        if (opts[i].letter)
            fprintf(to, "  -%c, %-22s %s\n", opts[i].letter, left, opts[i].help);
        else
            fprintf(to, "      %-22s %s\n", left, opts[i].help);
    }
}

static void print_command(const struct ms_cmd *cmd, FILE *to) {
    fprintf(to, "msasset %s%s%s - %s\n\n%s", cmd->name, cmd->args[0] ? " " : "", cmd->args,
            cmd->summary, cmd->help);
    if (cmd->opts[0].name) {
        fputs("\nOptions:\n", to);
        print_opts(cmd->opts, to);
    }
    fputs("\nGlobal options: see msasset help\n", to);
}

static void print_overview(FILE *to) {
    fputs("msasset - keep digital assets: store, mount, list, bin and count them\n\nUsage: msasset "
          "COMMAND "
          "[ARGUMENTS] [OPTIONS]\n\nStart:\n"
          "  msasset init                          make a store (a folder)\n"
          "  msasset tenant add media              make a tenant\n"
          "  msasset mount media /mnt/media        see it as files\n"
          "  msasset put film.mp4 videos/          or upload without a mount\n\nCommands:\n",
          to);
    for (size_t i = 0; ms_commands[i]; i++)
        fprintf(to, "  %-18s %s\n", ms_commands[i]->name, ms_commands[i]->summary);
    fputs("\nGlobal options:\n", to);
    print_opts(ms_global_opts, to);
    fputs("\nmsasset help COMMAND shows a command's options. See also: man msasset\n", to);
}

void ms_help_print(const struct ms_cmd *cmd, FILE *to) {
    if (cmd)
        print_command(cmd, to);
    else
        print_overview(to);
}

/* A command that begins like the word, for the message. */
static const char *nearest(const char *word) {
    for (size_t i = 0; ms_commands[i]; i++)
        if (strncmp(ms_commands[i]->name, word, 2) == 0)
            return ms_commands[i]->name;
    return NULL;
}

enum ms_code ms_help_unknown(int n, char **words, struct ms_error *reterr) {
    const char *word = n > 0 ? words[0] : "";
    const char *near = nearest(word);
    return ms_fail(reterr, MS_USAGE,
                   "there is no command \"%s%s%s\"%s%s%s; msasset help lists them", word,
                   n > 1 ? " " : "", n > 1 ? words[1] : "", near ? "; did you mean \"" : "",
                   near ? near : "", near ? "\"" : "");
}
