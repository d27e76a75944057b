/* Recovery of the files that a dead process had open for writing: fsynced ones are completed and
 * sealed, of the others only the intent goes (a file that was never sealed vanishes with the mark
 * that it leaves in ORPHAN).
 *
 * Each write operation looks for the intent first, in the same transaction. So two recoverers, or
 * one that was killed and comes again, never settle the same one twice.
 */
#include "service/recover_part.h"

#include "service/payment.h"

#include <inttypes.h>
#include <stdlib.h>

#define INTENTS_A_COMMIT 64u
#define WHO "recover"

struct left_intent {
    struct ms_intent_id id;
    struct ms_instant at;
    uint64_t ino;
    bool fsynced;
};

struct intents {
    struct left_intent *at;
    size_t n, cap;
};

/* ---- what there is --------------------------------------------------------------------------- */

static enum ms_code collect_intent(void *priv, struct ms_txn *txn, struct ms_view key,
                                   struct ms_view value, struct ms_error *reterr) {
    struct intents *list = priv;
    struct ms_intent_record intent;
    (void)txn, (void)key;
    MS_TRY(ms_intent_decode(value, &intent, reterr));
    if (list->n == list->cap) {
        size_t cap = list->cap ? 2 * list->cap : 64;
        struct left_intent *more = reallocarray(list->at, cap, sizeof *more);
        if (!more)
            return ms_fail(reterr, MS_NO_MEMORY, "no memory for %zu intents", cap);
        list->at = more;
        list->cap = cap;
    }
    list->at[list->n++] = (struct left_intent){
        .id = {intent.id}, .at = intent.at, .ino = intent.ino, .fsynced = intent.fsynced != 0};
    return MS_OK;
}

static int fsynced_then_by_age(const void *a, const void *b) {
    const struct left_intent *x = a, *y = b;
    if (x->fsynced != y->fsynced)
        return x->fsynced ? -1 : 1;
    return (x->at.ms > y->at.ms) - (x->at.ms < y->at.ms);
}

static enum ms_code intents_of(struct ms_svc *svc, struct ms_instance_id dead, struct intents *list,
                               struct ms_error *reterr) {
    struct ms_walk walk = {.prefix = ms_key_intents_of(dead), .each = collect_intent, .priv = list};
    MS_TRY(ms_walk_all(svc, &walk, reterr));
    if (list->n > 0)
        qsort(list->at, list->n, sizeof *list->at, fsynced_then_by_age);
    return MS_OK;
}

enum ms_code ms_recover_has_fsynced(struct ms_svc *svc, struct ms_instance_id dead, bool *ret_has,
                                    struct ms_error *reterr) {
    struct intents list = {NULL, 0, 0};
    enum ms_code code = intents_of(svc, dead, &list, reterr);
    *ret_has = list.n > 0 && list.at[0].fsynced;
    free(list.at);
    return code;
}

/* ---- one fsynced file ------------------------------------------------------------------------ */

struct promise {
    struct ms_recovery *r;
    struct ms_dead *dead;
    const struct left_intent *left;
    struct ms_intent_record intent;
    struct ms_obj_part *parts;
    size_t parts_n, parts_cap;
    struct ms_tenant_id tenant;
    bool gone;       /* the intent is: somebody else has settled it */
    bool pointless;  /* no file is behind it any more */
    bool superseded; /* somebody has sealed a newer version since the fsync */
};

static enum ms_code add_part(void *priv, struct ms_txn *txn, struct ms_view key,
                             struct ms_view value, struct ms_error *reterr) {
    struct promise *p = priv;
    struct ms_part_record part;
    (void)txn, (void)key;
    MS_TRY(ms_part_decode(value, &part, reterr));
    if (p->parts_n == p->parts_cap) {
        size_t cap = p->parts_cap ? 2 * p->parts_cap : 64;
        struct ms_obj_part *more = reallocarray(p->parts, cap, sizeof *more);
        if (!more)
            return ms_fail(reterr, MS_NO_MEMORY, "no memory for %zu parts", cap);
        p->parts = more;
        p->parts_cap = cap;
    }
    struct ms_obj_part *to = &p->parts[p->parts_n++];
    *to = (struct ms_obj_part){.part_no = part.part_no, .size = part.size};
    memcpy(to->etag, part.etag, sizeof to->etag);
    return MS_OK;
}

static enum ms_code load_list(struct promise *p, struct ms_txn *txn, struct ms_error *reterr) {
    struct ms_key key = ms_key_intent(p->dead->instance, p->left->id);
    struct ms_walk parts = {.prefix = ms_key_parts_of(p->left->id), .each = add_part, .priv = p};
    bool there;
    MS_TRY(ms_allow_absent(ms_row_get_intent(txn, key, &p->intent, reterr), &there));
    p->gone = !there;
    p->parts_n = 0;
    return there ? ms_walk_in(txn, &parts, reterr) : MS_OK;
}

/* Bytes that were written later win: a version that somebody else has sealed after the fsync is
 * what everybody has seen since. */
static enum ms_code look_at_file(struct promise *p, struct ms_txn *txn, bool *ret_found,
                                 struct ms_error *reterr) {
    struct ms_inode_record inode;
    struct ms_version_record version;
    bool there;
    MS_TRY(ms_allow_absent(
        ms_row_get_inode(txn, ms_key_inode(p->tenant, p->intent.ino), &inode, reterr), ret_found));
    if (!*ret_found)
        return MS_OK;
    p->pointless = inode.orphan || !ms_inode_has_asset(&inode);
    struct ms_version_id id = {inode.version};
    if (p->pointless || ms_version_id_is_none(id))
        return MS_OK;
    MS_TRY(ms_allow_absent(ms_row_get_version(txn, ms_key_version(p->tenant, id), &version, reterr),
                           &there));
    p->superseded = there && version.committed.ms > p->intent.at.ms;
    return MS_OK;
}

/* The intent names the asset that was behind the inode at its birth; a rename may have ended that
 * one, then the inode's number, which is nobody else's, finds the tenant. */
static enum ms_code plan_in(struct promise *p, struct ms_txn *txn, struct ms_error *reterr) {
    bool there;
    MS_TRY(load_list(p, txn, reterr));
    if (p->gone)
        return MS_OK;
    struct ms_asset_id asset = {p->intent.asset};
    asset.id = p->intent.asset;
    MS_TRY(
        ms_allow_absent(ms_row_get_id(txn, ms_key_aowner(asset), &p->tenant.id, reterr), &there));
    if (there)
        MS_TRY(look_at_file(p, txn, &there, reterr));
    p->pointless |= !there;
    return MS_OK;
}

static enum ms_code find_by_inode(struct promise *p, struct ms_error *reterr) {
    struct ms_tenant_record tenant;
    struct ms_tenant_id after = {{{0}}};
    enum ms_code code;
    while ((code = ms_tenant_behind(p->r->svc, after, &tenant, reterr)) == MS_OK ||
           code == MS_CORRUPT) {
        struct ms_txn *txn;
        bool found = false;
        after = p->tenant = (struct ms_tenant_id){tenant.id};
        if (code == MS_CORRUPT)
            continue;
        MS_TRY(ms_read_begin(p->r->svc->store, &txn, reterr));
        code = look_at_file(p, txn, &found, reterr);
        ms_read_end(txn);
        if (code != MS_OK || found)
            return code;
    }
    p->pointless = true;
    return code == MS_NOT_FOUND ? MS_OK : code;
}

static enum ms_code plan(struct promise *p, struct ms_error *reterr) {
    struct ms_txn *txn;
    MS_TRY(ms_read_begin(p->r->svc->store, &txn, reterr));
    enum ms_code code = plan_in(p, txn, reterr);
    ms_read_end(txn);
    if (code != MS_OK || p->gone || !p->pointless)
        return code;
    p->pointless = false;
    return find_by_inode(p, reterr);
}

/* ---- the seal -------------------------------------------------------------------------------- */

struct seal_in {
    struct ms_sealing sealing;
};
struct seal_out {
    struct ms_sealed sealed;
    bool settled; /* the intent was gone */
};

static enum ms_code seal_op(struct ms_txn *txn, const void *in, void *out,
                            struct ms_error *reterr) {
    const struct seal_in *s = in;
    struct seal_out *o = out;
    struct ms_key key = ms_key_intent(s->sealing.call.instance, s->sealing.intents[0]);
    struct ms_intent_record intent;
    bool there;
    MS_TRY(ms_allow_absent(ms_row_get_intent(txn, key, &intent, reterr), &there));
    o->settled = !there;
    return there ? ms_seal_op(txn, &s->sealing, &o->sealed, reterr) : MS_OK;
}

/* As the live file would: with the lease and the intent of the dead process. */
static void fill_sealing(const struct promise *p, const struct ms_recovered *bytes,
                         struct ms_sealing *s) {
    struct ms_svc *svc = p->r->svc;
    s->ctx = (struct ms_ctx){.tenant = p->tenant, .who = WHO, .admin = true};
    s->call = (struct ms_tree_call){.ctx = &s->ctx,
                                    .ts = ms_clock_timespec(svc->clock),
                                    .instance = p->dead->instance,
                                    .limits = &svc->limits,
                                    .unasked = ms_payments_unasked(svc)};
    s->ino = p->intent.ino;
    s->replaces = true;
    s->version = ms_version_id_new(svc->random);
    s->size = bytes->size;
    s->object = (struct ms_object_id){p->intent.object};
    s->hashes = &bytes->hashes;
    s->local = p->intent.local;
    s->intents = &p->left->id;
    s->intents_n = 1;
    s->facts = bytes->probed.there ? &bytes->probed.facts : NULL;
    memcpy(s->root, bytes->root, sizeof s->root);
    memcpy(s->etag, bytes->etag, sizeof s->etag);
    memcpy(s->media_type, bytes->media_type, sizeof s->media_type);
    (void)snprintf(s->key, sizeof s->key, "%s", bytes->key);
}

static enum ms_code seal(const struct promise *p, const struct ms_recovered *bytes,
                         struct seal_out *out, struct ms_error *reterr) {
    struct seal_in *in = calloc(1, sizeof *in);
    if (!in)
        return ms_fail(reterr, MS_NO_MEMORY, "no memory to seal a file");
    fill_sealing(p, bytes, &in->sealing);
    struct ms_write write = {.fn = seal_op,
                             .in = in,
                             .out = out,
                             .out_size = sizeof *out,
                             .fence = ms_store_fence(p->r->svc->store),
                             .frees = true};
    enum ms_code code = ms_store_write(p->r->svc->store, &write, reterr);
    free(in);
    return code;
}

/* ---- intents end ----------------------------------------------------------------------------- */

struct end_in {
    struct ms_instance_id instance;
    struct ms_intent_id id[INTENTS_A_COMMIT];
    size_t n;
};

static enum ms_code end_op(struct ms_txn *txn, const void *in, void *out, struct ms_error *reterr) {
    const struct end_in *e = in;
    struct ms_tree t = {.txn = txn, .writes = true, .instance = e->instance};
    (void)out;
    return ms_intent_end(&t, e->id, e->n, reterr);
}

static enum ms_code end_intents(struct ms_recovery *r, const struct end_in *in,
                                struct ms_error *reterr) {
    struct ms_write write = {
        .fn = end_op, .in = in, .fence = ms_store_fence(r->svc->store), .frees = true};
    return in->n > 0 ? ms_store_write(r->svc->store, &write, reterr) : MS_OK;
}

static enum ms_code end_one(const struct promise *p, struct ms_error *reterr) {
    struct end_in in = {.instance = p->dead->instance, .id = {p->left->id}, .n = 1};
    return end_intents(p->r, &in, reterr);
}

/* ---- one after the other --------------------------------------------------------------------- */

static bool is_for_later(enum ms_code code) {
    return code == MS_WRONG_STATE || code == MS_NOT_PERMITTED || code == MS_NOT_READABLE ||
           code == MS_QUOTA || code == MS_REVIEW || code == MS_BUSY;
}

static bool is_refused_content(enum ms_code code) {
    return code == MS_WRONG_KIND || code == MS_TOO_LARGE;
}

/* Its lease and its mark must stay: they are what the later seal goes by. */
static enum ms_code defer(struct promise *p, struct ms_error *reterr) {
    p->dead->keeps = true;
    return ms_numbers_add(&p->r->deferred, p->left->ino, reterr);
}

static void tell(const struct promise *p, const char *event, const struct ms_error *err) {
    char ino[24];
    (void)snprintf(ino, sizeof ino, "%" PRIu64, p->left->ino);
    ms_log_failure(p->r->svc->log, MS_LOG_WARN, event, err, "ino", ino, "key", p->intent.key, NULL);
}

/* What the store or the rules said: settle it, leave it for later, or fail. */
static enum ms_code after_failure(struct promise *p, enum ms_code code, bool bytes_lost,
                                  const struct ms_error *err, struct ms_error *reterr) {
    if (bytes_lost) {
        tell(p, "fsynced-bytes-lost", err);
        p->r->result.lost++;
        return end_one(p, reterr);
    }
    if (is_refused_content(code)) { /* an overwrite that breaks a rule: the old version stays */
        tell(p, "fsynced-bytes-refused", err);
        p->r->result.dropped++;
        return end_one(p, reterr);
    }
    if (is_for_later(code)) {
        tell(p, "fsynced-file-deferred", err);
        p->r->result.deferred++;
        return defer(p, reterr);
    }
    ms_recovery_failed(p->r, "fsynced-file-not-completed", p->dead, err);
    return defer(p, reterr);
}

static enum ms_code keep_promise(struct promise *p, struct ms_error *reterr) {
    MS_AUTO(ms_recovered_fini) struct ms_recovered bytes = {.key = NULL};
    struct seal_out out;
    struct ms_error err = {0};
    enum ms_code code = ms_recover_bytes(p->r, &p->intent, p->parts, p->parts_n, &bytes, &err);
    if (code != MS_OK)
        return after_failure(p, code, code == MS_NOT_FOUND, &err, reterr);
    code = seal(p, &bytes, &out, &err);
    if (code != MS_OK)
        return after_failure(p, code, false, &err, reterr);
    if (out.settled)
        return MS_OK;
    p->r->result.completed += !out.sealed.gone;
    p->r->result.dropped += out.sealed.gone;
    return MS_OK;
}

static enum ms_code settle_promise(struct promise *p, struct ms_error *reterr) {
    struct ms_error err = {0};
    enum ms_code code = plan(p, &err);
    if (code != MS_OK)
        return after_failure(p, code, false, &err, reterr);
    if (p->gone)
        return MS_OK;
    if (!p->pointless && !p->superseded)
        return keep_promise(p, reterr);
    p->r->result.dropped++;
    return end_one(p, reterr);
}

static enum ms_code settle_all(struct ms_recovery *r, struct ms_dead *dead,
                               const struct intents *list, struct ms_error *reterr) {
    struct end_in in = {.instance = dead->instance};
    for (size_t i = 0; i < list->n; i++) {
        if (list->at[i].fsynced) {
            struct promise p = {.r = r, .dead = dead, .left = &list->at[i]};
            enum ms_code code = settle_promise(&p, reterr);
            free(p.parts);
            if (code != MS_OK)
                return code;
            continue;
        }
        in.id[in.n++] = list->at[i].id;
        if (in.n < INTENTS_A_COMMIT)
            continue;
        MS_TRY(end_intents(r, &in, reterr));
        in.n = 0;
    }
    return end_intents(r, &in, reterr);
}

enum ms_code ms_recover_intents(struct ms_recovery *r, struct ms_dead *dead,
                                struct ms_error *reterr) {
    struct intents list = {NULL, 0, 0};
    enum ms_code code = intents_of(r->svc, dead->instance, &list, reterr);
    if (code == MS_OK)
        code = settle_all(r, dead, &list, reterr);
    free(list.at);
    return code;
}
