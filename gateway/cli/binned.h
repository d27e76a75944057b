/* binned.h — finding what lies in the recycle bin, by id or by the path where it was. */
#ifndef MS_CLI_BINNED_H
#define MS_CLI_BINNED_H

#include "cli/out.h"

/* Errors: MS_NOT_FOUND; MS_INVALID when several were at that path: the message names their ids. */
MS_NODISCARD enum ms_code ms_binned_find(struct ms_cli *cli, const char *path_or_id,
                                         struct ms_asset_id *ret_id, struct ms_error *reterr);
/* Call fn for everything in the bin, what was frozen there and shows BLOCK too. */
MS_NODISCARD enum ms_code ms_binned_each(struct ms_cli *cli,
                                         enum ms_code (*fn)(void *priv,
                                                            const struct ms_asset_info *info,
                                                            struct ms_error *reterr),
                                         void *priv, struct ms_error *reterr);

#endif
