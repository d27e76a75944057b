/* Rows into memory: what an image rests on, what its name demands, what the life cycle allows. */
#include "service/file_image.h"
#include "service/hash_rows.h"
#include "service/upkeep_walk.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum ms_code ms_image_named(const struct ms_tree *t, uint64_t ino, struct ms_named *ret_named,
                            struct ms_error *reterr) {
    uint64_t parent;
    struct ms_place place;

    MS_TRY(ms_change_first_place(t->txn, t->id, ino, &parent, ret_named->name, reterr));
    MS_TRY(ms_tree_place(t, parent, 0, &place, reterr));
    ret_named->top = place.top;
    return MS_OK;
}

/* ---- the basis ------------------------------------------------------------------------------- */

static enum ms_code load_hashes(struct ms_txn *txn, struct ms_source *source,
                                struct ms_error *reterr) {
    uint64_t count = ms_block_count(source->size, source->block_log2);
    enum ms_code code = ms_hashes_resize(&source->hashes, count, reterr);

    return code != MS_OK ? code : ms_hash_rows_get(txn, source->object, 0, count, source->hashes.hash, reterr);
}

enum ms_code ms_source_load(struct ms_txn *txn, struct ms_tenant_id tenant,
                            struct ms_version_id id, struct ms_source *source,
                            struct ms_error *reterr) {
    struct ms_version_record version;
    struct ms_object_record object;
    enum ms_code code = ms_row_get_version(txn, ms_key_version(tenant, id), &version, reterr);

    if (code != MS_OK)
        return code;
    source->size = version.size;
    source->block_log2 = version.block_log2;
    source->object = (struct ms_object_id){version.object};
    if (version.size == 0)
        return MS_OK;
    code = ms_row_get_object(txn, ms_key_object(source->object), &object, reterr);
    if (code != MS_OK)
        return code;
    memcpy(source->key, object.key, sizeof object.key);
    return version.hashed ? load_hashes(txn, source, reterr) : MS_OK;
}

/* A file that never had bytes rests on an empty basis without a version. */
static enum ms_code new_basis(struct ms_txn *txn, struct ms_tenant_id tenant,
                              struct ms_version_id version, struct ms_basis **ret_basis,
                              struct ms_error *reterr) {
    struct ms_basis *basis = calloc(1, sizeof *basis);
    enum ms_code code = MS_OK;

    if (!basis)
        return ms_fail(reterr, MS_NO_MEMORY, "no memory for an open file");
    atomic_init(&basis->refs, 1);
    basis->version = version;
    basis->source.block_log2 = MS_BLOCK_LOG2_DEFAULT;
    if (!ms_version_id_is_none(version))
        code = ms_source_load(txn, tenant, version, &basis->source, reterr);
    if (code == MS_OK)
        *ret_basis = basis;
    else
        ms_basis_unref(basis);
    return code;
}

/* Where a new MAIN will wait for review it counts beside the live one (bill.md section 2). */
static enum ms_code load_metered(const struct ms_tree *t, struct ms_loaded *loaded,
                                 struct ms_error *reterr) {
    struct ms_tree_asset asset;
    struct ms_held held;
    bool gone = true;

    loaded->metered = loaded->inode.size;
    if (!ms_inode_has_asset(&loaded->inode) || loaded->inode.size == 0)
        return MS_OK;
    MS_TRY(ms_tree_asset(t, &loaded->inode, &asset, &gone, reterr));
    if (gone)
        return MS_OK;
    MS_TRY(ms_held_of(t, &asset.rec, &held, reterr));
    loaded->metered =
        ms_held_base(ms_held_waits(t, &asset.life, &held), &held, loaded->inode.size);
    return MS_OK;
}

enum ms_code ms_image_rows(const struct ms_tree *t, uint64_t ino, const struct ms_version_id *known,
                           struct ms_loaded *ret_loaded, struct ms_error *reterr) {
    struct ms_loaded loaded = {0};
    struct ms_version_id version;

    MS_TRY(ms_tree_inode(t, ino, &loaded.inode, reterr));
    version = (struct ms_version_id){loaded.inode.version};
    MS_TRY(load_metered(t, &loaded, reterr));
    if (!(known && ms_version_id_equal(*known, version)))
        MS_TRY(new_basis(t->txn, t->id, version, &loaded.basis, reterr));
    *ret_loaded = loaded;
    return MS_OK;
}

/* ---- an image -------------------------------------------------------------------------------- */

static void install(struct ms_file *file, struct ms_loaded *loaded) {
    file->locked.generation = loaded->inode.generation;
    file->locked.basis = MS_TAKE(loaded->basis);
    file->locked.metered = loaded->metered;
    file->locked.orphan = loaded->inode.orphan;
    file->locked.loaded = true;
}

static struct ms_ctx tenant_ctx(const struct ms_file *file) {
    return (struct ms_ctx){.tenant = file->tenant, .who = "msasset"};
}

static enum ms_code load_rows(struct ms_file *file, struct ms_loaded *loaded,
                              struct ms_error *reterr) {
    const struct ms_ctx ctx = tenant_ctx(file);
    struct ms_tree t;
    enum ms_code code;

    MS_TRY(ms_tree_read(&t, file->svc, &ctx, reterr));
    code = ms_image_rows(&t, file->ino, NULL, loaded, reterr);
    ms_tree_read_end(&t);
    return code;
}

/* One thread loads, the others wait for it. */
static bool begin_load(struct ms_file *file) {
    bool mine;

    pthread_mutex_lock(&file->mutex);
    while (file->locked.loading)
        pthread_cond_wait(&file->changed, &file->mutex);
    mine = file->locked.loading = !file->locked.loaded;
    pthread_mutex_unlock(&file->mutex);
    return mine;
}

enum ms_code ms_image_load(struct ms_file *file, struct ms_error *reterr) {
    struct ms_loaded loaded = {0};
    enum ms_code code;

    if (!begin_load(file))
        return MS_OK;
    code = load_rows(file, &loaded, reterr);
    pthread_mutex_lock(&file->mutex);
    file->locked.loading = false;
    if (code == MS_OK && !file->locked.loaded) /* its creator may have been faster */
        install(file, &loaded);
    pthread_cond_broadcast(&file->changed);
    pthread_mutex_unlock(&file->mutex);
    ms_basis_unref(loaded.basis);
    return code;
}

/* ---- rights ---------------------------------------------------------------------------------- */

struct answer {
    struct ms_inode_record inode;
    uint32_t rights[2];
    struct ms_instant due; /* when time will change them by itself */
    struct ms_asset_id asset; /* these two: what the image knows, and then what it learned */
    bool unreadable[2];
};

static void due_too(struct answer *a, struct ms_instant at) {
    a->due.ms = a->due.ms < at.ms ? a->due.ms : at.ms;
}

/* By the asset's own state: a tenant that is frozen as a whole is looked at beside it. */
static bool is_unreadable(const struct ms_tree_asset *asset, bool tenant_frozen) {
    uint32_t rights =
        tenant_frozen ? ms_lc_rights(&asset->life, (struct ms_mask){0}) : asset->rights;
    return !(rights & MS_RIGHT_READ);
}

static enum ms_code ask_asset(struct ms_tree *t, struct answer *a, struct ms_error *reterr) {
    struct ms_tree_asset asset;
    bool gone = false, frozen = ms_tenant_mask(&t->tenant, t->now).holds != 0;

    for (int admin = 0; admin < 2; admin++) {
        t->admin = admin;
        MS_TRY(ms_tree_asset(t, &a->inode, &asset, &gone, reterr));
        if (asset.life.rest == MS_STATE_DELETED) /* what is in the bin can be read */
            return ms_fail(reterr, MS_NOT_FOUND, "the asset of inode %" PRIu64 " has been deleted",
                           a->inode.ino);
        a->rights[admin] = asset.rights;
        a->unreadable[admin] = is_unreadable(&asset, frozen);
    }
    a->asset = (struct ms_asset_id){a->inode.asset};
    due_too(a, ms_lc_due(&asset.life, ms_tenant_mask(&t->tenant, t->now), (struct ms_instant){0}).at);
    return MS_OK;
}

/* The asset that these bytes belonged to, by now in the bin or behind another inode, says whether they may be read; of
 * none everybody reads them. Another tenant's are read no longer. One that has ended says nothing: what it said last
 * stays, and who never heard it does not read. */
static enum ms_code ask_former(struct ms_tree *t, struct ms_asset_id was, struct answer *a,
                               struct ms_error *reterr) {
    struct answer former = {.inode = {.ino = a->inode.ino, .asset = was.id}, .due = a->due};
    struct ms_tenant_id owner;
    bool there;

    if (ms_asset_id_is_none(was)) {
        memset(a->unreadable, 0, sizeof a->unreadable);
        a->asset = was;
        return MS_OK;
    }
    MS_TRY(ms_allow_absent(ms_row_get_id(t->txn, ms_key_aowner(was), &owner.id, reterr), &there));
    bool foreign = there && !ms_tenant_id_equal(owner, t->id);
    if (there && !foreign) {
        enum ms_code code = ask_asset(t, &former, reterr);
        if (code != MS_OK && code != MS_NOT_FOUND)
            return code;
        there = code == MS_OK;
    }
    if (there && !foreign) {
        memcpy(a->unreadable, former.unreadable, sizeof a->unreadable);
        a->due = former.due;
    } else if (foreign || !ms_asset_id_equal(a->asset, was)) {
        a->unreadable[0] = a->unreadable[1] = true;
    }
    a->asset = was;
    return MS_OK;
}

/* What has no asset allows everything but what its bytes' last one forbids. */
static void rights_of_orphan(const struct ms_tree *t, bool shut, struct answer *a) {
    for (int admin = 0; admin < 2; admin++) {
        a->rights[admin] = ms_tenant_mask(&t->tenant, t->now).holds ? 0 : UINT32_MAX;
        if (shut || a->unreadable[admin])
            a->rights[admin] &= ~(uint32_t)MS_RIGHT_READ;
    }
}

/* *ret_known: rights are as of now, also when the inode is not found. */
static enum ms_code ask(struct ms_tree *t, uint64_t ino, struct answer *a, bool *ret_known,
                        struct ms_error *reterr) {
    a->due = ms_arrears_next(ms_tenant_arrears(&t->tenant), t->now);
    enum ms_code code = ms_tree_inode(t, ino, &a->inode, reterr);
    if (code != MS_OK && code != MS_NOT_FOUND)
        return code;
    if (code == MS_OK && ms_inode_has_asset(&a->inode)) {
        code = ask_asset(t, a, reterr);
        *ret_known = code == MS_OK;
        return code;
    }
    bool gone = code == MS_NOT_FOUND;
    struct ms_error err = {0};
    enum ms_code former =
        ask_former(t, gone ? a->asset : (struct ms_asset_id){a->inode.was_asset}, a, &err);
    if (former != MS_OK)
        return ms_pass_up(former, &err, reterr);
    *ret_known = !gone || !ms_asset_id_is_none(a->asset);
    rights_of_orphan(t, !gone && a->inode.shut, a);
    return code;
}

static void learned(struct ms_file *file, struct answer *ret) {
    pthread_mutex_lock(&file->mutex);
    ret->asset = file->locked.asset;
    memcpy(ret->unreadable, file->locked.unreadable, sizeof ret->unreadable);
    pthread_mutex_unlock(&file->mutex);
}

static void learn(struct ms_file *file, const struct answer *a) {
    pthread_mutex_lock(&file->mutex);
    memcpy(file->locked.rights, a->rights, sizeof a->rights);
    file->locked.recheck_at = a->due;
    file->locked.asset = a->asset;
    memcpy(file->locked.unreadable, a->unreadable, sizeof a->unreadable);
    pthread_mutex_unlock(&file->mutex);
}

enum ms_code ms_image_ask(struct ms_file *file, struct ms_inode_record *ret_inode_or_null,
                          struct ms_error *reterr) {
    const struct ms_ctx ctx = tenant_ctx(file);
    struct ms_tree t;
    struct answer a = {0};
    enum ms_code code;
    bool known = false;

    pthread_mutex_lock(&file->asking);
    learned(file, &a);
    code = ms_tree_read(&t, file->svc, &ctx, reterr);
    if (code == MS_OK) {
        code = ask(&t, file->ino, &a, &known, reterr);
        ms_tree_read_end(&t);
    }
    if (known)
        learn(file, &a);
    pthread_mutex_unlock(&file->asking);
    if (code != MS_OK)
        return code;
    if (ret_inode_or_null)
        *ret_inode_or_null = a.inode;
    return MS_OK;
}

static enum ms_code explain(const struct ms_tree *t, const struct ms_file *file,
                            enum ms_right right, struct ms_error *reterr) {
    const char *what = right == MS_RIGHT_READ ? "read" : "write";
    struct ms_inode_record inode;
    struct ms_tree_asset asset;
    bool gone;

    MS_TRY(ms_tree_inode(t, file->ino, &inode, reterr));
    if (!ms_inode_has_asset(&inode))
        return ms_tree_thawed(t, what, reterr);
    MS_TRY(ms_tree_asset(t, &inode, &asset, &gone, reterr));
    return ms_tree_may(t, &asset, right, what, reterr);
}

/* The rule's own words. What cannot be asked any more stays as it was answered last. */
static enum ms_code refuse(struct ms_file *file, bool admin, enum ms_right right,
                           struct ms_error *reterr) {
    struct ms_ctx ctx = tenant_ctx(file);
    struct ms_tree t;
    enum ms_code code;

    ctx.admin = admin;
    MS_TRY(ms_tree_read(&t, file->svc, &ctx, reterr));
    code = explain(&t, file, right, reterr);
    ms_tree_read_end(&t);
    if (code != MS_OK && code != MS_NOT_FOUND)
        return code;
    return ms_fail(reterr, right == MS_RIGHT_READ ? MS_NOT_READABLE : MS_WRONG_STATE,
                   "the state of inode %" PRIu64 " no longer allows it", file->ino);
}

/* A deadline holds at its instant, swept or not, also for a file that is open. */
enum ms_code ms_image_may(struct ms_file *file, bool admin, enum ms_right right,
                          struct ms_error *reterr) {
    uint32_t rights;
    bool due;

    pthread_mutex_lock(&file->mutex);
    due = !ms_instant_is_none(file->locked.recheck_at) &&
          ms_clock_now(file->svc->clock).ms >= file->locked.recheck_at.ms;
    pthread_mutex_unlock(&file->mutex);
    if (due && ms_image_ask(file, NULL, NULL) != MS_OK)
        ms_log_event(file->svc->log, MS_LOG_DEBUG, "open-file-without-inode", NULL);
    pthread_mutex_lock(&file->mutex);
    rights = file->locked.rights[admin];
    pthread_mutex_unlock(&file->mutex);
    return rights & right ? MS_OK : refuse(file, admin, right, reterr);
}
