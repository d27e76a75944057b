/* package.h — what time and renewals do to a package: pure functions over its record (product.md
 * section 5, bill.md sections 1 and 4).
 *
 * Terms are terms.h's. At the end of the last one a package that renews itself gets another one; any
 * other is GRACE: capacity and remainder are gone, what is bound to it still works. Fifteen days
 * later it is HELD: what is bound is frozen (hold PACKAGE). Fifteen days later it is ENDED: what is
 * bound is deleted for good. A renewal before that makes it VALID again.
 *
 *   VALID --end of the last term--> GRACE --15 d--> HELD --15 d--> ENDED
 *     ^-------------renewal-----------+---------------+
 *
 * What the specification leaves open: the units of a modelling or voice package are of the package as
 * a whole, terms only keep them valid; minutes are for each term. Where a renewal by itself fails,
 * auto-renew is off from then on.
 *
 * Threads: pure. Invariants: 1 running exactly when VALID. 2 used <= amount.
 */
#ifndef MS_QUOTA_PACKAGE_H
#define MS_QUOTA_PACKAGE_H

#include "model/record.h"
#include "quota/history.h"
#include "quota/terms.h"

#define MS_PACKAGE_GRACE_MS (15 * MS_DAY_MS)
#define MS_PACKAGE_RETENTION_MS (15 * MS_DAY_MS)

#define MS_PACKAGE_SOURCES(X) X(PURCHASED) X(SP_ALLOCATED) X(ADMIN_ALLOCATED)
enum ms_package_source {
#define MS_PACKAGE_SOURCE_ENUM(n) MS_PACKAGE_##n,
    MS_PACKAGE_SOURCES(MS_PACKAGE_SOURCE_ENUM)
#undef MS_PACKAGE_SOURCE_ENUM
        MS_PACKAGE_SOURCE_COUNT
};
#define MS_PACKAGE_STATES(X) X(VALID) X(GRACE) X(HELD) X(ENDED)
enum ms_package_state {
#define MS_PACKAGE_STATE_ENUM(n) MS_PACKAGE_##n,
    MS_PACKAGE_STATES(MS_PACKAGE_STATE_ENUM)
#undef MS_PACKAGE_STATE_ENUM
        MS_PACKAGE_STATE_COUNT
};
const char *ms_package_kind_name(uint8_t kind);     /* "ASSET_MANAGER"; of none: "?" */
const char *ms_package_source_name(uint8_t source); /* "PURCHASED" */
const char *ms_package_state_name(uint8_t state);   /* "VALID" */
bool ms_package_kind_parse(const char *text, uint8_t *ret_kind);

struct ms_terms ms_package_terms(const struct ms_package_record *p);

/* A package begins at an instant. Sets what terms and states need; the rest is the caller's.
 * Errors: MS_RANGE of months, terms or the year 9999. */
MS_NODISCARD enum ms_code ms_package_begin(struct ms_package_record *p, struct ms_instant at,
                                           uint32_t months, uint32_t terms,
                                           struct ms_error *reterr);

/* When time does something to it next; INT64_MAX: never. */
struct ms_instant ms_package_due(const struct ms_package_record *p);
enum ms_package_step {
    MS_PACKAGE_TERM_BEGINS, /* the next one that was bought: a fee, new minutes */
    MS_PACKAGE_RENEWS,      /* by itself: a term more, a fee, new minutes */
    MS_PACKAGE_EXPIRES,     /* capacity and remainder are gone */
    MS_PACKAGE_HOLDS,       /* what is bound gets hold PACKAGE */
    MS_PACKAGE_ENDS,        /* what is bound is deleted */
};
/* Its due instant has come. may_renew: nothing speaks against a renewal by itself (arrears). */
enum ms_package_step ms_package_pass(struct ms_package_record *p, bool may_renew);

struct ms_package_renewal {
    bool late; /* it was not valid: fee, capacity and minutes begin now */
    bool lift; /* what is bound loses hold PACKAGE */
};
/* Add terms at an instant with nothing due before it. Errors: MS_WRONG_STATE it has ended, or has no
 * end; MS_RANGE. p untouched. */
MS_NODISCARD enum ms_code ms_package_renew(struct ms_package_record *p, struct ms_instant at,
                                           uint32_t terms, struct ms_package_renewal *ret_renewal,
                                           struct ms_error *reterr);

static inline bool ms_package_is_valid(const struct ms_package_record *p) {
    return p->state == MS_PACKAGE_VALID;
}
/* Units or hundredths that may still be taken; 0 of a package that is not valid. */
uint64_t ms_package_left(const struct ms_package_record *p);
/* Does a unit of this kind serve assets of this type? */
bool ms_package_fits(uint8_t kind, uint8_t asset_type);

#endif
