/* upload_impl.h — private to upload*.c: the state of an upload, and what its two halves tell each
 * other.
 *
 * upload.c has the calls (sync, finish, drop) and decides what must go to the store; upload_send.c
 * brings one part, or the whole file, there. All that changes is under ms_upload.mutex; functions
 * marked "locked" need it. What may conclude a call ends in ms_upload_leave(). No lock is held over
 * submit(), cancel(), a read or a done.
 *
 *   upload.c         set_goal -> start_sends -> ms_upload_start_send -> fill from base, hash,
 * submit upload_send.c    the store's answer -> accept or reject -> ms_upload_advance ->
 * step_sending
 */
#ifndef MS_CONTENT_UPLOAD_IMPL_H
#define MS_CONTENT_UPLOAD_IMPL_H

#include "content/upload.h"

#define IN_FLIGHT_USUAL 8
#define IN_FLIGHT_TUNED 16

enum ms_upload_kind { CALL_SYNC, CALL_FINISH, CALL_DROP };
struct ms_upload_call {
    enum ms_upload_kind kind;
    ms_upload_done_fn *done;
    void *priv;
    struct ms_upload_call *next;
    enum ms_code code;
    struct ms_error error;
    /* what done is told, its own: another thread's call may change the upload meanwhile */
    struct ms_upload_result result;
    char upload_id[MS_UPLOAD_ID_MAX + 1], etag[MS_ETAG_MAX + 1];
    struct ms_obj_part *parts;
    struct ms_hashes hashes;
};

/* One request and the two rules that make it safe to cancel: done is not acted upon while submit()
 * or cancel() still runs, and what follows from it happens on a thread of the engine. */
enum ms_upload_wire_state { AT_HOME, LEAVING, OUT, CALLED_BACK };
struct ms_upload_wire {
    struct ms_upload *upload;
    struct ms_obj_request request;
    struct ms_task task; /* queued: run is what comes next */
    void (*end)(struct ms_task *task);
    enum ms_upload_wire_state state; /* under the upload's lock, as is the next */
    bool answered;                   /* while it was LEAVING or CALLED_BACK */
};

/* What the store has of a part. */
struct ms_upload_part {
    uint64_t length;     /* 0: nothing that may be used */
    uint64_t generation; /* of the stage when the send began */
    uint64_t listed;     /* the largest length in a list of this upload id */
    bool intact;         /* the bytes are one state of the part and the hashes are theirs */
    bool busy;
    bool sent;         /* the store may have a part of this number under this upload id */
    bool fits;         /* what the running call wants */
    bool ready, ahead; /* written from end to end; was sent before any call wanted it */
    unsigned torn;
};

#define WHOLE UINT32_MAX /* instead of an index: the file in one PUT */
struct ms_upload_send {
    struct ms_upload_wire wire;
    bool used;
    uint32_t index;
    uint64_t offset, length, generation;
    bool sync;                 /* WHOLE: under the key of a sync */
    bool for_call;             /* not ahead of any */
    bool alone;                /* no other send takes staging space */
    bool freeze;               /* the body cannot change under the transfer */
    bool copy;                 /* the store copies the part from the base */
    int fd;                    /* a frozen copy; -1 */
    struct ms_stage_view view; /* of a body in memory */
    uint8_t *memory;           /* of a small body, or for filling */
    struct ms_hashes hashes;
    struct ms_read read;
    enum ms_code code;
    struct ms_error error;
    bool shrunk; /* the file ends before the part does */
};

enum ms_upload_phase { SENDING, COMPLETING, ASKING, CLEANING };
enum ms_upload_order { CREATE, COMPLETE, ASK, ABORT, REMOVE };

struct ms_upload {
    struct ms_obj *obj;
    struct ms_cache *cache;
    struct ms_stage *stage;
    const struct ms_source *base;
    char key[MS_OBJECT_KEY_MAX + 1], sync_key[MS_OBJECT_KEY_MAX + 1];
    unsigned block_log2;
    struct ms_obj_meta meta; /* its strings are ours */
    void (*content_type)(void *priv, struct ms_stage *stage, char ret_type[MS_UPLOAD_TYPE_MAX + 1]);
    void *content_type_priv;
    char type[MS_UPLOAD_TYPE_MAX + 1];
    unsigned sends_n;

    pthread_mutex_t mutex;
    pthread_cond_t idle;
    /* under the mutex */
    struct ms_upload_call *call, *queue, *concluded;
    enum ms_upload_phase phase;
    bool reporting; /* a done is being called and more calls wait: they keep the upload alive */
    bool dropping, dropped, finished, ahead_off, typed;
    bool copy_off; /* the store refused a copy of the base: bytes from then on */

    uint64_t goal_size, goal_generation; /* of the call */
    uint32_t goal_parts, goal_missing, cursor;
    bool goal_whole;   /* one PUT */
    bool again, renew; /* as soon as nothing is in flight: new goal; new upload id */
    bool tight;        /* the staging area has room to fill one part at a time only */
    unsigned rounds;

    char upload_id[MS_UPLOAD_ID_MAX + 1];
    char **old_ids; /* given up, but perhaps named by a committed list: aborted at the end */
    size_t old_ids_n;
    struct ms_upload_part *part;
    struct ms_obj_part *sent; /* beside part */
    uint32_t parts;
    struct ms_upload_part whole, whole_sync;
    char whole_etag[MS_ETAG_MAX + 1], sync_etag[MS_ETAG_MAX + 1];
    bool sync_object;
    struct ms_hashes hashes;

    struct ms_upload_send *send;
    bool in_flight_fixed;
    unsigned in_flight, in_flight_max; /* of sends_n; max changes by what the store shows */
    struct {                           /* since the last look at in_flight_max */
        unsigned parts;
        bool full; /* there was always more to send */
        uint64_t bytes;
        int64_t since_ns;
        uint64_t rate;  /* bytes a millisecond, before the last try */
        bool tried;     /* two more than then */
        unsigned quiet; /* looks without a try */
    } pace;
    struct ms_upload_wire control;
    enum ms_upload_order order;
    bool control_busy, order_for_call;
    char control_id[MS_UPLOAD_ID_MAX + 1];

    struct ms_obj_part *list; /* what the last result shows */
    char etag[MS_ETAG_MAX + 1];
    struct ms_upload_result result;
};

/* upload_send.c */
void ms_upload_wire_submit(struct ms_upload_wire *wire, bool may_cancel);
void ms_upload_wire_cancel(struct ms_upload_wire *wire); /* locked; gives the lock up meanwhile */
void ms_upload_find_type(struct ms_upload *u);
struct ms_upload_part *ms_upload_part_of(struct ms_upload *u, uint32_t index,
                                         bool sync); /* locked */
/* Whether what the store has of a part is what the call wants. Once it is, it stays so for this
 * call: what a writer does after the call's generation need not be in it. Locked. */
bool ms_upload_fits(struct ms_upload *u, uint32_t index);
uint64_t ms_upload_length_wanted(const struct ms_upload *u,
                                 struct ms_part_range range); /* locked */
struct ms_upload_send *
ms_upload_free_send(struct ms_upload *u); /* locked; NULL: all are in flight */
void ms_upload_start_send(struct ms_upload *u, struct ms_upload_send *s, uint32_t index, bool sync,
                          uint64_t length); /* locked */

/* upload.c; all locked */
void ms_upload_call_fail(struct ms_upload *u, enum ms_code code, const struct ms_error *error);
/* The store does not know the upload id any more: its reply to a completion was lost, or somebody
 * aborted it. */
void ms_upload_lost_id(struct ms_upload *u);
/* Go on as far as nothing must be waited for. */
void ms_upload_advance(struct ms_upload *u);
/* Give up the lock and tell what was concluded. A caller may free the upload in its last done, so
 * nothing is touched after that one. */
void ms_upload_leave(struct ms_upload *u);

#endif
