/* writeback_part.h — private to service/writeback*.c: one object's way to the store, and who goes.
 */
#ifndef MS_SERVICE_WRITEBACK_PART_H
#define MS_SERVICE_WRITEBACK_PART_H

#include "service/writeback.h"

#include <pthread.h>
#include <stdatomic.h>

#define MS_MOVER_FILE ".mover"

/* writeback_rows.c: the bytes stand in the store under their key: say so in the object's row.
 * gone: nothing refers to it any more; buried: gc deletes it, and its local file. */
struct ms_local_stored {
    bool gone, buried;
};
MS_NODISCARD enum ms_code ms_local_stored(struct ms_svc *svc, const struct ms_local_record *row,
                                          const char *etag, struct ms_local_stored *ret_stored,
                                          struct ms_error *reterr);
/* A try failed: say why, and when comes the next. */
MS_NODISCARD enum ms_code ms_local_failed(struct ms_svc *svc, const struct ms_local_record *row,
                                          const struct ms_error *why, int64_t retry_ms,
                                          struct ms_error *reterr);

/* writeback_send.c: requests that can be cut short from outside. */
#define MS_SENDER_PART_BYTES (8 * MS_MB)   /* of an object that is not very large */
#define MS_SENDER_MEMORY_MAX (64 * MS_MB) /* of all objects on their way */
struct ms_sender {
    struct ms_svc *svc;
    atomic_bool stop;
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    struct ms_sending *first; /* requests in flight */
    uint64_t memory;          /* bytes that wait to go out */
    unsigned waiting;         /* for memory; none of them has any */
    _Atomic uint64_t sent;    /* bytes, ever */
};
void ms_sender_init(struct ms_sender *sender, struct ms_svc *svc);
void ms_sender_stop(struct ms_sender *sender); /* what is in flight ends early */
void ms_sender_fini(struct ms_sender *sender);
/* Read the object back, compare every block, bring it to the store under its key. Waits. *ret_skip:
 * nothing was to be done, because it is deleted or stored already.
 * Errors: MS_CORRUPT the local bytes are not what was acknowledged, or gone; MS_CANCELLED; what the
 * store says. */
MS_NODISCARD enum ms_code ms_send_object(struct ms_sender *sender,
                                         const struct ms_local_record *row,
                                         char ret_etag[MS_ETAG_MAX + 1], bool *ret_skip,
                                         struct ms_error *reterr);
/* Remove what nobody refers to. */
MS_NODISCARD enum ms_code ms_send_delete(struct ms_sender *sender, const char *key,
                                         struct ms_error *reterr);

/* writeback_mover.c: what the mover, wherever it runs, has told about itself. */
void ms_mover_note(struct ms_svc *svc, struct ms_pending_sum *sum);

#endif
