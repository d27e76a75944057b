/* mounts_text.h — what commands that freeze tell about the mounts of this host. */
#ifndef MS_CLI_MOUNTS_TEXT_H
#define MS_CLI_MOUNTS_TEXT_H

#include "cli/cmd.h"

/* Wait for the mounts (ms_svc_await_mounts), then a line about the time on stdout, and a warning on stderr about each
 * mount that still may show what was frozen. With object: its members mounts_ms and late_mounts instead of the
 * line. What was frozen is frozen all the same, so nothing of this fails the command. */
void ms_mounts_tell(struct ms_cli *cli, json_t *object);

#endif
