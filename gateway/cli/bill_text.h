/* bill_text.h — bills on paper: JSON lines exactly as bill.md section 5 has them, and tables for
 * people. */
#ifndef MS_CLI_BILL_TEXT_H
#define MS_CLI_BILL_TEXT_H

#include "cli/out.h"
#include "quota/simulate.h"

struct ms_bill_text {
    const struct ms_rates *rates; /* for the currency */
    FILE *to;
    bool days;    /* tables: of days too */
    char *tenant; /* its name as JSON text, or as it is */
    struct ms_table *of_days, *of_months;
    bool no_memory;
};
struct ms_bill_sink ms_bill_json_sink(struct ms_bill_text *text);
struct ms_bill_sink ms_bill_table_sink(struct ms_bill_text *text);

/* The report ended with code: print what is left, free, and say why a sink stopped it. */
MS_NODISCARD enum ms_code ms_bill_text_end(struct ms_bill_text *text, enum ms_code code,
                                           struct ms_error *reterr);

#endif
