#include "cli/help.h"

#include <stdbool.h>

/* Text with what roff would take for itself escaped. */
static void text(FILE *to, const char *s, bool at_line_start) {
    for (; *s; s++) {
        if (at_line_start && (*s == '.' || *s == '\''))
            fputs("\\&", to);
        at_line_start = *s == '\n';
        if (*s == '-')
            fputs("\\-", to);
        else if (*s == '\\')
            fputs("\\e", to);
        else
            fputc(*s, to);
    }
}

static void options(FILE *to, const struct ms_opt *opts) {
    for (size_t i = 0; opts[i].name; i++) {
        fputs(".TP\n", to);
        if (opts[i].letter)
            fprintf(to, "\\fB\\-%c\\fR, ", opts[i].letter);
        fputs("\\fB\\-\\-", to);
        text(to, opts[i].name, false);
        fputs("\\fR", to);
        if (opts[i].value)
            fprintf(to, " \\fI%s\\fR", opts[i].value);
        fputc('\n', to);
        text(to, opts[i].help, true);
        fputs(".\n", to);
    }
}

/* Help texts are paragraphs; from "Example" on, lines that begin with two blanks are literal. */
static void paragraphs(FILE *to, const char *help) {
    bool literal = false;
    while (*help) {
        size_t n = strcspn(help, "\n");
        char line[256];
        (void)snprintf(line, sizeof line, "%.*s", (int)n, help);
        bool is_literal = line[0] == ' ' && line[1] == ' ';
        if (is_literal != literal)
            fputs(is_literal ? ".RS\n.nf\n" : ".fi\n.RE\n", to);
        literal = is_literal;
        if (n == 0) {
            fputs(".PP\n", to);
        } else {
            text(to, literal ? line + 2 : line, true);
            fputc('\n', to);
        }
        help += n + (help[n] == '\n');
    }
    if (literal)
        fputs(".fi\n.RE\n", to);
}

static void command(FILE *to, const struct ms_cmd *cmd) {
    fputs(".SS \"", to);
    text(to, cmd->name, false);
    fprintf(to, "%s", cmd->args[0] ? " " : "");
    text(to, cmd->args, false);
    fputs("\"\n", to);
    text(to, cmd->summary, true);
    fputs(".\n.PP\n", to);
    paragraphs(to, cmd->help);
    options(to, cmd->opts);
}

/* One line per exit status with the failures that end in it, in the order of the table. */
static void exit_statuses(FILE *to) {
    fputs(".SH EXIT STATUS\n.TP\n.B 0\ndone, also when there was nothing to do.\n.TP\n.B 1\nsome "
          "of several items "
          "failed; each is reported.\n",
          to);
    for (int status = 2; status < 256; status++) {
        bool any = false;
        for (int c = MS_OK + 1; c < MS_CODE_COUNT; c++) {
            if (ms_code_exit((enum ms_code)c) != status)
                continue;
            if (!any)
                fprintf(to, ".TP\n.B %d\n", status);
            fprintf(to, "%s%s", any ? "; " : "", ms_code_text((enum ms_code)c));
            any = true;
        }
        if (any)
            fputs(".\n", to);
    }
}

void ms_help_print_roff(FILE *to) {
    fputs(".\\\" Made by msasset help --roff; a test compares it with the program.\n"
          ".TH MSASSET 1 \"\" \"msasset\" \"User commands\"\n"
          ".SH NAME\nmsasset \\- keep digital assets: store, mount, list, bin and count them\n"
          ".SH SYNOPSIS\n.B msasset\n.I command\n[\\fIarguments\\fR] [\\fIoptions\\fR]\n"
          ".SH DESCRIPTION\n"
          "A store is a folder with metadata (LMDB), the journal of files being written and, "
          "unless told\notherwise, "
          "the objects. Several mounts and commands of one host may use a store at once.\n.PP\n"
          "Data goes to standard output, everything else to standard error. Sizes are powers of "
          "two.\n"
          ".SH GLOBAL OPTIONS\n",
          to);
    options(to, ms_global_opts);
    fputs(".SH COMMANDS\n", to);
    for (size_t i = 0; ms_commands[i]; i++)
        command(to, ms_commands[i]);
    exit_statuses(to);
    fputs(".SH SEE ALSO\n.BR msasset\\-fs (7),\n.BR msasset.conf (5),\n.BR msasset\\-bill (5)\n",
          to);
}
