/* From facts to a store: tenant by tenant, a few things a commit. */
#include "service/rebuild_part.h"

#include "service/tenant.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#define THINGS_A_COMMIT 32
#define BIRTHS_A_COMMIT 16
#define KEYS_MAX 1024

/* ---- things, some at a time ------------------------------------------------------------------ */

/* Numbers or ids of one walk's read. */
struct things {
    struct ms_id id[KEYS_MAX]; /* of inodes: the number in the first 8 bytes */
    unsigned n;
};
struct job {
    struct ms_rebuild *r;
    struct ms_ctx ctx;
    struct things *things;
};

static enum ms_code collect(void *priv, struct ms_txn *txn, struct ms_view key,
                            struct ms_view value, struct ms_error *reterr) {
    struct things *things = priv;
    size_t head = key.n - (key.n == 2 + MS_ID_BYTES + 8 ? 8 : MS_ID_BYTES);
    (void)txn, (void)value, (void)reterr;
    MS_ASSERT(things->n < KEYS_MAX);
    things->id[things->n] = (struct ms_id){{0}};
    memcpy(things->id[things->n++].b, (const uint8_t *)key.p + head, key.n - head);
    return MS_OK;
}

static void add_up(struct ms_rebuild *r, const struct ms_built *built) {
    struct ms_rebuild_result *sum = &r->result;
    sum->folders += built->folders;
    sum->files += built->files;
    sum->others += built->others;
    sum->bytes += built->bytes;
    sum->binned += built->binned;
    sum->by_birth += built->by_birth;
    sum->newer += built->newer;
    sum->displaced += built->displaced;
    sum->lost += built->lost;
    for (unsigned i = 0; i < built->notes_n; i++)
        ms_rebuild_note(r, built->note[i].kind, "%s", built->note[i].text);
}

struct some {
    const struct ms_id *id;
    unsigned n;
};

static enum ms_code run_some(struct job *job, ms_write_fn *fn, const void *some,
                             struct ms_error *reterr) {
    struct ms_built *built = calloc(1, sizeof *built);
    if (!built)
        return ms_fail(reterr, MS_NO_MEMORY, "no memory for a rebuild");
    enum ms_code code =
        ms_tree_write(job->r->svc, &job->ctx, fn, some, built, sizeof *built, reterr);
    if (code == MS_OK)
        add_up(job->r, built);
    free(built);
    return code;
}

/* Every row below prefix is given to fn, some in each commit. */
static enum ms_code run_all(struct job *job, struct ms_key prefix, ms_write_fn *fn,
                            struct ms_error *reterr) {
    struct ms_walk walk = {.prefix = prefix, .each = collect, .priv = job->things};
    while (!walk.ended) {
        job->things->n = 0;
        MS_TRY(ms_walk_some(job->r->svc, &walk, reterr));
        for (unsigned at = 0; at < job->things->n; at += THINGS_A_COMMIT) {
            unsigned left = job->things->n - at;
            struct some some = {job->things->id + at,
                                left < THINGS_A_COMMIT ? left : THINGS_A_COMMIT};
            MS_TRY(run_some(job, fn, &some, reterr));
        }
        MS_TRY(ms_rebuild_goes_on(job->r, "assets", job->r->result.files, job->r->result.listed,
                                  reterr));
    }
    return MS_OK;
}

/* ---- inodes ---------------------------------------------------------------------------------- */

static uint64_t ino_of(struct ms_id id) { return ms_key_u64_at(ms_view_of(id.b, 8), 0); }

/* A link, a pipe, a socket or a device. */
static enum ms_code build_other(const struct ms_tree *t, const json_t *line,
                                struct ms_inode_record inode, struct ms_built *built,
                                struct ms_error *reterr) {
    char target[MS_SYMLINK_BYTES_MAX + 1];
    size_t n = 0;
    if (S_ISREG(inode.mode) ||
        (S_ISLNK(inode.mode) &&
         !ms_json_bytes(line, "target", target, MS_SYMLINK_BYTES_MAX, &n)))
        return MS_OK;
    inode.parent = inode.was_parent = 0;
    inode.was[0] = '\0';
    inode.was_at = (struct ms_instant){0};
    MS_TRY(ms_txn_number(t->txn, "ino", &inode.ino, reterr));
    MS_TRY(ms_rebuild_names(t, line, &inode, built, &inode.nlink, reterr));
    if (inode.nlink == 0)
        return MS_OK;
    built->others++;
    if (n > 0) {
        struct ms_key key = ms_key_symlink(t->id, inode.ino);
        MS_TRY(ms_txn_put(t->txn, ms_key_view(&key), ms_view_of(target, n), reterr));
    }
    return ms_change_inode_new(t->txn, t->id, &inode, reterr);
}

static enum ms_code build_inode(const struct ms_tree *t, uint64_t old, struct ms_built *built,
                                struct ms_error *reterr) {
    struct ms_key key = ms_scratch_of_ino('I', t->id, old);
    MS_AUTO(ms_json_drop) json_t *line = NULL;
    struct ms_inode_record inode;
    uint64_t ino;
    MS_TRY(ms_scratch_line(t->txn, &key, &line, reterr));
    if (ms_json_inode(json_object_get(line, "inode"), &inode, NULL) != MS_OK)
        return MS_OK;
    if (S_ISDIR(inode.mode)) /* a removed one comes when the bin asks for it */
        return inode.nlink > 0 ? ms_rebuild_folder(t, old, built, &ino, reterr) : MS_OK;
    struct ms_asset_id asset = {inode.asset};
    if (!ms_asset_id_is_none(asset))
        return ms_rebuild_asset(t, asset, line, built, reterr);
    return build_other(t, line, inode, built, reterr);
}

static enum ms_code inodes_op(struct ms_txn *txn, const void *in, void *out,
                              struct ms_error *reterr) {
    const struct some *some = ((const struct ms_tree_call *)in)->args;
    struct ms_tree t;
    MS_TRY(ms_tree_begin(&t, txn, in, reterr));
    for (unsigned i = 0; i < some->n; i++)
        MS_TRY(build_inode(&t, ino_of(some->id[i]), out, reterr));
    return MS_OK;
}

/* Those whose inode is not told of. */
static enum ms_code assets_op(struct ms_txn *txn, const void *in, void *out,
                              struct ms_error *reterr) {
    const struct some *some = ((const struct ms_tree_call *)in)->args;
    struct ms_tree t;
    MS_TRY(ms_tree_begin(&t, txn, in, reterr));
    for (unsigned i = 0; i < some->n; i++)
        MS_TRY(ms_rebuild_asset(&t, (struct ms_asset_id){some->id[i]}, NULL, out, reterr));
    return MS_OK;
}

/* ---- folders as they were: what was put into them has touched them ---------------------------- */

static enum ms_code settle_folder(const struct ms_tree *t, uint64_t old, struct ms_error *reterr) {
    struct ms_key key = ms_scratch_of_ino('I', t->id, old);
    struct ms_key as = ms_scratch_of_ino('m', t->id, old);
    MS_AUTO(ms_json_drop) json_t *line = NULL;
    struct ms_inode_record told, inode;
    struct ms_view value;
    bool there;
    MS_TRY(ms_allow_absent(ms_txn_get(t->txn, ms_key_view(&as), &value, reterr), &there));
    if (!there)
        return MS_OK;
    uint64_t ino = ms_key_u64_at(value, 0);
    MS_TRY(ms_scratch_line(t->txn, &key, &line, reterr));
    if (ms_json_inode(json_object_get(line, "inode"), &told, NULL) != MS_OK)
        return MS_OK;
    MS_TRY(ms_row_get_inode(t->txn, ms_key_inode(t->id, ino), &inode, reterr));
    inode.mode = told.mode;
    inode.uid = told.uid;
    inode.gid = told.gid;
    inode.atime_s = told.atime_s, inode.atime_ns = told.atime_ns;
    inode.mtime_s = told.mtime_s, inode.mtime_ns = told.mtime_ns;
    inode.ctime_s = told.ctime_s, inode.ctime_ns = told.ctime_ns;
    inode.btime_s = told.btime_s, inode.btime_ns = told.btime_ns;
    return ms_tree_put(t, &inode, reterr);
}

static enum ms_code folders_op(struct ms_txn *txn, const void *in, void *out,
                               struct ms_error *reterr) {
    const struct some *some = ((const struct ms_tree_call *)in)->args;
    struct ms_tree t;
    (void)out;
    MS_TRY(ms_tree_begin(&t, txn, in, reterr));
    for (unsigned i = 0; i < some->n; i++)
        MS_TRY(settle_folder(&t, ino_of(some->id[i]), reterr));
    return MS_OK;
}

/* ---- tenants --------------------------------------------------------------------------------- */

struct tenant_line {
    struct ms_tenant_record tenant;
    bool told, there; /* in a segment; in the new store already */
};

static enum ms_code read_tenant(struct ms_rebuild *r, struct ms_tenant_id id,
                                struct tenant_line *ret_line, struct ms_error *reterr) {
    struct ms_key key = ms_scratch_of_id('T', id.id);
    MS_AUTO(ms_json_drop) json_t *line = NULL;
    struct ms_txn *txn;
    MS_TRY(ms_read_begin(r->svc->store, &txn, reterr));
    struct ms_key row = ms_key_tenant(id);
    ret_line->there = ms_txn_has(txn, ms_key_view(&row));
    enum ms_code code = ms_scratch_line(txn, &key, &line, reterr);
    ms_read_end(txn);
    ret_line->told =
        code == MS_OK &&
        ms_json_tenant(json_object_get(line, "settings"), &ret_line->tenant, NULL) == MS_OK;
    return code;
}

static enum ms_code add_tenant(struct ms_rebuild *r, struct ms_tenant_id id,
                               struct ms_error *reterr) {
    struct tenant_line line = {.told = false};
    struct ms_tenant_record made;
    MS_TRY(read_tenant(r, id, &line, reterr));
    if (line.there)
        return MS_OK;
    if (!line.told) {
        line.tenant = (struct ms_tenant_record){.id = id.id,
                                                .created = ms_clock_now(r->svc->clock),
                                                .free_bytes = MS_FREE_QUOTA_BYTES,
                                                .retention_ms = MS_BIN_RETENTION_MS,
                                                .umask = 022};
        (void)snprintf(line.tenant.name, sizeof line.tenant.name, "tenant-%.8s",
                       ms_id_text(id.id).s);
        r->result.tenants_unnamed++;
        ms_rebuild_note(r, "tenant", "nothing but an id is known of %s: it is called %s",
                        ms_id_text(id.id).s, line.tenant.name);
    }
    line.tenant.closed_until = (struct ms_instant){0}; /* the ledger begins anew, the bill too */
    line.tenant.treeops = 0; /* what was on its way into the bin is told as it was */
    struct ms_tenant_options options = {.name = line.tenant.name,
                                        .free_bytes = line.tenant.free_bytes,
                                        .retention_ms = line.tenant.retention_ms,
                                        .umask = line.tenant.umask,
                                        .again = &line.tenant};
    MS_TRY(ms_tenant_add(r->svc, "rebuild", &options, &made, reterr));
    r->result.tenants++;
    return MS_OK;
}

static void be_for(struct job *job, struct ms_tenant_id id) {
    job->ctx = (struct ms_ctx){.tenant = id, .who = "rebuild", .admin = true};
}

static enum ms_code build_tenant(struct job *job, struct ms_tenant_id id,
                                 struct ms_error *reterr) {
    uint8_t raw[MS_ID_BYTES];
    memcpy(raw, id.id.b, sizeof raw);
    struct ms_key inodes = ms_key_scratch('I', raw, sizeof raw);
    struct ms_key assets = ms_key_scratch('A', raw, sizeof raw);
    struct ms_key folders = ms_key_scratch('m', raw, sizeof raw);
    MS_TRY(add_tenant(job->r, id, reterr));
    be_for(job, id);
    MS_TRY(run_all(job, inodes, inodes_op, reterr));
    MS_TRY(run_all(job, assets, assets_op, reterr));
    return run_all(job, folders, folders_op, reterr);
}

/* ---- objects that no segment knows ----------------------------------------------------------- */

struct birth_facts {
    struct ms_birth birth;
    bool there, told; /* told: a segment knows the asset, or that it is gone */
};

static enum ms_code read_birth(struct ms_rebuild *r, struct ms_id asset,
                               struct birth_facts *ret_facts, struct ms_error *reterr) {
    struct ms_key key = ms_scratch_of_id('a', asset);
    struct ms_txn *txn;
    MS_TRY(ms_read_begin(r->svc->store, &txn, reterr));
    enum ms_code code = ms_birth_get(txn, (struct ms_asset_id){asset}, &ret_facts->birth,
                                     &ret_facts->there, reterr);
    ret_facts->told = ms_txn_has(txn, ms_key_view(&key));
    ms_read_end(txn);
    return code;
}

/* Of one tenant, to be built in one commit. */
struct birth_batch {
    struct ms_birth birth[BIRTHS_A_COMMIT];
    unsigned n;
};

static enum ms_code birth_op(struct ms_txn *txn, const void *in, void *out,
                             struct ms_error *reterr) {
    const struct birth_batch *batch = ((const struct ms_tree_call *)in)->args;
    struct ms_tree t;
    MS_TRY(ms_tree_begin(&t, txn, in, reterr));
    for (unsigned i = 0; i < batch->n; i++)
        MS_TRY(ms_rebuild_asset_by_birth(&t, &batch->birth[i], out, reterr));
    return MS_OK;
}

static enum ms_code build_batch(struct job *job, struct birth_batch *batch,
                                struct ms_error *reterr) {
    if (batch->n == 0)
        return MS_OK;
    MS_TRY(add_tenant(job->r, batch->birth[0].tenant, reterr));
    be_for(job, batch->birth[0].tenant);
    MS_TRY(run_some(job, birth_op, batch, reterr));
    batch->n = 0;
    return MS_OK;
}

static enum ms_code add_birth(struct job *job, struct birth_batch *batch, struct ms_id asset,
                              struct ms_error *reterr) {
    struct birth_facts facts;
    MS_TRY(read_birth(job->r, asset, &facts, reterr));
    if (!facts.there || facts.told)
        return MS_OK;
    if (batch->n == BIRTHS_A_COMMIT ||
        (batch->n > 0 && !ms_tenant_id_equal(batch->birth[0].tenant, facts.birth.tenant)))
        MS_TRY(build_batch(job, batch, reterr));
    batch->birth[batch->n++] = facts.birth;
    return MS_OK;
}

static enum ms_code build_births(struct job *job, struct birth_batch *batch,
                                 struct ms_error *reterr) {
    struct ms_walk walk = {
        .prefix = ms_key_scratch('B', "", 0), .each = collect, .priv = job->things};
    while (!walk.ended) {
        job->things->n = 0;
        MS_TRY(ms_walk_some(job->r->svc, &walk, reterr));
        for (unsigned i = 0; i < job->things->n; i++)
            MS_TRY(add_birth(job, batch, job->things->id[i], reterr));
        MS_TRY(build_batch(job, batch, reterr));
        MS_TRY(ms_rebuild_goes_on(job->r, "assets", job->r->result.files, job->r->result.listed,
                                  reterr));
    }
    return MS_OK;
}

/* ---- all of it ------------------------------------------------------------------------------- */

static enum ms_code build_all(struct job *job, struct ms_error *reterr) {
    for (size_t i = 0; i < job->r->tenant_n; i++)
        MS_TRY(build_tenant(job, job->r->tenant[i].id, reterr));
    struct birth_batch *batch = calloc(1, sizeof *batch);
    if (!batch)
        return ms_fail(reterr, MS_NO_MEMORY, "no memory for a rebuild");
    enum ms_code code = build_births(job, batch, reterr);
    free(batch);
    return code;
}

enum ms_code ms_rebuild_build(struct ms_rebuild *r, struct ms_error *reterr) {
    struct job job = {.r = r, .things = calloc(1, sizeof *job.things)};
    if (!job.things)
        return ms_fail(reterr, MS_NO_MEMORY, "no memory for a rebuild");
    enum ms_code code = build_all(&job, reterr);
    free(job.things);
    return code;
}
