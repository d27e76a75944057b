/* signals.h — SIGINT, SIGTERM and SIGHUP end a mount in order: what is open is sealed, then the
 * process ends.
 *
 * A handler cannot wake libfuse's loop for sure (a signal between its test and its wait is lost,
 * and one that another thread gets does not interrupt it), so the signals are blocked in every
 * thread and one thread waits for them. A second signal does not wait for anything: a store that
 * does not answer must not keep the process alive.
 */
#ifndef MS_FUSE_SIGNALS_H
#define MS_FUSE_SIGNALS_H

#include "fuse/mount.h"

struct ms_signals;

/* Call it on the thread that will run the session's loop, before that begins; the signals are
 * blocked already. Errors: MS_NO_MEMORY; MS_IO no thread. */
MS_NODISCARD enum ms_code ms_signals_new(struct fuse_session *session,
                                         struct ms_signals **ret_signals, struct ms_error *reterr);
/* From now on only a second signal counts: what is open is being sealed. */
void ms_signals_loop_ended(struct ms_signals *signals);
/* On the same thread, before the session is destroyed. NULL is fine. */
void ms_signals_free(struct ms_signals *signals);

#endif
