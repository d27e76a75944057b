/* arrears.h — what a missing payment does to a tenant as time passes: pure functions over two fields
 * of its record (product.md section 5, bill.md section 4).
 *
 *   NONE --on--> GRACE --15 d--> HELD --15 d--> ENDED
 *     ^------------off-------------+--------------+
 *
 * GRACE: all works, with a warning. HELD: hold ARREARS lies on the tenant as a whole, a mask as any
 * tenant freeze. ENDED: every asset of it was deleted for good at that instant; the tenant, its ledger,
 * its closed days and its audit log stay, and so does the hold. Switched off after the end, the tenant may
 * begin anew: nothing comes back.
 *
 * A stage holds from its instant on, swept or not. The record says which one has been applied to it; until
 * a sweep has done that, these functions see the mask that must hold. So a life is looked at with the
 * mask that lay there before, up to the instant of the hold, and with the hold from there on: the record's
 * mask remembers one freeze before the last, and forgets nothing that way.
 *
 * Threads: pure. Invariants: 1 since is none exactly when the stage is NONE. 2 from HELD on, the mask
 * has ARREARS.
 */
#ifndef MS_LIFECYCLE_ARREARS_H
#define MS_LIFECYCLE_ARREARS_H

#include "lifecycle/lifecycle.h"

#define MS_ARREARS_GRACE_MS (15 * MS_DAY_MS)
#define MS_ARREARS_RETENTION_MS (15 * MS_DAY_MS)

#define MS_ARREARS_STAGES(X) X(NONE) X(GRACE) X(HELD) X(ENDED)
enum ms_arrears_stage {
#define MS_ARREARS_ENUM(n) MS_ARREARS_##n,
    MS_ARREARS_STAGES(MS_ARREARS_ENUM)
#undef MS_ARREARS_ENUM
        MS_ARREARS_COUNT
};
const char *ms_arrears_stage_name(enum ms_arrears_stage stage); /* "GRACE" */

struct ms_arrears {
    struct ms_instant since; /* when a payment was said to be missing; none */
    uint8_t stage;           /* enum ms_arrears_stage that the record knows of */
};
/* NULL, or the invariant that does not hold. holds: the mask's. */
const char *ms_arrears_broken(struct ms_arrears a, uint8_t holds);

struct ms_instant ms_arrears_hold_at(struct ms_arrears a); /* INT64_MAX: not in arrears */
struct ms_instant ms_arrears_end_at(struct ms_arrears a);
/* The stage in effect, whatever the record knows. Before since it is GRACE too: a commit's instant may lie behind the
 * clock of who reads right after it. */
enum ms_arrears_stage ms_arrears_at(struct ms_arrears a, struct ms_instant now);
/* When the record must learn of the next stage; INT64_MAX: never. */
struct ms_instant ms_arrears_due(struct ms_arrears a);
/* The next instant after now at which the stage changes by itself; INT64_MAX: never. */
struct ms_instant ms_arrears_next(struct ms_arrears a, struct ms_instant now);

/* The tenant's mask as it is at now; mask: the record's. */
struct ms_mask ms_arrears_mask(struct ms_arrears a, struct ms_mask mask, struct ms_instant now);
/* ms_lc_mask_at: the mask as it was when a deadline came. */
struct ms_mask ms_arrears_mask_at(struct ms_arrears a, struct ms_mask mask, struct ms_instant due);
/* ms_lc_effective for an asset of such a tenant. facts->mask: the record's. Deadlines up to the end come
 * before it; the end itself is in the result, and not told to each. */
struct ms_life
ms_arrears_life(struct ms_arrears a, const struct ms_life *life, const struct ms_lc_facts *facts,
                void (*each)(void *priv, const struct ms_life *before,
                             const struct ms_lc_verdict *step, enum ms_due_kind kind),
                void *priv);

#endif
