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

#include <stdlib.h>

#define OBJECTS_A_COMMIT 256u
#define HASH_ROWS_A_COMMIT 8000u

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
    bool dry_run;
    struct ms_instant before; /* none: whatever its age */
    struct ms_gc_result result;
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

static enum ms_code delete_many(struct gc *gc, struct tomb *tomb, unsigned n,
                                struct ms_error *reterr) {
    const char *keys[OBJECTS_A_COMMIT];
    struct ms_obj_request request = {.op = MS_OBJ_DELETE_MANY, .keys = keys};
    for (unsigned i = 0; i < n; i++)
        if (tomb[i].ours)
            keys[request.keys_n++] = tomb[i].key;
    if (request.keys_n == 0)
        return MS_OK;
    MS_TRY(ms_obj_run(gc->svc->obj, &request, reterr));
    for (unsigned i = 0; i < n; i++)
        tomb[i].deleted = tomb[i].ours;
    return MS_OK;
}

/* To the end even when some fail; the first failure is returned. */
static enum ms_code delete_objects(struct gc *gc, struct tomb *tomb, unsigned n,
                                   struct ms_error *reterr) {
    enum ms_code first = MS_OK;
    if (gc->svc->obj->caps.batch_delete)
        return delete_many(gc, tomb, n, reterr);
    for (unsigned i = 0; i < n; i++) {
        if (!tomb[i].ours)
            continue;
        enum ms_code code = ms_stored_delete(gc->svc, tomb[i].key, first == MS_OK ? reterr : NULL);
        tomb[i].deleted = code == MS_OK;
        first = first == MS_OK ? code : first;
    }
    return first;
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
    if (failed == MS_OK)
        return MS_OK;
    for (unsigned i = 0; i < n; i++)
        if (tomb[i].ours && !tomb[i].deleted)
            MS_TRY(give_back(gc, &tomb[i], reterr));
    if (reterr)
        *reterr = err;
    return failed;
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
        MS_TRY(bury_planned(gc, reterr));
    }
    return MS_OK;
}

/* ---- strays ---------------------------------------------------------------------------------- */

static enum ms_code remove_stray(struct gc *gc, const struct ms_stored *stray,
                                 struct ms_error *reterr) {
    bool upload = stray->upload_id[0] != '\0';
    if (!gc->dry_run)
        MS_TRY(upload ? ms_stored_abort(gc->svc, stray, reterr)
                      : ms_stored_delete(gc->svc, stray->key, reterr));
    gc->result.uploads_aborted += upload;
    gc->result.strays_deleted += !upload;
    return MS_OK;
}

static enum ms_code remove_unknown(struct gc *gc, struct ms_stored_list *list,
                                   const struct ms_numbers *known, struct ms_error *reterr) {
    struct ms_stored stored;
    enum ms_code code;
    while ((code = ms_stored_list_next(list, &stored, reterr)) == MS_OK)
        if (!ms_numbers_have(known, ms_key_hash(stored.key)))
            MS_TRY(remove_stray(gc, &stored, reterr));
    return code == MS_NOT_FOUND ? MS_OK : code;
}

/* An upload is alive as long as its intent is: once the object is sealed nothing completes it. */
static enum ms_code strays(struct gc *gc, bool uploads, struct ms_error *reterr) {
    MS_AUTO(ms_stored_list_fini) struct ms_stored_list list = {NULL, 0};
    MS_AUTO(ms_numbers_fini) struct ms_numbers known = {NULL, 0, 0};
    MS_TRY(ms_stored_list_make(gc->svc, uploads, gc->before, &list, reterr));
    if (list.n == 0)
        return MS_OK;
    MS_TRY(ms_known_keys(gc->svc, uploads, &known, reterr));
    return remove_unknown(gc, &list, &known, reterr);
}

/* ---- entry point ----------------------------------------------------------------------------- */

static enum ms_code collect(struct gc *gc, struct ms_error *reterr) {
    MS_TRY(tombstones(gc, reterr));
    uint64_t near = 0;
    MS_TRY(ms_near_sweep(gc->svc, gc->before, !gc->dry_run, NULL, NULL, &near, reterr));
    gc->result.strays_deleted += near;
    MS_TRY(strays(gc, true, reterr));
    return strays(gc, false, reterr);
}

enum ms_code ms_gc(struct ms_svc *svc, int64_t grace_ms, bool dry_run,
                   struct ms_gc_result *ret_result, struct ms_error *reterr) {
    struct gc gc = {.svc = svc, .dry_run = dry_run};
    if (svc->read_only && !dry_run)
        return ms_fail(reterr, MS_READ_ONLY, "the store %s is open read-only: nothing is deleted",
                       svc->dir);
    if (grace_ms < 0)
        return ms_fail(reterr, MS_INVALID, "a grace of %lld ms ends before it begins",
                       (long long)grace_ms);
    if (grace_ms > 0)
        gc.before = ms_instant_add_ms(ms_clock_now(svc->clock), -grace_ms);
    gc.tomb = calloc(OBJECTS_A_COMMIT * 4, sizeof *gc.tomb);
    if (!gc.tomb)
        return ms_fail(reterr, MS_NO_MEMORY, "no memory for deleting objects");
    struct ms_error err = {0};
    enum ms_code code = collect(&gc, &err);
    free(gc.tomb);
    if (code == MS_OK)
        *ret_result = gc.result;
    return ms_pass_up(code, &err, reterr);
}
