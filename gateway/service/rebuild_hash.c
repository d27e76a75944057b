/* Block hashes that no segment has, from the bytes; and the end: scratch rows go. */
#include "service/rebuild_part.h"

#include "content/hash.h"
#include "service/hash_rows.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#define READ_BYTES ((size_t)4 << 20)
#define VERSIONS_A_ROUND 1024
#define DELETES_A_COMMIT 2000

/* ---- one object ------------------------------------------------------------------------------ */

struct one {
    struct ms_tenant_id tenant;
    struct ms_version_record version;
    char key[MS_OBJECT_KEY_MAX + 1];
    uint8_t told[16]; /* its root by a segment */
    bool is_told;
};

struct round {
    struct ms_rebuild *r;
    struct one *one;
    size_t n;
    uint64_t total;
    atomic_uint_fast64_t done, changed;
};

static enum ms_code hash_bytes(struct round *round, struct one *one, uint8_t *buffer,
                               struct ms_hashes *h, struct ms_error *reterr) {
    size_t block = (size_t)1 << one->version.block_log2;
    size_t piece = READ_BYTES > block ? READ_BYTES : block;
    for (uint64_t at = 0; at < one->version.size; at += piece) {
        uint64_t left = one->version.size - at;
        size_t n = left < piece ? (size_t)left : piece;
        struct ms_obj_request get = {
            .op = MS_OBJ_GET, .key = one->key, .offset = at, .length = n, .into = buffer};
        MS_TRY(ms_obj_run(round->r->svc->obj, &get, reterr));
        for (size_t from = 0; from < n; from += block)
            h->hash[(at + from) >> one->version.block_log2] =
                ms_block_hash(buffer + from, n - from < block ? n - from : block);
        atomic_fetch_add(&round->done, n);
        MS_TRY(ms_rebuild_goes_on(round->r, "hashes", atomic_load(&round->done), round->total,
                                  reterr));
    }
    return MS_OK;
}

struct hashed {
    const struct one *one;
    const struct ms_hashes *hashes;
};

static enum ms_code hashed_op(struct ms_txn *txn, const void *in, void *out,
                              struct ms_error *reterr) {
    const struct hashed *h = in;
    struct ms_version_record version = h->one->version;
    (void)out;
    MS_TRY(ms_hash_rows_put(txn, (struct ms_object_id){version.object}, h->hashes, reterr));
    version.hashed = 1;
    ms_hashes_root(h->hashes, version.size, version.root);
    return ms_row_put_version(txn,
                              ms_key_version(h->one->tenant, (struct ms_version_id){version.id}),
                              &version, reterr);
}

static enum ms_code hash_one(void *priv, size_t i, struct ms_error *reterr) {
    struct round *round = priv;
    struct one *one = &round->one[i];
    MS_AUTO(ms_hashes_fini) struct ms_hashes h = {NULL, 0, 0};
    struct hashed in = {one, &h};
    struct ms_write write = {.fn = hashed_op, .in = &in};
    size_t block = (size_t)1 << one->version.block_log2;
    uint8_t root[16];
    MS_TRY(ms_hashes_resize(&h, ms_block_count(one->version.size, one->version.block_log2),
                            reterr));
    uint8_t *buffer = malloc(READ_BYTES > block ? READ_BYTES : block);
    if (!buffer)
        return ms_fail(reterr, MS_NO_MEMORY, "no memory to read objects");
    enum ms_code code = hash_bytes(round, one, buffer, &h, reterr);
    free(buffer);
    if (code != MS_OK)
        return code;
    ms_hashes_root(&h, one->version.size, root);
    if (one->is_told && memcmp(root, one->told, sizeof root) != 0)
        atomic_fetch_add(&round->changed, 1);
    return ms_store_write(round->r->svc->store, &write, reterr);
}

/* ---- all that have none ---------------------------------------------------------------------- */

static enum ms_code told_root(struct ms_txn *txn, struct one *one, struct ms_error *reterr) {
    struct ms_key key = ms_scratch_of_ids('V', one->tenant, one->version.id);
    MS_AUTO(ms_json_drop) json_t *line = NULL;
    struct ms_version_record told;
    MS_TRY(ms_scratch_line(txn, &key, &line, reterr));
    one->is_told = line &&
                   ms_json_version(json_object_get(line, "version"), &told, NULL) == MS_OK &&
                   told.hashed;
    if (one->is_told)
        memcpy(one->told, told.root, sizeof one->told);
    return MS_OK;
}

static enum ms_code collect_unhashed(void *priv, struct ms_txn *txn, struct ms_view key,
                                     struct ms_view value, struct ms_error *reterr) {
    struct round *round = priv;
    struct one *one = &round->one[round->n];
    struct ms_object_record object;
    MS_ASSERT(round->n < VERSIONS_A_ROUND);
    MS_TRY(ms_version_decode(value, &one->version, reterr));
    if (one->version.hashed || one->version.size == 0)
        return MS_OK;
    one->tenant.id = ms_key_id_at(key, 1);
    MS_TRY(ms_row_get_object(txn, ms_key_object((struct ms_object_id){one->version.object}),
                             &object, reterr));
    memcpy(one->key, object.key, sizeof one->key);
    MS_TRY(told_root(txn, one, reterr));
    round->total += one->version.size;
    round->n++;
    return MS_OK;
}

static enum ms_code hash_all(struct round *round, struct ms_error *reterr) {
    struct ms_walk walk = {
        .prefix = {.bytes = {'V'}, .len = 1}, .each = collect_unhashed, .priv = round};
    while (!walk.ended) {
        round->n = 0;
        MS_TRY(ms_walk_some(round->r->svc, &walk, reterr));
        MS_TRY(ms_rebuild_parallel(hash_one, round, round->n, reterr));
        round->r->result.hashed += round->n;
    }
    round->r->result.hashed_bytes = atomic_load(&round->done);
    round->r->result.changed = atomic_load(&round->changed);
    if (round->r->result.changed > 0)
        ms_rebuild_note(round->r, "changed",
                        "%" PRIu64 " objects do not hold the bytes that were sealed",
                        round->r->result.changed);
    return MS_OK;
}

enum ms_code ms_rebuild_hash(struct ms_rebuild *r, struct ms_error *reterr) {
    struct round round = {.r = r};
    round.one = calloc(VERSIONS_A_ROUND, sizeof *round.one);
    if (!round.one)
        return ms_fail(reterr, MS_NO_MEMORY, "no memory for a rebuild");
    enum ms_code code = hash_all(&round, reterr);
    free(round.one);
    return code;
}

/* ---- the end --------------------------------------------------------------------------------- */

static enum ms_code tidy_op(struct ms_txn *txn, const void *in, void *out,
                            struct ms_error *reterr) {
    struct ms_key prefix = {.bytes = {'z'}, .len = 1};
    struct ms_scan scan;
    struct ms_view key, value;
    enum ms_code code = MS_OK;
    (void)in;
    ms_scan_prefix(&scan, txn, ms_key_view(&prefix));
    for (unsigned n = 0; n < DELETES_A_COMMIT && code == MS_OK; n++) {
        code = ms_scan_next(&scan, &key, &value, reterr);
        if (code == MS_OK)
            code = ms_txn_del(txn, key, reterr);
    }
    ms_scan_end(&scan);
    *(bool *)out = code == MS_NOT_FOUND;
    return ms_absent_is_fine(code, reterr);
}

enum ms_code ms_rebuild_tidy(struct ms_rebuild *r, struct ms_error *reterr) {
    for (bool ended = false; !ended;) {
        struct ms_write write = {
            .fn = tidy_op, .out = &ended, .out_size = sizeof ended, .frees = true};
        MS_TRY(ms_store_write(r->svc->store, &write, reterr));
    }
    return MS_OK;
}
