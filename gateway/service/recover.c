/* recover: what dead processes left is settled, each by exactly one of the living.
 *
 * Order: files with their intents first, because a seal needs the lease and the mark of its inode;
 * then leases, then marks (orphans and files that were never sealed), the journal, the registry
 * row. Killed anywhere, the rest is found again: the row of the dead process goes last, and who
 * adopted it and died can be adopted from.
 */
#include "service/recover_part.h"
#include "service/writeback.h"

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define WHO "recover"
#define LEASES_A_COMMIT 256u

void ms_recovery_failed(struct ms_recovery *r, const char *event, struct ms_dead *dead,
                        const struct ms_error *err) {
    if (dead)
        dead->keeps = true;
    if (r->first.code == MS_OK)
        r->first = *err;
    ms_log_failure(r->svc->log, MS_LOG_WARN, event, err, NULL);
}

/* ---- who is dead ----------------------------------------------------------------------------- */

static int by_instance(const void *a, const void *b) {
    return memcmp(((const struct ms_dead *)a)->instance.id.b,
                  ((const struct ms_dead *)b)->instance.id.b, MS_ID_BYTES);
}

static struct ms_dead *find_dead(struct ms_recovery *r, struct ms_instance_id instance) {
    struct ms_dead wanted = {.instance = instance};
    return r->n == 0 ? NULL : bsearch(&wanted, r->dead, r->n, sizeof wanted, by_instance);
}

static enum ms_code add_dead(struct ms_recovery *r, struct ms_instance_id instance, bool registered,
                             struct ms_error *reterr) {
    if (r->n == r->cap) {
        size_t cap = r->cap ? 2 * r->cap : 16;
        struct ms_dead *more = reallocarray(r->dead, cap, sizeof *more);
        if (!more)
            return ms_fail(reterr, MS_NO_MEMORY, "no memory for %zu processes", cap);
        r->dead = more;
        r->cap = cap;
    }
    r->dead[r->n++] = (struct ms_dead){.instance = instance, .registered = registered};
    qsort(r->dead, r->n, sizeof *r->dead, by_instance);
    return MS_OK;
}

/* One that somebody else is settling, or has settled, is not ours. */
static enum ms_code adopt(struct ms_recovery *r, struct ms_instance_id instance, bool quick,
                          struct ms_error *reterr) {
    struct ms_error err;
    bool promised = false;
    if (quick)
        MS_TRY(ms_recover_has_fsynced(r->svc, instance, &promised, reterr));
    if (promised)
        return MS_OK;
    enum ms_code code = ms_store_adopt(r->svc->store, instance, &err);
    if (code == MS_BUSY || code == MS_NOT_FOUND)
        return MS_OK;
    if (code == MS_OK)
        return add_dead(r, instance, true, reterr);
    if (reterr)
        *reterr = err;
    return code;
}

static void free_list(struct ms_process_info **list) { free(*list); }

static enum ms_code adopt_all(struct ms_recovery *r, bool quick, struct ms_error *reterr) {
    MS_AUTO(free_list) struct ms_process_info *list = NULL;
    size_t n;
    MS_TRY(ms_store_processes(r->svc->store, &list, &n, reterr));
    for (size_t i = 0; i < n; i++)
        if (!list[i].alive)
            MS_TRY(adopt(r, list[i].instance, quick, reterr));
    return MS_OK;
}

/* ---- rows whose process has no row ----------------------------------------------------------- */

struct strangers {
    struct ms_numbers seen; /* two numbers each, as the ids lie in the rows */
    struct ms_walk *walk;
};

static struct ms_instance_id instance_of(struct ms_view key, struct ms_view value) {
    switch (*(const char *)key.p) {
    case 'J':
        return (struct ms_instance_id){ms_key_id_at(key, 1)};
    case 'S':
        return (struct ms_instance_id){ms_key_id_at(key, MS_TABLE_TENANT_KEY_BYTES + 8)};
    default:
        return (struct ms_instance_id){ms_key_id_at(value, 0)};
    }
}

static enum ms_code note_instance(void *priv, struct ms_txn *txn, struct ms_view key,
                                  struct ms_view value, struct ms_error *reterr) {
    struct ms_numbers *seen = priv;
    struct ms_instance_id instance = instance_of(key, value);
    uint64_t half[2] = {ms_key_u64_at(ms_view_of(instance.id.b, MS_ID_BYTES), 0),
                        ms_key_u64_at(ms_view_of(instance.id.b, MS_ID_BYTES), 8)};
    (void)txn;
    for (size_t i = 0; i < seen->n; i += 2)
        if (seen->at[i] == half[0] && seen->at[i + 1] == half[1])
            return MS_OK;
    MS_TRY(ms_numbers_add(seen, half[0], reterr));
    return ms_numbers_add(seen, half[1], reterr);
}

static bool is_listed(const struct ms_process_info *list, size_t n,
                      struct ms_instance_id instance) {
    for (size_t i = 0; i < n; i++)
        if (ms_instance_id_equal(list[i].instance, instance))
            return true;
    return false;
}

/* Who has a row of its own is adopted by that row. Instance ids are never used twice, so one that
 * holds no lock now is dead for good. */
static enum ms_code add_strangers(struct ms_recovery *r, const struct ms_numbers *seen,
                                  struct ms_error *reterr) {
    MS_AUTO(free_list) struct ms_process_info *list = NULL;
    size_t n;
    MS_TRY(ms_store_processes(r->svc->store, &list, &n, reterr));
    for (size_t i = 0; i < seen->n; i += 2) {
        struct ms_instance_id instance;
        struct ms_writer w = ms_writer_on(instance.id.b, MS_ID_BYTES);
        ms_write_u64(&w, seen->at[i]);
        ms_write_u64(&w, seen->at[i + 1]);
        if (!find_dead(r, instance) && !is_listed(list, n, instance) &&
            !ms_store_instance_alive(r->svc->store, instance))
            MS_TRY(add_dead(r, instance, false, reterr));
    }
    return MS_OK;
}

static const char holders[] = {'J', 'S', 'o'};

static enum ms_code find_strangers(struct ms_recovery *r, struct ms_error *reterr) {
    MS_AUTO(ms_numbers_fini) struct ms_numbers seen = {NULL, 0, 0};
    for (size_t i = 0; i < sizeof holders; i++) {
        struct ms_walk walk = {.prefix = {.bytes = {(uint8_t)holders[i]}, .len = 1},
                               .each = note_instance,
                               .priv = &seen};
        MS_TRY(ms_walk_all(r->svc, &walk, reterr));
    }
    return seen.n > 0 ? add_strangers(r, &seen, reterr) : MS_OK;
}

/* ---- leases and marks ------------------------------------------------------------------------ */

/* A row of a dead process that may go now. */
struct held {
    struct ms_tenant_id tenant;
    uint64_t ino;
    struct ms_instance_id instance;
};

struct held_rows {
    struct ms_recovery *r;
    struct held *at; /* of one read */
    size_t n;
};
#define HELD_MAX 1024 /* more than a read gives */

static enum ms_code collect_held(void *priv, struct ms_txn *txn, struct ms_view key,
                                 struct ms_view value, struct ms_error *reterr) {
    struct held_rows *rows = priv;
    struct held held = {.tenant = {ms_key_id_at(key, 1)},
                        .ino = ms_key_u64_at(key, MS_TABLE_TENANT_KEY_BYTES),
                        .instance = instance_of(key, value)};
    (void)txn, (void)reterr;
    if (!find_dead(rows->r, held.instance) || ms_numbers_have(&rows->r->deferred, held.ino))
        return MS_OK;
    MS_ASSERT(rows->n < HELD_MAX);
    rows->at[rows->n++] = held;
    return MS_OK;
}

struct release_in {
    const struct held *held;
    size_t n;
};

static enum ms_code release_op(struct ms_txn *txn, const void *in, void *out,
                               struct ms_error *reterr) {
    const struct release_in *i = in;
    (void)out;
    for (size_t k = 0; k < i->n; k++)
        MS_TRY(ms_change_unreserve(txn, i->held[k].tenant, i->held[k].instance, i->held[k].ino, 0,
                                   reterr));
    return MS_OK;
}

static enum ms_code release_leases(struct ms_recovery *r, const struct held_rows *rows,
                                   struct ms_error *reterr) {
    for (size_t at = 0; at < rows->n; at += LEASES_A_COMMIT) {
        struct release_in in = {rows->at + at, rows->n - at};
        if (in.n > LEASES_A_COMMIT)
            in.n = LEASES_A_COMMIT;
        struct ms_write write = {
            .fn = release_op, .in = &in, .fence = ms_store_fence(r->svc->store), .frees = true};
        MS_TRY(ms_store_write(r->svc->store, &write, reterr));
        r->result.leases += in.n;
    }
    return MS_OK;
}

/* ---- orphans, and files that were never sealed ----------------------------------------------- */

struct forget_out {
    bool orphan, dropped;
};

/* Whatever has become of the asset since: with names or without, in one step. */
static enum ms_code purge_unsealed(const struct ms_tree *t, const struct ms_inode_record *inode,
                                   struct ms_error *reterr) {
    struct ms_asset_record asset;
    struct ms_key key = ms_key_asset(t->id, (struct ms_asset_id){inode->asset});
    MS_TRY(ms_row_get_asset(t->txn, key, &asset, reterr));
    return ms_change_purge(t->txn, t->id, t->who, &asset, MS_EVENT_FORCE_DELETE, t->now,
                           "never finished", reterr);
}

/* A removed folder stays as long as the bin remembers it. */
static enum ms_code drop_orphan(const struct ms_tree *t, struct ms_inode_record *inode,
                                struct ms_error *reterr) {
    if (inode->binned == 0)
        return ms_change_inode_drop(t->txn, t->id, inode->ino, reterr);
    inode->orphan = 0;
    memset(&inode->opener, 0, sizeof inode->opener);
    MS_TRY(ms_row_del(t->txn, ms_key_orphan(t->id, inode->ino), reterr));
    return ms_tree_put(t, inode, reterr);
}

static enum ms_code forget_op(struct ms_txn *txn, const void *in, void *out,
                              struct ms_error *reterr) {
    const struct held *held = ((const struct ms_tree_call *)in)->args;
    struct forget_out *o = out;
    struct ms_inode_record inode;
    struct ms_tree t;
    bool there;
    MS_TRY(ms_tree_begin(&t, txn, in, reterr));
    MS_TRY(ms_allow_absent(
        ms_row_get_inode(txn, ms_key_inode(held->tenant, held->ino), &inode, reterr), &there));
    if (!there) /* a mark of nothing */
        return ms_row_del(txn, ms_key_orphan(held->tenant, held->ino), reterr);
    if (!ms_instance_id_equal((struct ms_instance_id){inode.opener}, held->instance))
        return MS_OK;
    o->orphan = inode.orphan != 0;
    o->dropped = inode.unsealed != 0;
    if (inode.unsealed && ms_inode_has_asset(&inode))
        return purge_unsealed(&t, &inode, reterr);
    return inode.orphan ? drop_orphan(&t, &inode, reterr) : MS_OK;
}

/* Each in its own commit: one that is damaged keeps no other from being settled. */
static enum ms_code forget_orphans(struct ms_recovery *r, const struct held_rows *rows,
                                   struct ms_error *reterr) {
    for (size_t i = 0; i < rows->n; i++) {
        struct ms_ctx ctx = {.tenant = rows->at[i].tenant, .who = WHO, .admin = true};
        struct ms_tree_call call = {.ctx = &ctx,
                                    .ts = ms_clock_timespec(r->svc->clock),
                                    .instance = rows->at[i].instance,
                                    .args = &rows->at[i]};
        struct forget_out out;
        struct ms_error err;
        struct ms_write write = {.fn = forget_op,
                                 .in = &call,
                                 .out = &out,
                                 .out_size = sizeof out,
                                 .fence = ms_store_fence(r->svc->store),
                                 .frees = true};
        enum ms_code code = ms_store_write(r->svc->store, &write, &err);
        if (code == MS_CORRUPT || code == MS_NOT_FOUND || code == MS_RANGE) {
            ms_recovery_failed(r, "orphan-not-settled", find_dead(r, rows->at[i].instance), &err);
            continue;
        }
        if (code != MS_OK) {
            if (reterr)
                *reterr = err;
            return code;
        }
        r->result.orphans += out.orphan;
        r->result.dropped += out.dropped;
    }
    return MS_OK;
}

/* Every row of the table that belongs to a dead process. */
static enum ms_code settle_table(struct ms_recovery *r, char table,
                                 enum ms_code (*settle)(struct ms_recovery *r,
                                                        const struct held_rows *rows,
                                                        struct ms_error *reterr),
                                 struct ms_error *reterr) {
    struct held_rows rows = {.r = r, .at = calloc(HELD_MAX, sizeof *rows.at)};
    struct ms_walk walk = {
        .prefix = {.bytes = {(uint8_t)table}, .len = 1}, .each = collect_held, .priv = &rows};
    enum ms_code code = MS_OK;
    if (!rows.at)
        return ms_fail(reterr, MS_NO_MEMORY, "no memory to settle dead processes");
    while (code == MS_OK && !walk.ended) {
        rows.n = 0;
        code = ms_walk_some(r->svc, &walk, reterr);
        if (code == MS_OK)
            code = settle(r, &rows, reterr);
    }
    free(rows.at);
    return code;
}

/* ---- journals -------------------------------------------------------------------------------- */

static void remove_journal(int journals_fd, const char *name) {
    int fd = openat(journals_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    struct dirent *e;
    if (!dir) {
        if (fd >= 0)
            close(fd);
        return;
    }
    while ((e = readdir(dir)))
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
            (void)unlinkat(fd, e->d_name, 0);
    closedir(dir);
    (void)unlinkat(journals_fd, name, AT_REMOVEDIR);
}

/* Folders of processes that hold no lock, but for those whose files wait. A folder is made after
 * the lock, so one without it has no owner any more. */
static void remove_journals(struct ms_recovery *r) {
    char path[sizeof r->svc->dir + 16];
    (void)snprintf(path, sizeof path, "%s/journal", r->svc->dir);
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    struct dirent *e;
    if (!dir) {
        if (fd >= 0)
            close(fd);
        return;
    }
    while ((e = readdir(dir))) {
        struct ms_instance_id instance;
        const struct ms_dead *dead;
        if (strlen(e->d_name) != MS_ID_TEXT_LEN ||
            ms_id_parse(e->d_name, &instance.id, NULL) != MS_OK)
            continue;
        dead = find_dead(r, instance);
        if ((!dead || !dead->keeps) && !ms_store_instance_alive(r->svc->store, instance))
            remove_journal(fd, e->d_name);
    }
    closedir(dir);
}

/* ---- all of it ------------------------------------------------------------------------------- */

static enum ms_code forget_dead(struct ms_recovery *r, struct ms_error *reterr) {
    for (size_t i = 0; i < r->n; i++) {
        if (r->dead[i].keeps)
            continue;
        if (r->dead[i].registered)
            MS_TRY(ms_store_forget(r->svc->store, r->dead[i].instance, reterr));
        r->result.processes++;
    }
    return MS_OK;
}

static enum ms_code settle(struct ms_recovery *r, struct ms_error *reterr) {
    for (size_t i = 0; i < r->n; i++)
        MS_TRY(ms_recover_intents(r, &r->dead[i], reterr));
    ms_numbers_sort(&r->deferred);
    MS_TRY(settle_table(r, 'S', release_leases, reterr));
    MS_TRY(settle_table(r, 'o', forget_orphans, reterr));
    remove_journals(r);
    return forget_dead(r, reterr);
}

/* What was acknowledged from the local disk, unless a process is at it already. */
static void upload_pending(struct ms_recovery *r) {
    struct ms_drain how = {.others = false};
    struct ms_error err;
    if (ms_writeback_drain(r->svc, &how, &err) != MS_OK)
        ms_recovery_failed(r, "acknowledged-files-not-uploaded", NULL, &err);
}

static enum ms_code recover_all(struct ms_recovery *r, bool quick, struct ms_error *reterr) {
    MS_TRY(adopt_all(r, quick, reterr));
    if (!quick)
        MS_TRY(find_strangers(r, reterr));
    if (r->n > 0)
        MS_TRY(settle(r, reterr));
    if (!quick)
        upload_pending(r);
    return r->first.code == MS_OK ? MS_OK : ms_pass_up(r->first.code, &r->first, reterr);
}

static enum ms_code recover(struct ms_svc *svc, bool quick, struct ms_recover_result *ret_result,
                            struct ms_error *reterr) {
    struct ms_recovery r = {.svc = svc};
    struct ms_error err = {0};
    if (svc->read_only)
        return ms_fail(reterr, MS_READ_ONLY, "the store %s is open read-only: nothing is settled",
                       svc->dir);
    enum ms_code code = recover_all(&r, quick, &err);
    ms_media_free(r.media);
    ms_numbers_fini(&r.deferred);
    free(r.dead);
    if (code == MS_OK)
        *ret_result = r.result;
    return ms_pass_up(code, &err, reterr);
}

enum ms_code ms_recover(struct ms_svc *svc, struct ms_recover_result *ret_result,
                        struct ms_error *reterr) {
    return recover(svc, false, ret_result, reterr);
}

enum ms_code ms_recover_quick(struct ms_svc *svc, struct ms_recover_result *ret_result,
                              struct ms_error *reterr) {
    return recover(svc, true, ret_result, reterr);
}
