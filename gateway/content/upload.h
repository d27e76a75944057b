/* upload.h — from a stage to one immutable object: parts in parallel, touched parts again, hashes
 * on the way.
 *
 * A state machine; nothing here waits. It knows nothing of records: the service commits the intent
 * before ms_upload_new (row before bytes), the part list after a sync, the version after a finish.
 * A file of at most one part is one PUT at finish; anything larger is a multipart upload whose
 * parts are sent while the writer still writes, part 1 held back until the first sync or the finish
 * (every MP4 patches it). Of the base version, the store copies every part that nobody wrote into
 * where it can (its blocks' hashes are inherited: what rots on the way is found by the reader);
 * parts that were touched get the rest of their bytes from `base` first (a fill of the stage).
 *
 *   NEW --write--> (parts go out) --sync--> LISTED --write--> ... --finish--> DONE
 *    any --drop--> ABORTED            any failure of the store: sync/finish fail and may be
 * repeated
 *
 * Invariants: one generation of a part is in flight at a time; finish names the ETags recorded
 * last; a listed part is never sent again shorter before a new list is committed. Threads: any;
 * calls are serialised by the upload.
 */
#ifndef MS_CONTENT_UPLOAD_H
#define MS_CONTENT_UPLOAD_H

#include "content/parts.h"
#include "content/reader.h"
#include "content/stage.h"

struct ms_upload;

#define MS_UPLOAD_TYPE_MAX 127 /* of a content type */

struct ms_upload_options {
    struct ms_obj *obj;
    struct ms_cache *cache;       /* for ranges of base */
    struct ms_stage *stage;       /* stays until freed */
    const struct ms_source *base; /* NULL: none; stays until freed */
    const char *key;              /* written once; copied */
    unsigned block_log2;
    struct ms_obj_meta meta; /* strings are copied */
    /* Asked once, on a thread of the engine, just before the object is born (with multipart: before
     * its first part): the content type, "" for meta's. It may read the stage. NULL: meta's. */
    void (*content_type)(void *priv, struct ms_stage *stage, char ret_type[MS_UPLOAD_TYPE_MAX + 1]);
    void *content_type_priv;
    /* 0: from 8 on, and more as long as that makes the parts come through faster */
    unsigned parts_in_flight_max;
};
MS_NODISCARD enum ms_code ms_upload_new(const struct ms_upload_options *options,
                                        struct ms_upload **ret_upload, struct ms_error *reterr);
/* Needs: no call outstanding; the last done may do it. Changes nothing in the store. After neither
 * finish nor drop it waits for parts that are on their way; then not on a thread of the engine.
 * NULL is fine. */
void ms_upload_free(struct ms_upload *upload);

/* Bytes were written behind the cursor: whole parts before up_to may go out. Cheap; call after each
 * write. */
void ms_upload_written(struct ms_upload *upload, uint64_t offset, uint64_t length);

/* What a finished sync or finish found. Its pointers hold until done returns, whatever another
 * thread asks of the upload meanwhile. */
struct ms_upload_result {
    uint64_t size;
    uint64_t generation;             /* of the stage that this covers */
    const char *upload_id;           /* "" when it was one PUT */
    const struct ms_obj_part *parts;
    size_t parts_n;
    const char *etag;               /* of the object; finish only */
    const struct ms_hashes *hashes; /* finish only */
    uint8_t root[16];
};
typedef void ms_upload_done_fn(void *priv, enum ms_code code, const struct ms_error *err,
                               const struct ms_upload_result *result);

/* fsync: all dirty bytes are in the store as parts (part 1 and the tail included); without
 * multipart as a PUT of the whole under key + ".fsync". The object is not visible yet. */
void ms_upload_sync(struct ms_upload *upload, ms_upload_done_fn *done, void *priv);
/* Seal: as sync, then the object stands under its key. A further write afterwards needs a new
 * upload. */
void ms_upload_finish(struct ms_upload *upload, ms_upload_done_fn *done, void *priv);
/* Bytes that the store has, whatever becomes of them; *ret_busy: more are on their way. For
 * progress bars and for whoever writes much faster than the store takes. */
uint64_t ms_upload_sent(struct ms_upload *upload, bool *ret_busy);
/* Abort what is in the store, best effort; gc finds the rest. */
void ms_upload_drop(struct ms_upload *upload, ms_upload_done_fn *done, void *priv);

#endif
