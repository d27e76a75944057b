#include "again.h"

#include <dirent.h>
#include <ftw.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- text -------------------------------------------------------------------------------- */

struct text {
    struct ms_svc *svc;
    struct ms_ctx ctx;
    FILE *to;
};

static void put_xattrs(struct text *t, uint64_t ino) {
    struct ms_buf names = MS_BUF_MAX(1 << 20), value = MS_BUF_MAX(1 << 20);
    assert_ok(ms_tree_xattr_list(t->svc, &t->ctx, ino, &names, &test_err));
    for (size_t at = 0; at < names.len; at += strlen((char *)names.data + at) + 1) {
        const char *name = (const char *)names.data + at;
        ms_buf_clear(&value);
        assert_ok(ms_tree_xattr_get(t->svc, &t->ctx, ino, name, &value, &test_err));
        fprintf(t->to, " %s=%.*s", name, (int)value.len, (const char *)value.data);
    }
    ms_buf_fini(&names);
    ms_buf_fini(&value);
}

static void put_node(struct text *t, const char *path, const struct ms_node *n) {
    const struct ms_inode_record *i = &n->inode;
    fprintf(t->to, "%s %o %u:%u links %u size %" PRIu64 " m %" PRId64 ".%u c %" PRId64 ".%u", path,
            i->mode, i->uid, i->gid, i->nlink, i->size, i->mtime_s, i->mtime_ns, i->ctime_s,
            i->ctime_ns);
    if (S_ISLNK(i->mode)) {
        char target[MS_SYMLINK_BYTES_MAX + 1];
        assert_ok(ms_tree_readlink(t->svc, &t->ctx, i->ino, target, &test_err));
        fprintf(t->to, " -> %s", target);
    } else {
        put_xattrs(t, i->ino); /* id, type, state, root, tags too */
    }
    fputc('\n', t->to);
}

static int by_name(const void *a, const void *b) {
    return strcmp(((const struct ms_node *)a)->spelling, ((const struct ms_node *)b)->spelling);
}

static size_t list(struct text *t, uint64_t dir, struct ms_node **ret_nodes) {
    size_t n = 0, more = 1;
    struct ms_node *all = NULL;
    uint64_t after = 0;
    while (more > 0) {
        all = realloc(all, (n + 64) * sizeof *all);
        assert_non_null(all);
        assert_ok(ms_tree_list(t->svc, &t->ctx, dir, after, all + n, 64, &more, &test_err));
        n += more;
        after = n > 0 ? all[n - 1].seq : 0;
    }
    qsort(all, n, sizeof *all, by_name);
    *ret_nodes = all;
    return n;
}

static void put_folder(struct text *t, const char *path, uint64_t dir) {
    struct ms_node *nodes;
    size_t n = list(t, dir, &nodes);
    for (size_t i = 0; i < n; i++) {
        char *below = malloc(strlen(path) + strlen(nodes[i].spelling) + 2);
        assert_non_null(below);
        snprintf(below, strlen(path) + strlen(nodes[i].spelling) + 2, "%s/%s", path, nodes[i].spelling);
        put_node(t, below, &nodes[i]);
        if (S_ISDIR(nodes[i].inode.mode))
            put_folder(t, below, nodes[i].inode.ino);
        free(below);
    }
    free(nodes);
}

static void put_assets(struct text *t) {
    struct ms_asset_info *info = calloc(32, sizeof *info);
    struct ms_asset_id after = {{{0}}};
    size_t n;
    assert_non_null(info);
    do {
        assert_ok(ms_asset_list(t->svc, &t->ctx, after, 0, info, 32, &n, &test_err));
        for (size_t i = 0; i < n; i++) {
            const struct ms_asset_record *a = &info[i].asset;
            fprintf(t->to,
                    "asset %s %s type %u state %u rest %u holds %u binned %u at %" PRId64
                    " due %u %" PRId64 " bytes %" PRIu64 " created %" PRId64
                    " tags \"%s\" reason \"%s\"\n",
                    ms_id_text(a->id).s, a->binned ? info[i].path : a->name, a->type,
                    info[i].state, a->rest, a->holds, a->binned, a->binned_at.ms, a->due_kind,
                    a->due_at.ms, a->bytes, a->created.ms, a->tags, a->reason);
            after.id = a->id;
        }
    } while (n > 0);
    free(info);
}

static void put_usage(struct text *t) {
    struct ms_quota_info q;
    assert_ok(ms_tenant_quota(t->svc, &t->ctx, &q, &test_err));
    fprintf(t->to,
            "usage standard %" PRIu64 " assets %" PRIu64 " inodes %" PRIu64 " binned %" PRIu64
            " of %" PRIu64 " allowance %" PRIu64 " retention %" PRId64 " umask %o frozen %u\n",
            q.usage.standard, q.usage.assets, q.usage.inodes, q.usage.binned_assets,
            q.usage.binned_bytes, q.allowance, q.tenant.retention_ms, q.tenant.umask,
            q.tenant.mask_holds);
}

char *text_of(struct ms_svc *svc, struct ms_tenant_id tenant) {
    char *text = NULL;
    size_t n;
    struct text t = {.svc = svc,
                     .ctx = {.tenant = tenant, .who = "test", .admin = true},
                     .to = open_memstream(&text, &n)};
    struct ms_node root;
    assert_non_null(t.to);
    assert_ok(ms_tree_walk(svc, &t.ctx, "/", &root, &test_err));
    put_node(&t, "/", &root);
    put_folder(&t, "", root.inode.ino);
    put_assets(&t);
    put_usage(&t);
    fclose(t.to);
    return text;
}

void check_same_text(const char *was, const char *is) {
    size_t line = 0, at = 0;
    if (strcmp(was, is) == 0)
        return;
    while (was[at] == is[at]) {
        if (was[at] == '\n')
            line = at + 1;
        at++;
    }
    print_message("was %.*s\nis  %.*s\n", (int)strcspn(was + line, "\n"), was + line,
                  (int)strcspn(is + line, "\n"), is + line);
    fail_msg("the rebuilt store is not as it was");
}

/* ---- the catalogue ----------------------------------------------------------------------- */

struct ms_catalogue_result flush_now(struct world *w, bool snapshot) {
    struct ms_catalogue_options options = {.snapshot = snapshot};
    struct ms_catalogue_result result;
    assert_ok(ms_catalogue_flush(w->svc, &options, &result, &test_err));
    assert_int_equal(result.busy, 0);
    return result;
}

uint64_t marks_of(struct ms_svc *svc) {
    uint64_t n;
    assert_ok(ms_catalogue_marks(svc, UINT64_MAX, &n, &test_err));
    return n;
}

/* ---- rebuild ----------------------------------------------------------------------------- */

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw) {
    (void)st, (void)flag, (void)ftw;
    return remove(path);
}

static void hear(void *priv, const char *kind, const char *text) {
    struct heard *heard = priv;
    size_t n = strlen(heard->all);
    heard->n++;
    snprintf(heard->all + n, sizeof heard->all - n, "%s: %s\n", kind, text);
}

static char *again_dir(struct world *w) { return ms_test_path(w->tmp, "again"); }

enum ms_code rebuild_again(struct world *w, bool dry_run, struct ms_rebuild_result *ret_result,
                           struct heard *ret_heard, struct ms_error *reterr) {
    return rebuild_with_faults(w, NULL, dry_run, ret_result, ret_heard, reterr);
}

enum ms_code rebuild_with_faults(struct world *w, const char *faults, bool dry_run,
                                 struct ms_rebuild_result *ret_result, struct heard *ret_heard,
                                 struct ms_error *reterr) {
    char url[5000], *dir = again_dir(w);
    struct ms_rebuild_options options = {.store = {.dir = dir,
                                                   .clock = &w->clock.clock,
                                                   .engine_threads = 4,
                                                   .map_bytes = (uint64_t)1 << 30,
                                                   .faults = faults,
                                                   .tries_max = faults ? 1 : 0,
                                                   .object_url = url},
                                         .dry_run = dry_run,
                                         .note = hear,
                                         .priv = ret_heard};
    memset(ret_heard, 0, sizeof *ret_heard);
    (void)nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    snprintf(url, sizeof url, "dir:%s/objects", w->dir);
    enum ms_code code = ms_rebuild(&options, ret_result, reterr);
    free(dir);
    return code;
}

struct ms_svc *open_again(struct world *w) {
    char *dir = again_dir(w);
    struct ms_svc_options options = {.dir = dir,
                                     .clock = &w->clock.clock,
                                     .engine_threads = 4,
                                     .map_bytes = (uint64_t)1 << 30};
    struct ms_svc *svc;
    assert_ok(ms_svc_open(&options, &svc, &test_err));
    free(dir);
    return svc;
}

struct ms_rebuild_result check_rebuild(struct world *w) {
    struct ms_rebuild_result result;
    struct heard *heard = calloc(1, sizeof *heard);
    struct ms_tenant_id tenant = {w->tenant.id};
    assert_non_null(heard);
    assert_ok(rebuild_again(w, false, &result, heard, &test_err));
    if (heard->n > 0)
        print_message("%s", heard->all);
    char *was = text_of(w->svc, tenant);
    struct ms_svc *svc = open_again(w);
    char *is = text_of(svc, tenant);
    check_same_text(was, is);
    check_findings(svc);
    ms_svc_close(svc);
    free(was);
    free(is);
    free(heard);
    return result;
}

/* ---- segments ---------------------------------------------------------------------------- */

char *segment_path(struct world *w, unsigned i) {
    char *folder = malloc(strlen(w->dir) + 100), *path = NULL;
    struct dirent **names;
    assert_non_null(folder);
    snprintf(folder, strlen(w->dir) + 100, "%s/objects/.catalogue/%s", w->dir, ms_id_text(w->tenant.id).s);
    int n = scandir(folder, &names, NULL, alphasort);
    for (int k = 0, seen = 0; k < n; k++) {
        if (names[k]->d_name[0] != '.' && (unsigned)seen++ == i)
            path = ms_test_path(folder, names[k]->d_name);
        free(names[k]);
    }
    if (n >= 0)
        free(names);
    free(folder);
    return path;
}

void remove_segments(struct world *w) {
    for (char *path; (path = segment_path(w, 0)); free(path))
        assert_int_equal(unlink(path), 0);
}
