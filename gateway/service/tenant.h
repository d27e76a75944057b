/* tenant.h — tenants: make, find, list, their settings and usage. */
#ifndef MS_SERVICE_TENANT_H
#define MS_SERVICE_TENANT_H

#include "model/record.h"
#include "service/ctx.h"
#include "service/service.h"
#include "service/standing.h"

struct ms_tenant_options {
    const char *name;     /* [a-z0-9][a-z0-9._-]*, unique */
    uint64_t free_bytes;  /* UINT64_MAX: the store's default */
    int64_t retention_ms; /* -1: the store's default */
    uint32_t uid, gid, umask;
    const struct ms_tenant_record *again; /* a rebuild: all of this but the inodes; NULL: a new one */
};
/* Makes the root and the type folders in the same step. Errors: MS_EXISTS, MS_BAD_NAME. */
MS_NODISCARD enum ms_code ms_tenant_add(struct ms_svc *svc, const char *who,
                                        const struct ms_tenant_options *options,
                                        struct ms_tenant_record *ret_tenant,
                                        struct ms_error *reterr);
/* By name, or by 32-hex id. Errors: MS_NO_TENANT. */
MS_NODISCARD enum ms_code ms_tenant_find(struct ms_svc *svc, const char *name_or_id,
                                         struct ms_tenant_record *ret_tenant,
                                         struct ms_error *reterr);
MS_NODISCARD enum ms_code ms_tenant_get(struct ms_svc *svc, struct ms_tenant_id id,
                                        struct ms_tenant_record *ret_tenant,
                                        struct ms_error *reterr);
/* All of them, by id; the caller's: free(). */
MS_NODISCARD enum ms_code ms_tenant_list(struct ms_svc *svc, struct ms_tenant_record **ret_list,
                                         size_t *ret_n, struct ms_error *reterr);
MS_NODISCARD enum ms_code ms_tenant_set_quota(struct ms_svc *svc, const struct ms_ctx *ctx,
                                              uint64_t free_bytes, struct ms_error *reterr);
/* May minutes of produced video beyond its packages be metered at the rate card? Off: they are
 * refused. */
MS_NODISCARD enum ms_code ms_tenant_set_pay_per_use(struct ms_svc *svc, const struct ms_ctx *ctx,
                                                    bool on, struct ms_error *reterr);
/* What an asset becomes that is finished from now on: UNACTIVED instead of ACTIVED (product.md 3.2).
 * Errors: MS_DENIED not an administrator. */
MS_NODISCARD enum ms_code ms_tenant_set_start(struct ms_svc *svc, const struct ms_ctx *ctx,
                                              bool unactived, struct ms_error *reterr);
/* Freeze or unfreeze the tenant as a whole: the mask, O(1). ARREARS is for who knows what he does; of a
 * tenant that is in arrears it follows these (service/arrears.h) and is refused here. */
MS_NODISCARD enum ms_code ms_tenant_hold(struct ms_svc *svc, const struct ms_ctx *ctx,
                                         enum ms_hold hold, bool on, const char *reason,
                                         struct ms_error *reterr);

struct ms_quota_info {
    uint64_t allowance, metered, reserved, left; /* bytes */
    struct ms_usage_record usage;
    struct ms_tenant_record tenant;
    struct ms_instant now; /* of the answer */
};
MS_NODISCARD enum ms_code ms_tenant_quota(struct ms_svc *svc, const struct ms_ctx *ctx,
                                          struct ms_quota_info *ret_info, struct ms_error *reterr);

#endif
