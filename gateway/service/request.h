/* request.h — a tenant asks for an unfreeze, and an administrator decides (product.md 3.5).
 *
 * A request is about one asset, or about the freeze of the tenant as a whole. It stays as a record of
 * who asked, with which words, who decided and why; the audit log has a row for each of both. One at a
 * time waits for the same thing. What is frozen because a package ran out or a payment is missing
 * cannot be asked for: the refusal names renewal, or payment.
 *
 * Threads: any.
 */
#ifndef MS_SERVICE_REQUEST_H
#define MS_SERVICE_REQUEST_H

#include "lifecycle/lifecycle.h"
#include "model/record.h"
#include "service/ctx.h"
#include "service/service.h"

enum ms_request_state { MS_REQUEST_WAITING, MS_REQUEST_GRANTED, MS_REQUEST_REFUSED };
const char *ms_request_state_name(uint8_t state); /* "WAITING"; of no state: "?" */

/* asset none: the tenant as a whole. text: 1..MS_REQUEST_TEXT_MAX bytes. Errors: MS_WRONG_STATE not
 * frozen, or by PACKAGE or ARREARS only; MS_EXISTS one is waiting; MS_NOT_FOUND; MS_INVALID. */
MS_NODISCARD enum ms_code ms_request_add(struct ms_svc *svc, const struct ms_ctx *ctx,
                                         struct ms_asset_id asset, const char *text,
                                         struct ms_request_record *ret_request,
                                         struct ms_error *reterr);
/* Grant (the unfreeze happens in the same step) or refuse. answer may be "". Errors: MS_DENIED not an
 * administrator; MS_NOT_FOUND; MS_WRONG_STATE it is decided, or its asset is not frozen any more. */
MS_NODISCARD enum ms_code ms_request_decide(struct ms_svc *svc, const struct ms_ctx *ctx,
                                            struct ms_request_id id, bool grant, const char *answer,
                                            struct ms_request_record *ret_request,
                                            struct ms_error *reterr);
/* All of the tenant, oldest first; the caller's: free(). */
MS_NODISCARD enum ms_code ms_request_list(struct ms_svc *svc, const struct ms_ctx *ctx,
                                          struct ms_request_record **ret_list, size_t *ret_n,
                                          struct ms_error *reterr);

#endif
