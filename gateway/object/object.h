/* object.h — where bytes live: one asynchronous interface over every kind of object store.
 *
 * A driver implements submit() and cancel() for the operations that it declares; wrappers (retry, verify, trace,
 * fault) are drivers around a driver. The contract suite (tests/contract) is this header as a program and runs
 * against every driver, bare and wrapped.
 *
 * Contract
 *  O1 submit() never blocks on the store and calls done exactly once, on any thread, possibly before it returns.
 *  O2 keys are written once: PUT and MP_COMPLETE to a key replace it atomically; a reader sees all or nothing.
 *  O3 MS_OK of PUT, MP_PUT and MP_COMPLETE means durable: it survives a power cut.
 *  O4 A read gives exactly length bytes or fails; nothing is said about bytes of the buffer after a failure.
 *  O5 an operation that is not declared ends with MS_UNSUPPORTED and changes nothing.
 *  O6 DELETE and MP_ABORT of what is not there succeed: both may be repeated. MP_COMPLETE repeated after a lost
 *     reply succeeds when the object is there.
 *  O7 MP_COMPLETE names each part's ETag; a part replaced since then is MS_CONFLICT and nothing is completed.
 *  O8 after MP_COMPLETE or MP_ABORT every further MP_PUT of that upload is MS_NOT_FOUND.
 *  O9 every operation ends: by its deadline at the latest, with MS_TIMEOUT. PUT, MP_PUT and GET without a timeout_ms
 *     may go on behind the default one while their bytes move, each at no less than a rate that the driver names.
 * O10 a key is 1..MS_OBJECT_KEY_MAX bytes of UTF-8 in components of 1..255 bytes between '/'; none is "." or "..",
 *     none has a control character, the first is not one of the names that drivers keep for themselves (it does
 *     not begin with ".uploads" or ".sidecar"). Anything else is MS_INVALID in every driver. No key is a folder
 *     of another one ("a" beside "a/b"): a driver may refuse that with MS_EXISTS.
 * O11 a failed operation changes nothing, but for MP_PUT over a part that is there where part_in_place is
 *     declared: the part keeps its size and may hold bytes of both, and its ETag is a new one.
 *
 * Threads: a struct ms_obj may be used by all threads. Request memory is the caller's from submit to done, and is
 * touched by nobody else then; it stays until a ms_obj_cancel() for it has returned.
 */
#ifndef MS_OBJECT_OBJECT_H
#define MS_OBJECT_OBJECT_H

#include "base/buf.h"
#include "base/id.h"
#include "base/log.h"
#include "base/random.h"
#include "model/limits.h"
#include "object/engine.h"

#define MS_OBJ_OPS(X)                                                                              \
    X(PUT)        /* key, body, meta -> etag */                                                    \
    X(GET)        /* key, offset, length -> into, n, size, etag */                                               \
    X(HEAD)       /* key -> size, etag, meta */                                                    \
    X(DELETE)     /* key */                                                                        \
    X(LIST)       /* prefix in key (NULL: all), after, list_max -> entries, more */                \
    X(MP_CREATE)  /* key, meta -> upload_id */                                                     \
    X(MP_PUT)     /* key, upload_id, part_no, part_offset, body -> etag */                         \
    X(MP_COMPLETE) /* key, upload_id, parts -> etag */                                             \
    X(MP_ABORT)   /* key, upload_id */                                                             \
    X(MP_LIST)    /* prefix in key, after and upload_id, list_max -> entries, more */              \
    X(MP_PARTS)   /* key, upload_id -> all parts (part_no, size, etag), ascending */               \
    X(COPY)       /* source_key -> key */                                                          \
    X(MP_COPY)    /* as MP_PUT, the bytes from source_key, offset, length -> etag */               \
    X(DELETE_MANY) /* keys */
enum ms_obj_op {
#define MS_OBJ_OP_ENUM(n) MS_OBJ_##n,
    MS_OBJ_OPS(MS_OBJ_OP_ENUM)
#undef MS_OBJ_OP_ENUM
        MS_OBJ_OP_COUNT
};

/* What a driver can do beyond PUT, GET, HEAD, DELETE, LIST. */
struct ms_obj_caps {
    bool multipart;    /* MP_* but MP_COPY */
    bool part_copy;    /* MP_COPY */
    bool copy;         /* COPY */
    bool batch_delete; /* DELETE_MANY */
    bool presign_get, presign_put;
    bool part_in_place; /* parts go to part_offset of the final file: sizes may differ freely */
    uint64_t put_bytes_max;
    uint64_t part_bytes_min; /* of every part but the last */
    size_t meta_bytes_max;   /* of all keys and values together; 0: whatever struct ms_obj_meta can hold */
};

/* Bytes to send: memory, or a range of a file that stays open and unchanged until done. */
struct ms_obj_body {
    struct ms_view memory;
    int fd;         /* used when memory.p is NULL and length > 0 */
    uint64_t fd_offset;
    uint64_t length;
};

/* Birth facts, stored with the object and never changed: what is needed to rebuild the catalogue. */
#define MS_OBJ_META_MAX 8
struct ms_obj_meta {
    const char *content_type; /* NULL: application/octet-stream */
    struct {
        const char *key, *value; /* [a-z0-9-]{1,32}, printable ASCII up to 1 KiB */
    } pair[MS_OBJ_META_MAX];
    size_t pairs;
};

struct ms_obj_part {
    uint32_t part_no; /* 1..MS_PARTS_MAX */
    uint64_t size;
    char etag[MS_ETAG_MAX + 1];
};

/* Drivers without lasting ETags of their own make one up from size and time when an object's metadata is gone (its
 * file was copied without attributes): such a one says nothing about whether the object was replaced. */
#define MS_ETAG_MADE_UP "file-"
static inline bool ms_etag_tells(const char *etag) {
    return etag[0] != '\0' && strncmp(etag, MS_ETAG_MADE_UP, sizeof MS_ETAG_MADE_UP - 1) != 0;
}

struct ms_obj_entry {
    char key[MS_OBJECT_KEY_MAX + 1];
    char upload_id[MS_UPLOAD_ID_MAX + 1]; /* MP_LIST */
    uint64_t size;
    struct ms_instant modified;           /* by the store's clock */
    char etag[MS_ETAG_MAX + 1];
};

struct ms_obj_request {
    enum ms_obj_op op;
    /* input, borrowed until done */
    const char *key;
    const char *upload_id;
    const char *source_key;
    uint32_t part_no;
    uint64_t part_offset;  /* of the part in the finished object */
    uint64_t offset, length;
    struct ms_obj_body body;
    void *into;            /* GET: length bytes */
    bool fresh;            /* GET: not from a cache: what was cached of it was wrong, and is dropped */
    const struct ms_obj_meta *meta;
    const struct ms_obj_part *parts; /* MP_COMPLETE: ascending part_no */
    const char *const *keys;         /* DELETE_MANY */
    size_t parts_n, keys_n;
    const char *after;     /* LIST, MP_LIST: keys behind this one; NULL: from the start. MP_LIST with upload_id:
                              also the uploads of that very key whose id is behind upload_id */
    size_t list_max;       /* LIST, MP_LIST: 1..1000 */
    int64_t timeout_ms;    /* 0: the driver's default, by operation and size (O9) */
    void (*done)(struct ms_obj_request *request);
    void *priv;            /* the caller's */

    /* results, valid in done */
    enum ms_code code;
    struct ms_error error;
    char ret_etag[MS_ETAG_MAX + 1];
    char ret_upload_id[MS_UPLOAD_ID_MAX + 1];
    uint64_t ret_size;        /* HEAD, GET: of the whole object */
    struct ms_buf ret_meta;   /* HEAD: lines "key=value\n"; content-type first. ms_buf_fini by the caller */
    struct ms_obj_entry *ret_entries; /* LIST, MP_LIST: free() by the caller */
    struct ms_obj_part *ret_parts;    /* MP_PARTS: free() by the caller */
    size_t ret_n;             /* of the above; GET: bytes in into */
    bool ret_more;
    int64_t ret_retry_after_ms; /* with a failure: the store asks to be left alone for so long; 0: it does not say */

    /* of the driver or wrapper that holds it now */
    struct ms_task task;
    struct ms_timer timer;
    void *drv;
    int turn;      /* atomic */
    int cancelled; /* atomic; zero before the first submit, and never cleared by anyone but the caller */
};

/* A URL for somebody who has no keys. */
struct ms_obj_presign {
    enum ms_obj_op op; /* MS_OBJ_GET, or MS_OBJ_MP_PUT */
    const char *key;
    int64_t expires_s; /* 1..MS_OBJ_PRESIGN_S_MAX from now */
    /* MP_PUT: that part, and nothing else than what is signed here: the store refuses another length, other bytes
     * under the MD5, another type. A PUT to the key itself is never signed: it would stay good after the object is
     * sealed, while a part can be sent until its upload is completed or aborted (O8). */
    const char *upload_id;
    uint32_t part_no;
    uint64_t content_length;
    bool any_length;          /* content_length is not signed: a large file's parts, of any size */
    const char *content_md5;  /* 24 characters of base64; NULL: any bytes of that length */
    const char *content_type; /* NULL: any */
};
#define MS_OBJ_PRESIGN_S_MAX (7 * 24 * 3600)

struct ms_obj;
struct ms_obj_ops {
    const char *name;
    void (*submit)(struct ms_obj *obj, struct ms_obj_request *request);
    /* Ask a running request to end early with MS_CANCELLED; done still comes, with whichever result won. */
    void (*cancel)(struct ms_obj *obj, struct ms_obj_request *request);
    void (*close)(struct ms_obj *obj); /* needs: no request in flight. A wrapper closes what it wraps. */
    /* Of a driver that declares it, else NULL; the input is checked. */
    enum ms_code (*presign)(struct ms_obj *obj, const struct ms_obj_presign *what, struct ms_buf *ret_url,
                            struct ms_buf *ret_headers, struct ms_error *reterr);
};
struct ms_obj {
    const struct ms_obj_ops *ops;
    struct ms_obj_caps caps;
    struct ms_engine *engine;
    struct ms_obj *inner; /* of a wrapper: what it wraps */
};

static inline void ms_obj_submit(struct ms_obj *obj, struct ms_obj_request *r) { obj->ops->submit(obj, r); }
static inline void ms_obj_cancel(struct ms_obj *obj, struct ms_obj_request *r) { obj->ops->cancel(obj, r); }
void ms_obj_close(struct ms_obj *obj); /* NULL is fine */

/* The blocking form: submit and wait; done and priv of the request are used. For commands, tests and background
 * workers, never on a thread of the engine. */
MS_NODISCARD enum ms_code ms_obj_run(struct ms_obj *obj, struct ms_obj_request *request,
                                     struct ms_error *reterr);

/* Make a URL, and the headers that a client must send with it: lines "name: value\n", none for GET. Never blocks,
 * asks nobody: whether the object or the upload is there is seen by whoever uses it. Both buffers are written anew,
 * and owned by the caller; the URL is a secret until it expires.
 * Errors: MS_UNSUPPORTED not declared (caps.presign_get, presign_put); MS_INVALID with the rule. */
MS_NODISCARD enum ms_code ms_obj_presign(struct ms_obj *obj, const struct ms_obj_presign *what,
                                         struct ms_buf *ret_url, struct ms_buf *ret_headers,
                                         struct ms_error *reterr);

/* ---- opening --------------------------------------------------------------------------------- */

/* The object that says whose store this is; LIST shows it where it exists. */
#define MS_OBJ_MARKER_KEY ".msasset-store"

struct ms_obj_options {
    const char *url;  /* "dir:/abs/path"; "s3://BUCKET/..." or "libs3://BUCKET/..." (s3_place.h); "mem:" or, without
                         multipart and copies, "mem:plain" */
    struct ms_engine *engine;
    struct ms_random *random;
    struct ms_log *log;
    bool create;      /* make the folder, and the marker when nothing is there yet */
    unsigned tries_max;  /* retry wrapper; 0: 5 */
    bool trace;          /* one log line a call */
    const char *faults;  /* tests: script of the fault wrapper, or NULL (wrap_fault.h) */
    struct ms_id store_id; /* another store's prefix is refused with MS_FOREIGN; none: no marker, no check */
    bool may_be_down; /* a store that cannot be asked whose it is is opened all the same. It is asked before the first
                       * change, which ends with MS_FOREIGN when it is another one; or by ms_obj_check_owner */
    bool unasked;     /* it is not even asked; both: */
    bool *ret_unchecked; /* it was not asked; atomic, until the store is closed */
    const char *cache_dir; /* folder of the disk cache around it (wrap_disk.h); NULL: none */
    uint64_t cache_disk_bytes; /* its hard limit */
};
/* URL -> driver -> wrappers, on one screen (open.c). Blocks.
 * Errors: MS_CONFIG url; MS_FOREIGN other owner, or without create no marker; MS_UNAVAILABLE; MS_IO; of the cache what
 * ms_wrap_disk() says. */
MS_NODISCARD enum ms_code ms_obj_open(const struct ms_obj_options *options, struct ms_obj **ret_obj,
                                      struct ms_error *reterr);
/* The check that opening left out. Blocks. Errors: MS_FOREIGN; what the store says. */
MS_NODISCARD enum ms_code ms_obj_check_owner(struct ms_obj *obj, const char *url, struct ms_id store_id,
                                             struct ms_error *reterr);

#endif
