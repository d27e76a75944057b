/* package_text.h — packages as commands print and name them. */
#ifndef MS_CLI_PACKAGE_TEXT_H
#define MS_CLI_PACKAGE_TEXT_H

#include "cli/out.h"
#include "service/package.h"

json_t *ms_package_json(const struct ms_package_record *p, struct ms_instant now);
/* "expiring in 3 days", "frozen (retention period)", ... */
struct ms_out_text ms_package_says(const struct ms_package_record *p, struct ms_instant now);
/* One package as a table of one row, or as JSON. */
MS_NODISCARD enum ms_code ms_package_print(struct ms_cli *cli, const struct ms_package_record *list,
                                           size_t n, bool one, struct ms_error *reterr);
/* The text of an argument: 32 hex digits. */
MS_NODISCARD enum ms_code ms_package_arg(const char *text, struct ms_package_id *ret_id,
                                         struct ms_error *reterr);
/* A whole number of an option, or what it is without. */
MS_NODISCARD enum ms_code ms_package_number(const char *text, const char *flag, uint32_t without,
                                            uint32_t *ret_n, struct ms_error *reterr);

/* The options that package buy and package allocate begin with, in this order. */
enum {
    MS_PACKAGE_OPT_ORDER,
    MS_PACKAGE_OPT_KIND,
    MS_PACKAGE_OPT_AMOUNT,
    MS_PACKAGE_OPT_MONTHS,
    MS_PACKAGE_OPT_TERMS,
    MS_PACKAGE_OPT_OWN /* the first of the command's own */
};
/* What they and the argument NAME say; the rest of the order stays. Errors: MS_USAGE. */
MS_NODISCARD enum ms_code ms_package_order_of(struct ms_cli *cli, struct ms_package_order *order,
                                              struct ms_error *reterr);

#endif
