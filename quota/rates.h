/* rates.h — a file of rate cards (bill.md section 5) read and checked.
 *
 *   {"currency":"CNY","cards":[{"valid_from":"2026-01","storage":[{"up_to_gb_months":"100",
 *     "price":"0.02"},{"price":"0.015"}],"video_minute":"3.50","packages":{"am-100g":"1.90"}}]}
 *
 * Each of storage, video_minute and packages may be absent: then it costs nothing. Unknown members
 * are ignored, as in a history.
 */
#ifndef MS_QUOTA_RATES_H
#define MS_QUOTA_RATES_H

#include "quota/price.h"

/*   ret_rates  owned by the caller: ms_rates_fini(); cards ascending by month
 * Errors: MS_BILL_INPUT what is wrong, with its place ("cards[2].storage[0].price: ..."), the value
 * and the rule; MS_NO_MEMORY. */
MS_NODISCARD enum ms_code ms_rates_parse(const char *text, size_t n, struct ms_rates *ret_rates,
                                         struct ms_error *reterr);
void ms_rates_fini(struct ms_rates *rates);

#endif
