/* transfer.h — assets change hands (product.md 3.5).
 *
 * The sender makes a job, the receiver accepts it within 7 days or refuses it, the sender may cancel it;
 * not accepted in time it is FAIL, "expired", at that instant, swept or not: what is read is the
 * effective state, and rows follow when somebody writes. One pending job per asset. Acceptance looks at
 * everything again (state, freeze, quota): what does not hold ends the job as FAIL and nothing moves.
 * Otherwise all assets of the job move in one commit: no bytes move, objects keep their keys; both
 * ledgers get the same instant. At the receiver an asset has a new inode in its type's folder; scheduled
 * operations, shares and app_user_id are dropped.
 *
 * Who may send: administrators, and tenants on the allow-list, voices and models only unless the tenant
 * is allowed any type. Transfer back, of what an accepted job brought, needs no allow-list.
 *
 * A billed job takes units of the receiver's packages, one for each model or voice, as registering these
 * does. Its acceptance has two steps: ACCEPT moves nothing and leaves the job PROCESSING, so that the
 * receiver sees what is required (ms_transfer_required); ms_transfer_confirm moves and deducts in one
 * commit, and each asset is bound to the package whose unit it took. Units that are missing are a refusal
 * and no end of the job: it can be confirmed when there are some, until it expires. An administrator who
 * accepts for the receiver deducts at once.
 *
 * Threads: any. Invariants: a row PENDING of an asset names the last job that was made for it, and that
 * job is the only one that may still be accepted.
 */
#ifndef MS_SERVICE_TRANSFER_H
#define MS_SERVICE_TRANSFER_H

#include "service/asset.h"

#define MS_TRANSFER_ASSETS_MAX 100
#define MS_TRANSFER_DUE_MS (7 * MS_DAY_MS)

enum ms_transfer_state {
    MS_TRANSFER_PROCESSING,
    MS_TRANSFER_ACCEPT,
    MS_TRANSFER_REJECT,
    MS_TRANSFER_CANCEL,
    MS_TRANSFER_FAIL,
    MS_TRANSFER_STATE_COUNT
};
const char *ms_transfer_state_name(uint8_t state); /* "PROCESSING"; of no state: "?" */

enum ms_may_transfer { MS_MAY_TRANSFER_NOT, MS_MAY_TRANSFER_MODELS, MS_MAY_TRANSFER_ANY };
/* The allow-list of senders. Errors: MS_DENIED not an administrator. */
MS_NODISCARD enum ms_code ms_transfer_allow(struct ms_svc *svc, const struct ms_ctx *ctx,
                                            enum ms_may_transfer may, struct ms_error *reterr);

struct ms_transfer_create {
    const struct ms_asset_id *assets;
    size_t n; /* 1..MS_TRANSFER_ASSETS_MAX, no two equal */
    struct ms_tenant_id dest;
    const char *memo; /* at most MS_REASON_MAX bytes; NULL: none */
    struct ms_transfer_id back_of; /* none: out. Else the accepted job that brought the assets */
    bool auto_accept; /* administrators: accepted in the same step */
    bool activate;    /* ACTIVED at the receiver, not UNACTIVED: administrators */
    bool billing;     /* acceptance takes units of the receiver's packages */
};
/* ctx is the sender's. Errors: MS_DENIED not on the allow-list, or administrators only; MS_WRONG_STATE
 * by the life cycle; MS_WRONG_KIND no model nor voice; MS_EXISTS another job is pending; MS_NOT_FOUND;
 * MS_NO_TENANT; MS_INVALID; MS_QUOTA auto_accept of a billed one without the units. */
MS_NODISCARD enum ms_code ms_transfer_create(struct ms_svc *svc, const struct ms_ctx *ctx,
                                             const struct ms_transfer_create *create,
                                             struct ms_transfer_record *ret_job,
                                             struct ms_error *reterr);

/* ACCEPT and REJECT are the receiver's, CANCEL the sender's. reason: NULL or at most MS_REASON_MAX bytes.
 * ACCEPT of a billed job: the first step, *ret_job is PROCESSING.
 * Errors: MS_NOT_FOUND no such job of this tenant; MS_WRONG_STATE it is over, the tenant is not the one
 * who may, the receiver is frozen; or (ACCEPT) something does not hold any more: then the job is FAIL, and
 * the message has the reason. */
MS_NODISCARD enum ms_code ms_transfer_end(struct ms_svc *svc, const struct ms_ctx *ctx,
                                          struct ms_transfer_id id, enum ms_transfer_state how,
                                          const char *reason, struct ms_transfer_record *ret_job,
                                          struct ms_error *reterr);

/* The second step of a billed job, the receiver's. Errors: those of ACCEPT; MS_WRONG_STATE it is not billed; MS_QUOTA
 * units are missing, with the numbers: nothing has changed. */
MS_NODISCARD enum ms_code ms_transfer_confirm(struct ms_svc *svc, const struct ms_ctx *ctx,
                                              struct ms_transfer_id id, const char *reason,
                                              struct ms_transfer_record *ret_job,
                                              struct ms_error *reterr);

/* What the acceptance of a billed job deducts, by kind of package. None: of a job that is not billed or is over. */
#define MS_TRANSFER_NEEDS_MAX 2
struct ms_transfer_need {
    uint8_t kind;         /* enum ms_package_kind */
    uint64_t units, left; /* required; what valid packages of the receiver have */
};
struct ms_transfer_needs {
    struct ms_transfer_need need[MS_TRANSFER_NEEDS_MAX];
    size_t n;
};
/* Errors: MS_NOT_FOUND no such job of this tenant. */
MS_NODISCARD enum ms_code ms_transfer_required(struct ms_svc *svc, const struct ms_ctx *ctx,
                                               struct ms_transfer_id id,
                                               struct ms_transfer_needs *ret_needs,
                                               struct ms_error *reterr);

/* Jobs that the tenant sends or receives, oldest first, in their effective state; the caller's: free(). */
MS_NODISCARD enum ms_code ms_transfer_list(struct ms_svc *svc, const struct ms_ctx *ctx,
                                           struct ms_transfer_record **ret_list, size_t *ret_n,
                                           struct ms_error *reterr);
/* One of them, and its assets. Errors: MS_NOT_FOUND. */
MS_NODISCARD enum ms_code ms_transfer_get(struct ms_svc *svc, const struct ms_ctx *ctx,
                                          struct ms_transfer_id id,
                                          struct ms_transfer_record *ret_job,
                                          struct ms_asset_id ret_assets[MS_TRANSFER_ASSETS_MAX],
                                          size_t *ret_n, struct ms_error *reterr);

#endif
