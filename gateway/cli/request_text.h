/* request_text.h — unfreeze requests as text and as JSON. */
#ifndef MS_CLI_REQUEST_TEXT_H
#define MS_CLI_REQUEST_TEXT_H

#include "cli/out.h"
#include "service/request.h"

json_t *ms_request_json(const struct ms_request_record *request);
/* One request, after it was made or decided. */
MS_NODISCARD enum ms_code ms_request_tell(struct ms_cli *cli,
                                          const struct ms_request_record *request,
                                          struct ms_error *reterr);
/* Grant or refuse what the first argument names. */
MS_NODISCARD enum ms_code ms_request_run_decide(struct ms_cli *cli, bool grant, const char *answer,
                                                struct ms_error *reterr);

#endif
