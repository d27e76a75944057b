/* store.h — the metadata store: ordered keys, transactions given as functions, one durable commit for many of them.
 *
 * This is the only seam to the engine (LMDB today). The rest of the program sees get, put, delete, bounded ordered
 * scans, and a write transaction that is a function which may run again from the start; no pointer into the map
 * leaves a transaction, and nothing relies on there being one writer (roadmap.md, "Beyond one host").
 * Several processes of one host share a store: mounts, commands, daemons, cron.
 *
 * Invariants:
 *  S1 a write that returned MS_OK is on disk (fdatasync'ed) and visible to every process.
 *  S2 an operation is applied whole or not at all; operations of one batch roll back alone.
 *  S3 commit instants never decrease, whatever the clock does, and are never 0.
 *  S4 every value carries a checksum over key and value; a mismatch is MS_CORRUPT, never a wrong record.
 *  S5 no transaction is open across network or file I/O: operations get no handle with which to do any.
 *  S6 a commit appends to the change feed in the same transaction and wakes followers after it is durable.
 *
 * Threads: a struct ms_store is shared by all threads of a process; transactions belong to one thread.
 * Fork: open after the last fork; a child must exec.
 * Lifecycle: ms_store_open() -> use -> ms_store_close().  See: design.md sections 1 and 3, gateway/README.md.
 */
#ifndef MS_STORE_STORE_H
#define MS_STORE_STORE_H

#include "base/buf.h"
#include "base/clock.h"
#include "base/id.h"
#include "base/log.h"

#define MS_STORE_FORMAT 1u
#define MS_KEY_MAX 500 /* bytes; LMDB's limit is 511 */
#define MS_VALUE_MAX (128 * 1024)

struct ms_store;

struct ms_store_options {
    const char *dir;          /* the store's folder; its metadata lies in <dir>/meta/ */
    const struct ms_clock *clock;
    struct ms_random *random;
    struct ms_log *log;       /* may be NULL */
    uint64_t map_bytes;       /* 0: 64 GiB of address space */
    uint64_t map_bytes_max;   /* 0: 1 TiB; growing stops there */
    unsigned readers_max;     /* 0: 512 */
    bool create;              /* make it when the folder is empty or missing */
    struct ms_id store_id;    /* of a store that is made; none: a new one */
    bool read_only;           /* fsck of a copy, statistics: no writer thread */
    const char *label;        /* for the process registry: "mount /srv/x", "msasset put" */
    unsigned feed_rows_max;   /* 0: 16384; the feed keeps up to a quarter more */
    int64_t feed_age_ms;      /* 0: 10 min; older rows go when somebody commits */
};

/* Open or make a store. On failure nothing half-made is left behind. A new store wants an empty folder; afterwards
 * meta/ and run/ are the store's, and others may put theirs beside them. SIGBUS is caught from now on: it writes a
 * line and ends the process, because a mapped file was truncated under it.
 * Errors: MS_NOT_FOUND no store there; MS_FOREIGN the folder belongs to another program; MS_NEWER_FORMAT; MS_BUSY
 * this process has it open already; MS_READ_ONLY; MS_NO_SPACE; MS_CORRUPT; MS_UNSUPPORTED a file system that LMDB
 * cannot trust (NFS, FUSE, 9p). A full disk alone does not keep a store from being opened. */
MS_NODISCARD enum ms_code ms_store_open(const struct ms_store_options *options,
                                        struct ms_store **ret_store, struct ms_error *reterr);
/* Waits for queued writes; removes this process from the registry: what it held must be settled before. No read,
 * scan or follower may be open. NULL is fine. */
void ms_store_close(struct ms_store *store);
/* This process holds something that only recovery can settle: it stays in the registry when it closes, as a dead one
 * that somebody adopts. */
void ms_store_stay_registered(struct ms_store *store);

/* ---- transactions ---------------------------------------------------------------------------- */

/* A view of the store at one instant; also the reading half of a write. */
struct ms_txn;

/* Read one value. ret_value is borrowed: until the next write of this transaction or its end.
 * Errors: MS_NOT_FOUND; MS_CORRUPT checksum; MS_IO; MS_STALE the read is older than its 1 s cap. */
MS_NODISCARD enum ms_code ms_txn_get(struct ms_txn *txn, struct ms_view key, struct ms_view *ret_value,
                                     struct ms_error *reterr);
/* The same without making an error text: false when absent; other failures stick to the transaction. */
bool ms_txn_has(struct ms_txn *txn, struct ms_view key);

/* Ordered scan over keys in [from, to), forwards or backwards; an empty bound is none. Ends with MS_NOT_FOUND.
 * Keys whose first byte is 0x00 are the store's own: no scan gives them and no put may name them.
 * A scan sees the transaction's own writes made before it began; after a put or delete in the same transaction
 * it goes on behind the last key that it gave (it re-seeks), so deleting while scanning is fine. */
struct ms_scan {
    struct ms_txn *txn;
    uint8_t from[MS_KEY_MAX], to[MS_KEY_MAX], last[MS_KEY_MAX];
    size_t from_len, to_len, last_len;
    bool backwards, started, ended;
    void *cursor;
    uint64_t cursor_generation;
};
void ms_scan_begin(struct ms_scan *scan, struct ms_txn *txn, struct ms_view from, struct ms_view to);
/* All keys that start with prefix. */
void ms_scan_prefix(struct ms_scan *scan, struct ms_txn *txn, struct ms_view prefix);
void ms_scan_backwards(struct ms_scan *scan); /* before the first next */
MS_NODISCARD enum ms_code ms_scan_next(struct ms_scan *scan, struct ms_view *ret_key,
                                       struct ms_view *ret_value, struct ms_error *reterr);
void ms_scan_end(struct ms_scan *scan); /* also fine after a failed next, and twice */

/* Write transactions only. The first failure sticks: later writes do nothing and the operation cannot commit. */
MS_NODISCARD enum ms_code ms_txn_put(struct ms_txn *txn, struct ms_view key, struct ms_view value,
                                     struct ms_error *reterr);
/* Deleting what is not there is fine. */
MS_NODISCARD enum ms_code ms_txn_del(struct ms_txn *txn, struct ms_view key, struct ms_error *reterr);

/* The commit instant: max(clock, last commit instant of the store, what ms_txn_not_before() raised it to). The same
 * value for the whole operation; every ledger event, audit row and change of state is dated with it. */
struct ms_instant ms_txn_instant(struct ms_txn *txn);
void ms_txn_not_before(struct ms_txn *txn, struct ms_instant at);

/* A unique number from the counter `name` (1, 2, ...), never given twice, whatever rolls back. Leased to the
 * process in blocks, so that it costs no write in most operations. */
MS_NODISCARD enum ms_code ms_txn_number(struct ms_txn *txn, const char *name, uint64_t *ret_n,
                                        struct ms_error *reterr);

/* Append to the change feed: at most 1 KiB; followers of other processes get it after the commit. */
MS_NODISCARD enum ms_code ms_txn_feed(struct ms_txn *txn, struct ms_view change, struct ms_error *reterr);

/* Bound to the operation, not to the process: random bytes that are equal when the operation runs again. */
void ms_txn_random(struct ms_txn *txn, void *bytes, size_t n);

/* ---- reads ----------------------------------------------------------------------------------- */

/* Begin a read on this thread; short, at most 1 s, no I/O inside. Nested begins are refused by an assert.
 * Errors: MS_NO_MEMORY reader table full after a stale-reader check; MS_PANIC; MS_IO. */
MS_NODISCARD enum ms_code ms_read_begin(struct ms_store *store, struct ms_txn **ret_txn,
                                        struct ms_error *reterr);
void ms_read_end(struct ms_txn *txn); /* NULL is fine */
static inline void ms_read_end_p(struct ms_txn **txn) { ms_read_end(*txn); }

/* ---- writes ---------------------------------------------------------------------------------- */

/* An operation: a function of (transaction, const input, zeroed output) and nothing else, because it may run again
 * (map growth, a batch taken apart; debug builds run each one twice). It must not lock, block, allocate what it
 * does not free, or touch anything outside. Return a failure to roll it back: its error goes to the caller. */
typedef enum ms_code ms_write_fn(struct ms_txn *txn, const void *in, void *out, struct ms_error *reterr);

struct ms_write {
    ms_write_fn *fn;
    const void *in;  /* borrowed until done */
    void *out;       /* zeroed before each run; may be NULL */
    size_t out_size;
    uint64_t fence;  /* not 0: fail with MS_FENCED unless this process's fencing number is still this one */
    bool frees;      /* deletes, metering, settling: may go on when the map is so full that others are refused */
};

/* Run in the next group commit and wait until it is durable. When nobody else writes, this thread runs the batch: its
 * own operation and those that others have queued, and calls their done. */
MS_NODISCARD enum ms_code ms_store_write(struct ms_store *store, const struct ms_write *write,
                                         struct ms_error *reterr);

/* The same without waiting: done is called once, after the commit, on the store's own thread or on one that writes; it
 * must be short and must not call ms_store_write. request is the caller's memory until then. done may be through before
 * this returns, and whoever learns of it so may close the store: ms_store_close waits for such a call to leave. */
struct ms_write_request {
    struct ms_write write;
    void (*done)(struct ms_write_request *request);
    void *priv;
    enum ms_code code;     /* result */
    struct ms_error error; /* result */
    struct ms_write_request *next; /* the store's, from here on; 0 at first */
    bool seeded;
    uint32_t seed[8];
};
void ms_store_submit(struct ms_store *store, struct ms_write_request *request);
/* The same for a thread that has time for a commit and holds no lock: when nobody else writes it does so itself, which
 * spares two switches of threads. done, of others' requests too, may have been called on it when this returns. */
void ms_store_submit_here(struct ms_store *store, struct ms_write_request *request);

/* ---- processes ------------------------------------------------------------------------------- */

struct ms_instance_id ms_store_instance(const struct ms_store *store);
struct ms_id ms_store_id(const struct ms_store *store); /* of the store itself: marker objects, journals */
uint64_t ms_store_fence(const struct ms_store *store);

struct ms_process_info {
    struct ms_instance_id instance;
    struct ms_instant started;
    int64_t pid;
    bool alive; /* its run file is still locked */
    char label[128];
};
/* Every registered process, dead ones too until they are adopted. *ret_list is the caller's: free(). */
MS_NODISCARD enum ms_code ms_store_processes(struct ms_store *store, struct ms_process_info **ret_list,
                                             size_t *ret_n, struct ms_error *reterr);
/* Whether an instance can still commit: alive here, or its run file is locked. */
bool ms_store_instance_alive(struct ms_store *store, struct ms_instance_id instance);
/* Take over from a dead process: raises its fencing number so that a late commit of it fails; exactly one process
 * wins, and may ask again. What the dead held (leases, journals, intents) is then the winner's to settle; afterwards
 * ms_store_forget(). A winner that dies before is taken over from in turn.
 * Errors: MS_BUSY it lives, or a living process took over; MS_NOT_FOUND. */
MS_NODISCARD enum ms_code ms_store_adopt(struct ms_store *store, struct ms_instance_id dead,
                                         struct ms_error *reterr);
/* Drop the row of a process that this one adopted. Gone already is fine. Errors: MS_BUSY not adopted by this one. */
MS_NODISCARD enum ms_code ms_store_forget(struct ms_store *store, struct ms_instance_id dead,
                                          struct ms_error *reterr);

/* ---- change feed ----------------------------------------------------------------------------- */

/* Follow what other processes commit. each is called on a thread of the feed, in commit order, outside any
 * transaction; lost is called instead when this follower fell behind the trim: drop everything that is cached. */
struct ms_follow {
    void (*each)(void *priv, struct ms_view change);
    void (*lost)(void *priv);
    void *priv;
    /* Not NULL, in at most one follower of a process: it answers for what changes ask for (drop what was
     * cached), and others may wait for that. Called behind each and lost, at least twice a second: every change
     * below number `to` was handed on. When all that they ask for is done: ms_store_answer(to). */
    void (*handed)(void *priv, uint64_t to);
};
struct ms_follower;
MS_NODISCARD enum ms_code ms_store_follow(struct ms_store *store, const struct ms_follow *follow,
                                          struct ms_follower **ret_follower, struct ms_error *reterr);
void ms_store_unfollow(struct ms_follower *follower); /* waits for a running call; NULL is fine */
/* Block until every change committed before the call was handed to `each` of this follower, at most timeout_ms. */
bool ms_follower_catch_up(struct ms_follower *follower, int64_t timeout_ms);

/* All that changes below number `to` ask of this process is done. Smaller than said before: nothing. Any thread. */
void ms_store_answer(struct ms_store *store, uint64_t to);
/* Wait until every other live process that answers has done what the changes committed before the call ask for, at
 * most timeout_ms. *ret_late: those that have not (instance, pid, label), and those that could not be asked (pid 0),
 * the caller's: free(). NULL: none. */
MS_NODISCARD enum ms_code ms_store_await_answers(struct ms_store *store, int64_t timeout_ms,
                                                 struct ms_process_info **ret_late, size_t *ret_n,
                                                 struct ms_error *reterr);

/* For caches that are made of rows: the feed as this view of the store has it, this process's own
 * changes too, in commit order from number *at on; *at moves behind the last one. each is called
 * inside the transaction and may read. *ret_lost, and no call: rows from *at on were trimmed, or *at
 * is 0, so drop what is cached. Errors: MS_CORRUPT; MS_STALE. */
MS_NODISCARD enum ms_code ms_txn_feed_read(struct ms_txn *txn, uint64_t *at,
                                           void (*each)(void *priv, struct ms_view change),
                                           void *priv, bool *ret_lost, struct ms_error *reterr);

/* ---- health ---------------------------------------------------------------------------------- */

/* Not inside a read of the same thread. used_bytes: how far the file reaches, free pages in it included. */
struct ms_store_stats {
    uint64_t commits, operations, batches_taken_apart, batches_run_again, map_grown;
    uint64_t map_bytes, used_bytes, entries;
    unsigned readers, readers_max;
};
void ms_store_stats(struct ms_store *store, struct ms_store_stats *ret_stats);

/* Walk every record and check its envelope; each may be NULL. Works in bounded reads from a cursor, so
 * it never holds one for long. Errors: MS_CORRUPT is reported through each, not returned. */
MS_NODISCARD enum ms_code ms_store_check(struct ms_store *store,
                                         void (*each)(void *priv, struct ms_view key, const struct ms_error *err),
                                         void *priv, struct ms_error *reterr);

/* A consistent compacted copy into an existing empty folder, which is a store then; read back in a child process
 * before it gets its name. The map cannot grow meanwhile. Blocks: yes, for its whole length.
 * Errors: MS_NOT_EMPTY; MS_NO_SPACE less than 20 % of map_bytes_max is free; MS_CORRUPT it does not read back. */
MS_NODISCARD enum ms_code ms_store_copy(struct ms_store *store, const char *to_dir, struct ms_error *reterr);

#endif
