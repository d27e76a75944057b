/* inval.h — telling the kernel what others changed.
 *
 * The feed hands rows over; threads of their own turn them into notifications, because
 * notify_inval_inode blocks behind a read in flight (2.7 s measured, design.md section 5), and so
 * it must hold no lock and stand in no other request's way.
 */
#ifndef MS_FUSE_INVAL_H
#define MS_FUSE_INVAL_H

#include "fuse/mount.h"
#include "service/change.h"

MS_NODISCARD enum ms_code ms_inval_new(struct ms_mount *mount, struct ms_inval **ret_inval,
                                       struct ms_error *reterr);
/* Drops what is queued and joins. NULL is fine. */
void ms_inval_free(struct ms_inval *inval);
/* From now on the kernel is told nothing: before the session is unmounted, which closes its
 * descriptor, whose number may be another file's at once. Waits for what is being told, at most a
 * second: who is stuck in the kernel behind a request that nobody will answer is freed only by the
 * unmount, and uses the descriptor no more. NULL is fine. */
void ms_inval_silence(struct ms_inval *inval);

/* Callbacks for ms_store_follow; priv is the struct ms_inval. */
void ms_inval_each(void *inval, struct ms_view change);
void ms_inval_lost(void *inval);
/* Answers (ms_store_answer) when all that was handed on so far is done, by every thread. What could not be done, for
 * want of memory, is tried again until it is: no answer before. */
void ms_inval_handed(void *inval, uint64_t to);
/* Callback for ms_files_watch: what became of files that were written through this mount. */
void ms_inval_own(void *inval, const struct ms_file_event *event);

/* The kernel must not believe in this name any more. */
void ms_inval_name(struct ms_inval *inval, uint64_t parent_nodeid, const char *name);

#endif
