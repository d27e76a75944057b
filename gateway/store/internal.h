/* internal.h — what the files of the metadata store share; nobody else includes it (tests of the store may).
 *
 * The store's own rows, all under the byte 0x00, which ms_txn_put() and the scans of other modules cannot reach:
 *   00 01                header   magic, format, store id, made at; its envelope never changes, whatever the format
 *   00 03 name           number   u64: the first number that is not leased yet
 *   00 04 instance       process  fence u64, adopter, started, pid, boot id, label
 *   00 05 seq u64        feed     instance, instant, change
 *   00 06                state    last instant, first and next number of the feed; behind the feed so that the
 *                                 newest feed row and it lie on one page, which a commit writes anyway
 * The first version of a value: u8 envelope version, u64 XXH3-64 over key, version and value, value.
 *
 * Locks, in order: map_mutex (a write transaction of this process is open, or the map is being changed), then
 * threads.mutex; answered.mutex alone. Who leads (queue.c) owns what says so; everything else is atomic or set at open.
 */
#ifndef MS_STORE_INTERNAL_H
#define MS_STORE_INTERNAL_H

#include "store/store.h"

#include <lmdb.h>
#include <pthread.h>
#include <stdatomic.h>

#define MS_STORE_BATCH_OPS 256u
#define MS_STORE_BATCH_BYTES ((size_t)4 << 20)
#define MS_STORE_BATCH_NS INT64_C(5000000)
#define MS_STORE_PAUSE_NS INT64_C(200000)
#define MS_STORE_TICK_NS INT64_C(10000000000)
#define MS_STORE_READ_NS INT64_C(1000000000)
#define MS_STORE_OP_BYTES ((size_t)128 << 20) /* of one operation; far below what makes LMDB spill pages */
#define MS_STORE_FEED_BYTES 1024u
#define MS_STORE_LEASE 256u
#define MS_STORE_NUMBERS 16u
#define MS_ENVELOPE_BYTES 9u
#define MS_ENVELOPE_VERSION 1u
#define MS_STORE_ALARM_PERCENT 70u
#define MS_STORE_REFUSE_PERCENT 85u
#define MS_STORE_FULL_PERCENT 95u
#define MS_RUN_TEXT_BYTES 128 /* of a run file; its answer lies behind */

enum ms_store_row { MS_ROW_HEADER = 1, MS_ROW_NUMBER = 3, MS_ROW_PROCESS, MS_ROW_FEED, MS_ROW_STATE };

/* ---- the shared page, <dir>/meta/feed.page: hints only, all zero is a good start ------------- */

struct ms_store_waiter {
    _Atomic uint64_t tag;     /* first half of an instance id; 0: free */
    _Atomic uint32_t waiting; /* it wants LMDB's write lock */
    uint32_t unused;
};
#define MS_STORE_WAITERS 254u
struct ms_store_page {
    _Atomic uint32_t changes; /* futex: grows after every commit that appended to the feed */
    uint32_t unused[7];
    struct ms_store_waiter waiters[MS_STORE_WAITERS];
};
_Static_assert(sizeof(struct ms_store_page) == 4096, "one page");

/* ---- transactions ---------------------------------------------------------------------------- */

struct ms_store_op;

struct ms_txn {
    struct ms_store *store;
    MDB_txn *mdb;
    struct ms_store_op *op; /* NULL in reads */
    uint64_t generation;    /* grows with every write: scans seek again */
    int64_t begun_ns;
    unsigned scans; /* open cursors */
    struct ms_error failure;
};

/* One thread's read transaction, kept from read to read: renewing one costs no lock. */
struct ms_store_thread {
    struct ms_txn txn;
    _Atomic uint32_t active;
    struct ms_store_thread *prev, *next;
};

struct ms_store_state {
    struct ms_instant last;
    uint64_t feed_first, feed_next;
};

/* One run of one operation. */
struct ms_store_op {
    struct ms_write_request *request;
    struct ms_store_state state; /* the batch's, as this operation leaves it */
    struct ms_instant instant;
    bool instant_given;
    uint64_t random_block; /* how much of the operation's random stream was handed out */
    uint8_t random[64];
    unsigned random_left;
    size_t bytes;
    unsigned writes;
    struct ms_store_number *lease; /* its numbers ran out: the batch leases more and runs this again */
    uint64_t taken[MS_STORE_NUMBERS];
};

struct ms_store_number {
    char name[24];
    uint64_t next, end; /* numbers in hand: [next, end) */
    uint64_t want;      /* size of the next lease */
    bool fresh;         /* leased in a batch that has not been committed */
};

struct ms_store_batch {
    MDB_txn *top;
    struct ms_store_state state, begun;
    bool dirty, registering;
    bool nested;    /* each operation in a transaction of its own, see writer.c */
    uint64_t fence; /* with registering */
    size_t bytes;
    int64_t begun_ns;
    unsigned n;
    struct ms_write_request *requests[MS_STORE_BATCH_OPS];
};

/* ---- the store ------------------------------------------------------------------------------- */

struct ms_store {
    struct ms_store_options options;
    char *dir, *label;
    int dir_fd, run_fd, run_file;
    struct ms_id id;
    struct ms_instance_id instance;
    uint8_t boot_id[MS_ID_BYTES];
    struct ms_instant started;
    MDB_env *env;
    MDB_dbi dbi;
    unsigned page_bytes;
    struct ms_store_page *page;
    struct ms_store_waiter *waiter;  /* ours; NULL when all are taken */
    const uint32_t *same_process;    /* 0 in a child after fork */
    _Atomic uint32_t panic, fenced, resizing, stays, followers;
    _Atomic uint64_t fence;
    _Atomic uint64_t commits, operations, taken_apart, run_again, map_grown, map_bytes, free_bytes;
    _Atomic uint32_t room; /* percent of map_bytes_max that is used, known to the last measure */

    pthread_mutex_t map_mutex;
    struct {
        pthread_mutex_t mutex;
        pthread_cond_t grown;
        struct ms_store_thread *first;
    } threads;
    struct { /* answer.c */
        pthread_mutex_t mutex;
        bool active;
        uint64_t to; /* of the answer in the run file */
    } answered;
    pthread_key_t thread_key;
    bool has_key;

    struct {
        _Atomic(struct ms_write_request *) pushed; /* newest first */
        _Atomic uint32_t asleep, tick, closing;
        _Atomic uint32_t leading;    /* enum leading of queue.c; futex of the thread */
        _Atomic uint32_t left;       /* whether the last who led left something in w.ready */
        _Atomic uint32_t finished;   /* futex: grows when operations are done; ms_store_write waits on it */
        _Atomic uint32_t waiting;    /* how many do so */
        _Atomic uint32_t submitting; /* threads inside ms_store_submit, whose request may be done and gone */
        _Atomic int64_t ticked_ns;
        pthread_t thread;
        bool started;
    } queue;

    struct { /* of who leads */
        struct ms_write_request *ready; /* oldest first */
        struct ms_store_number numbers[MS_STORE_NUMBERS];
        struct ms_store_batch batch;
        struct ms_txn txn;
        struct ms_store_op op;
        bool registered, alarmed, trim_age;
        int no_room; /* MDB_MAP_FULL or MDB_TXN_FULL came up in this batch */
        int64_t measured_ns, pause_until_ns;
        uint64_t room_low; /* once the data file is longer, more blocks are asked for */
        bool no_disk;      /* the disk gave no more, and little is left */
        unsigned batches_since_measure;
        uint8_t key[MS_KEY_MAX];
        uint8_t value[MS_VALUE_MAX + MS_ENVELOPE_BYTES];
    } w;
};

/* error.c: the code and text of an LMDB result. */
enum ms_code ms_store_fail(struct ms_store *store, struct ms_error *reterr, int rc, const char *what);

/* envelope.c */
size_t ms_envelope_wrap(uint8_t *ret_bytes, struct ms_view key, struct ms_view value);
MS_NODISCARD enum ms_code ms_envelope_open(struct ms_view key, struct ms_view stored,
                                           struct ms_view *ret_value, struct ms_error *reterr);

/* rows.c: the store's own rows, on any transaction of LMDB. */
struct ms_store_key {
    uint8_t bytes[2 + 32];
    size_t len;
};
static inline struct ms_view ms_store_key_view(const struct ms_store_key *k) {
    return ms_view_of(k->bytes, k->len);
}
struct ms_store_key ms_store_key(enum ms_store_row row);
struct ms_store_key ms_store_key_name(enum ms_store_row row, const char *name);
struct ms_store_key ms_store_key_id(enum ms_store_row row, struct ms_id id);
struct ms_store_key ms_store_key_seq(enum ms_store_row row, uint64_t seq);
MS_NODISCARD enum ms_code ms_store_row_get(struct ms_store *store, MDB_txn *mdb, const struct ms_store_key *key,
                                     struct ms_view *ret_value, struct ms_error *reterr);
/* value is at most 2 KiB. */
MS_NODISCARD enum ms_code ms_store_row_put(struct ms_store *store, MDB_txn *mdb, const struct ms_store_key *key,
                                     struct ms_view value, struct ms_error *reterr);
MS_NODISCARD enum ms_code ms_store_row_state_get(struct ms_store *store, MDB_txn *mdb,
                                           struct ms_store_state *ret_state, struct ms_error *reterr);
MS_NODISCARD enum ms_code ms_store_row_state_put(struct ms_store *store, MDB_txn *mdb,
                                           const struct ms_store_state *state, struct ms_error *reterr);
/* One more than the last: fencing numbers, and the start of a lease. */
MS_NODISCARD enum ms_code ms_store_row_count_up(struct ms_store *store, MDB_txn *mdb, const char *name,
                                          uint64_t by, uint64_t *ret_first, struct ms_error *reterr);

/* folder.c: what lies in <dir>. */
/* Open <dir> (making it and an empty store in it when create), locked against other openers: *ret_dir_fd. */
MS_NODISCARD enum ms_code ms_folder_open(struct ms_store *store, struct ms_error *reterr);
MS_NODISCARD enum ms_code ms_folder_lock(const char *dir, int dir_fd, struct ms_error *reterr);
void ms_folder_unlock(int dir_fd);
MS_NODISCARD enum ms_code ms_folder_check_fs(long type, const char *dir, struct ms_error *reterr);
MS_NODISCARD enum ms_code ms_folder_reserve(struct ms_store *store, struct ms_error *reterr);
MS_NODISCARD enum ms_code ms_store_env_open(struct ms_store *store, const char *path, bool read_only,
                                            struct ms_error *reterr);
/* The header row: magic, format, id. Errors: MS_FOREIGN, MS_NEWER_FORMAT, MS_CORRUPT. */
MS_NODISCARD enum ms_code ms_store_header_check(struct ms_store *store, struct ms_error *reterr);

/* read.c */
MS_NODISCARD enum ms_code ms_map_grow(struct ms_store *store, struct ms_error *reterr);
MS_NODISCARD enum ms_code ms_map_follow(struct ms_store *store, struct ms_error *reterr); /* another grew it */
void ms_store_threads_fini(struct ms_store *store);
void ms_store_thread_gone(void *thread);
bool ms_store_in_read(struct ms_store *store);
unsigned ms_store_long_reads(struct ms_store *store);

/* txn.c */
enum ms_code ms_txn_stick(struct ms_txn *txn, struct ms_error *reterr, enum ms_code code, const char *fmt, ...)
    MS_PRINTF(4, 5);
/* As the public ones, for any key. */
MS_NODISCARD enum ms_code ms_txn_put_any(struct ms_txn *txn, struct ms_view key, struct ms_view value,
                                         struct ms_error *reterr);
MS_NODISCARD enum ms_code ms_txn_del_any(struct ms_txn *txn, struct ms_view key, struct ms_error *reterr);
void ms_scan_begin_any(struct ms_scan *scan, struct ms_txn *txn, struct ms_view from, struct ms_view to);

/* queue.c */
/* The oldest waiting request, or NULL; of who leads, as the next two. */
struct ms_write_request *ms_queue_take(struct ms_store *store);
void ms_queue_complete(struct ms_write_request *request, enum ms_code code);
void ms_queue_wake_callers(struct ms_store *store);
MS_NODISCARD enum ms_code ms_writer_start(struct ms_store *store, struct ms_error *reterr);
void ms_writer_stop(struct ms_store *store);
/* Run the ten-second duties at the next chance, for tests. */
void ms_writer_tick(struct ms_store *store);

/* writer.c */
/* One batch that begins with this request, and answers to all of its operations. */
void ms_writer_run(struct ms_store *store, struct ms_write_request *first);

/* room.c: of who leads, outside of transactions. */
void ms_room_keep(struct ms_store *store);
uint64_t ms_room_free_bytes(struct ms_store *store); /* on LMDB's free list; walks it */
/* True: the disk is full and this write is none that frees. */
bool ms_room_refuses(struct ms_store *store, const struct ms_write *write, struct ms_error *reterr);

/* process.c */
/* Refuse a second environment in one process, then make our run file. */
MS_NODISCARD enum ms_code ms_process_begin(struct ms_store *store, struct ms_error *reterr);
void ms_process_end(struct ms_store *store);
void ms_process_sweep(struct ms_store *store); /* run files that nobody needs */
MS_NODISCARD enum ms_code ms_process_register(struct ms_store *store, MDB_txn *mdb, uint64_t *ret_fence,
                                              struct ms_error *reterr);
/* Errors: MS_FENCED another process took over. */
MS_NODISCARD enum ms_code ms_process_check(struct ms_store *store, MDB_txn *mdb, struct ms_error *reterr);
MS_NODISCARD enum ms_code ms_process_leave(struct ms_store *store, struct ms_error *reterr);

/* answer.c: from now on this process answers for changes, as one that has done all below `to`. */
MS_NODISCARD enum ms_code ms_answer_begin(struct ms_store *store, uint64_t to, struct ms_error *reterr);
void ms_answer_end(struct ms_store *store);

/* page.c: the shared page, and waiting on words of memory. */
MS_NODISCARD enum ms_code ms_page_open(struct ms_store *store, struct ms_error *reterr);
void ms_page_close(struct ms_store *store);
void ms_page_claim(struct ms_store *store);
void ms_page_sweep(struct ms_store *store); /* slots of dead processes */
bool ms_page_others_wait(struct ms_store *store);
/* Wait until another process (or ms_futex_wake on the word) says that the feed has grown, at most ns. */
void ms_page_wait_change(const struct ms_store *store, uint32_t seen, int64_t ns);
void ms_page_tell_others(struct ms_store *store); /* the feed has grown */
/* Wait while *word is value, at most ns (negative: for ever); by threads of this process. */
void ms_futex_wait(const _Atomic uint32_t *word, uint32_t value, int64_t ns);
/* shared: those of other processes, too. */
void ms_futex_wake(_Atomic uint32_t *word, bool shared);

/* feed.c */
MS_NODISCARD enum ms_code ms_feed_append(struct ms_txn *txn, struct ms_view change, struct ms_error *reterr);
/* The number that the next change will have. */
MS_NODISCARD enum ms_code ms_feed_end(struct ms_store *store, uint64_t *ret_end, struct ms_error *reterr);
/* Drop rows behind the maximum or the age in the batch's own transaction, at most a bounded number. */
MS_NODISCARD enum ms_code ms_feed_trim(struct ms_store *store, struct ms_store_batch *batch,
                                       struct ms_error *reterr);

static inline struct ms_view ms_view_of_val(MDB_val v) { return ms_view_of(v.mv_data, v.mv_size); }
static inline MDB_val ms_val_of(struct ms_view v) { return (MDB_val){v.n, (void *)(uintptr_t)v.p}; }
static inline int64_t ms_store_mono(const struct ms_store *s) { return ms_clock_mono_ns(s->options.clock); }

#endif
