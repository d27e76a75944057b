/* share.h — an asset that its owner lets other tenants read (product.md 3.5 and 3.6, metastudio-api.md 2.6).
 *
 * The owner names tenants; each of them may look at the asset and read its live MAIN until the share ends, and
 * may do nothing else with it. A share says who may ask; whether he may now follows from the asset and both
 * tenants at each look, so a freeze, the bin, a take-down of a share or its end need no further step:
 *  - only while the asset shows ACTIVED or WAITING_DELETE;
 *  - not while the owner or the receiver is frozen: then nothing is shared anew nor withdrawn either;
 *  - never the MAIN of a model or a voice;
 *  - never what waits for review beside it: a reader gets the bytes and texts that passed.
 * A share ends at its instant, swept or not; the sweep only removes rows (and writes their audit rows, dated
 * with that instant). Sharing again with the same tenant changes the end. The shares of an asset go with it:
 * when it is deleted for good, and when it is transferred; a copy has none. A catalogue (service/catalogue.h)
 * does not tell them: after a rebuild assets have to be shared again.
 *
 * Invariant I15: a share has exactly one row each in SHARE, SHARED and, at its end, SHAREDUE; its asset is its
 * owner's and its receiver is another tenant.
 *
 * Threads: any.
 */
#ifndef MS_SERVICE_SHARE_H
#define MS_SERVICE_SHARE_H

#include "service/asset.h"

#define MS_SHARE_TENANTS_MAX 100 /* of one asset */
#define MS_SHARE_DAYS 30
#define MS_SHARE_DAYS_MAX 3650

/* 24:00:00.000 UTC of day +days, that of now being day 0. */
static inline struct ms_instant ms_share_ends(struct ms_instant now, int days) {
    return ms_instant_add_ms(ms_instant_day_start(now), (days + 1) * MS_DAY_MS);
}
/* How an end is shown: the last second in which it is shared. */
static inline struct ms_instant ms_share_shown_end(struct ms_instant until) {
    return ms_instant_add_ms(until, -MS_SECOND_MS);
}

/* ---- the owner's side ------------------------------------------------------------------------ */

struct ms_share {
    struct ms_asset_id asset;
    const struct ms_tenant_id *receivers;
    size_t n;                /* 1..MS_SHARE_TENANTS_MAX; naming one twice is naming it once */
    struct ms_instant until; /* later than now, at most MS_SHARE_DAYS_MAX days; none: 30 days */
};
/* All of them in one step, or none. ret_until may be NULL.
 * Errors: MS_WRONG_STATE by the life cycle, or one of the tenants is frozen; MS_NOT_FOUND; MS_NO_TENANT;
 * MS_INVALID the owner itself, or no tenant; MS_RANGE too many tenants, or the end is out of range. */
MS_NODISCARD enum ms_code ms_share_add(struct ms_svc *svc, const struct ms_ctx *ctx,
                                       const struct ms_share *share, struct ms_instant *ret_until,
                                       struct ms_error *reterr);
/* Withdraw it from these, n 0: from all, which may be none. Also of what is frozen or in the bin. share->until
 * is not looked at. ret_n: how many were withdrawn; NULL. Errors: MS_NOT_FOUND no such asset, or it is not
 * shared with one of them: then nothing is withdrawn; MS_WRONG_STATE the tenant is frozen. */
MS_NODISCARD enum ms_code ms_share_remove(struct ms_svc *svc, const struct ms_ctx *ctx,
                                          const struct ms_share *share, size_t *ret_n,
                                          struct ms_error *reterr);

struct ms_share_info {
    struct ms_share_record share;
    char receiver[MS_TENANT_NAME_MAX + 1];
    char name[MS_ASSET_NAME_BYTES_MAX + 1]; /* of the asset */
    enum ms_state state;
    bool readable; /* by the receiver, now */
};
/* What ctx->tenant shares (asset none: all, else of this one), by asset and receiver, behind `after` (zeroed:
 * from the start), bounded pages. */
MS_NODISCARD enum ms_code ms_share_list(struct ms_svc *svc, const struct ms_ctx *ctx,
                                        struct ms_asset_id asset, const struct ms_share_record *after,
                                        struct ms_share_info *ret_infos, size_t max, size_t *ret_n,
                                        struct ms_error *reterr);

/* ---- the receiver's side --------------------------------------------------------------------- */

struct ms_shared_info {
    struct ms_share_record share;
    char owner[MS_TENANT_NAME_MAX + 1];
    bool readable; /* now; else the members below are zeroed, but for why */
    struct ms_error why;
    /* What everyone but the owner sees: of the record id, type, origin, name, description, tags, times. */
    struct ms_asset_record asset;
    enum ms_state state;
    struct ms_file_record main;
    struct ms_version_record version;
};
/* What is shared with ctx->tenant, in the order of ids, behind `after`. What cannot be read now stands there
 * too, and says why. */
MS_NODISCARD enum ms_code ms_shared_list(struct ms_svc *svc, const struct ms_ctx *ctx,
                                         struct ms_asset_id after, struct ms_shared_info *ret_infos,
                                         size_t max, size_t *ret_n, struct ms_error *reterr);
/* By id, or by "TENANT/NAME": owner and asset name, which may have further slashes; what cannot be read now has
 * no name for others. Errors: MS_NOT_FOUND nothing such is shared with the tenant; MS_NOT_READABLE,
 * MS_WRONG_STATE it is, and cannot be read now; MS_INVALID several have this name. */
MS_NODISCARD enum ms_code ms_shared_find(struct ms_svc *svc, const struct ms_ctx *ctx,
                                         const char *id_or_name, struct ms_shared_info *ret_info,
                                         struct ms_error *reterr);
/* ms_asset_fetch() of what is shared: the bytes that were live at the beginning; whether the tenant may read
 * them is asked again for every piece of 1 MiB. Errors: as above; MS_NOT_READABLE also of a model or voice;
 * MS_CANCELLED. */
MS_NODISCARD enum ms_code ms_shared_fetch(struct ms_svc *svc, const struct ms_ctx *ctx,
                                          const struct ms_get *get, struct ms_error *reterr);

/* ---- the sweep ------------------------------------------------------------------------------- */

/* Shares of the tenant that are over at `now` go, at most 64 a commit. ret_next: when the next one ends, none:
 * never. Errors: of the store. */
MS_NODISCARD enum ms_code ms_sweep_shares(struct ms_svc *svc, struct ms_tenant_id tenant,
                                          struct ms_instant now, uint64_t *ret_ended,
                                          struct ms_instant *ret_next, struct ms_error *reterr);

#endif
