/* transfer_part.h — what transfer.c, transfer_move.c and transfer_bill.c share. Private to them. */
#ifndef MS_SERVICE_TRANSFER_PART_H
#define MS_SERVICE_TRANSFER_PART_H

#include "service/asset_in.h"
#include "service/transfer.h"

/* A job as anybody sees it at t->now. Errors: MS_NOT_FOUND it is neither sent nor received by the tenant. */
MS_NODISCARD enum ms_code ms_transfer_own(const struct ms_tree *t, struct ms_transfer_id id,
                                          struct ms_transfer_record *ret_job,
                                          struct ms_error *reterr);
MS_NODISCARD enum ms_code ms_transfer_assets(const struct ms_tree *t, struct ms_transfer_id id,
                                             struct ms_asset_id ret_assets[MS_TRANSFER_ASSETS_MAX],
                                             size_t *ret_n, struct ms_error *reterr);

/* Whether an asset may go to the receiver now; nothing is changed but what is overdue. bytes: what its
 * quota must have, added up over the job. Errors: MS_WRONG_STATE, MS_QUOTA, MS_NOT_FOUND. */
MS_NODISCARD enum ms_code ms_transfer_check(const struct ms_tree *from, const struct ms_tree *to,
                                            struct ms_asset_id id, bool activate, uint64_t *bytes,
                                            struct ms_error *reterr);
/* It goes, with files, versions and objects, under a new inode. Needs: the check held. */
MS_NODISCARD enum ms_code ms_transfer_move(const struct ms_tree *from, const struct ms_tree *to,
                                           struct ms_asset_id id, bool activate, const char *why,
                                           struct ms_error *reterr);

/* Inside the commit of an acceptance. Whether the receiver has the units; what is due of its packages is applied.
 * Errors: MS_QUOTA. */
MS_NODISCARD enum ms_code ms_transfer_units_check(const struct ms_tree *from,
                                                  const struct ms_tree *to,
                                                  const struct ms_transfer_record *job,
                                                  struct ms_error *reterr);
/* One asset that has come takes its unit, if its type needs one. Needs: ms_transfer_move. */
MS_NODISCARD enum ms_code ms_transfer_take_unit(const struct ms_tree *to, struct ms_asset_id id,
                                                struct ms_error *reterr);

#endif
