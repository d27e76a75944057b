/* standing.h — how a tenant stands at an instant: its freeze and its arrears, recorded or not, what they
 * make of its assets, and all that in words with dates, the same in every interface.
 *
 * Threads: any.
 */
#ifndef MS_SERVICE_STANDING_H
#define MS_SERVICE_STANDING_H

#include "lifecycle/arrears.h"
#include "model/record.h"

struct ms_tree;

/* The tenant's freeze at now: the record's mask, and a hold of its arrears that nobody has recorded yet
 * (lifecycle/arrears.h). mask_holds alone may be behind. */
struct ms_mask ms_tenant_mask(const struct ms_tenant_record *tenant, struct ms_instant now);
/* ... and as it was when a deadline came at `due`. */
struct ms_mask ms_tenant_mask_at(const struct ms_tenant_record *tenant, struct ms_instant due);
struct ms_arrears ms_tenant_arrears(const struct ms_tenant_record *tenant);
/* What an asset of this tenant is at facts->now, nothing stored (ms_arrears_life); facts->mask is not
 * looked at. */
struct ms_life ms_tenant_life(const struct ms_tenant_record *tenant, const struct ms_life *life,
                              const struct ms_lc_facts *facts,
                              void (*each)(void *priv, const struct ms_life *before,
                                           const struct ms_lc_verdict *step, enum ms_due_kind kind),
                              void *priv);
#define MS_WARNING_MAX (MS_REASON_MAX + 410)
typedef char ms_warning[MS_WARNING_MAX + 1];

/* Of its arrears; "" when it has none. */
void ms_tenant_warning(const struct ms_tenant_record *tenant, struct ms_instant now,
                       ms_warning ret_text);
/* Why it is frozen as a whole: the administrator's reason, its arrears, or both; "" when it is not, or
 * nobody said why. */
void ms_tenant_why(const struct ms_tenant_record *tenant, struct ms_instant now,
                   ms_warning ret_text);
/* Has something come before `before` (exclusive) that an asset's life goes by, and that nobody has applied?
 * Not arrears' own deadlines, nor a package that waits for its payment: that is valid as long. */
MS_NODISCARD enum ms_code ms_tenant_has_due(const struct ms_tree *t, struct ms_instant before,
                                            bool *ret_has, struct ms_error *reterr);
/* Of its tenant's arrears and of the package that it is bound to; "" when all is well. Needs: a read,
 * or nothing overdue. */
MS_NODISCARD enum ms_code ms_asset_warning(const struct ms_tree *t,
                                           const struct ms_asset_record *asset, ms_warning ret_text,
                                           struct ms_error *reterr);

#endif
