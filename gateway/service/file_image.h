/* file_image.h — private to service/file*.c: the live image of an open file and the jobs that move
 * it.
 *
 * One image per (tenant, inode, version) and process. What was written lies in a patch (a stage)
 * over the basis (the sealed version that it was opened on). The state is one of:
 *
 *   SEALED      nothing was written. Invariants: no patch, no upload slot, no lease, no folded
 *               attributes.
 *   UNSEALED    written, truncated, or new and never sealed. A fresh image (never sealed) has no
 *               basis and may have no patch yet (size 0). leased >= needed always: bytes are
 *               promised before they are accepted.
 *   SEALING     a job judges and uploads. Writers go on; each counts `touches` up before and after
 *               it changes anything, so the job sees whether what it sent is what there is.
 *   COMMITTING  the seal's commit is in flight: writers and setattr wait for that one commit,
 *               nothing else does.
 *   REFUSED     as UNSEALED, and what there was at refused_touches broke a rule. Only an overwrite
 *               gets here (a fresh file that breaks a rule of content is sealed as FAILED). Until
 *               the last handle goes.
 *
 *   from         on                                            to
 *   SEALED       write, truncate                               UNSEALED
 *   UNSEALED     flush, last release                           SEALING
 *   SEALING      uploaded, touches unchanged                   COMMITTING
 *   SEALING      the store failed, or changed meanwhile        UNSEALED
 *   SEALING      a rule is broken                              REFUSED
 *   COMMITTING   the commit                                    SEALED
 *   COMMITTING   the commit failed                             UNSEALED
 *   REFUSED      write                                         UNSEALED
 *   REFUSED      last release                                  SEALED, on the old version
 *
 * Beside the state: orphan (no name is left: at the last close everything is dropped), stale
 * (another process sealed a newer version while this image was SEALED: old handles keep it, new
 * ones get an image of their own).
 *
 * Two writers in two processes: the patch is against its basis. When the basis has moved at the
 * seal, the patch is applied to the current version: a truncation first (the smallest size that was
 * set), then the written ranges at their offsets, ranges of O_APPEND writes at the end of that
 * version in their order. A patch that began with a truncation to 0 replaces all.
 *
 * An upload slot is one key in the store: an intent row, then bytes, then the seal. It is used
 * once. When the image changes after a finished upload, or is rebased, the slot retires and a new
 * one starts; a retired slot is dropped only after a later list or seal is committed, because its
 * listed parts may be what an fsync promised.
 *
 * Lock order: ms_files.mutex, writing, mutex. writing serialises what changes the patch and may be
 * held over a commit (a lease); mutex is never held over any wait but that for COMMITTING, and
 * never by a callback. Jobs (start, sync, flush, release) run one at a time per image, step by step
 * on the engine's threads.
 */
#ifndef MS_SERVICE_FILE_IMAGE_H
#define MS_SERVICE_FILE_IMAGE_H

#include "content/media.h"
#include "content/upload.h"
#include "model/asset_type.h"
#include "probe/prober.h"
#include "service/change.h"
#include "service/file.h"
#include "service/held.h"
#include "service/tree_rows.h"

#include <pthread.h>
#include <stdatomic.h>

#define MS_EAGER_BYTES (16 * MS_MB) /* written before an upload starts by itself: two parts */
#define MS_RECALL_WAIT_MS 50        /* other processes give back unused leases within it */
#define MS_REBASE_TRIES 16          /* each try that loses means that somebody else has sealed */

/* ---- shared bytes ---------------------------------------------------------------------------- */

/* A sealed version, shared by the image and reads in flight. size 0 has no object. */
struct ms_basis {
    atomic_uint refs;
    struct ms_version_id version; /* none: never had bytes */
    struct ms_source source;
};
/* A stage, shared by the image, reads and upload slots. */
struct ms_patch {
    atomic_uint refs;
    struct ms_stage *stage;
};
struct ms_basis *ms_basis_ref(struct ms_basis *basis);
void ms_basis_unref(struct ms_basis *basis); /* NULL is fine */
/* What a reader needs of a sealed version; *source is zeroed, and ms_source_fini() is the caller's whatever comes of
 * it. */
MS_NODISCARD enum ms_code ms_source_load(struct ms_txn *txn, struct ms_tenant_id tenant,
                                         struct ms_version_id id, struct ms_source *source,
                                         struct ms_error *reterr);
struct ms_patch *ms_patch_ref(struct ms_patch *patch);
void ms_patch_unref(struct ms_patch *patch); /* NULL is fine */

/* ---- upload slots ---------------------------------------------------------------------------- */

struct ms_listed {
    struct ms_obj_part *parts;
    size_t n;
};
struct ms_slot {
    atomic_uint refs;
    struct ms_slot *next;     /* retired ones */
    struct ms_upload *upload; /* NULL until bytes may go out */
    struct ms_patch *patch;
    struct ms_basis *basis;
    struct ms_intent_id intent;
    struct ms_object_id object;
    char key[MS_OBJECT_KEY_MAX + 1];
    struct ms_listed listed; /* as committed by the last fsync */
    char upload_id[MS_UPLOAD_ID_MAX + 1];
    bool local; /* its upload goes to the writeback folder */
    bool fsynced;
    bool dropped; /* given up: its upload does nothing any more */
    uint64_t synced_touches;
    struct { /* of a finished upload, for the commit and its repetition */
        bool done;
        uint64_t touches, size;
        struct ms_hashes hashes;
        uint8_t root[16];
        char etag[MS_ETAG_MAX + 1];
    } finished;
};
struct ms_slot *ms_slot_ref(struct ms_slot *slot);
void ms_slot_unref(
    struct ms_slot *slot); /* NULL is fine; the last one needs: no call of its upload outstanding */

struct ms_files;
/* file_abandon.c: takes over a reference; its upload is dropped without anybody waiting for it. */
void ms_slot_drop_later(struct ms_files *files, struct ms_slot *slot);

/* ---- the image ------------------------------------------------------------------------------- */

enum ms_image_state {
    MS_IMAGE_SEALED,
    MS_IMAGE_UNSEALED,
    MS_IMAGE_SEALING,
    MS_IMAGE_COMMITTING,
    MS_IMAGE_REFUSED
};

/* Ranges of O_APPEND writes, in order: where a rebase moves them from. */
struct ms_appended {
    struct ms_append_range {
        uint64_t offset, length;
    } * range;
    size_t n, cap;
};

struct ms_file_job;

struct ms_file {
    struct ms_svc *svc;
    struct ms_files *files;
    struct ms_tenant_id tenant;
    uint64_t ino;

    /* under ms_files.mutex */
    struct ms_file *next;   /* of its bucket */
    struct ms_retry *retry; /* in limbo: when to try again */
    unsigned refs;          /* handles, jobs and loaders: memory */
    unsigned handles, writers;
    unsigned idle_writers; /* closed by FLUSH, and nothing was written through them since */
    bool stale;

    _Atomic uint64_t paced_in_vain; /* file_pace.c: bytes sent + 1 when a writer last waited for nothing */

    pthread_mutex_t asking; /* of ms_image_ask: what was read later is also what is kept; inside it only mutex */
    pthread_mutex_t writing;
    uint64_t bytes_max,
        bytes_max_known_to; /* under writing: type limit; the name is asked again behind that */
    pthread_mutex_t mutex;
    pthread_cond_t changed; /* COMMITTING ended, a lease operation ended, loaded */
    struct {
        bool loaded, loading;
        enum ms_image_state state;
        bool fresh; /* inode was never sealed */
        bool unmetered; /* no quota counts what is written before the first seal: no lease */
        bool orphan;
        bool limbo; /* no handle, but an fsync's promise: kept, with a reference of its own */
        uint64_t generation; /* of the inode, as sealed or loaded */
        struct ms_basis *basis;
        struct ms_patch *patch;
        struct ms_slot *slot, *retired;
        struct ms_intent_id birth_intent; /* from creation, until the first slot takes it */
        struct ms_object_id birth_object;
        char birth_key[MS_OBJECT_KEY_MAX + 1];
        bool start_queued;
        uint64_t written_bytes; /* into this patch */

        uint64_t touches;
        unsigned active; /* writers between their two touches */
        bool modified;   /* the patch is more than an open one */
        bool truncated;
        uint64_t truncated_to; /* smallest size that was set */
        struct ms_appended appended;
        bool abandoned; /* at abandoned_touches: nothing of it is to be sealed */
        uint64_t abandoned_touches;
        uint64_t refused_touches;
        enum ms_code refused_code;
        struct ms_error refused;

        /* quota: bytes of growth over what is metered for this file already */
        uint64_t metered, needed, leased;
        bool lease_busy;

        /* life cycle */
        uint32_t rights[2]; /* of the tenant, of an administrator */
        struct ms_instant recheck_at;
        struct ms_asset_id asset; /* whose bytes they are, or were last; none: not known */
        bool unreadable[2];       /* by that asset, when it was asked last */

        struct ms_setattr attr; /* which: folded into the next commit */

        struct ms_file_job *first, *last; /* queued jobs; the first one runs */
        struct ms_image_read *reads;      /* that wait for the store */
    } locked;
};

struct ms_handle {
    struct ms_file *file;
    struct ms_file_job *release; /* made with it: a release must not fail for want of memory */
    bool read, write, append, admin;
    atomic_bool idle; /* counted in idle_writers */
    struct ms_cursors cursors; /* its readers' ways, for reading ahead; the cache's lock is theirs */
    char who[MS_WHO_MAX + 1];
};

#define MS_FILE_BUCKETS 1024
struct ms_files {
    struct ms_svc *svc;
    pthread_mutex_t mutex;
    pthread_cond_t retried;
    unsigned retries; /* under mutex: timers that are set, and what goes on beside the jobs */
    bool closing;
    /* Until a promise that a close could not keep is tried again; a test changes it while timers are set. */
    _Atomic int64_t retry_ms;
    pthread_mutex_t recalling; /* one round of recall at a time */
    pthread_mutex_t watching; /* held while fn runs */
    ms_file_watch_fn *watch;
    void *watch_priv;
    pthread_mutex_t sniffing;
    struct ms_media *media; /* under sniffing; made when the first file is judged */
    struct ms_file *bucket[MS_FILE_BUCKETS];
};

/* file_job.c. What the bytes are (content/media.h), by the process's one libmagic. */
MS_NODISCARD enum ms_code ms_files_identify(struct ms_files *files, const void *head, size_t n,
                                            char ret_type[MS_MEDIA_TYPE_MAX + 1],
                                            struct ms_error *reterr);
/* Percent-encoded, for the metadata of an object; cut at what size takes. */
void ms_birth_name(const char *text, char *ret, size_t size);

/* file.c: registry. get refs; a new image is not loaded yet. find: NULL when there is none. */
struct ms_file *ms_image_get(struct ms_svc *svc, struct ms_tenant_id tenant, uint64_t ino);
struct ms_file *ms_image_find(struct ms_svc *svc, struct ms_tenant_id tenant, uint64_t ino);
struct ms_file *ms_image_ref(struct ms_file *file);
void ms_image_unref(struct ms_file *file);
/* All images of a tenant, or of one of its inodes, referenced. The caller's: unref each, free().
 * NULL: no memory. */
struct ms_file **ms_image_all(struct ms_files *files, struct ms_tenant_id tenant, uint64_t ino_or_0,
                              size_t *ret_n);
unsigned ms_image_handles(struct ms_file *file, unsigned *ret_busy_writers);
/* A handle of a writer was closed (a duplicate may go on), or something is written through it. */
void ms_handle_idle(struct ms_handle *handle, bool idle);
uint64_t ms_image_size_locked(const struct ms_file *file);
/* Attributes that were set while it was unsealed, over the record's. */
void ms_image_fold(struct ms_inode_record *inode, const struct ms_setattr *attr);
bool ms_image_is_abandoned_locked(const struct ms_file *file);
/* Tell the watcher; with no lock held. */
void ms_image_tell(struct ms_file *file, enum ms_file_fate fate, uint64_t from, uint64_t to);
/* Wait until no seal is being committed. */
void ms_image_settle_locked(struct ms_file *file);

/* What is not there is an answer here, not an error: MS_NOT_FOUND becomes MS_OK without a text. */
static inline enum ms_code ms_no_error(enum ms_code code, struct ms_error *reterr) {
    if (code != MS_NOT_FOUND)
        return code;
    if (reterr)
        *reterr = (struct ms_error){0};
    return MS_OK;
}

/* file_retry.c: seal what is in limbo as soon as the store takes it. */
#define MS_RETRY_MS 10000
void ms_image_retry_later(struct ms_file *file, const char *who);
void ms_files_end_retries(struct ms_files *files); /* none is under way when it returns */
void ms_files_one_done(struct ms_files *files);

/* file_load.c: rows -> memory. */
struct ms_loaded {
    struct ms_inode_record inode;
    uint64_t metered; /* bytes of what a new MAIN replaces: of all, or where it will wait for review (held.h) */
    struct ms_basis *basis; /* NULL: the version is the known one */
};
/* known: NULL, or a version that need not be loaded again. */
MS_NODISCARD enum ms_code ms_image_rows(const struct ms_tree *t, uint64_t ino,
                                        const struct ms_version_id *known,
                                        struct ms_loaded *ret_loaded, struct ms_error *reterr);
/* Fill a new image once; other threads wait for it. */
MS_NODISCARD enum ms_code ms_image_load(struct ms_file *file, struct ms_error *reterr);
/* Ask again what the life cycle allows. node may be NULL. Errors: MS_NOT_FOUND, also when time has
 * taken the asset out of the tree. */
MS_NODISCARD enum ms_code ms_image_ask(struct ms_file *file,
                                       struct ms_inode_record *ret_inode_or_null,
                                       struct ms_error *reterr);
/* READ or WRITE, at this instant. Errors: MS_NOT_READABLE, MS_WRONG_STATE with the rule. */
MS_NODISCARD enum ms_code ms_image_may(struct ms_file *file, bool admin, enum ms_right right,
                                       struct ms_error *reterr);

/* Name and top folder of an inode, for the rules. Errors: MS_NOT_FOUND no name. */
struct ms_named {
    char name[MS_NAME_BYTES_MAX + 1];
    enum ms_special top;
};
MS_NODISCARD enum ms_code ms_image_named(const struct ms_tree *t, uint64_t ino,
                                         struct ms_named *ret_named, struct ms_error *reterr);

/* file_read.c: bytes as this process sees them, for readers and for judging. No rights are asked.
 */
void ms_image_read(struct ms_file *file, uint64_t offset, size_t length, void *into,
                   struct ms_file_io *io);

/* End those that wait for the store: they find that they may not go on. */
void ms_image_cancel_reads(struct ms_file *file);

/* file_lease.c: make needed grow so that the file may be new_size long. *ret_size: how long it may
 * be (at least at_least, else MS_QUOTA). Needs: file->writing held, mutex not. */
MS_NODISCARD enum ms_code ms_lease_grow(struct ms_file *file, uint64_t at_least, uint64_t new_size,
                                        uint64_t *ret_size, struct ms_error *reterr);

/* ---- write operations: file_ops.c, file_seal.c ----------------------------------------------- */

/* A patch that is judged: everything that decides, nothing that is read. */
struct ms_sealing {
    struct ms_tree_call call; /* first: what ms_tree_begin reads */
    struct ms_ctx ctx;
    uint64_t ino;
    struct ms_version_id basis;   /* the patch is against this version; */
    bool replaces;                /* ... or replaces any */
    struct ms_version_id version; /* the new one's id */
    uint64_t size;
    struct ms_object_id object; /* size 0: unused, as are the next four */
    char key[MS_OBJECT_KEY_MAX + 1], etag[MS_ETAG_MAX + 1], media_type[MS_MEDIA_TYPE_MAX + 1];
    bool local; /* the bytes are in the writeback folder */
    uint8_t root[16];
    const struct ms_hashes *hashes;
    const struct ms_facts_record *facts; /* NULL: not probed */
    const struct ms_intent_id *intents; /* of every slot: they end with the seal */
    size_t intents_n;
    struct ms_setattr attr;
};
struct ms_sealed {
    bool gone; /* no name and no asset any more: leases and intents are settled, nothing was sealed
                */
    enum ms_code verdict; /* MS_OK, or what the content broke: sealed as FAILED */
    char reason[MS_REASON_MAX + 1];
    uint64_t generation;
    struct ms_version_id version; /* none: an empty new file */
};
/* One commit: version, object, hashes, file, asset (type, life, bytes), inode, lease, intents,
 * feed. Errors: MS_CONFLICT the basis has moved; MS_WRONG_KIND, MS_TOO_LARGE an overwrite breaks a
 * rule; MS_WRONG_STATE, MS_NOT_PERMITTED it may not be written any more; MS_QUOTA. */
enum ms_code ms_seal_op(struct ms_txn *txn, const void *in, void *out, struct ms_error *reterr);

/* What the rules say about a content under the name that the inode has now. */
struct ms_judging {
    bool gone;     /* nothing to judge: no name, or no asset */
    bool creation; /* no version had bytes, or it failed by content: a refusal becomes FAILED, not
                      an error */
    bool waits;    /* for review, beside the live one (held.h) */
    struct ms_held held; /* that waits already */
    enum ms_asset_type type;
    struct ms_inode_record inode;
    struct ms_file_record file;
    struct ms_tree_asset asset;
    enum ms_code verdict;
    struct ms_error why;
};
/* media_type NULL: size and rights only; facts NULL: not probed. Errors: MS_WRONG_STATE; not the verdict. */
MS_NODISCARD enum ms_code ms_seal_judge(const struct ms_tree *t, uint64_t ino, uint64_t size,
                                        const char *media_type, const struct ms_facts_record *facts,
                                        struct ms_judging *ret_judging, struct ms_error *reterr);

/* A slot for a further version: intent row and key. */
struct ms_slot_in {
    struct ms_tree_call call;
    struct ms_ctx ctx;
    uint64_t ino;
};
struct ms_slot_out {
    bool gone;
    struct ms_intent_id intent;
    struct ms_object_id object;
    char key[MS_OBJECT_KEY_MAX + 1];
};
enum ms_code ms_slot_op(struct ms_txn *txn, const void *in, void *out, struct ms_error *reterr);

/* fsync: the parts that recovery completes if this process dies. */
struct ms_list_in {
    struct ms_tree_call call;
    struct ms_ctx ctx;
    uint64_t ino, size;
    struct ms_intent_id intent;
    bool local; /* the parts are in the writeback folder */
    char upload_id[MS_UPLOAD_ID_MAX + 1];
    const struct ms_listed *before, *after; /* rows as they are and as they shall be */
    const struct ms_intent_id *retired;     /* their promise is kept by this list now */
    size_t retired_n;
    struct ms_setattr attr;
};
enum ms_code ms_list_op(struct ms_txn *txn, const void *in, void *out, struct ms_error *reterr);

/* Whether a close that failed with this was judged: a rule is broken, and the next close says the same. Else the store
 * failed, or somebody gave up. */
bool ms_file_is_refusal(enum ms_code code);

/* Nothing of it is sealed: intents and lease go, folded attributes stay; a fresh file vanishes with
 * its name. */
struct ms_drop_in {
    struct ms_tree_call call;
    struct ms_ctx ctx;
    uint64_t ino;
    const struct ms_intent_id *intents;
    size_t intents_n;
    bool vanish;
    struct ms_setattr attr;
};
enum ms_code ms_drop_op(struct ms_txn *txn, const void *in, void *out, struct ms_error *reterr);

MS_NODISCARD enum ms_code ms_intent_end(const struct ms_tree *t, const struct ms_intent_id *intents,
                                        size_t n, struct ms_error *reterr);

/* ---- jobs ------------------------------------------------------------------------------------ */

enum ms_file_job_kind {
    MS_FILE_JOB_START,
    MS_FILE_JOB_SYNC,
    MS_FILE_JOB_FLUSH,
    MS_FILE_JOB_RELEASE
};
struct ms_file_job_by {
    const char *who;
    bool admin, writer; /* writer: one of the image's writers is who asks */
};
/* Takes over a reference of file, and ready: memory for the job, or NULL. done of io comes once,
 * with nothing of the image held any more; START has none. */
void ms_file_job_submit(struct ms_file *file, enum ms_file_job_kind kind,
                        const struct ms_file_job_by *by, struct ms_file_io *io_or_null,
                        struct ms_file_job *ready);
struct ms_file_job *ms_file_job_new(void); /* NULL: no memory. Unused: free() */

/* What a sync or finish of an upload gave, copied out of it. */
struct ms_uploaded {
    struct ms_listed list;
    char upload_id[MS_UPLOAD_ID_MAX + 1], etag[MS_ETAG_MAX + 1];
    struct ms_hashes hashes;
    uint8_t root[16];
    uint64_t size;
};
void ms_uploaded_fini(struct ms_uploaded *uploaded);

struct ms_file_job {
    struct ms_file *file;
    enum ms_file_job_kind kind;
    struct ms_ctx ctx;
    struct ms_file_io *io;
    struct ms_file_job *next;

    struct ms_task task;
    void (*step)(struct ms_file_job *job);  /* what the task runs */
    void (*then)(struct ms_file_job *job);  /* behind a common part: sniff, slot */
    void (*then2)(struct ms_file_job *job); /* ... and one inside another */
    enum ms_code code;
    struct ms_error err;

    uint64_t touches, size; /* of the image when this attempt began */
    struct ms_setattr attr;
    unsigned tries;
    char media_type[MS_MEDIA_TYPE_MAX + 1];
    bool sniffed, probed; /* probed: probe.facts are of these bytes */
    uint8_t *head;
    struct ms_probe_request probe;
    struct ms_file_io read;
    struct ms_uploaded uploaded;
    struct ms_basis *basis; /* made before the commit, which cannot be taken back */
    struct ms_slot *drops;  /* whose uploads are to be dropped */
    struct ms_intent_id *intents;
    size_t intents_n;

    struct ms_write_request request;
    pthread_t writer; /* who asked for it */
    union {
        struct {
            struct ms_slot_in in;
            struct ms_slot_out out;
        } slot;
        struct {
            struct ms_list_in in;
        } list;
        struct {
            struct ms_sealing in;
            struct ms_sealed out;
        } seal;
        struct {
            struct ms_drop_in in;
        } drop;
    } op;
};

/* file_job.c: steps and how to go from one to the next. */
void ms_file_job_go(struct ms_file_job *job, void (*step)(struct ms_file_job *job));
void ms_file_job_end(struct ms_file_job *job); /* with job->code and job->err */
enum ms_code ms_file_job_fail(struct ms_file_job *job,
                              enum ms_code code); /* remembers; job->err is filled */
/* The last act of a step, with no lock held: this thread may run the commit. */
void ms_file_job_write(struct ms_file_job *job, ms_write_fn *fn, const void *in, void *out,
                       size_t out_size, void (*step)(struct ms_file_job *job));
void ms_file_job_call(struct ms_file_job *job, struct ms_tree_call *call);
void ms_file_job_sniff(struct ms_file_job *job, void (*then)(struct ms_file_job *job));
/* Behind sniff: have the content examined where it is one that is. Behind it job->code says whether it
 * worked: MS_UNAVAILABLE there is nobody to examine it, and nothing is judged. */
void ms_file_job_probe(struct ms_file_job *job, void (*then)(struct ms_file_job *job));
/* Make sure that there is a slot, with an upload when there are bytes. Without one behind it: the
 * inode is gone. */
void ms_file_job_slot(struct ms_file_job *job, void (*then)(struct ms_file_job *job));
void ms_file_job_upload_done(void *job, enum ms_code code, const struct ms_error *err,
                             const struct ms_upload_result *result);
/* Every intent of the image: of its slots (but keep), and of its birth. */
MS_NODISCARD enum ms_code ms_file_job_intents(struct ms_file_job *job, const struct ms_slot *keep);
void ms_file_job_retire_slot(struct ms_file *file);
void ms_file_job_drop_slots(struct ms_file_job *job); /* job->drops */

/* file_sync.c, file_finish.c: where jobs begin. */
void ms_file_job_sync(struct ms_file_job *job);
void ms_file_job_finish(struct ms_file_job *job);
void ms_file_job_drop(struct ms_file_job *job);

/* file_rebase.c: apply the patch to the version that the inode has now. Errors: MS_NOT_FOUND;
 * MS_NO_SPACE, MS_IO. */
MS_NODISCARD enum ms_code ms_image_rebase(struct ms_file *file, struct ms_error *reterr);

#endif
