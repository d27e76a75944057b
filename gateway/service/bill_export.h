/* bill_export.h — closed days and adjustments as files for other programs.
 *
 * One row a line of the bill. CSV (RFC 4180, with a header) and JSON (one object a line) give the
 * exact integers, as text: tenant_id, tenant, day, item, quantity, unit, micros, amount, currency,
 * note. FOCUS is CSV with the columns of the FinOps Open Cost and Usage Specification 1.2
 * (bill_focus.def): amounts as decimals of the currency.
 *
 * Items of a day: what is above the allowance (storage), below it (storage_included), what is not
 * metered (storage_free, storage_excluded), minutes that were paid by use (video) and that packages
 * held (video_included), fees (package). Rows of quantity 0 that cost nothing are left out, so the
 * bytes of a day's rows add up to what was stored. An adjustment is a row of the day on which it was
 * entered.
 */
#ifndef MS_SERVICE_BILL_EXPORT_H
#define MS_SERVICE_BILL_EXPORT_H

#include "service/bill.h"

enum ms_bill_format { MS_BILL_CSV, MS_BILL_JSON, MS_BILL_FOCUS, MS_BILL_FORMAT_COUNT };
bool ms_bill_format_parse(const char *text, enum ms_bill_format *ret_format); /* "csv" */

struct ms_bill_export {
    enum ms_bill_format format;
    struct ms_tenant_id tenant;  /* none: every one */
    struct ms_instant from, to;  /* days of [from, to); none: all */
    const char *provider;        /* FOCUS: who bills; not empty */
    /* Takes whole rows; false: stop, with MS_CANCELLED. Called outside any transaction. */
    bool (*write)(void *priv, const void *p, size_t n);
    void *priv;
};
/*   ret_rows  without the header */
MS_NODISCARD enum ms_code ms_bill_export(struct ms_svc *svc, const struct ms_bill_export *export,
                                         uint64_t *ret_rows, struct ms_error *reterr);

#endif
