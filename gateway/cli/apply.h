/* apply.h — what commands that bring one life-cycle event to some assets share. */
#ifndef MS_CLI_APPLY_H
#define MS_CLI_APPLY_H

#include "cli/out.h"

/* A path in the tree, a path where something in the recycle bin was, or an id. Errors: MS_NOT_FOUND;
 * MS_INVALID several in the bin were there. */
MS_NODISCARD enum ms_code ms_apply_find(struct ms_cli *cli, const char *arg,
                                        struct ms_asset_id *ret_id, struct ms_error *reterr);
/* Bring the event to what arg names, and tell what it is now: a line, or an element of results.
 * event->id is set. */
MS_NODISCARD enum ms_code ms_apply_one(struct ms_cli *cli, const char *arg,
                                       struct ms_asset_event *event, json_t *results,
                                       struct ms_error *reterr);
/* "2026-03-01T00:00:00Z", or "+7d" from now on. Errors: MS_USAGE naming the flag. */
MS_NODISCARD enum ms_code ms_apply_instant(struct ms_cli *cli, const char *flag, const char *text,
                                           struct ms_instant *ret_at, struct ms_error *reterr);
/* Open store and tenant, then run each argument. */
MS_NODISCARD enum ms_code ms_apply_all(struct ms_cli *cli, ms_cli_each_fn *fn,
                                       struct ms_error *reterr);

#endif
