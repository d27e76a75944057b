/* fsck against the object store: what a LIST shows (store), and every block by its hash (deep).
 *
 * The list comes before the rows: what it has and no row knows is nobody's, whoever is at work.
 * What a row knows and the list has not may have come since: a HEAD decides, and then the row is
 * read once more.
 */
#include "service/fsck_part.h"

#include "content/hash.h"
#include "service/upkeep_list.h"
#include "service/writeback.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define READ_BYTES ((size_t)8 << 20)
#define FAILED_IN_A_ROW_MAX 8u /* objects; then it is the store, and no object of it */

/* ---- rows that are still there --------------------------------------------------------------- */

struct still {
    struct ms_object_id object;
    bool there;
};

static enum ms_code look_again(struct ms_fsck *f, struct ms_txn *txn, void *priv,
                               struct ms_error *reterr) {
    struct still *s = priv;
    struct ms_object_record object;
    enum ms_fsck_seen seen;
    (void)f;
    MS_TRY(ms_fsck_see(ms_row_get_object(txn, ms_key_object(s->object), &object, reterr), &seen));
    s->there = seen == MS_FSCK_THERE;
    return MS_OK;
}

static enum ms_code is_still(struct ms_fsck *f, struct ms_id object, bool *ret_there,
                             struct ms_error *reterr) {
    struct still s = {.object = {object}};
    MS_TRY(ms_fsck_read(f, look_again, &s, reterr));
    *ret_there = s.there;
    return MS_OK;
}

/* ---- store: the list ------------------------------------------------------------------------- */

/* Hashes over key and size of what was listed, sorted. */
static uint64_t hash_with_size(const char *key, uint64_t size) {
    return ms_key_hash(key) ^ (size * UINT64_C(0x9e3779b97f4a7c15));
}

/* Two texts into one number; of those that have an ETag, which not every list tells. */
static uint64_t hash_with_etag(const char *key, const char *etag) {
    return ms_key_hash(key) ^ (ms_key_hash(etag) * UINT64_C(0x9e3779b97f4a7c15));
}

static enum ms_code index_list(struct ms_stored_list *list, struct ms_numbers *index,
                               struct ms_numbers *etags, struct ms_error *reterr) {
    struct ms_stored stored;
    enum ms_code code;
    while ((code = ms_stored_list_next(list, &stored, reterr)) == MS_OK) {
        MS_TRY(ms_numbers_add(index, hash_with_size(stored.key, stored.size), reterr));
        if (ms_etag_tells(stored.etag))
            MS_TRY(ms_numbers_add(etags, hash_with_etag(stored.key, stored.etag), reterr));
    }
    ms_numbers_sort(index);
    ms_numbers_sort(etags);
    ms_stored_list_rewind(list);
    return code == MS_NOT_FOUND ? MS_OK : code;
}

struct object_pass {
    const struct ms_numbers *listed, *etags;
    uint64_t looked_at;
    struct ms_object_record *doubtful; /* of one read */
    size_t n, cap;
};

static enum ms_code check_listed(void *priv, struct ms_txn *txn, struct ms_view key,
                                 struct ms_view value, struct ms_error *reterr) {
    struct object_pass *p = priv;
    struct ms_object_record object;
    (void)txn, (void)key;
    p->looked_at++;
    if (ms_object_decode(value, &object, NULL) != MS_OK)
        return MS_OK;
    bool same = object.etag[0] == '\0' || p->etags->n == 0 ||
                ms_numbers_have(p->etags, hash_with_etag(object.key, object.etag));
    if (same && ms_numbers_have(p->listed, hash_with_size(object.key, object.size)))
        return MS_OK;
    if (p->n == p->cap) {
        size_t cap = p->cap ? 2 * p->cap : 64;
        struct ms_object_record *more = reallocarray(p->doubtful, cap, sizeof *more);
        if (!more)
            return ms_fail(reterr, MS_NO_MEMORY, "no memory for %zu objects", cap);
        p->doubtful = more;
        p->cap = cap;
    }
    p->doubtful[p->n++] = object;
    return MS_OK;
}

static enum ms_code ask_store(struct ms_fsck *f, const struct ms_object_record *object,
                              struct ms_error *reterr) {
    uint64_t size = 0;
    char etag[MS_ETAG_MAX + 1] = "";
    bool there;
    enum ms_code code = ms_stored_head(f->svc, object->key, &size, etag, reterr);
    if (code != MS_OK && code != MS_NOT_FOUND)
        return code;
    bool same = object->etag[0] == '\0' || !ms_etag_tells(etag) || strcmp(etag, object->etag) == 0;
    if (code == MS_OK && size == object->size && same)
        return MS_OK;
    MS_TRY(is_still(f, object->id, &there, reterr));
    if (there && code == MS_NOT_FOUND)
        ms_fsck_finding(f, "store", "object %s of %" PRIu64 " bytes is not in the store",
                        object->key, object->size);
    else if (there && size == object->size)
        ms_fsck_finding(f, "store", "object %s has ETag %s in the store, not %s: it was replaced",
                        object->key, etag, object->etag);
    else if (there)
        ms_fsck_finding(f, "store", "object %s has %" PRIu64 " bytes in the store, not %" PRIu64,
                        object->key, size, object->size);
    ms_fsck_flush(f);
    return there ? ms_numbers_add(&f->told, ms_id_half(object->id), reterr) : MS_OK;
}

static void pass_over(void *priv, struct ms_view key, const struct ms_error *err) {
    (void)priv, (void)key, (void)err;
}

static enum ms_code check_objects(struct ms_fsck *f, struct object_pass *p,
                                  struct ms_error *reterr) {
    struct ms_walk walk = {
        .prefix = ms_key_objects(), .each = check_listed, .priv = p, .damaged = pass_over};
    while (!walk.ended) {
        MS_TRY(ms_walk_some(f->svc, &walk, reterr));
        for (size_t i = 0; i < p->n; i++)
            MS_TRY(ask_store(f, &p->doubtful[i], reterr));
        p->n = 0;
        if (f->options->listed && !f->options->listed(f->options->priv, p->looked_at))
            return ms_fail(reterr, MS_CANCELLED, "fsck was stopped after %" PRIu64 " objects",
                           p->looked_at);
    }
    return MS_OK;
}

static enum ms_code check_unknown(struct ms_fsck *f, struct ms_stored_list *list,
                                  const struct ms_numbers *known, struct ms_error *reterr) {
    struct ms_stored stored;
    enum ms_code code;
    while ((code = ms_stored_list_next(list, &stored, reterr)) == MS_OK) {
        if (ms_numbers_have(known, ms_key_hash(stored.key)))
            continue;
        if (stored.upload_id[0])
            ms_fsck_pending(f, "upload", "%s of %s: msasset gc will abort it", stored.upload_id,
                            stored.key);
        else
            ms_fsck_pending(f, "object",
                            "%s of %" PRIu64 " bytes is known to no row: msasset gc "
                            "will delete it",
                            stored.key, stored.size);
        ms_fsck_flush(f);
    }
    return code == MS_NOT_FOUND ? MS_OK : code;
}

static enum ms_code check_list(struct ms_fsck *f, struct ms_error *reterr) {
    const struct ms_instant any_age = {0};
    MS_AUTO(ms_stored_list_fini) struct ms_stored_list list = {NULL, 0};
    MS_AUTO(ms_numbers_fini) struct ms_numbers index = {NULL, 0, 0};
    MS_AUTO(ms_numbers_fini) struct ms_numbers etags = {NULL, 0, 0};
    MS_AUTO(ms_numbers_fini) struct ms_numbers known = {NULL, 0, 0};
    struct object_pass p = {.listed = &index, .etags = &etags};
    MS_TRY(ms_stored_list_make(f->svc, false, any_age, &list, reterr));
    MS_TRY(index_list(&list, &index, &etags, reterr));
    enum ms_code code = check_objects(f, &p, reterr);
    free(p.doubtful);
    if (code != MS_OK)
        return code;
    ms_numbers_sort(&f->told);
    MS_TRY(ms_known_keys(f->svc, false, &known, reterr));
    return check_unknown(f, &list, &known, reterr);
}

static enum ms_code check_uploads(struct ms_fsck *f, struct ms_error *reterr) {
    const struct ms_instant any_age = {0};
    MS_AUTO(ms_stored_list_fini) struct ms_stored_list list = {NULL, 0};
    MS_AUTO(ms_numbers_fini) struct ms_numbers known = {NULL, 0, 0};
    MS_TRY(ms_stored_list_make(f->svc, true, any_age, &list, reterr));
    MS_TRY(ms_known_keys(f->svc, true, &known, reterr));
    return check_unknown(f, &list, &known, reterr);
}

static void near_stray(void *priv, const char *key) {
    ms_fsck_pending(priv, "local", "%s in the writeback folder is known to no row: msasset gc will delete it", key);
    ms_fsck_flush(priv);
}

enum ms_code ms_fsck_store(struct ms_fsck *f, struct ms_error *reterr) {
    const struct ms_instant any_age = {0};
    uint64_t n;
    MS_TRY(check_list(f, reterr));
    MS_TRY(ms_near_sweep(f->svc, any_age, false, near_stray, f, &n, reterr));
    return check_uploads(f, reterr);
}

/* ---- deep: every block ----------------------------------------------------------------------- */

struct deep {
    struct ms_fsck *f;
    struct ms_object_record object;
    uint64_t done, total;
    uint8_t *buffer;
    uint64_t hash[READ_BYTES >> MS_BLOCK_LOG2_MIN]; /* of the blocks of one piece */
    bool hashed;
    uint64_t from, n;      /* the piece, in blocks */
    unsigned failed_row;   /* objects, one behind the other, about which the store said nothing */
    struct ms_error failed; /* of the last of them */
};

/* By its id and the seed, so a stopped check can be taken up with the same objects. */
static bool is_sampled(const struct ms_fsck *f, const struct ms_object_record *object) {
    unsigned percent = f->options->sample_percent;
    uint64_t n = (ms_id_half(object->id) ^ f->options->sample_seed) * UINT64_C(0x9e3779b97f4a7c15);
    return percent == 0 || percent >= 100 || (n >> 32) % 100 < percent;
}

static enum ms_code add_size(void *priv, struct ms_txn *txn, struct ms_view key,
                             struct ms_view value, struct ms_error *reterr) {
    struct deep *d = ((struct ms_fsck *)priv)->part;
    struct ms_object_record object;
    (void)txn, (void)key, (void)reterr;
    if (ms_object_decode(value, &object, NULL) == MS_OK && is_sampled(d->f, &object))
        d->total += object.size;
    return MS_OK;
}

static enum ms_code load_piece(struct ms_fsck *f, struct ms_txn *txn, void *priv,
                               struct ms_error *reterr) {
    struct deep *d = priv;
    struct ms_object_id id = {d->object.id};
    (void)f;
    d->hashed = true;
    for (uint64_t i = d->from; i < d->from + d->n && d->hashed;) {
        uint64_t at = i % MS_HASHES_PER_ROW, n = MS_HASHES_PER_ROW - at;
        struct ms_hashes_record row;
        enum ms_fsck_seen seen;
        if (n > d->from + d->n - i)
            n = d->from + d->n - i;
        MS_TRY(
            ms_fsck_see(ms_row_get_hashes(txn, ms_key_hashes(id, (uint32_t)(i / MS_HASHES_PER_ROW)),
                                          &row, reterr),
                        &seen));
        d->hashed = seen == MS_FSCK_THERE && row.count >= at + n;
        if (d->hashed)
            memcpy(d->hash + (i - d->from), row.hash + at, n * sizeof *row.hash);
        i += n;
    }
    return MS_OK;
}

static enum ms_code get_bytes(struct deep *d, uint64_t offset, size_t n, struct ms_error *reterr) {
    struct ms_obj_request request = {
        .op = MS_OBJ_GET, .key = d->object.key, .offset = offset, .length = n, .into = d->buffer};
    return ms_obj_run(d->f->svc->reads, &request, reterr);
}

/* What differs is fetched once more: only the second look counts. */
static enum ms_code check_blocks(struct deep *d, uint64_t offset, size_t n,
                                 struct ms_error *reterr) {
    size_t block = (size_t)1 << d->object.block_log2;
    for (uint64_t i = 0; i < d->n; i++) {
        size_t at = (size_t)i * block, length = n - at < block ? n - at : block;
        bool there;
        if (ms_block_hash(d->buffer + at, length) == d->hash[i])
            continue;
        struct ms_obj_request again = {.op = MS_OBJ_GET,
                                       .key = d->object.key,
                                       .offset = offset + at,
                                       .length = length,
                                       .into = d->buffer + at};
        MS_TRY(ms_obj_run(d->f->svc->reads, &again, reterr));
        if (ms_block_hash(d->buffer + at, length) == d->hash[i])
            continue;
        MS_TRY(is_still(d->f, d->object.id, &there, reterr));
        if (there)
            ms_fsck_finding(d->f, "block",
                            "block %" PRIu64 " (bytes %" PRIu64 " to %" PRIu64
                            ") of object %s is damaged",
                            d->from + i, offset + at, offset + at + length - 1, d->object.key);
        ms_fsck_flush(d->f);
    }
    return MS_OK;
}

/* The store has answered, and the bytes are not there. */
static bool is_damage(enum ms_code code) {
    return code == MS_NOT_FOUND || code == MS_CORRUPT || code == MS_MISMATCH || code == MS_RANGE;
}

/* The object cannot be read at all, or is gone since. A LIST that shows it says nothing against that: the index of a
 * bucket may outlive what it names. */
static enum ms_code unreadable(struct deep *d, enum ms_code code, const struct ms_error *err,
                               struct ms_error *reterr) {
    bool there, damaged = is_damage(code);
    if (!damaged && (!ms_stored_fails_alone(code) || ++d->failed_row >= FAILED_IN_A_ROW_MAX))
        return ms_pass_up(code, err, reterr);
    MS_TRY(is_still(d->f, d->object.id, &there, reterr));
    if (there && !ms_numbers_have(&d->f->told, ms_id_half(d->object.id)))
        ms_fsck_finding(d->f, "store", "object %s of %" PRIu64 " bytes cannot be read%s: %.200s",
                        d->object.key, d->object.size, damaged ? "" : " now", err->message);
    ms_fsck_flush(d->f);
    if (damaged)
        d->failed_row = 0;
    else
        d->failed = *err;
    return MS_OK;
}

static enum ms_code tell(struct deep *d, uint64_t bytes, struct ms_error *reterr) {
    const struct ms_fsck_options *o = d->f->options;
    d->done += bytes;
    if (!o->progress || o->progress(o->priv, d->done, d->total > d->done ? d->total : d->done))
        return MS_OK;
    return ms_fail(reterr, MS_CANCELLED, "fsck was stopped after %" PRIu64 " bytes", d->done);
}

static enum ms_code read_object(struct deep *d, struct ms_error *reterr) {
    unsigned log2 = d->object.block_log2;
    if (log2 < MS_BLOCK_LOG2_MIN || log2 > MS_BLOCK_LOG2_MAX) /* said already */
        return tell(d, d->object.size, reterr);
    size_t piece = READ_BYTES >> log2 ? READ_BYTES : (size_t)1 << log2;
    for (uint64_t offset = 0; offset < d->object.size; offset += piece) {
        uint64_t left = d->object.size - offset;
        size_t n = left < piece ? (size_t)left : piece;
        struct ms_error err = {0};
        d->from = offset >> log2;
        d->n = ms_block_count(n, log2);
        MS_TRY(ms_fsck_read(d->f, load_piece, d, reterr));
        if (!d->hashed) /* not hashed yet, or its rows are missing, which was said */
            return tell(d, left, reterr);
        enum ms_code code = get_bytes(d, offset, n, &err);
        if (code == MS_OK)
            code = check_blocks(d, offset, n, &err);
        if (code != MS_OK) {
            MS_TRY(unreadable(d, code, &err, reterr));
            return tell(d, left, reterr);
        }
        d->failed_row = 0;
        d->f->result.bytes_read += n;
        MS_TRY(tell(d, n, reterr));
    }
    return MS_OK;
}

struct next_object {
    struct ms_walk walk;
    struct ms_object_record *objects;
    size_t n;
};

static enum ms_code collect(void *priv, struct ms_txn *txn, struct ms_view key,
                            struct ms_view value, struct ms_error *reterr) {
    struct next_object *next = priv;
    (void)txn, (void)key, (void)reterr;
    MS_ASSERT(next->n < 1024);
    if (ms_object_decode(value, &next->objects[next->n], NULL) == MS_OK)
        next->n++;
    return MS_OK;
}

static enum ms_code read_all(struct deep *d, struct next_object *next, struct ms_error *reterr) {
    d->f->part = d;
    MS_TRY(ms_fsck_walk(d->f, ms_key_objects(), add_size, reterr));
    while (!next->walk.ended) {
        next->n = 0;
        MS_TRY(ms_walk_some(d->f->svc, &next->walk, reterr));
        for (size_t i = 0; i < next->n; i++) {
            d->object = next->objects[i];
            if (is_sampled(d->f, &d->object))
                MS_TRY(read_object(d, reterr));
        }
    }
    if (d->failed_row > 0 && d->f->result.bytes_read == 0) /* few objects, and none could be read */
        return ms_pass_up(d->failed.code, &d->failed, reterr);
    return MS_OK;
}

enum ms_code ms_fsck_deep(struct ms_fsck *f, struct ms_error *reterr) {
    struct deep *d = calloc(1, sizeof *d);
    struct next_object next = {
        .walk = {.prefix = ms_key_objects(), .each = collect, .damaged = pass_over}};
    enum ms_code code = MS_NO_MEMORY;
    next.walk.priv = &next;
    next.objects = calloc(1024, sizeof *next.objects);
    if (d)
        d->buffer = malloc((size_t)1 << MS_BLOCK_LOG2_MAX);
    if (d && d->buffer && next.objects) {
        d->f = f;
        code = read_all(d, &next, reterr);
    } else {
        code = ms_fail(reterr, code, "no memory to read objects");
    }
    if (d)
        free(d->buffer);
    free(d);
    free(next.objects);
    return code;
}
