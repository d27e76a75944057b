/* fsck of what is nobody's own: owners and names, objects and their references, tombstones, block
 * hashes, intents, and what belongs to processes. */
#include "service/fsck_part.h"

#include "content/hash.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define RECOUNTS 3

/* ---- names and owners ------------------------------------------------------------------------ */

static enum ms_code check_tname(void *priv, struct ms_txn *txn, struct ms_view key,
                                struct ms_view value, struct ms_error *reterr) {
    struct ms_fsck *f = priv;
    struct ms_tenant_record tenant;
    struct ms_tenant_id id = {ms_key_id_at(value, 0)};
    char name[MS_TENANT_NAME_MAX + 1] = "";
    enum ms_fsck_seen seen;
    if (key.n - 1 < sizeof name)
        memcpy(name, (const uint8_t *)key.p + 1, key.n - 1);
    MS_TRY(ms_fsck_see(ms_row_get_tenant(txn, ms_key_tenant(id), &tenant, reterr), &seen));
    if (seen == MS_FSCK_ABSENT || (seen == MS_FSCK_THERE && strcmp(name, tenant.name) != 0))
        ms_fsck_finding(f, "tenant", "the name \"%s\" leads to tenant %s, which %s", name,
                        ms_id_text(id.id).s,
                        seen == MS_FSCK_ABSENT ? "is not there" : "has another one");
    return MS_OK;
}

static enum ms_code check_aowner(void *priv, struct ms_txn *txn, struct ms_view key,
                                 struct ms_view value, struct ms_error *reterr) {
    struct ms_fsck *f = priv;
    struct ms_asset_id id = {ms_key_id_at(key, 1)};
    struct ms_tenant_id owner = {ms_key_id_at(value, 0)};
    struct ms_asset_record asset;
    enum ms_fsck_seen seen;
    MS_TRY(ms_fsck_see(ms_row_get_asset(txn, ms_key_asset(owner, id), &asset, reterr), &seen));
    if (seen == MS_FSCK_ABSENT)
        ms_fsck_finding(f, "owner", "asset %s is listed as tenant %s's, who has no such asset",
                        ms_id_text(id.id).s, ms_id_text(owner.id).s);
    return MS_OK;
}

/* ---- I7: references -------------------------------------------------------------------------- */

struct suspect {
    struct ms_object_id object;
    uint32_t versions; /* that name it, by the last count */
    bool cleared;
};

struct refs {
    struct suspect *at;
    size_t n, cap;
};

static enum ms_code suspect(struct refs *refs, struct ms_object_id object,
                            struct ms_error *reterr) {
    if (refs->n == refs->cap) {
        size_t cap = refs->cap ? 2 * refs->cap : 64;
        struct suspect *at = reallocarray(refs->at, cap, sizeof *at);
        if (!at)
            return ms_fail(reterr, MS_NO_MEMORY, "no memory to count references of objects");
        refs->at = at;
        refs->cap = cap;
    }
    refs->at[refs->n++] = (struct suspect){.object = object};
    return MS_OK;
}

static uint64_t versions_of(const struct ms_fsck *f, struct ms_object_id object) {
    uint64_t half = ms_id_half(object.id), n = 0;
    for (size_t i = ms_numbers_seek(&f->refs, half); i < f->refs.n && f->refs.at[i] == half; i++)
        n++;
    return n;
}

/* Rows of hashes behind the last block. Missing ones are said of the version. */
static enum ms_code check_extra_hashes(struct ms_fsck *f, struct ms_txn *txn,
                                       const struct ms_object_record *object,
                                       struct ms_error *reterr) {
    struct ms_object_id id = {object->id};
    uint64_t blocks = ms_block_count(object->size, object->block_log2);
    uint32_t rows = (uint32_t)((blocks + MS_HASHES_PER_ROW - 1) / MS_HASHES_PER_ROW);
    struct ms_key from = ms_key_hashes(id, rows), to = ms_key_hashes(id, UINT32_MAX);
    struct ms_scan scan;
    struct ms_view key, value;
    ms_scan_begin(&scan, txn, ms_key_view(&from), ms_key_view(&to));
    enum ms_code code = ms_scan_next(&scan, &key, &value, reterr);
    ms_scan_end(&scan);
    if (code == MS_OK)
        ms_fsck_finding(f, "hashes",
                        "object %s of %" PRIu64 " bytes has more than its %" PRIu32
                        " rows of block hashes",
                        object->key, object->size, rows);
    return code == MS_NOT_FOUND || code == MS_CORRUPT ? MS_OK : code;
}

/* I10, from both sides. */
static enum ms_code check_local_row(struct ms_fsck *f, struct ms_txn *txn,
                                    const struct ms_object_record *object,
                                    struct ms_error *reterr) {
    struct ms_local_record row;
    enum ms_fsck_seen seen;
    if (ms_instant_is_none(object->local))
        return MS_OK;
    struct ms_key key = ms_key_local(object->local, (struct ms_object_id){object->id});
    MS_TRY(ms_fsck_see(ms_row_get_local(txn, key, &row, reterr), &seen));
    if (seen == MS_FSCK_ABSENT)
        ms_fsck_finding(f, "I10", "object %s is on the local disk only and not to be uploaded",
                        object->key);
    return MS_OK;
}

static enum ms_code check_local(void *priv, struct ms_txn *txn, struct ms_view key,
                                struct ms_view value, struct ms_error *reterr) {
    struct ms_fsck *f = priv;
    struct ms_local_record row;
    struct ms_object_record object;
    struct ms_error err = {0};
    enum ms_fsck_seen seen;
    if (!ms_fsck_decoded(f, ms_local_decode(value, &row, &err), key, &err))
        return MS_OK;
    struct ms_object_id id = {row.object};
    MS_TRY(ms_fsck_see(ms_row_get_object(txn, ms_key_object(id), &object, reterr), &seen));
    if (seen == MS_FSCK_ABSENT || (seen == MS_FSCK_THERE && object.local.ms != row.since.ms))
        ms_fsck_finding(f, "I10", "object %s is to be uploaded, but its row does not say so",
                        row.key);
    return MS_OK;
}

static enum ms_code check_object(void *priv, struct ms_txn *txn, struct ms_view key,
                                 struct ms_view value, struct ms_error *reterr) {
    struct ms_fsck *f = priv;
    struct ms_object_record object;
    struct ms_error err = {0};
    if (!ms_fsck_decoded(f, ms_object_decode(value, &object, &err), key, &err))
        return MS_OK;
    struct ms_object_id id = {object.id};
    if (!ms_id_is(object.id, ms_key_id_at(key, 1)))
        ms_fsck_finding(f, "object", "object %s lies under another id", object.key);
    if (object.block_log2 < MS_BLOCK_LOG2_MIN || object.block_log2 > MS_BLOCK_LOG2_MAX)
        ms_fsck_finding(f, "object", "object %s has blocks of 2^%u bytes", object.key,
                        object.block_log2);
    else
        MS_TRY(check_extra_hashes(f, txn, &object, reterr));
    MS_TRY(check_local_row(f, txn, &object, reterr));
    f->result.objects++;
    return versions_of(f, id) == object.refs && object.refs > 0 ? MS_OK
                                                                : suspect(f->part, id, reterr);
}

static int by_object(const void *a, const void *b) {
    return memcmp(((const struct suspect *)a)->object.id.b,
                  ((const struct suspect *)b)->object.id.b, MS_ID_BYTES);
}

static enum ms_code count_version(void *priv, struct ms_txn *txn, struct ms_view key,
                                  struct ms_view value, struct ms_error *reterr) {
    struct refs *refs = ((struct ms_fsck *)priv)->part;
    struct ms_version_record version;
    (void)txn, (void)key, (void)reterr;
    if (ms_version_decode(value, &version, NULL) != MS_OK)
        return MS_OK;
    struct suspect wanted = {.object = {version.object}};
    struct suspect *s = bsearch(&wanted, refs->at, refs->n, sizeof wanted, by_object);
    if (s)
        s->versions++;
    return MS_OK;
}

struct verdict {
    struct suspect *suspect;
    bool last;
};

static enum ms_code judge(struct ms_fsck *f, struct ms_txn *txn, void *priv,
                          struct ms_error *reterr) {
    struct verdict *v = priv;
    struct ms_object_record object;
    enum ms_fsck_seen seen;
    MS_TRY(ms_fsck_see(ms_row_get_object(txn, ms_key_object(v->suspect->object), &object, reterr),
                       &seen));
    v->suspect->cleared =
        seen != MS_FSCK_THERE || (object.refs == v->suspect->versions && object.refs > 0);
    if (!v->suspect->cleared && v->last)
        ms_fsck_finding(f, "I7",
                        "object %s counts %" PRIu32 " references, %" PRIu32 " versions name it",
                        object.key, object.refs, v->suspect->versions);
    return MS_OK;
}

/* Versions and objects were read at different instants: who differs is counted again, and only who
 * differs every time is reported. */
static enum ms_code recount(struct ms_fsck *f, struct refs *refs, struct ms_error *reterr) {
    for (unsigned round = 1; round <= RECOUNTS && refs->n > 0; round++) {
        size_t left = 0;
        qsort(refs->at, refs->n, sizeof *refs->at, by_object);
        for (size_t i = 0; i < refs->n; i++)
            refs->at[i].versions = 0;
        MS_TRY(ms_fsck_walk(f, ms_fsck_table('V'), count_version, reterr));
        for (size_t i = 0; i < refs->n; i++) {
            struct verdict v = {&refs->at[i], round == RECOUNTS};
            MS_TRY(ms_fsck_read(f, judge, &v, reterr));
            if (!refs->at[i].cleared)
                refs->at[left++] = refs->at[i];
        }
        refs->n = left;
    }
    return MS_OK;
}

static enum ms_code check_objects(struct ms_fsck *f, struct ms_error *reterr) {
    struct refs refs = {NULL, 0, 0};
    f->part = &refs;
    ms_numbers_sort(&f->refs);
    enum ms_code code = ms_fsck_walk(f, ms_key_objects(), check_object, reterr);
    if (code == MS_OK)
        code = recount(f, &refs, reterr);
    free(refs.at);
    return code;
}

/* ---- tombstones and hashes ------------------------------------------------------------------- */

static enum ms_code check_tomb(void *priv, struct ms_txn *txn, struct ms_view key,
                               struct ms_view value, struct ms_error *reterr) {
    struct ms_fsck *f = priv;
    struct ms_tombstone_record tomb;
    struct ms_object_record object;
    struct ms_error err = {0};
    enum ms_fsck_seen seen;
    if (!ms_fsck_decoded(f, ms_tombstone_decode(value, &tomb, &err), key, &err))
        return MS_OK;
    struct ms_object_id id = {tomb.object};
    if (!ms_id_is(tomb.object, ms_key_id_at(key, 1)))
        ms_fsck_finding(f, "I7", "the tombstone of %s lies under another id", tomb.key);
    MS_TRY(ms_fsck_see(ms_row_get_object(txn, ms_key_object(id), &object, reterr), &seen));
    if (seen != MS_FSCK_ABSENT)
        ms_fsck_finding(f, "I7", "object %s has a tombstone and is there", tomb.key);
    return MS_OK;
}

struct hash_rows {
    struct ms_fsck *f;
    struct ms_walk walk;
};

/* One row of each object is enough; the walk goes on behind its last one. */
static enum ms_code check_hashes(void *priv, struct ms_txn *txn, struct ms_view key,
                                 struct ms_view value, struct ms_error *reterr) {
    struct hash_rows *h = priv;
    struct ms_object_id id = {ms_key_id_at(key, 1)};
    struct ms_key of[2] = {ms_key_object(id), ms_key_tomb(id)}, last;
    struct ms_view row;
    enum ms_fsck_seen seen[2];
    (void)value;
    for (unsigned i = 0; i < 2; i++)
        MS_TRY(ms_fsck_see(ms_txn_get(txn, ms_key_view(&of[i]), &row, reterr), &seen[i]));
    if (seen[0] == MS_FSCK_ABSENT && seen[1] == MS_FSCK_ABSENT)
        ms_fsck_finding(h->f, "hashes", "block hashes of object %s, which is not there",
                        ms_id_text(id.id).s);
    last = ms_key_hashes(id, UINT32_MAX);
    ms_walk_skip_to(&h->walk, ms_key_view(&last));
    return MS_OK;
}

static void pass_over(void *priv, struct ms_view key, const struct ms_error *err) {
    (void)priv, (void)key, (void)err;
}

static enum ms_code check_all_hashes(struct ms_fsck *f, struct ms_error *reterr) {
    struct hash_rows h = {f, {.prefix = ms_fsck_table('H'), .each = check_hashes}};
    h.walk.priv = &h;
    h.walk.damaged = pass_over;
    while (!h.walk.ended) {
        enum ms_code code = ms_walk_some(f->svc, &h.walk, reterr);
        ms_fsck_flush(f);
        if (code != MS_OK)
            return code;
    }
    return MS_OK;
}

/* ---- I6: intents and parts ------------------------------------------------------------------- */

static enum ms_code check_intent(void *priv, struct ms_txn *txn, struct ms_view key,
                                 struct ms_view value, struct ms_error *reterr) {
    struct ms_fsck *f = priv;
    struct ms_intent_record intent;
    struct ms_object_record object;
    struct ms_error err = {0};
    enum ms_fsck_seen seen;
    if (!ms_fsck_decoded(f, ms_intent_decode(value, &intent, &err), key, &err))
        return MS_OK;
    if (!ms_id_is(intent.instance, ms_key_id_at(key, 1)) ||
        !ms_id_is(intent.id, ms_key_id_at(key, 1 + MS_ID_BYTES)))
        ms_fsck_finding(f, "I6", "the intent of %s lies under another key", intent.key);
    MS_TRY(ms_fsck_see(ms_row_get_object(txn, ms_key_object((struct ms_object_id){intent.object}),
                                         &object, reterr),
                       &seen));
    if (seen == MS_FSCK_THERE)
        ms_fsck_finding(f, "I6", "the intent of %s is still there, and so is the object",
                        intent.key);
    return ms_numbers_add(&f->intents, ms_id_half(intent.id), reterr);
}

struct lone_part {
    struct ms_intent_id intent;
    uint32_t part_no;
    bool found;
};

static enum ms_code is_its_intent(void *priv, struct ms_txn *txn, struct ms_view key,
                                  struct ms_view value, struct ms_error *reterr) {
    struct lone_part *p = priv;
    (void)txn, (void)value, (void)reterr;
    p->found |= ms_id_is(ms_key_id_at(key, 1 + MS_ID_BYTES), p->intent.id);
    return MS_OK;
}

/* The intent may have come after the intents were read: both rows in one read decide. */
static enum ms_code look_for_intent(struct ms_fsck *f, struct ms_txn *txn, void *priv,
                                    struct ms_error *reterr) {
    struct lone_part *p = priv;
    struct ms_walk walk = {
        .prefix = ms_key_intents(), .each = is_its_intent, .priv = p, .damaged = pass_over};
    struct ms_part_record part;
    enum ms_fsck_seen seen;
    p->found = false;
    MS_TRY(ms_fsck_see(ms_row_get_part(txn, ms_key_part(p->intent, p->part_no), &part, reterr),
                       &seen));
    if (seen != MS_FSCK_THERE)
        return MS_OK;
    MS_TRY(ms_walk_in(txn, &walk, reterr));
    if (!p->found)
        ms_fsck_finding(f, "I6", "part %" PRIu32 " is listed for intent %s, which is not there",
                        p->part_no, ms_id_text(p->intent.id).s);
    return MS_OK;
}

/* Two numbers each intent, and the part's. */
static enum ms_code check_part(void *priv, struct ms_txn *txn, struct ms_view key,
                               struct ms_view value, struct ms_error *reterr) {
    struct ms_fsck *f = priv;
    struct ms_part_record part;
    struct ms_error err = {0};
    (void)txn;
    if (!ms_fsck_decoded(f, ms_part_decode(value, &part, &err), key, &err))
        return MS_OK;
    if (ms_numbers_have(&f->intents, ms_key_u64_at(key, 1)))
        return MS_OK;
    MS_TRY(ms_numbers_add(f->part, ms_key_u64_at(key, 1), reterr));
    MS_TRY(ms_numbers_add(f->part, ms_key_u64_at(key, 9), reterr));
    return ms_numbers_add(f->part, part.part_no, reterr);
}

static enum ms_code check_intents(struct ms_fsck *f, struct ms_error *reterr) {
    MS_AUTO(ms_numbers_fini) struct ms_numbers lone = {NULL, 0, 0};
    MS_TRY(ms_fsck_walk(f, ms_key_intents(), check_intent, reterr));
    ms_numbers_sort(&f->intents);
    f->part = &lone;
    MS_TRY(ms_fsck_walk(f, ms_fsck_table('q'), check_part, reterr));
    for (size_t i = 0; i < lone.n; i += 3) {
        struct lone_part p = {.part_no = (uint32_t)lone.at[i + 2]};
        struct ms_writer w = ms_writer_on(p.intent.id.b, MS_ID_BYTES);
        ms_write_u64(&w, lone.at[i]);
        ms_write_u64(&w, lone.at[i + 1]);
        MS_TRY(ms_fsck_read(f, look_for_intent, &p, reterr));
    }
    return MS_OK;
}

/* ---- what belongs to processes --------------------------------------------------------------- */

/* Rows whose process is not in the registry: it may have registered since the registry was read, so
 * that is read again, and only who is unknown both times is. */
struct holders {
    struct ms_instance_id *unknown;
    size_t n, cap;
    bool again;
};

static bool is_unknown(const struct holders *h, struct ms_instance_id instance) {
    for (size_t i = 0; i < h->n; i++)
        if (ms_instance_id_equal(h->unknown[i], instance))
            return true;
    return false;
}

static enum ms_code note_unknown(struct holders *h, struct ms_instance_id instance,
                                 struct ms_error *reterr) {
    if (is_unknown(h, instance))
        return MS_OK;
    if (h->n == h->cap) {
        size_t cap = h->cap ? 2 * h->cap : 16;
        struct ms_instance_id *more = reallocarray(h->unknown, cap, sizeof *more);
        if (!more)
            return ms_fail(reterr, MS_NO_MEMORY, "no memory for %zu processes", cap);
        h->unknown = more;
        h->cap = cap;
    }
    h->unknown[h->n++] = instance;
    return MS_OK;
}

static void report_row(struct ms_fsck *f, struct ms_view key, struct ms_instance_id instance,
                       bool registered) {
    const char *state = registered ? "has died" : "is not registered";
    char table = *(const char *)key.p;
    uint64_t ino = ms_key_u64_at(key, MS_TABLE_TENANT_KEY_BYTES);
    if (table == 'S' && !registered)
        ms_fsck_finding(f, "I9", "a lease for inode %" PRIu64 " belongs to process %s, which %s",
                        ino, ms_id_text(instance.id).s, state);
    else if (table == 'S')
        ms_fsck_pending(f, "lease", "for inode %" PRIu64 " of process %s, which %s", ino,
                        ms_id_text(instance.id).s, state);
    else if (table == 'o')
        ms_fsck_pending(f, "orphan", "inode %" PRIu64 " is kept for process %s, which %s", ino,
                        ms_id_text(instance.id).s, state);
    else
        ms_fsck_pending(f, "intent", "%s of process %s, which %s",
                        ms_id_text(ms_key_id_at(key, 1 + MS_ID_BYTES)).s, ms_id_text(instance.id).s,
                        state);
}

/* The id of the process: in an intent's key, at the end of a lease's, the value of an orphan. */
static enum ms_code check_holder(void *priv, struct ms_txn *txn, struct ms_view key,
                                 struct ms_view value, struct ms_error *reterr) {
    struct ms_fsck *f = priv;
    struct holders *h = f->part;
    char table = *(const char *)key.p;
    struct ms_instance_id instance = {table == 'J' ? ms_key_id_at(key, 1)
                                      : table == 'S'
                                          ? ms_key_id_at(key, MS_TABLE_TENANT_KEY_BYTES + 8)
                                          : ms_key_id_at(value, 0)};
    (void)txn;
    switch (ms_fsck_life_of(f, instance)) {
    case MS_FSCK_ALIVE:
        return MS_OK;
    case MS_FSCK_DEAD:
        if (!h->again)
            report_row(f, key, instance, true);
        return MS_OK;
    case MS_FSCK_UNKNOWN:
        break;
    }
    if (!h->again)
        return note_unknown(h, instance, reterr);
    if (is_unknown(h, instance))
        report_row(f, key, instance, false);
    return MS_OK;
}

static enum ms_code walk_holders(struct ms_fsck *f, struct holders *h, struct ms_error *reterr) {
    f->part = h;
    MS_TRY(ms_fsck_walk(f, ms_fsck_table('J'), check_holder, reterr));
    MS_TRY(ms_fsck_walk(f, ms_fsck_table('S'), check_holder, reterr));
    return ms_fsck_walk(f, ms_fsck_table('o'), check_holder, reterr);
}

static enum ms_code check_holders(struct ms_fsck *f, struct ms_error *reterr) {
    struct holders h = {NULL, 0, 0, false};
    enum ms_code code = walk_holders(f, &h, reterr);
    if (code == MS_OK && h.n > 0) {
        h.again = true;
        code = ms_fsck_processes(f, reterr);
        if (code == MS_OK)
            code = walk_holders(f, &h, reterr);
    }
    free(h.unknown);
    return code;
}

/* ---- all of it ------------------------------------------------------------------------------- */

enum ms_code ms_fsck_shared(struct ms_fsck *f, struct ms_error *reterr) {
    MS_TRY(ms_fsck_walk(f, ms_fsck_table('t'), check_tname, reterr));
    MS_TRY(ms_fsck_walk(f, ms_fsck_table('a'), check_aowner, reterr));
    MS_TRY(check_objects(f, reterr));
    MS_TRY(ms_fsck_walk(f, ms_key_tombs(), check_tomb, reterr));
    MS_TRY(ms_fsck_walk(f, ms_key_locals(), check_local, reterr));
    MS_TRY(check_all_hashes(f, reterr));
    MS_TRY(check_intents(f, reterr));
    MS_TRY(ms_fsck_transfers(f, reterr));
    MS_TRY(ms_fsck_shares(f, reterr));
    return check_holders(f, reterr);
}
