/* bill_common.h — what the commands of the bill share: rate cards, dates, whose bill. */
#ifndef MS_CLI_BILL_COMMON_H
#define MS_CLI_BILL_COMMON_H

#include "cli/cmd.h"
#include "cli/out.h"
#include "quota/rates.h"

/* "-" is standard input. Errors: MS_NO_INPUT. */
MS_NODISCARD enum ms_code ms_cli_open_input(const char *path, FILE **ret_file,
                                            struct ms_error *reterr);
void ms_cli_close_input(FILE **file);

/*   ret_rates  owned by the caller: ms_rates_fini(), also after a failure */
MS_NODISCARD enum ms_code ms_cli_rates_read(const char *path, struct ms_rates *ret_rates,
                                            struct ms_error *reterr);
/* The file of --rates (given, or NULL), or of the configuration. Errors: MS_USAGE neither. */
MS_NODISCARD enum ms_code ms_cli_rates(struct ms_cli *cli, const char *given,
                                       struct ms_rates *ret_rates, struct ms_error *reterr);

/* "2026-01-31": its first instant. Errors: MS_INVALID. */
MS_NODISCARD enum ms_code ms_cli_day(const char *text, struct ms_instant *ret_midnight,
                                     struct ms_error *reterr);
/* The tenant of --tenant, none when the command line does not name one: then it is for all. The
 * store is open. Errors: MS_NO_TENANT. */
MS_NODISCARD enum ms_code ms_cli_tenant_or_all(struct ms_cli *cli, struct ms_tenant_id *ret_tenant,
                                               struct ms_error *reterr);

/* An adjustment of a bill: its amount with its sign, and as an object. */
struct ms_money_text ms_cli_adjustment_amount(const struct ms_adjust_record *row);
json_t *ms_cli_adjustment_json(const char *tenant, const struct ms_adjust_record *row);

#endif
