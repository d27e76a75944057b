/* bills.h — the bill of a store twice: the days that runs have closed, and what its history costs when
 * it is simulated. */
#ifndef MS_TESTS_UNIT_SERVICE_BILL_BILLS_H
#define MS_TESTS_UNIT_SERVICE_BILL_BILLS_H

#include "unit/service/tree/fixture.h"

#include "quota/rates.h"
#include "service/bill.h"

/* Cards of 2026 and 2027: tiers, minutes, packages p0 and p1. */
extern const char bill_cards[];
struct ms_rates bill_rates(const char *text);
struct ms_ctx bill_admin(const struct fx *f);

/* Parked tenants are printed.   through  none: now */
struct ms_bill_result bill_run(struct fx *f, const struct ms_rates *rates, struct ms_instant through);

struct bill {
    char tenant[MS_NAME_BYTES_MAX + 1];
    struct ms_bill_day *days; /* owned: free() */
    size_t n, cap;
};
struct bill bill_closed(struct fx *f, struct ms_tenant_id tenant);
/* Each tenant's closed days are what simulate makes of its own history and of that of all together, and
 * verify finds nothing. Returns how many days were compared. */
size_t bills_agree(struct fx *f, const struct ms_rates *rates);
uint64_t bill_findings(struct fx *f, const struct ms_rates *rates);

#endif
