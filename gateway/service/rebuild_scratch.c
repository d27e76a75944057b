/* Rows of a rebuild at work, notes, and work on a few threads. */
#include "service/rebuild_part.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#define ROWS_MAX 256
#define BYTES_MAX (2 * MS_MB)
#define THREADS 16

/* ---- keys ------------------------------------------------------------------------------------ */

struct ms_key ms_scratch_of_id(char what, struct ms_id a) {
    return ms_key_scratch(what, a.b, sizeof a.b);
}

struct ms_key ms_scratch_of_ids(char what, struct ms_tenant_id t, struct ms_id b) {
    uint8_t both[2 * MS_ID_BYTES];
    memcpy(both, t.id.b, MS_ID_BYTES);
    memcpy(both + MS_ID_BYTES, b.b, MS_ID_BYTES);
    return ms_key_scratch(what, both, sizeof both);
}

struct ms_key ms_scratch_of_ino(char what, struct ms_tenant_id t, uint64_t ino) {
    uint8_t both[MS_ID_BYTES + 8];
    struct ms_writer w = ms_writer_on(both, sizeof both);
    ms_write_bytes(&w, t.id.b, MS_ID_BYTES);
    ms_write_u64(&w, ino);
    return ms_key_scratch(what, both, sizeof both);
}

/* ---- batches --------------------------------------------------------------------------------- */

enum ms_code ms_scratch_begin(struct ms_scratch_batch *b, struct ms_svc *svc,
                              struct ms_error *reterr) {
    *b = (struct ms_scratch_batch){.svc = svc, .bytes = MS_BUF_MAX(BYTES_MAX + MS_VALUE_MAX)};
    b->row = calloc(ROWS_MAX, sizeof *b->row);
    return b->row ? MS_OK : ms_fail(reterr, MS_NO_MEMORY, "no memory for a rebuild");
}

void ms_scratch_end(struct ms_scratch_batch *b) {
    free(b->row);
    ms_buf_fini(&b->bytes);
}

static enum ms_code batch_op(struct ms_txn *txn, const void *in, void *out,
                             struct ms_error *reterr) {
    const struct ms_scratch_batch *b = in;
    (void)out;
    for (unsigned i = 0; i < b->n; i++) {
        struct ms_view key = ms_key_view(&b->row[i].key);
        struct ms_view value = ms_view_of(b->bytes.data + b->row[i].at, b->row[i].n);
        MS_TRY(value.n > 0 ? ms_txn_put(txn, key, value, reterr) : ms_txn_del(txn, key, reterr));
    }
    return MS_OK;
}

enum ms_code ms_scratch_commit(struct ms_scratch_batch *b, struct ms_error *reterr) {
    struct ms_write write = {.fn = batch_op, .in = b};
    enum ms_code code = b->n > 0 ? ms_store_write(b->svc->store, &write, reterr) : MS_OK;
    b->n = 0;
    ms_buf_clear(&b->bytes);
    return code;
}

enum ms_code ms_scratch_add(struct ms_scratch_batch *b, const struct ms_key *key,
                            struct ms_view value, struct ms_error *reterr) {
    if (value.n > MS_VALUE_MAX)
        return ms_fail(reterr, MS_CORRUPT, "a fact of %zu bytes is larger than any", value.n);
    if (b->n == ROWS_MAX || b->bytes.len + value.n > BYTES_MAX)
        MS_TRY(ms_scratch_commit(b, reterr));
    struct ms_scratch_row *row = &b->row[b->n];
    *row = (struct ms_scratch_row){.key = *key, .at = b->bytes.len, .n = value.n};
    if (value.n > 0)
        MS_TRY(ms_buf_add(&b->bytes, value.p, value.n, reterr));
    b->n++;
    return MS_OK;
}

/* ---- values ---------------------------------------------------------------------------------- */

enum ms_code ms_scratch_line(struct ms_txn *txn, const struct ms_key *key, json_t **ret_json,
                             struct ms_error *reterr) {
    struct ms_view value;
    bool there;
    *ret_json = NULL;
    MS_TRY(ms_allow_absent(ms_txn_get(txn, ms_key_view(key), &value, reterr), &there));
    return there ? ms_line_parse(value, ret_json, reterr) : MS_OK;
}

void ms_listed_put(struct ms_writer *w, const struct ms_listed *listed) {
    ms_write_u64(w, listed->size);
    ms_write_i64(w, listed->modified.ms);
    ms_write_str(w, listed->etag, MS_ETAG_MAX);
    ms_write_u8(w, listed->claimed);
}

enum ms_code ms_listed_get(struct ms_txn *txn, const char *key, struct ms_listed *ret_listed,
                           bool *ret_there, struct ms_error *reterr) {
    struct ms_key k = ms_key_scratch('O', key, strnlen(key, 400));
    struct ms_view value;
    MS_TRY(ms_allow_absent(ms_txn_get(txn, ms_key_view(&k), &value, reterr), ret_there));
    if (!*ret_there)
        return MS_OK;
    struct ms_reader r = ms_reader_on(value);
    ret_listed->size = ms_read_u64(&r);
    ret_listed->modified.ms = ms_read_i64(&r);
    ms_read_str(&r, ret_listed->etag, MS_ETAG_MAX);
    ret_listed->claimed = ms_read_u8(&r);
    return ms_reader_done(&r) ? MS_OK : ms_fail(reterr, MS_CORRUPT, "a listed object is damaged");
}

void ms_birth_put(struct ms_writer *w, const struct ms_birth *b) {
    ms_write_bytes(w, b->tenant.id.b, MS_ID_BYTES);
    ms_write_bytes(w, b->asset.id.b, MS_ID_BYTES);
    ms_write_bytes(w, b->object.id.b, MS_ID_BYTES);
    ms_write_i64(w, b->created.ms);
    ms_write_i64(w, b->modified.ms);
    ms_write_u64(w, b->size);
    ms_write_str(w, b->name, MS_NAME_BYTES_MAX);
    ms_write_str(w, b->key, MS_OBJECT_KEY_MAX);
    ms_write_str(w, b->etag, MS_ETAG_MAX);
    ms_write_str(w, b->media_type, sizeof b->media_type - 1);
}

enum ms_code ms_birth_read(struct ms_view value, struct ms_birth *ret_birth,
                           struct ms_error *reterr) {
    struct ms_reader r = ms_reader_on(value);
    ms_read_bytes(&r, ret_birth->tenant.id.b, MS_ID_BYTES);
    ms_read_bytes(&r, ret_birth->asset.id.b, MS_ID_BYTES);
    ms_read_bytes(&r, ret_birth->object.id.b, MS_ID_BYTES);
    ret_birth->created.ms = ms_read_i64(&r);
    ret_birth->modified.ms = ms_read_i64(&r);
    ret_birth->size = ms_read_u64(&r);
    ms_read_str(&r, ret_birth->name, MS_NAME_BYTES_MAX);
    ms_read_str(&r, ret_birth->key, MS_OBJECT_KEY_MAX);
    ms_read_str(&r, ret_birth->etag, MS_ETAG_MAX);
    ms_read_str(&r, ret_birth->media_type, sizeof ret_birth->media_type - 1);
    return ms_reader_done(&r) ? MS_OK : ms_fail(reterr, MS_CORRUPT, "a birth fact is damaged");
}

enum ms_code ms_birth_get(struct ms_txn *txn, struct ms_asset_id asset, struct ms_birth *ret_birth,
                          bool *ret_there, struct ms_error *reterr) {
    struct ms_key key = ms_scratch_of_id('B', asset.id);
    struct ms_view value;
    MS_TRY(ms_allow_absent(ms_txn_get(txn, ms_key_view(&key), &value, reterr), ret_there));
    return *ret_there ? ms_birth_read(value, ret_birth, reterr) : MS_OK;
}

/* ---- notes and progress ---------------------------------------------------------------------- */

void ms_rebuild_note(struct ms_rebuild *r, const char *kind, const char *fmt, ...) {
    char text[400];
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    if (r->options->note)
        r->options->note(r->options->priv, kind, text);
}

void ms_built_note(struct ms_built *b, const char *kind, const char *fmt, ...) {
    va_list ap;
    if (b->notes_n == MS_ARRAY_LEN(b->note))
        return;
    va_start(ap, fmt);
    (void)snprintf(b->note[b->notes_n].kind, sizeof b->note[0].kind, "%s", kind);
    (void)vsnprintf(b->note[b->notes_n].text, sizeof b->note[0].text, fmt, ap);
    va_end(ap);
    b->notes_n++;
}

enum ms_code ms_rebuild_goes_on(struct ms_rebuild *r, const char *stage, uint64_t done,
                                uint64_t total, struct ms_error *reterr) {
    bool on = true;
    pthread_mutex_lock(&r->telling);
    if (r->options->progress)
        on = r->options->progress(r->options->priv, stage, done, total);
    pthread_mutex_unlock(&r->telling);
    if (on)
        return MS_OK;
    return ms_fail(reterr, MS_CANCELLED, "stopped; begin again with the same command");
}

/* ---- a few threads --------------------------------------------------------------------------- */

struct pool {
    ms_rebuild_work_fn *work;
    void *priv;
    size_t n;
    atomic_size_t next;
    pthread_mutex_t mutex;
    enum ms_code code; /* the first failure; under mutex */
    struct ms_error error;
};

static bool has_failed(struct pool *p) {
    pthread_mutex_lock(&p->mutex);
    bool failed = p->code != MS_OK;
    pthread_mutex_unlock(&p->mutex);
    return failed;
}

static void *pool_run(void *priv) {
    struct pool *p = priv;
    size_t i;
    while (!has_failed(p) && (i = atomic_fetch_add(&p->next, 1)) < p->n) {
        struct ms_error err = {0};
        enum ms_code code = p->work(p->priv, i, &err);
        if (code == MS_OK)
            continue;
        pthread_mutex_lock(&p->mutex);
        if (p->code == MS_OK) {
            p->code = code;
            p->error = err;
        }
        pthread_mutex_unlock(&p->mutex);
    }
    return NULL;
}

/* This thread works too, so it goes on when no other can be had. */
enum ms_code ms_rebuild_parallel(ms_rebuild_work_fn *work, void *priv, size_t n,
                                 struct ms_error *reterr) {
    struct pool p = {.work = work, .priv = priv, .n = n, .mutex = PTHREAD_MUTEX_INITIALIZER};
    pthread_t thread[THREADS];
    unsigned threads = 0;
    while (threads < THREADS && threads + 1 < n &&
           pthread_create(&thread[threads], NULL, pool_run, &p) == 0)
        threads++;
    (void)pool_run(&p);
    for (unsigned i = 0; i < threads; i++)
        (void)pthread_join(thread[i], NULL);
    pthread_mutex_destroy(&p.mutex);
    return ms_pass_up(p.code, &p.error, reterr);
}
