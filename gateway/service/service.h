/* service.h — the gateway as a library: everything a front end needs hangs off struct ms_svc.
 *
 * Use cases follow plan (read transaction) -> act (object store, no transaction) -> commit (write
 * operation, version checked again). Front ends hold no rules: mount, command and daemon call the
 * same functions.
 *
 * A store's folder:
 *   <dir>/msasset.store   marker: whose folder this is, format, store id
 *   <dir>/meta/           LMDB (store/)      <dir>/run/       run files of live processes
 *   <dir>/journal/<instance>/ staging        <dir>/objects/   the embedded default's objects
 *   <dir>/writeback/  acknowledged and not uploaded yet (writeback.h)
 *
 * Threads: any number share one ms_svc; a process opens a store once.
 * Lifecycle: ms_svc_init() once for a folder; ms_svc_open() -> use -> ms_svc_close().
 */
#ifndef MS_SERVICE_SERVICE_H
#define MS_SERVICE_SERVICE_H

#include "content/budget.h"
#include "content/reader.h"
#include "content/stage.h"
#include "model/content_rules.h"
#include "object/object.h"
#include "probe/prober.h"
#include "store/store.h"

struct ms_svc_options {
    const char *dir;              /* absolute */
    const struct ms_clock *clock; /* NULL: the system's */
    struct ms_random *random;     /* NULL: the system's */
    struct ms_log *log;           /* may be NULL */
    const char *label;            /* process registry */
    unsigned engine_threads;      /* 0: 16 */
    unsigned tries_max;           /* of a request to the object store; 0: 5 */
    uint64_t cache_bytes;         /* of file data in memory, read and staged; 0: 256 MiB */
    const char *cache_dir;        /* absolute: folder of this process's disk cache; NULL: none */
    uint64_t cache_disk_bytes;    /* hard limit of the disk cache; 0: 10 GiB */
    uint64_t journal_bytes_max;   /* 0: what the disk has, less 5 % */
    uint64_t map_bytes;           /* 0: the store's default */
    bool read_only;
    bool store_may_be_down; /* open nevertheless */
    bool store_unasked;     /* whose it is is asked before anything is uploaded, not now */
    bool writeback;         /* acknowledge from the local disk, upload in the background */
    bool trace;             /* one log line per object call */
    const char *probe_program; /* msasset-probe; NULL: contents are judged by libmagic and size alone */
    const char *probe_argument; /* tests: the liar's part */
    struct ms_limits limits;    /* of contents; zeros: the defaults */
    const char *review_words;   /* list of words (review.h); NULL or "": none */
    const char *review_command; /* program that judges; likewise */
    const char *review_webhook; /* URL that judges (webhook.h); likewise */
    const char *review_webhook_secret; /* file of its secret */
    int64_t review_timeout_ms;  /* each of these two has so long; 0: 60 s */
    const char *payment_command; /* program that pays renewals (payment.h); likewise */
    int64_t payment_timeout_ms;  /* it has so long; 0: 60 s */
    const char *replication_keys; /* file of keys (replica_seal.h); NULL or "": none */
    const char *faults;     /* tests: script of the fault wrapper */
    const char *object_url; /* init only: NULL: dir:<dir>/objects */
    uint64_t free_bytes;    /* init only: free quota of new tenants; 0: 5 GB */
    int64_t retention_ms;   /* init only: bin retention of new tenants; 0: 7 days */
    struct ms_id store_id;  /* init only, of a rebuild: the store's id; none: a new one */
};

struct ms_files; /* service/file.c: the live files of this process, by (tenant, inode) */

struct ms_svc {
    struct ms_store *store;
    struct ms_obj *obj;
    struct ms_obj *near;  /* the writeback folder (writeback.h); NULL: read-only and there is none */
    struct ms_obj *reads; /* whichever of the two has an object */
    struct ms_mover *mover; /* NULL: this process does not upload in the background */
    struct ms_engine *engine;
    struct ms_budget *memory; /* of cache and journal */
    struct ms_cache *cache;
    struct ms_journal *journal;
    struct ms_prober *prober; /* NULL: contents are not probed */
    struct ms_limits limits;
    const struct ms_clock *clock;
    struct ms_random *random;
    struct ms_log *log;
    struct ms_files *files;
    struct ms_tree_worker *worker; /* service/tree.h; NULL: there is none */
    char dir[4096];
    char object_url[1025];
    char review_words[3001], review_command[3001], review_webhook[2001], review_webhook_secret[3001];
    int64_t review_timeout_ms;
    char payment_command[3001];
    int64_t payment_timeout_ms;
    char replication_keys[3001];
    unsigned tries_max; /* of requests to stores */
    struct ms_id store_id;
    bool read_only, writeback;
    bool unchecked; /* atomic: the object store was not asked whose it is when it was opened */
    int catalogue_busy; /* atomic: a flush of this process is at work (service/catalogue.h) */
};

/* Make a store in an empty or missing folder. A cut in the middle leaves a folder that init can
 * take up again. Errors: MS_EXISTS there is one; MS_FOREIGN the folder has other things; what store
 * and object say. */
MS_NODISCARD enum ms_code ms_svc_init(const struct ms_svc_options *options,
                                      struct ms_error *reterr);
/* Also settles what dead processes left when rows alone do it (upkeep.h, ms_recover_quick). */
MS_NODISCARD enum ms_code ms_svc_open(const struct ms_svc_options *options, struct ms_svc **ret_svc,
                                      struct ms_error *reterr);
/* One process at a time: a lock on <dir>/<name>, which the kernel drops when its holder dies. Who holds it
 * stands in the file.   ret_fd  the caller's: close() gives it back
 * Errors: MS_BUSY another one has it: the message names its process. */
MS_NODISCARD enum ms_code ms_svc_lock(struct ms_svc *svc, const char *name, int *ret_fd,
                                      struct ms_error *reterr);
/* Ask a store that was down when it was opened whose it is. Changes of it do so by themselves; this is for
 * who reads there, or would work in vain. Blocks.   Errors: MS_FOREIGN; what the store says. */
MS_NODISCARD enum ms_code ms_svc_check_owner(struct ms_svc *svc, struct ms_error *reterr);
void ms_svc_close(struct ms_svc *svc); /* needs: no live file. NULL is fine. */

/* Wait until every mount of this host has done what all commits before the call ask for: handles refuse
 * what was frozen, and the kernel has no page of it (design.md section 5). At most
 * MS_MOUNTS_WAIT_MS. What was committed stays, whatever comes of this.
 *   late  processes that have not; pid 0: one that could not be asked. The caller's: free(). */
#define MS_MOUNTS_WAIT_MS 2000
struct ms_mounts_seen {
    int64_t took_ms;
    struct ms_process_info *late;
    size_t n;
};
MS_NODISCARD enum ms_code ms_svc_await_mounts(struct ms_svc *svc, struct ms_mounts_seen *ret_seen,
                                              struct ms_error *reterr);

#endif
