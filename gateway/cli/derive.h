/* derive.h — derived files as the configuration says, for the commands that make them. */
#ifndef MS_CLI_DERIVE_H
#define MS_CLI_DERIVE_H

#include "cli/out.h"
#include "service/derive.h"

/* A run over all tenants, until a signal asks for the end. Errors: of ms_derive_run().
 *   again     what failed, too
 *   pause_ms  as in struct ms_derive_options */
MS_NODISCARD enum ms_code ms_cli_derive(struct ms_cli *cli, bool again, int64_t pause_ms,
                                        struct ms_derive_result *ret_result, struct ms_error *reterr);
/* What was put off as an error, exit status 75; MS_OK: nothing was. */
MS_NODISCARD enum ms_code ms_cli_derive_put_off(const struct ms_derive_result *result, struct ms_error *reterr);

#endif
