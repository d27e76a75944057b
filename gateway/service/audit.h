/* audit.h — the audit log of a tenant, read: filtered, followed, verified.
 *
 * Rows are in commit order, numbered from 1; `at` is the instant of the change, and for what time
 * brought about the instant at which that was due, so it may go back a little from row to row
 * (design.md section 1). Nothing here writes.
 *
 * Threads: any.
 */
#ifndef MS_SERVICE_AUDIT_H
#define MS_SERVICE_AUDIT_H

#include "service/change.h"
#include "service/service.h"

/* All that is set must fit. {0}: every row. */
struct ms_audit_filter {
    struct ms_asset_id asset;       /* none: any, and rows about the tenant */
    struct ms_instant since, until; /* since <= at < until; none: no bound */
    const char *who;                /* exactly; NULL: anybody */
    bool has_event;
    uint8_t event;
};
/* An event by its name, in any case: "FREEZE", "created". False: there is none. */
bool ms_audit_event_parse(const char *name, uint8_t *ret_event);

/* Rows behind row `after` that fit, in order, at most max; *ret_after: the last row looked at. A page
 * looks at a bounded number of rows: *ret_n may be 0 before the end. *ret_end: there are no more now.
 * Errors: MS_CORRUPT a row cannot be read, named; MS_NO_TENANT. */
MS_NODISCARD enum ms_code ms_audit_page(struct ms_svc *svc, const struct ms_ctx *ctx,
                                        const struct ms_audit_filter *filter, uint64_t after,
                                        struct ms_audit_record *ret_rows, size_t max,
                                        size_t *ret_n, uint64_t *ret_after, bool *ret_end,
                                        struct ms_error *reterr);

/* Every row names the SHA-256 of the one before it, and the chain's head that of the last. */
struct ms_audit_verdict {
    uint64_t rows; /* that were read and are whole */
    bool broken;
    uint64_t seq; /* the first row that does not fit */
    char why[160];
};
/* progress: rows so far; false: stop with MS_CANCELLED; may be NULL. */
MS_NODISCARD enum ms_code ms_audit_verify(struct ms_svc *svc, const struct ms_ctx *ctx,
                                          bool (*progress)(void *priv, uint64_t rows), void *priv,
                                          struct ms_audit_verdict *ret_verdict,
                                          struct ms_error *reterr);

#endif
