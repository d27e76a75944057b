/* arrears.h — the arrears of a tenant in the store: the operator's word that a payment is missing, and
 * what time makes of it (product.md section 5; the rules are lifecycle/arrears.h).
 *
 * The tenant's record says since when, and which stage was applied to it; one due row (MS_DUE_ARREARS)
 * lies at the next one. A sweep records the hold as a freeze, dated with its instant; at the end it deletes
 * every asset in commits of a bounded number, and the row goes with the last of them, so no day behind
 * that instant is closed before. Nobody waits for the sweep: masks and lives are looked at with the stage
 * that is in effect (ms_tenant_mask, ms_tenant_life), and whoever loads an asset to change it deletes it
 * when the end has come.
 *
 * Switching on and off are audit rows; they are no rows of the ledger, because they change neither
 * allowance nor fees (bill.md section 4). A package whose term ends in arrears is not renewed by itself.
 *
 * Threads: any.
 */
#ifndef MS_SERVICE_ARREARS_H
#define MS_SERVICE_ARREARS_H

#include "lifecycle/arrears.h"
#include "service/ctx.h"
#include "service/service.h"
#include "service/tree_rows.h"

#define MS_ARREARS_ENDED_REASON                                                                    \
    "a payment was missing, and the retention period of the tenant's arrears is over"

/* A payment is missing from now on, or (off) it was made: the hold is lifted, and nothing else. What it
 * is already changes nothing. reason: for the audit log, may be NULL. *ret_tenant: as it is now. Errors:
 * MS_DENIED not an administrator; MS_NO_TENANT; MS_RANGE the reason is too long; MS_BUSY deadlines that
 * come first could not be applied. */
MS_NODISCARD enum ms_code ms_tenant_set_arrears(struct ms_svc *svc, const struct ms_ctx *ctx,
                                                bool on, const char *reason,
                                                struct ms_tenant_record *ret_tenant,
                                                struct ms_error *reterr);

/* ---- for the service, inside a write ---------------------------------------------------------- */

/* Its due row, as its record wants it. */
MS_NODISCARD enum ms_code ms_arrears_due_row(struct ms_txn *txn,
                                             const struct ms_tenant_record *tenant,
                                             struct ms_error *reterr);
/* The hold that has come at or before t->now is recorded; t->tenant is changed too. Errors: MS_BUSY
 * deadlines from before the last freeze come first. */
MS_NODISCARD enum ms_code ms_arrears_record_hold(struct ms_tree *t, struct ms_error *reterr);
/* For a sweep, in a transaction of its own: with the end behind it, up to `max` assets behind `after` are
 * deleted. The stage is recorded by the call that finds no asset left at all, so one that cannot be
 * deleted, and that the caller passed over, keeps the tenant's next days open. */
#define MS_ARREARS_ASSETS 64u /* an operation holds the writer until it ends: about 10 ms */
struct ms_arrears_end {
    struct ms_tenant_id tenant;
    struct ms_instant now;
    struct ms_asset_id after; /* none: from the first on */
    unsigned max;
};
struct ms_arrears_ended {
    unsigned deleted;
    bool more; /* call again, behind `after` */
    struct ms_asset_id after;
};
MS_NODISCARD enum ms_code ms_arrears_end(struct ms_txn *txn, const struct ms_arrears_end *in,
                                         struct ms_arrears_ended *ret_ended,
                                         struct ms_error *reterr);

#endif
