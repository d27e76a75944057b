/* Rows of what is acknowledged from the local disk. */
#include "service/writeback.h"

#include "service/tree_rows.h"
#include "service/upkeep_walk.h"
#include "service/writeback_part.h"

#include <stdio.h>
#include <string.h>

/* ---- begin and end: in seals and releases ---------------------------------------------------- */

enum ms_code ms_local_begin(struct ms_txn *txn, struct ms_object_record *object,
                            struct ms_tenant_id tenant, uint64_t ino, struct ms_error *reterr) {
    struct ms_local_record row = {.object = object->id,
                                  .since = ms_txn_instant(txn),
                                  .size = object->size,
                                  .tenant = tenant.id,
                                  .ino = ino};

    memcpy(row.key, object->key, sizeof row.key);
    object->local = row.since;
    return ms_row_put_local(txn, ms_key_local(row.since, (struct ms_object_id){object->id}), &row,
                            reterr);
}

enum ms_code ms_local_end(struct ms_txn *txn, const struct ms_object_record *object,
                          struct ms_error *reterr) {
    if (ms_instant_is_none(object->local))
        return MS_OK;
    return ms_row_del(txn, ms_key_local(object->local, (struct ms_object_id){object->id}), reterr);
}

/* ---- the mover's commits --------------------------------------------------------------------- */

struct stored_in {
    const struct ms_local_record *row;
    const char *etag;
};

static enum ms_code stored_op(struct ms_txn *txn, const void *in, void *out,
                              struct ms_error *reterr) {
    const struct stored_in *i = in;
    struct ms_local_stored *o = out;
    struct ms_object_id id = {i->row->object};
    struct ms_object_record object;
    struct ms_tombstone_record tomb;
    bool there;

    MS_TRY(ms_allow_absent(ms_row_get_object(txn, ms_key_object(id), &object, reterr), &there));
    o->gone = !there;
    if (!there) {
        MS_TRY(ms_allow_absent(ms_row_get_tombstone(txn, ms_key_tomb(id), &tomb, reterr), &there));
        o->buried = there;
        return MS_OK;
    }
    if (ms_instant_is_none(object.local)) /* who held the mover's lock before us was faster */
        return MS_OK;
    MS_TRY(ms_local_end(txn, &object, reterr));
    object.local = (struct ms_instant){0};
    (void)snprintf(object.etag, sizeof object.etag, "%s", i->etag);
    return ms_row_put_object(txn, ms_key_object(id), &object, reterr);
}

enum ms_code ms_local_stored(struct ms_svc *svc, const struct ms_local_record *row,
                             const char *etag, struct ms_local_stored *ret_stored,
                             struct ms_error *reterr) {
    const struct stored_in in = {row, etag};
    const struct ms_write write = {.fn = stored_op,
                                   .in = &in,
                                   .out = ret_stored,
                                   .out_size = sizeof *ret_stored,
                                   .fence = ms_store_fence(svc->store),
                                   .frees = true};

    return ms_store_write(svc->store, &write, reterr);
}

struct failed_in {
    const struct ms_local_record *row;
    enum ms_code code;
    const char *why;
    int64_t retry_ms;
};

static enum ms_code failed_op(struct ms_txn *txn, const void *in, void *out,
                              struct ms_error *reterr) {
    const struct failed_in *i = in;
    struct ms_key key = ms_key_local(i->row->since, (struct ms_object_id){i->row->object});
    struct ms_local_record row;
    bool there;

    (void)out;
    MS_TRY(ms_allow_absent(ms_row_get_local(txn, key, &row, reterr), &there));
    if (!there)
        return MS_OK;
    row.tries += row.tries < UINT32_MAX;
    row.retry_at = ms_instant_add_ms(ms_txn_instant(txn), i->retry_ms);
    row.code = (uint16_t)i->code;
    ms_reason_cut(i->why, row.reason);
    return ms_row_put_local(txn, key, &row, reterr);
}

enum ms_code ms_local_failed(struct ms_svc *svc, const struct ms_local_record *row,
                             const struct ms_error *why, int64_t retry_ms,
                             struct ms_error *reterr) {
    const struct failed_in in = {row, why->code, why->message, retry_ms};
    const struct ms_write write = {
        .fn = failed_op, .in = &in, .fence = ms_store_fence(svc->store), .frees = true};

    return ms_store_write(svc->store, &write, reterr);
}

/* ---- looking --------------------------------------------------------------------------------- */

struct look {
    bool (*each)(void *priv, const struct ms_local_record *row);
    void *priv;
    struct ms_pending_sum sum;
    uint32_t tries_max;
    bool ended;
};

static enum ms_code look_at(void *priv, struct ms_txn *txn, struct ms_view key,
                            struct ms_view value, struct ms_error *reterr) {
    struct look *l = priv;
    struct ms_local_record row;

    (void)txn, (void)key;
    if (l->ended)
        return MS_OK;
    MS_TRY(ms_local_decode(value, &row, reterr));
    if (l->sum.files++ == 0)
        l->sum.oldest = row.since;
    l->sum.bytes += row.size;
    if (row.tries > 0) {
        l->sum.failing++;
        if (row.tries > l->tries_max) {
            l->tries_max = row.tries;
            (void)ms_fail(&l->sum.failure, (enum ms_code)row.code, "%s", row.reason);
        }
    }
    l->ended = l->each && !l->each(l->priv, &row);
    return MS_OK;
}

enum ms_code ms_pending(struct ms_svc *svc,
                        bool (*each)(void *priv, const struct ms_local_record *row), void *priv,
                        struct ms_pending_sum *ret_sum, struct ms_error *reterr) {
    struct look l = {.each = each, .priv = priv};
    struct ms_walk walk = {.prefix = ms_key_locals(), .each = look_at, .priv = &l};
    struct ms_error err = {0};

    while (!walk.ended && !l.ended) {
        enum ms_code code = ms_walk_some(svc, &walk, &err);

        if (code != MS_OK)
            return ms_pass_up(code, &err, reterr);
    }
    ms_mover_note(svc, &l.sum);
    *ret_sum = l.sum;
    return MS_OK;
}
