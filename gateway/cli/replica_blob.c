#include "cli/replica_blob.h"

#include "base/fd.h"
#include "service/replica_seal.h"

#include <fcntl.h>
#include <unistd.h>

enum ms_code ms_cli_replica_blob(const char *file, struct ms_buf *ret_blob,
                                 struct ms_error *reterr) {
    bool is_stdin = strcmp(file, "-") == 0;
    struct ms_error err = {0};
    int fd = is_stdin ? STDIN_FILENO : open(file, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return ms_fail(reterr, MS_NO_INPUT, "%s cannot be read: %s", file, strerror(errno));
    *ret_blob = (struct ms_buf)MS_BUF_MAX(MS_REPLICA_BLOB_MAX);
    enum ms_code code = ms_fd_read_all(fd, ret_blob, &err);
    if (!is_stdin)
        close(fd);
    if (code == MS_OK)
        return MS_OK;
    ms_buf_fini(ret_blob);
    return ms_fail(reterr, code == MS_RANGE ? MS_INVALID : MS_NO_INPUT,
                   "%s is no replication blob: %s", is_stdin ? "stdin" : file, err.message);
}
