/* Lines that a person added to a bill. */
#include "service/bill_part.h"

#include "service/chain.h"
#include "service/tenant.h"

#include <stdio.h>

#define ROWS_A_READ 64u

struct adjusting {
    const struct ms_ctx *ctx;
    const struct ms_bill_adjustment *adjustment;
    uint8_t currency;
};

static enum ms_code day_is_closed(struct ms_txn *txn, struct ms_tenant_id tenant,
                                  struct ms_instant day, struct ms_error *reterr) {
    struct ms_key key = ms_key_day(tenant, day);
    char text[MS_RFC3339_S_LEN + 1];
    if (ms_instant_is_none(day) || ms_txn_has(txn, ms_key_view(&key)))
        return MS_OK;
    ms_instant_format_s(day, text);
    return ms_fail(reterr, MS_RANGE,
                   "%.10s is no closed day of this tenant: there is nothing to correct", text);
}

static enum ms_code adjust_op(struct ms_txn *txn, const void *in, void *out,
                              struct ms_error *reterr) {
    const struct adjusting *a = in;
    const struct ms_bill_adjustment *adjustment = a->adjustment;
    struct ms_adjust_record *row = out;
    struct ms_tenant_record tenant;
    MS_TRY(ms_change_begin(txn, a->ctx->tenant, &tenant, reterr));
    MS_TRY(day_is_closed(txn, a->ctx->tenant, adjustment->day, reterr));
    *row = (struct ms_adjust_record){.at = ms_txn_instant(txn),
                                     .day = adjustment->day,
                                     .credit = adjustment->credit,
                                     .micros = adjustment->micros,
                                     .currency = a->currency};
    (void)snprintf(row->who, sizeof row->who, "%s", a->ctx->who);
    (void)snprintf(row->reason, sizeof row->reason, "%s", adjustment->reason);
    return ms_chain_adjust(txn, a->ctx->tenant, row, reterr);
}

static enum ms_code check(const struct ms_svc *svc, const struct ms_ctx *ctx,
                          const struct ms_bill_adjustment *a, struct ms_error *reterr) {
    size_t n = a->reason ? strlen(a->reason) : 0;
    if (!ctx->admin)
        return ms_fail(reterr, MS_DENIED,
                       "adjusting a bill is refused to %s: only an administrator may do this",
                       ctx->who);
    if (svc->read_only)
        return ms_fail(reterr, MS_READ_ONLY, "the store %s is open read-only: nothing is adjusted",
                       svc->dir);
    if (a->micros == 0)
        return ms_fail(reterr, MS_INVALID, "an adjustment of 0 says nothing: give an amount");
    if (n == 0 || n > MS_REASON_MAX)
        return ms_fail(reterr, MS_INVALID,
                       "an adjustment needs a reason of 1 to %d bytes, this one has %zu",
                       MS_REASON_MAX, n);
    return ms_line_check("the reason", a->reason, MS_REASON_MAX, reterr);
}

enum ms_code ms_bill_adjust(struct ms_svc *svc, const struct ms_ctx *ctx,
                            const struct ms_bill_adjustment *adjustment,
                            struct ms_adjust_record *ret_row, struct ms_error *reterr) {
    struct adjusting a = {.ctx = ctx, .adjustment = adjustment};
    struct ms_adjust_record row;
    enum ms_currency currency;
    struct ms_write write = {.fn = adjust_op,
                             .in = &a,
                             .out = &row,
                             .out_size = sizeof row,
                             .fence = ms_store_fence(svc->store)};
    MS_TRY(check(svc, ctx, adjustment, reterr));
    MS_TRY(ms_bill_currency(svc, &currency, reterr));
    a.currency = (uint8_t)currency;
    MS_TRY(ms_store_write(svc->store, &write, reterr));
    *ret_row = row;
    return MS_OK;
}

/* ---- reading --------------------------------------------------------------------------------- */

struct rows {
    struct ms_adjust_record row[ROWS_A_READ];
    unsigned n;
};

static enum ms_code read_rows(struct ms_svc *svc, struct ms_tenant_id tenant, uint64_t from,
                              struct rows *rows, struct ms_error *reterr) {
    struct ms_key first = ms_key_adjust(tenant, from), end = ms_key_adjust(tenant, UINT64_MAX);
    struct ms_scan scan;
    struct ms_view key;
    struct ms_txn *txn;
    enum ms_code code = MS_OK;
    MS_TRY(ms_read_begin(svc->store, &txn, reterr));
    ms_scan_begin(&scan, txn, ms_key_view(&first), ms_key_view(&end));
    for (rows->n = 0; rows->n < ROWS_A_READ; rows->n++)
        if ((code = ms_row_next_adjust(&scan, &key, &rows->row[rows->n], reterr)) != MS_OK)
            break;
    ms_scan_end(&scan);
    ms_read_end(txn);
    return ms_absent_is_fine(code, reterr);
}

enum ms_code ms_bill_adjustments(struct ms_svc *svc, struct ms_tenant_id tenant,
                                 struct ms_instant from, struct ms_instant to,
                                 ms_bill_adjust_fn *fn, void *priv, struct ms_error *reterr) {
    struct rows rows;
    uint64_t next = 1;
    do {
        MS_TRY(read_rows(svc, tenant, next, &rows, reterr));
        for (unsigned i = 0; i < rows.n; i++) {
            const struct ms_adjust_record *row = &rows.row[i];
            bool wanted = row->at.ms >= from.ms && (ms_instant_is_none(to) || row->at.ms < to.ms);
            if (wanted && !fn(priv, row))
                return MS_OK;
            next = row->seq + 1;
        }
    } while (rows.n == ROWS_A_READ);
    return MS_OK;
}
