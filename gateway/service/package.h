/* package.h — packages of a tenant in the store: bought once, renewed, bound, and what time does to
 * them (product.md section 5; the rules are quota/package.h).
 *
 * A package is a record with a due row (MS_DUE_PACKAGE). Each of buying, renewing, a further term and
 * expiry is one ledger row in the commit of the change: fee, capacity, terms. So usage.extra_allowance
 * is the sum of the amounts of valid ASSET_MANAGER packages, and the bill knows since when. What time
 * brings about is dated with its due instant. Every operation here first applies what is overdue of
 * all the tenant's packages, so that ledger and records have one order.
 *
 * A renewal by itself is applied by its answer alone (service/payment.h). Operations on the package are
 * refused while it waits: MS_BUSY.
 *
 * An asset that is bound to a package has taken a unit of it, which never comes back. While the
 * package renews itself the life cycle refuses every way to delete the asset.
 *
 * Threads: any.
 */
#ifndef MS_SERVICE_PACKAGE_H
#define MS_SERVICE_PACKAGE_H

#include "lifecycle/lifecycle.h"
#include "quota/package.h"
#include "service/ctx.h"
#include "service/service.h"
#include "store/store.h"

struct ms_tree;

struct ms_package_order {
    const char *order; /* the buyer's id of this purchase, 1..MS_ORDER_MAX bytes without control
                          characters; the same again buys nothing more */
    const char *name;  /* 1..MS_PACKAGE_NAME_MAX bytes; the rate card's item package:<name> */
    uint8_t kind, source;
    bool free; /* its terms are not charged: allocated */
    bool auto_renew;
    uint64_t amount; /* bytes, hundredths of a minute, units; not 0 */
    uint32_t months, terms;
};
/* *ret_package: as it is now, also when the order had been taken before. Errors: MS_DENIED not an
 * administrator; MS_INVALID, MS_RANGE; MS_EXISTS the order id was another purchase. */
MS_NODISCARD enum ms_code ms_package_buy(struct ms_svc *svc, const struct ms_ctx *ctx,
                                         const struct ms_package_order *order,
                                         struct ms_package_record *ret_package,
                                         struct ms_error *reterr);
/* Add terms, in time or late; lifts hold PACKAGE and nothing else. order: as above. Errors: MS_DENIED,
 * MS_NOT_FOUND, MS_RANGE, MS_EXISTS; MS_WRONG_STATE it has ended, or has no end. */
MS_NODISCARD enum ms_code ms_package_renew_by(struct ms_svc *svc, const struct ms_ctx *ctx,
                                              struct ms_package_id id, const char *order,
                                              uint32_t terms,
                                              struct ms_package_record *ret_package,
                                              struct ms_error *reterr);
/* Errors: MS_DENIED, MS_NOT_FOUND; MS_WRONG_STATE on, of a package that is not valid or has no end. */
MS_NODISCARD enum ms_code ms_package_set_auto_renew(struct ms_svc *svc, const struct ms_ctx *ctx,
                                                    struct ms_package_id id, bool on,
                                                    struct ms_package_record *ret_package,
                                                    struct ms_error *reterr);
/* Take a unit for an asset: registers a model or voice. Errors: MS_DENIED, MS_NOT_FOUND; MS_INVALID the
 * kind is not for that type; MS_EXISTS it is bound; MS_QUOTA no unit is left, or it is not valid. */
MS_NODISCARD enum ms_code ms_package_bind(struct ms_svc *svc, const struct ms_ctx *ctx,
                                          struct ms_package_id id, struct ms_asset_id asset,
                                          struct ms_package_record *ret_package,
                                          struct ms_error *reterr);
/* As they are now, swept or not, in order of id; the caller's: free(). */
MS_NODISCARD enum ms_code ms_package_list(struct ms_svc *svc, const struct ms_ctx *ctx,
                                          struct ms_package_record **ret_list, size_t *ret_n,
                                          struct ms_error *reterr);

/* ---- for the service, inside a write ---------------------------------------------------------- */

/* Apply what is due of one package at or before now, up to a renewal that waits; unasked (payment.h): such
 * a one is paid, and applied too. *ret_changed: something was. */
MS_NODISCARD enum ms_code ms_package_overdue(struct ms_txn *txn,
                                             const struct ms_tenant_record *tenant,
                                             struct ms_package_id id, struct ms_instant now,
                                             bool unasked, bool *ret_changed,
                                             struct ms_error *reterr);
/* May it renew itself at its due instant? Not in arrears. Of one instant what is due comes first, as
 * everywhere: so arrears that begin then are too late. */
bool ms_package_may_renew(const struct ms_tenant_record *tenant, const struct ms_package_record *p);
/* It would renew itself at or before now, and that is not paid or refused yet (service/payment.h): it
 * counts as valid, and nothing of it is applied. Never of one whose terms are free. */
bool ms_package_waits(const struct ms_tenant_record *tenant, const struct ms_package_record *p,
                      struct ms_instant now);
/* Errors: MS_BUSY a package waits, and what became of a term of it that is over too depends on the answer:
 * who lifts the tenant's arrears now would change what they brought about meanwhile. */
MS_NODISCARD enum ms_code ms_package_outcome_open(struct ms_txn *txn,
                                                  const struct ms_tenant_record *tenant,
                                                  struct ms_instant now, struct ms_error *reterr);
/* The answer about a package as it was asked for. *ret_applied false: it does not wait so any more. */
MS_NODISCARD enum ms_code ms_package_answer(struct ms_txn *txn,
                                            const struct ms_tenant_record *tenant,
                                            const struct ms_package_record *asked,
                                            struct ms_instant now, bool paid, bool *ret_applied,
                                            struct ms_error *reterr);
/* The same of every package of the tenant. */
MS_NODISCARD enum ms_code ms_packages_overdue(struct ms_txn *txn,
                                              const struct ms_tenant_record *tenant,
                                              struct ms_instant now, struct ms_error *reterr);
/* ... and with unasked (payment.h) the renewals that wait are paid, and applied too. */
MS_NODISCARD enum ms_code ms_packages_settled(struct ms_txn *txn,
                                              const struct ms_tenant_record *tenant,
                                              struct ms_instant now, bool unasked,
                                              struct ms_error *reterr);
/* What its package makes of an asset that is bound to one, at facts->now, nothing stored: for whoever
 * reads before a sweep. */
MS_NODISCARD enum ms_code ms_package_effective(struct ms_txn *txn,
                                               const struct ms_tenant_record *tenant,
                                               const struct ms_asset_record *asset,
                                               const struct ms_lc_facts *facts, bool unasked,
                                               struct ms_life *life, struct ms_error *reterr);
/* As the package is at now, nothing stored: what is due of it is passed, up to a renewal that waits for the
 * payment command. */
void ms_package_at(const struct ms_tenant_record *tenant, struct ms_package_record *p,
                   struct ms_instant now, bool unasked);
/* Take hundredths of a minute from valid packages, the one that ends first before others. Needs, to take:
 * nothing overdue but renewals that wait. Errors: MS_BUSY minutes of a term are needed that the payment
 * command has not answered for: whether they are there, and what of the video is pay-per-use, is open.
 *   take     false: only look          unasked  payment.h
 *   ret_rest  what they do not hold */
struct ms_package_drawing {
    struct ms_instant now;
    uint64_t hundredths;
    bool take, unasked;
};
MS_NODISCARD enum ms_code ms_package_draw(struct ms_txn *txn, const struct ms_tenant_record *tenant,
                                          const struct ms_package_drawing *drawing,
                                          uint64_t *ret_rest, struct ms_error *reterr);
/* Is this an asset of a type that takes a unit when it is registered (by the platform, no preset)? */
bool ms_package_is_registered(uint8_t origin, uint8_t type);
/* Register a model or voice: a unit of the valid package that ends first is deducted, and the package bound.
 * What is due of packages is applied first. asset: as it is stored, changed; one that is bound already, or takes no
 * unit, stays as it is. Errors: MS_QUOTA no unit is left, with the numbers. */
MS_NODISCARD enum ms_code ms_package_register(const struct ms_tree *t,
                                              struct ms_asset_record *asset,
                                              struct ms_error *reterr);
/* Units for assets of a type that valid packages have left at t->now. */
MS_NODISCARD enum ms_code ms_package_units_left(const struct ms_tree *t, uint8_t type,
                                                uint64_t *ret_left, struct ms_error *reterr);
/* Only looked at: the same refusal, before anything is uploaded. */
MS_NODISCARD enum ms_code ms_package_may_register(const struct ms_tree *t, uint8_t type,
                                                  struct ms_error *reterr);

#endif
