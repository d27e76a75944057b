/* gc: objects behind tombstones, and what no row knows.
 *
 * A tombstone is claimed by a committed row before anything is deleted: in LMDB a reader may see a
 * commit before it is on disk, so only what the deleter itself has made durable counts. The bytes
 * go, then the rows; killed between the two, the claim of a dead process is taken over and the
 * DELETE is repeated, which is allowed.
 */
#include "service/upkeep.h"

#include "service/tree_rows.h"
#include "service/upkeep_list.h"
#include "service/writeback.h"

#include <stdio.h>
#include <stdlib.h>

#define OBJECTS_A_COMMIT 256u
#define HASH_ROWS_A_COMMIT 8000u
#define MS_CLOCK_KEY_PREFIX ".catalogue/clock-"
/* Deletions that fail one behind the other: then it is the store, and no object of it. A store that refuses answers
 * quickly, and may hold many objects. */
#define FAILED_IN_A_ROW_MAX 8u
#define REFUSED_IN_A_ROW_MAX 1000u

struct tomb {
    struct ms_object_id object;
    struct ms_instance_id deleter; /* as it was when it was read */
    uint64_t size;
    char key[MS_OBJECT_KEY_MAX + 1];
    bool ours;    /* claimed */
    bool deleted; /* from the store */
};

struct gc {
    struct ms_svc *svc;
    const struct ms_gc_options *options;
    bool dry_run;
    struct ms_instant before; /* none: whatever its age; by the host's clock */
    struct ms_instant stored_before; /* the same by the object store's */
    struct ms_gc_result result;
    uint64_t done; /* for the progress */
    unsigned failed_row;    /* deletions that failed, one behind the other */
    struct ms_error failed; /* the first of all that failed */
    bool finished;          /* all that could be done has been */
    struct tomb *tomb; /* of the batch */
    unsigned n;
};

static enum ms_code write_op(struct gc *gc, ms_write_fn *fn, const void *in, void *out,
                             size_t out_size, struct ms_error *reterr) {
    struct ms_write write = {.fn = fn,
                             .in = in,
                             .out = out,
                             .out_size = out_size,
                             .fence = ms_store_fence(gc->svc->store),
                             .frees = true};
    return ms_store_write(gc->svc->store, &write, reterr);
}

static enum ms_code go_on(struct gc *gc, uint64_t more, struct ms_error *reterr) {
    gc->done += more;
    if (!gc->options->progress || gc->options->progress(gc->options->priv, gc->done))
        return MS_OK;
    return ms_fail(reterr, MS_CANCELLED, "stopped; begin again any time");
}

/* ---- what cannot be deleted -------------------------------------------------------------------- */

/* An object or upload that stays: the next one may go. Errors: err, when there is no use in going on. */
static enum ms_code leave(struct gc *gc, enum ms_code code, const struct ms_error *err,
                          struct ms_error *reterr) {
    unsigned most = code == MS_DENIED || code == MS_NOT_PERMITTED ? REFUSED_IN_A_ROW_MAX
                                                                  : FAILED_IN_A_ROW_MAX;
    if (!ms_stored_fails_alone(code) || ++gc->failed_row >= most)
        return ms_pass_up(code, err, reterr);
    if (gc->failed.code == MS_OK)
        gc->failed = *err;
    gc->result.left++;
    return MS_OK;
}

/* Errors: as leave(); MS_OK does not say that it was deleted. */
static enum ms_code delete_one(struct gc *gc, const char *key, bool *ret_deleted,
                               struct ms_error *reterr) {
    struct ms_error err = {0};
    enum ms_code code = ms_stored_delete(gc->svc, key, &err);
    *ret_deleted = code == MS_OK;
    if (code != MS_OK)
        return leave(gc, code, &err, reterr);
    gc->failed_row = 0;
    return MS_OK;
}

/* All of them in one request where the store takes that; false with MS_OK: it does not, or it failed for some key and
 * does not say for which alone: one by one. */
static enum ms_code delete_at_once(struct gc *gc, const char *const *keys, size_t n,
                                   bool *ret_deleted, struct ms_error *reterr) {
    struct ms_obj_request request = {.op = MS_OBJ_DELETE_MANY, .keys = keys, .keys_n = n};
    struct ms_error err = {0};
    *ret_deleted = n == 0;
    if (n == 0 || !gc->svc->obj->caps.batch_delete)
        return MS_OK;
    enum ms_code code = ms_obj_run(gc->svc->obj, &request, &err);
    *ret_deleted = code == MS_OK;
    if (code == MS_OK)
        gc->failed_row = 0;
    return ms_stored_fails_alone(code) ? MS_OK : ms_pass_up(code, &err, reterr);
}

/* ---- plan: tombstones that are old enough and nobody's --------------------------------------- */

static enum ms_code plan_tomb(void *priv, struct ms_txn *txn, struct ms_view key,
                              struct ms_view value, struct ms_error *reterr) {
    struct gc *gc = priv;
    struct ms_tombstone_record row;
    (void)txn, (void)key;
    MS_TRY(ms_tombstone_decode(value, &row, reterr));
    if (!ms_instant_is_none(gc->before) && row.dead_since.ms > gc->before.ms) {
        gc->result.tombstones++;
        return MS_OK;
    }
    MS_ASSERT(gc->n < OBJECTS_A_COMMIT * 4);
    struct tomb *tomb = &gc->tomb[gc->n++];
    *tomb = (struct tomb){.object = {row.object}, .deleter = {row.deleter}, .size = row.size};
    memcpy(tomb->key, row.key, sizeof tomb->key);
    return MS_OK;
}

/* A live process that has claimed one is deleting it. */
static void leave_to_others(struct gc *gc) {
    struct ms_instance_id self = ms_store_instance(gc->svc->store);
    unsigned kept = 0;
    for (unsigned i = 0; i < gc->n; i++) {
        struct ms_instance_id deleter = gc->tomb[i].deleter;
        if (!ms_instance_id_is_none(deleter) && !ms_instance_id_equal(deleter, self) &&
            ms_store_instance_alive(gc->svc->store, deleter))
            gc->result.tombstones++;
        else
            gc->tomb[kept++] = gc->tomb[i];
    }
    gc->n = kept;
}

/* ---- claim ----------------------------------------------------------------------------------- */

struct claim {
    const struct tomb *tomb;
    unsigned n;
    struct ms_instance_id by;
    bool give_back;
};
struct claimed {
    bool ours[OBJECTS_A_COMMIT];
};

static enum ms_code claim_one(struct ms_txn *txn, const struct claim *claim,
                              const struct tomb *tomb, bool *ret_ours, struct ms_error *reterr) {
    struct ms_instance_id expected = claim->give_back ? claim->by : tomb->deleter;
    struct ms_tombstone_record row;
    bool there;
    MS_TRY(ms_allow_absent(ms_row_get_tombstone(txn, ms_key_tomb(tomb->object), &row, reterr),
                           &there));
    if (!there || !ms_instance_id_equal((struct ms_instance_id){row.deleter}, expected))
        return MS_OK;
    row.deleter = claim->give_back ? (struct ms_id){{0}} : claim->by.id;
    *ret_ours = true;
    return ms_row_put_tombstone(txn, ms_key_tomb(tomb->object), &row, reterr);
}

static enum ms_code claim_op(struct ms_txn *txn, const void *in, void *out,
                             struct ms_error *reterr) {
    const struct claim *claim = in;
    struct claimed *claimed = out;
    for (unsigned i = 0; i < claim->n; i++)
        MS_TRY(claim_one(txn, claim, &claim->tomb[i], &claimed->ours[i], reterr));
    return MS_OK;
}

static enum ms_code claim(struct gc *gc, struct tomb *tomb, unsigned n, struct ms_error *reterr) {
    struct claim in = {.tomb = tomb, .n = n, .by = ms_store_instance(gc->svc->store)};
    struct claimed out;
    MS_TRY(write_op(gc, claim_op, &in, &out, sizeof out, reterr));
    for (unsigned i = 0; i < n; i++)
        tomb[i].ours = out.ours[i];
    return MS_OK;
}

/* Of one whose DELETE failed: another process may try. */
static enum ms_code give_back(struct gc *gc, const struct tomb *tomb, struct ms_error *reterr) {
    struct claim in = {
        .tomb = tomb, .n = 1, .by = ms_store_instance(gc->svc->store), .give_back = true};
    struct claimed out;
    return write_op(gc, claim_op, &in, &out, sizeof out, reterr);
}

/* ---- delete ---------------------------------------------------------------------------------- */

/* Errors: there is no use in going on; what was deleted until then is marked. */
static enum ms_code delete_objects(struct gc *gc, struct tomb *tomb, unsigned n,
                                   struct ms_error *reterr) {
    const char *keys[OBJECTS_A_COMMIT];
    size_t keys_n = 0;
    bool all;
    for (unsigned i = 0; i < n; i++)
        if (tomb[i].ours)
            keys[keys_n++] = tomb[i].key;
    MS_TRY(delete_at_once(gc, keys, keys_n, &all, reterr));
    for (unsigned i = 0; i < n; i++)
        if (tomb[i].ours && all)
            tomb[i].deleted = true;
        else if (tomb[i].ours)
            MS_TRY(delete_one(gc, tomb[i].key, &tomb[i].deleted, reterr));
    return MS_OK;
}

/* ---- forget ---------------------------------------------------------------------------------- */

struct forget {
    const struct tomb *tomb;
    unsigned from, n;
    struct ms_instance_id by;
};
struct forgotten {
    unsigned n; /* tombstones of the batch that are done with */
    uint64_t deleted, bytes;
};

/* At most *budget rows. *ret_all: there are no more. */
static enum ms_code forget_hashes(struct ms_txn *txn, struct ms_object_id object, unsigned *budget,
                                  bool *ret_all, struct ms_error *reterr) {
    struct ms_key prefix = ms_key_hashes_of(object);
    struct ms_scan scan;
    struct ms_view key, value;
    enum ms_code code = MS_OK;
    ms_scan_prefix(&scan, txn, ms_key_view(&prefix));
    while (*budget > 0 && (code = ms_scan_next(&scan, &key, &value, reterr)) == MS_OK) {
        if ((code = ms_txn_del(txn, key, reterr)) != MS_OK)
            break;
        --*budget;
    }
    ms_scan_end(&scan);
    *ret_all = code == MS_NOT_FOUND;
    return *ret_all ? MS_OK : code;
}

static enum ms_code forget_op(struct ms_txn *txn, const void *in, void *out,
                              struct ms_error *reterr) {
    const struct forget *f = in;
    struct forgotten *o = out;
    unsigned budget = HASH_ROWS_A_COMMIT;
    for (unsigned i = f->from; i < f->n; i++, o->n++) {
        const struct tomb *tomb = &f->tomb[i];
        struct ms_tombstone_record row;
        bool there, all;
        if (!tomb->deleted)
            continue;
        MS_TRY(ms_allow_absent(ms_row_get_tombstone(txn, ms_key_tomb(tomb->object), &row, reterr),
                               &there));
        if (!there || !ms_instance_id_equal((struct ms_instance_id){row.deleter}, f->by))
            continue;
        MS_TRY(forget_hashes(txn, tomb->object, &budget, &all, reterr));
        if (!all)
            return MS_OK;
        MS_TRY(ms_row_del(txn, ms_key_tomb(tomb->object), reterr));
        o->deleted++;
        o->bytes += row.size;
    }
    return MS_OK;
}

static enum ms_code forget(struct gc *gc, const struct tomb *tomb, unsigned n,
                           struct ms_error *reterr) {
    struct forget in = {.tomb = tomb, .n = n, .by = ms_store_instance(gc->svc->store)};
    while (in.from < n) {
        struct forgotten out;
        MS_TRY(write_op(gc, forget_op, &in, &out, sizeof out, reterr));
        in.from += out.n;
        gc->result.deleted += out.deleted;
        gc->result.deleted_bytes += out.bytes;
    }
    return MS_OK;
}

/* ---- tombstones ------------------------------------------------------------------------------ */

static enum ms_code bury(struct gc *gc, struct tomb *tomb, unsigned n, struct ms_error *reterr) {
    struct ms_error err = {0};
    MS_TRY(claim(gc, tomb, n, reterr));
    enum ms_code failed = delete_objects(gc, tomb, n, &err);
    for (unsigned i = 0; i < n; i++) /* one that was never uploaded, or not yet seen to be */
        if (tomb[i].deleted)
            ms_near_remove(gc->svc, tomb[i].key);
    MS_TRY(forget(gc, tomb, n, reterr));
    for (unsigned i = 0; i < n; i++)
        if (tomb[i].ours && !tomb[i].deleted)
            MS_TRY(give_back(gc, &tomb[i], reterr));
    return ms_pass_up(failed, &err, reterr);
}

static enum ms_code bury_planned(struct gc *gc, struct ms_error *reterr) {
    leave_to_others(gc);
    for (unsigned i = 0; gc->dry_run && i < gc->n; i++) {
        gc->result.deleted++;
        gc->result.deleted_bytes += gc->tomb[i].size;
    }
    for (unsigned at = 0; !gc->dry_run && at < gc->n; at += OBJECTS_A_COMMIT)
        MS_TRY(bury(gc, gc->tomb + at,
                    gc->n - at < OBJECTS_A_COMMIT ? gc->n - at : OBJECTS_A_COMMIT, reterr));
    gc->n = 0;
    return MS_OK;
}

static enum ms_code tombstones(struct gc *gc, struct ms_error *reterr) {
    struct ms_walk walk = {.prefix = ms_key_tombs(), .each = plan_tomb, .priv = gc};
    while (!walk.ended) { /* one read plans at most 512 */
        MS_TRY(ms_walk_some(gc->svc, &walk, reterr));
        uint64_t n = gc->n;
        MS_TRY(bury_planned(gc, reterr));
        MS_TRY(go_on(gc, n, reterr));
    }
    return MS_OK;
}

/* ---- strays ---------------------------------------------------------------------------------- */

/* What goes to the object store in one request where it takes many. */
struct strays {
    struct ms_stored at[OBJECTS_A_COMMIT];
    unsigned n;
};

/* Bytes of an upload's parts; it is no matter when they cannot be told. */
static uint64_t bytes_of_parts(struct gc *gc, const struct ms_stored *upload) {
    struct ms_obj_request request = {
        .op = MS_OBJ_MP_PARTS, .key = upload->key, .upload_id = upload->upload_id};
    uint64_t bytes = 0;
    if (ms_obj_run(gc->svc->obj, &request, NULL) == MS_OK)
        for (size_t i = 0; i < request.ret_n; i++)
            bytes += request.ret_parts[i].size;
    free(request.ret_parts);
    return bytes;
}

static enum ms_code abort_upload(struct gc *gc, const struct ms_stored *upload,
                                 struct ms_error *reterr) {
    uint64_t bytes = bytes_of_parts(gc, upload);
    struct ms_error err = {0};
    enum ms_code code = gc->dry_run ? MS_OK : ms_stored_abort(gc->svc, upload, &err);
    if (code == MS_OK) {
        gc->failed_row = 0;
        gc->result.uploads_aborted++;
        gc->result.uploads_bytes += bytes;
    } else {
        MS_TRY(leave(gc, code, &err, reterr));
    }
    return go_on(gc, 1, reterr);
}

static enum ms_code delete_strays(struct gc *gc, struct strays *strays, struct ms_error *reterr) {
    const char *keys[OBJECTS_A_COMMIT];
    bool all = true;
    for (unsigned i = 0; i < strays->n; i++)
        keys[i] = strays->at[i].key;
    if (!gc->dry_run)
        MS_TRY(delete_at_once(gc, keys, strays->n, &all, reterr));
    for (unsigned i = 0; i < strays->n; i++) {
        bool deleted = all;
        if (!all)
            MS_TRY(delete_one(gc, keys[i], &deleted, reterr));
        gc->result.strays_deleted += deleted;
        gc->result.strays_bytes += deleted ? strays->at[i].size : 0;
    }
    uint64_t n = strays->n;
    strays->n = 0;
    return go_on(gc, n, reterr);
}

static enum ms_code remove_unknown(struct gc *gc, struct ms_stored_list *list,
                                   const struct ms_numbers *known, struct strays *strays,
                                   struct ms_error *reterr) {
    struct ms_stored stored;
    enum ms_code code;
    while ((code = ms_stored_list_next(list, &stored, reterr)) == MS_OK) {
        if (ms_numbers_have(known, ms_key_hash(stored.key)))
            continue;
        if (stored.upload_id[0])
            MS_TRY(abort_upload(gc, &stored, reterr));
        else
            strays->at[strays->n++] = stored;
        if (strays->n == OBJECTS_A_COMMIT)
            MS_TRY(delete_strays(gc, strays, reterr));
    }
    if (code != MS_NOT_FOUND)
        return code;
    return delete_strays(gc, strays, reterr);
}

/* An upload is alive as long as its intent is: once the object is sealed nothing completes it. */
static enum ms_code strays(struct gc *gc, bool uploads, struct ms_error *reterr) {
    MS_AUTO(ms_stored_list_fini) struct ms_stored_list list = {NULL, 0};
    MS_AUTO(ms_numbers_fini) struct ms_numbers known = {NULL, 0, 0};
    MS_TRY(ms_stored_list_make(gc->svc, uploads, gc->stored_before, &list, reterr));
    MS_TRY(go_on(gc, list.n, reterr));
    if (list.n == 0)
        return MS_OK;
    MS_TRY(ms_known_keys(gc->svc, uploads, &known, reterr));
    struct strays *found = calloc(1, sizeof *found);
    if (!found)
        return ms_fail(reterr, MS_NO_MEMORY, "no memory for deleting objects");
    enum ms_code code = remove_unknown(gc, &list, &known, found, reterr);
    free(found);
    return code;
}

/* ---- the object store's clock ---------------------------------------------------------------- */

/* What the store says of an object that was put just now; none when it does not say. One that cannot be deleted is left
 * to old_clocks(). */
static enum ms_code store_now(struct ms_svc *svc, const char *key, struct ms_instant *ret_now,
                              struct ms_error *reterr) {
    struct ms_obj_request put = {
        .op = MS_OBJ_PUT, .key = key, .body = {.memory = ms_view_str("now"), .length = 3}};
    struct ms_obj_request list = {.op = MS_OBJ_LIST, .key = key, .list_max = 1};
    MS_TRY(ms_obj_run(svc->obj, &put, reterr));
    enum ms_code code = ms_obj_run(svc->obj, &list, reterr);
    if (code == MS_OK && list.ret_n == 1)
        *ret_now = list.ret_entries[0].modified;
    free(list.ret_entries);
    (void)!ms_stored_delete(svc, key, NULL);
    return code;
}

/* A host whose clock runs ahead must not take what is young for old. A store that is full takes no object to ask it by:
 * then the host's clock has to do, or nothing would ever make room. What is in use has a row, whatever its age. */
static enum ms_code age_by_the_store(struct gc *gc, struct ms_error *reterr) {
    char key[80];
    struct ms_instant now = {0};
    struct ms_error err = {0};
    gc->stored_before = gc->before;
    if (gc->dry_run || ms_instant_is_none(gc->before))
        return MS_OK;
    (void)snprintf(key, sizeof key, MS_CLOCK_KEY_PREFIX "%s",
                   ms_id_text(ms_store_instance(gc->svc->store).id).s);
    enum ms_code code = store_now(gc->svc, key, &now, &err);
    if (code != MS_OK && code != MS_NO_SPACE)
        return ms_pass_up(code, &err, reterr);
    if (!ms_instant_is_none(now))
        gc->stored_before = ms_instant_add_ms(now, -gc->options->grace_ms);
    return MS_OK;
}

/* Those of processes that were killed before they deleted theirs, a page of them a run. */
static enum ms_code old_clocks(struct gc *gc, struct ms_error *reterr) {
    struct ms_obj_request list = {.op = MS_OBJ_LIST, .key = MS_CLOCK_KEY_PREFIX, .list_max = 1000};
    enum ms_code code = gc->dry_run ? MS_OK : ms_obj_run(gc->svc->obj, &list, reterr);
    for (size_t i = 0; i < list.ret_n && code == MS_OK; i++) {
        bool deleted, old = ms_instant_is_none(gc->stored_before) ||
                            list.ret_entries[i].modified.ms <= gc->stored_before.ms;
        if (old)
            code = delete_one(gc, list.ret_entries[i].key, &deleted, reterr);
    }
    free(list.ret_entries);
    return code;
}

/* ---- entry point ----------------------------------------------------------------------------- */

static enum ms_code collect(struct gc *gc, struct ms_error *reterr) {
    MS_TRY(tombstones(gc, reterr));
    uint64_t near = 0;
    MS_TRY(ms_near_sweep(gc->svc, gc->before, !gc->dry_run, NULL, NULL, &near, reterr));
    gc->result.strays_deleted += near;
    MS_TRY(age_by_the_store(gc, reterr));
    MS_TRY(strays(gc, true, reterr));
    MS_TRY(strays(gc, false, reterr));
    MS_TRY(old_clocks(gc, reterr));
    gc->finished = true;
    if (gc->result.left == 0)
        return MS_OK;
    return ms_fail(reterr, gc->failed.code,
                   "%llu objects or unfinished uploads could not be deleted, and are tried again the next time; the "
                   "first: %.250s",
                   (unsigned long long)gc->result.left, gc->failed.message);
}

enum ms_code ms_gc_with(struct ms_svc *svc, const struct ms_gc_options *options,
                        struct ms_gc_result *ret_result, struct ms_error *reterr) {
    struct gc gc = {.svc = svc, .options = options, .dry_run = options->dry_run};
    if (svc->read_only && !gc.dry_run)
        return ms_fail(reterr, MS_READ_ONLY, "the store %s is open read-only: nothing is deleted",
                       svc->dir);
    if (options->grace_ms < 0)
        return ms_fail(reterr, MS_INVALID, "a grace of %lld ms ends before it begins",
                       (long long)options->grace_ms);
    if (options->grace_ms > 0)
        gc.before = ms_instant_add_ms(ms_clock_now(svc->clock), -options->grace_ms);
    gc.tomb = calloc(OBJECTS_A_COMMIT * 4, sizeof *gc.tomb);
    if (!gc.tomb)
        return ms_fail(reterr, MS_NO_MEMORY, "no memory for deleting objects");
    struct ms_error err = {0};
    enum ms_code code = collect(&gc, &err);
    free(gc.tomb);
    if (gc.finished || code == MS_CANCELLED)
        *ret_result = gc.result;
    return ms_pass_up(code, &err, reterr);
}

enum ms_code ms_gc(struct ms_svc *svc, int64_t grace_ms, bool dry_run,
                   struct ms_gc_result *ret_result, struct ms_error *reterr) {
    struct ms_gc_options options = {.grace_ms = grace_ms, .dry_run = dry_run};
    return ms_gc_with(svc, &options, ret_result, reterr);
}
