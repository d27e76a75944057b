/* transfer_text.h — transfers as text and as JSON. */
#ifndef MS_CLI_TRANSFER_TEXT_H
#define MS_CLI_TRANSFER_TEXT_H

#include "cli/out.h"
#include "service/transfer.h"

json_t *ms_transfer_json(const struct ms_transfer_record *job);
/* One job, after it was made or ended. */
MS_NODISCARD enum ms_code ms_transfer_tell(struct ms_cli *cli, const struct ms_transfer_record *job,
                                           struct ms_error *reterr);
/* End the job that the first argument names. */
MS_NODISCARD enum ms_code ms_transfer_run_end(struct ms_cli *cli, enum ms_transfer_state how,
                                              const char *reason, struct ms_error *reterr);

#endif
