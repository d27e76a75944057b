/* replica_blob.h — where commands read replication blobs from. */
#ifndef MS_CLI_REPLICA_BLOB_H
#define MS_CLI_REPLICA_BLOB_H

#include "cli/out.h"

/* file: "-" is stdin. Errors: MS_NO_INPUT; MS_RANGE more than a blob has. */
MS_NODISCARD enum ms_code ms_cli_replica_blob(const char *file, struct ms_buf *ret_blob,
                                              struct ms_error *reterr);

#endif
