/* Objects that no version names: what they tell of themselves, by a HEAD of each. */
#include "service/rebuild_part.h"

#include "content/hash.h"
#include "model/derived.h"

#include <stdio.h>
#include <stdlib.h>

#define OBJECTS_A_ROUND 512
#define SKEW_MS MS_HOUR_MS /* between the clocks of hosts and of the object store */

/* ---- claims: which objects the versions name ------------------------------------------------- */

struct claims {
    struct ms_scratch_batch batch;
    struct ms_buf keys; /* of one read, each with its NUL */
};

/* An object whose asset's line is lost must tell of itself. */
static enum ms_code collect_key(void *priv, struct ms_txn *txn, struct ms_view key,
                                struct ms_view value, struct ms_error *reterr) {
    struct claims *c = priv;
    MS_AUTO(ms_json_drop) json_t *json = NULL;
    (void)key;
    if (ms_line_parse(value, &json, NULL) != MS_OK)
        return MS_OK;
    struct ms_key asset =
        ms_scratch_of_id('a', ms_json_id(json_object_get(json, "version"), "asset"));
    if (!ms_txn_has(txn, ms_key_view(&asset)))
        return MS_OK;
    const char *object = ms_json_text(json_object_get(json, "object"), "key");
    return object[0] ? ms_buf_add(&c->keys, object, strlen(object) + 1, reterr) : MS_OK;
}

static enum ms_code claim_op(struct ms_txn *txn, const void *in, void *out,
                             struct ms_error *reterr) {
    const struct ms_buf *keys = in;
    (void)out;
    for (size_t at = 0; at < keys->len; at += strlen((const char *)keys->data + at) + 1) {
        const char *object = (const char *)keys->data + at;
        uint8_t bytes[64 + MS_ETAG_MAX];
        struct ms_writer w = ms_writer_on(bytes, sizeof bytes);
        struct ms_listed listed;
        bool there;
        MS_TRY(ms_listed_get(txn, object, &listed, &there, reterr));
        if (!there)
            continue;
        listed.claimed = 1;
        ms_listed_put(&w, &listed);
        struct ms_key key = ms_key_scratch('O', object, strnlen(object, 400));
        MS_TRY(ms_txn_put(txn, ms_key_view(&key), ms_writer_view(&w), reterr));
    }
    return MS_OK;
}

static enum ms_code claim(struct ms_rebuild *r, struct ms_error *reterr) {
    struct claims c = {.keys = MS_BUF_MAX(4 * MS_MB)};
    struct ms_walk walk = {
        .prefix = ms_key_scratch('V', "", 0), .each = collect_key, .priv = &c};
    enum ms_code code = MS_OK;
    while (code == MS_OK && !walk.ended) {
        struct ms_write write = {.fn = claim_op, .in = &c.keys};
        ms_buf_clear(&c.keys);
        code = ms_walk_some(r->svc, &walk, reterr);
        if (code == MS_OK && c.keys.len > 0)
            code = ms_store_write(r->svc->store, &write, reterr);
    }
    ms_buf_fini(&c.keys);
    return code;
}

/* ---- HEAD ------------------------------------------------------------------------------------ */

struct round {
    struct ms_rebuild *r;
    struct birth {
        struct ms_birth b;
        bool known;
    } *at;
    size_t n;
};

/* The value of "key=value\n" in what HEAD gives. */
static void fact(const struct ms_buf *meta, const char *key, char *ret_value, size_t size) {
    size_t key_n = strlen(key);
    ret_value[0] = '\0';
    for (size_t at = 0; at < meta->len;) {
        const char *line = (const char *)meta->data + at;
        const char *end = memchr(line, '\n', meta->len - at);
        size_t n = end ? (size_t)(end - line) : meta->len - at;
        if (n > key_n && line[key_n] == '=' && memcmp(line, key, key_n) == 0 &&
            n - key_n - 1 < size) {
            memcpy(ret_value, line + key_n + 1, n - key_n - 1);
            ret_value[n - key_n - 1] = '\0';
        }
        at += n + 1;
    }
}

static unsigned hex_digit(char c) {
    return c >= '0' && c <= '9'   ? (unsigned)(c - '0')
           : c >= 'a' && c <= 'f' ? (unsigned)(c - 'a') + 10
           : c >= 'A' && c <= 'F' ? (unsigned)(c - 'A') + 10
                                  : 16;
}

static void percent_decode(const char *text, char *ret_text, size_t size) {
    size_t n = 0;
    for (const char *p = text; *p && n + 1 < size; p++) {
        unsigned high = p[0] == '%' && p[1] ? hex_digit(p[1]) : 16;
        unsigned low = high < 16 ? hex_digit(p[2]) : 16;
        ret_text[n++] = low < 16 ? (char)(high << 4 | low) : *p;
        p += low < 16 ? 2 : 0;
    }
    ret_text[n] = '\0';
}

static bool id_fact(const struct ms_buf *meta, const char *key, struct ms_id *ret_id) {
    char text[64];
    fact(meta, key, text, sizeof text);
    return ms_id_parse(text, ret_id, NULL) == MS_OK;
}

/* Covers, pages and what else lies beside MAIN must never take its place. Objects of mounts and of older
 * versions tell no category; derived files go by their name, too. */
static bool may_be_main(const struct ms_birth *b, const struct ms_buf *meta) {
    struct ms_derived_name derived;
    char text[32];
    fact(meta, "category", text, sizeof text);
    return !ms_derived_parse(b->name, &derived) &&
           (text[0] == '\0' || strcmp(text, ms_category_name(MS_CATEGORY_MAIN)) == 0 ||
            strcmp(text, ms_category_name(MS_CATEGORY_TEMPORARY)) == 0);
}

static bool take_facts(struct ms_birth *b, const struct ms_buf *meta) {
    char text[1100], name[1100];
    fact(meta, "name", text, sizeof text);
    percent_decode(text, name, sizeof name);
    ms_name_from_text(name[0] ? name : "unnamed", b->name);
    fact(meta, "content-type", b->media_type, sizeof b->media_type);
    fact(meta, "created", text, sizeof text);
    if (ms_instant_parse(text, &b->created, NULL) != MS_OK)
        b->created = b->modified;
    return may_be_main(b, meta) && id_fact(meta, "asset", &b->asset.id) && id_fact(meta, "object", &b->object.id) &&
           id_fact(meta, "tenant", &b->tenant.id);
}

static enum ms_code head_one(void *priv, size_t i, struct ms_error *reterr) {
    struct round *round = priv;
    struct birth *one = &round->at[i];
    struct ms_obj_request head = {.op = MS_OBJ_HEAD, .key = one->b.key};
    enum ms_code code = ms_obj_run(round->r->svc->obj, &head, reterr);
    if (code == MS_OK) {
        one->known = take_facts(&one->b, &head.ret_meta);
        one->b.size = head.ret_size;
        memcpy(one->b.etag, head.ret_etag, sizeof one->b.etag);
    }
    ms_buf_fini(&head.ret_meta);
    return code == MS_NOT_FOUND ? MS_OK : code;
}

/* ---- what a snapshot does not know ----------------------------------------------------------- */

static const struct ms_rebuild_tenant *told_tenant(const struct ms_rebuild *r,
                                                   struct ms_tenant_id id) {
    for (size_t i = 0; i < r->tenant_n; i++)
        if (ms_tenant_id_equal(r->tenant[i].id, id))
            return &r->tenant[i];
    return NULL;
}

/* A snapshot has every version and every dead object, so what is older and in none was never
 * sealed, or is deleted. */
static bool is_stray(const struct ms_rebuild *r, const struct ms_birth *birth) {
    const struct ms_rebuild_tenant *tenant = told_tenant(r, birth->tenant);
    return tenant && !tenant->damaged && tenant->snapshot_at.ms != 0 &&
           birth->modified.ms < tenant->snapshot_at.ms - SKEW_MS;
}

/* ---- the newest of each asset ---------------------------------------------------------------- */

static enum ms_code keep_op(struct ms_txn *txn, const void *in, void *out,
                            struct ms_error *reterr) {
    const struct round *round = in;
    (void)out;
    for (size_t i = 0; i < round->n; i++) {
        const struct ms_birth *b = &round->at[i].b;
        struct ms_birth other;
        uint8_t bytes[2048];
        struct ms_writer w = ms_writer_on(bytes, sizeof bytes);
        struct ms_key dead = ms_scratch_of_id('o', b->object.id);
        bool there;
        if (!round->at[i].known || b->size == 0 || b->size > MS_FILE_BYTES_MAX ||
            is_stray(round->r, b) || ms_txn_has(txn, ms_key_view(&dead)))
            continue;
        MS_TRY(ms_birth_get(txn, b->asset, &other, &there, reterr));
        if (there && (other.modified.ms > b->modified.ms ||
                      (other.modified.ms == b->modified.ms && strcmp(other.key, b->key) > 0)))
            continue;
        ms_birth_put(&w, b);
        struct ms_key key = ms_scratch_of_id('B', b->asset.id);
        MS_TRY(ms_txn_put(txn, ms_key_view(&key), ms_writer_view(&w), reterr));
    }
    return MS_OK;
}

static enum ms_code collect_unclaimed(void *priv, struct ms_txn *txn, struct ms_view key,
                                      struct ms_view value, struct ms_error *reterr) {
    struct round *round = priv;
    struct ms_birth *b = &round->at[round->n].b;
    struct ms_listed listed;
    bool there;
    (void)value;
    MS_ASSERT(round->n < 2 * OBJECTS_A_ROUND && key.n - 2 < sizeof b->key);
    memcpy(b->key, (const char *)key.p + 2, key.n - 2);
    b->key[key.n - 2] = '\0';
    MS_TRY(ms_listed_get(txn, b->key, &listed, &there, reterr));
    if (!there || listed.claimed)
        return MS_OK;
    b->modified = listed.modified;
    round->at[round->n++].known = false;
    return MS_OK;
}

static enum ms_code heads(struct ms_rebuild *r, struct round *round, struct ms_error *reterr) {
    struct ms_walk walk = {
        .prefix = ms_key_scratch('O', "", 0), .each = collect_unclaimed, .priv = round};
    uint64_t done = 0;
    while (!walk.ended) {
        struct ms_write write = {.fn = keep_op, .in = round};
        round->n = 0;
        MS_TRY(ms_walk_some(r->svc, &walk, reterr));
        MS_TRY(ms_rebuild_parallel(head_one, round, round->n, reterr));
        if (round->n > 0)
            MS_TRY(ms_store_write(r->svc->store, &write, reterr));
        done += round->n;
        MS_TRY(ms_rebuild_goes_on(r, "objects", done, r->result.listed, reterr));
    }
    return MS_OK;
}

enum ms_code ms_rebuild_births(struct ms_rebuild *r, struct ms_error *reterr) {
    struct round round = {.r = r};
    MS_TRY(claim(r, reterr));
    round.at = calloc(2 * OBJECTS_A_ROUND, sizeof *round.at);
    if (!round.at)
        return ms_fail(reterr, MS_NO_MEMORY, "no memory for a rebuild");
    enum ms_code code = heads(r, &round, reterr);
    free(round.at);
    return code;
}
