/* fd.h — whole reads and writes of open files; what a signal interrupts goes on. Threads: any. */
#ifndef MS_BASE_FD_H
#define MS_BASE_FD_H

#include "base/buf.h"

/* All that there is up to its end is added to buf, without a copy anywhere else. Errors: MS_RANGE there is more than
 * the buffer's maximum; the code of read(2). */
MS_NODISCARD enum ms_code ms_fd_read_all(int fd, struct ms_buf *buf, struct ms_error *reterr);
/* Exactly n bytes. Errors: MS_NO_INPUT it ends before; the code of read(2). */
MS_NODISCARD enum ms_code ms_fd_read(int fd, void *into, size_t n, struct ms_error *reterr);
/* Output that somebody asked for. Errors: MS_CANT_CREATE. */
MS_NODISCARD enum ms_code ms_fd_write(int fd, const void *p, size_t n, struct ms_error *reterr);

#endif
