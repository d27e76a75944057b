/* transfer_part.h — what transfer.c and transfer_move.c share. Private to them. */
#ifndef MS_SERVICE_TRANSFER_PART_H
#define MS_SERVICE_TRANSFER_PART_H

#include "service/asset_in.h"
#include "service/transfer.h"

/* Whether an asset may go to the receiver now; nothing is changed but what is overdue. bytes: what its
 * quota must have, added up over the job. Errors: MS_WRONG_STATE, MS_QUOTA, MS_NOT_FOUND. */
MS_NODISCARD enum ms_code ms_transfer_check(const struct ms_tree *from, const struct ms_tree *to,
                                            struct ms_asset_id id, bool activate, uint64_t *bytes,
                                            struct ms_error *reterr);
/* It goes, with files, versions and objects, under a new inode. Needs: the check held. */
MS_NODISCARD enum ms_code ms_transfer_move(const struct ms_tree *from, const struct ms_tree *to,
                                           struct ms_asset_id id, bool activate, const char *why,
                                           struct ms_error *reterr);

#endif
