/* help.h — help texts, made from the command tables. */
#ifndef MS_CLI_HELP_H
#define MS_CLI_HELP_H

#include "cli/cmd.h"

extern const struct ms_cmd *const ms_commands[]; /* ends with NULL */
extern const struct ms_opt ms_global_opts[];     /* ends with a NULL name */

/* Of one command, or the overview for NULL. */
void ms_help_print(const struct ms_cmd *cmd, FILE *to);
/* The whole manual page msasset(1), from the same tables and the error table. man/msasset.1 is its
 * output; a test compares them. */
void ms_help_print_roff(FILE *to);
/* "there is no command ...", with the nearest ones. */
enum ms_code ms_help_unknown(int n, char **words, struct ms_error *reterr);

#endif
