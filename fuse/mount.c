#include "fuse/mount.h"

#include "fuse/inval.h"
#include "fuse/node.h"
#include "fuse/signals.h"
#include "service/tenant.h"
#include "service/vtree.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MAX_WRITE (1u << 20) /* the most that libfuse 3.14 and the kernel agree on */
#define READ_AHEAD_KB 2048u  /* of the kernel: two of the largest reads under way */
#define SLOW_THREADS 4u

static void op_init(void *userdata, struct fuse_conn_info *conn) {
    (void)userdata;
    conn->max_write = MAX_WRITE;
    conn->max_readahead = READ_AHEAD_KB * 1024;
    conn->max_background = 64;
    conn->congestion_threshold = 48;
    /* We tell the kernel what changed; it need not guess from mtime, which would drop good pages.
     */
    conn->want &= ~(unsigned)FUSE_CAP_AUTO_INVAL_DATA;
    /* Never: the kernel would ignore the server's size, and EDQUOT at write would be lost. */
    conn->want &= ~(unsigned)FUSE_CAP_WRITEBACK_CACHE;
    unsigned wanted = FUSE_CAP_EXPLICIT_INVAL_DATA | FUSE_CAP_READDIRPLUS |
                      FUSE_CAP_READDIRPLUS_AUTO | FUSE_CAP_PARALLEL_DIROPS |
                      FUSE_CAP_ATOMIC_O_TRUNC | FUSE_CAP_ASYNC_READ;
    conn->want |= conn->capable & wanted;
}

const struct fuse_lowlevel_ops ms_fuse_ops = {
    .init = op_init,
    .lookup = ms_op_lookup,
    .forget = ms_op_forget,
    .forget_multi = ms_op_forget_multi,
    .getattr = ms_op_getattr,
    .setattr = ms_op_setattr,
    .readlink = ms_op_readlink,
    .mknod = ms_op_mknod,
    .mkdir = ms_op_mkdir,
    .unlink = ms_op_unlink,
    .rmdir = ms_op_rmdir,
    .symlink = ms_op_symlink,
    .rename = ms_op_rename,
    .link = ms_op_link,
    .open = ms_op_open,
    .create = ms_op_create,
    .read = ms_op_read,
    .write = ms_op_write,
    .flush = ms_op_flush,
    .release = ms_op_release,
    .fsync = ms_op_fsync,
    .fallocate = ms_op_fallocate,
    .opendir = ms_op_opendir,
    .readdir = ms_op_readdir,
    .readdirplus = ms_op_readdirplus,
    .releasedir = ms_op_releasedir,
    .fsyncdir = ms_op_fsyncdir,
    .statfs = ms_op_statfs,
    .setxattr = ms_op_setxattr,
    .getxattr = ms_op_getxattr,
    .listxattr = ms_op_listxattr,
    .removexattr = ms_op_removexattr,
};

struct ms_ctx ms_mount_ctx(struct ms_mount *mount, fuse_req_t req) {
    struct ms_ctx ctx = mount->ctx;
    const struct fuse_ctx *caller = fuse_req_ctx(req);
    ctx.uid = caller->uid;
    ctx.gid = caller->gid;
    ctx.now = ms_clock_now(mount->svc->clock);
    return ctx;
}

void ms_calls_add(struct ms_mount *mount, int n) {
    pthread_mutex_lock(&mount->locked.mutex);
    mount->locked.calls += n;
    if (mount->locked.calls == 0)
        pthread_cond_broadcast(&mount->locked.none_left);
    pthread_mutex_unlock(&mount->locked.mutex);
}

void ms_calls_wait(struct ms_mount *mount) {
    pthread_mutex_lock(&mount->locked.mutex);
    while (mount->locked.calls != 0)
        pthread_cond_wait(&mount->locked.none_left, &mount->locked.mutex);
    pthread_mutex_unlock(&mount->locked.mutex);
}

/* What a user caused is the user's to see; what the store or we caused is worth a line. */
static bool worth_a_line(enum ms_code code) {
    int err = ms_code_errno(code);
    return err == EIO || err == ENOSPC || err == ENOMEM || err == ETIMEDOUT;
}

void ms_reply_failure(fuse_req_t req, const char *op, enum ms_code code,
                      const struct ms_error *err) {
    struct ms_mount *mount = ms_mount_of(req);
    MS_ASSERT(code != MS_OK);
    if (worth_a_line(code))
        ms_log_failure(mount->svc->log, MS_LOG_ERROR, op, err, NULL);
    (void)fuse_reply_err(req, ms_code_errno(code));
}

/* No rule of ours refuses a read or a seal with these: the object store said them, of its keys, its bucket or its load.
 * Their errnos would tell a program of the file's modes, of its own arguments, or to try again at once. */
static bool is_said_by_the_store(enum ms_code code) {
    return code == MS_DENIED || code == MS_CONFIG || code == MS_THROTTLED || code == MS_UNSUPPORTED;
}

void ms_reply_data_failure(fuse_req_t req, const char *op, enum ms_code code,
                           const struct ms_error *err) {
    if (!is_said_by_the_store(code)) {
        ms_reply_failure(req, op, code, err);
        return;
    }
    ms_log_failure(ms_mount_of(req)->svc->log, MS_LOG_ERROR, op, err, NULL);
    (void)fuse_reply_err(req, EIO);
}

/* ---- session
 * --------------------------------------------------------------------------------------------------
 */

static enum ms_code kernel_options(const struct ms_mount_options *o, const char *tenant,
                                   struct ms_buf *ret_text, struct ms_error *reterr) {
    /* Commas separate options: in a name they must be escaped. */
    return ms_buf_addf(
        ret_text, reterr,
        "fsname=msasset:%s,subtype=msasset,default_permissions,nosuid,nodev,noatime%s%s%s%s",
        tenant, o->allow_other ? ",allow_other" : "", o->read_only ? ",ro" : "",
        o->fuse_options && o->fuse_options[0] ? "," : "", o->fuse_options ? o->fuse_options : "");
}

/* The device of a mount that nothing may be asked of yet, as "0:55". A line of mountinfo is
 * "id parent device root mountpoint ...", blanks in names as \\040; ours is the last one on DIR. */
static bool find_device(const char *dir, char ret_device[32]) {
    FILE *f = fopen("/proc/self/mountinfo", "re");
    char *line = NULL;
    size_t size = 0;
    bool found = false;
    while (f && getline(&line, &size, f) > 0) {
        char *rest = line, *field[5] = {NULL};
        for (size_t i = 0; i < MS_ARRAY_LEN(field) && rest; i++)
            field[i] = strsep(&rest, " ");
        if (!rest || strcmp(field[4], dir) != 0)
            continue;
        (void)snprintf(ret_device, 32, "%s", field[2]);
        found = true;
    }
    free(line);
    if (f)
        fclose(f);
    return found;
}

/* The kernel reads 128 KiB ahead on a new mount, and INIT can only lower it. Who may not change that
 * (any user but root) reads in smaller requests, which costs time but nothing else. Before INIT. */
static void raise_read_ahead(const char *dir) {
    char device[32], path[80], text[16];
    if (!find_device(dir, device))
        return;
    (void)snprintf(path, sizeof path, "/sys/class/bdi/%s/read_ahead_kb", device);
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return;
    int n = snprintf(text, sizeof text, "%u", READ_AHEAD_KB);
    ssize_t written = write(fd, text, (size_t)n);
    (void)written;
    close(fd);
}

static enum ms_code session_open(struct ms_mount *mount, const struct ms_mount_options *o,
                                 const char *tenant, struct ms_error *reterr) {
    MS_AUTO(ms_buf_fini) struct ms_buf text = {0};
    enum ms_code code = kernel_options(o, tenant, &text, reterr);
    if (code != MS_OK)
        return code;
    char *argv[] = {(char *)"msasset", (char *)"-o", (char *)text.data, (char *)"-d", NULL};
    struct fuse_args args = FUSE_ARGS_INIT(o->debug ? 4 : 3, argv);
    mount->session = fuse_session_new(&args, &ms_fuse_ops, sizeof ms_fuse_ops, mount);
    fuse_opt_free_args(&args);
    if (!mount->session)
        return ms_fail(reterr, MS_USAGE, "libfuse refused the mount options \"%s\"", text.data);
    if (fuse_session_mount(mount->session, o->dir) != 0)
        return ms_fail(
            reterr, MS_IO,
            "%s cannot be mounted on: it must be an empty folder of yours, and /dev/fuse must be "
            "usable (fusermount3 has said why above)",
            o->dir);
    raise_read_ahead(o->dir);
    return MS_OK;
}

static enum ms_code serve(struct ms_mount *mount, const struct ms_mount_options *o,
                          void (*ready)(void *priv), void *priv, struct ms_error *reterr) {
    enum ms_code code = ms_signals_new(mount->session, &mount->signals, reterr);
    if (code != MS_OK)
        return code;
    struct fuse_loop_config *config = fuse_loop_cfg_create();
    fuse_loop_cfg_set_clone_fd(config, 1);
    fuse_loop_cfg_set_max_threads(config, o->threads ? o->threads : 8);
    fuse_loop_cfg_set_idle_threads(config, o->threads ? o->threads : 8);
    ready(priv);
    int result = fuse_session_loop_mt(mount->session, config);
    fuse_loop_cfg_destroy(config);
    ms_signals_loop_ended(mount->signals);
    return result < 0 ? ms_fail_errno(reterr, -result, "the FUSE session on %s ended", o->dir)
                      : MS_OK;
}

static enum ms_code open_parts(struct ms_mount *mount, const struct ms_mount_options *o,
                               struct ms_tenant_record *tenant, struct ms_error *reterr) {
    enum ms_code code = ms_tenant_find(mount->svc, o->tenant, tenant, reterr);
    if (code != MS_OK)
        return code;
    mount->ctx = (struct ms_ctx){.tenant = {tenant->id}};
    (void)snprintf(mount->ctx.who, sizeof mount->ctx.who, "%s", o->who);
    mount->root_ino = tenant->root_ino;
    mount->read_only = o->read_only;
    code = ms_nodes_new(mount->root_ino, &mount->nodes, reterr);
    if (code == MS_OK)
        code = ms_vtree_new(mount->svc, mount->ctx.tenant, mount->root_ino, &mount->vtree, reterr);
    if (code == MS_OK)
        code = ms_engine_new(SLOW_THREADS, &mount->slow, reterr);
    if (code == MS_OK)
        code = session_open(mount, o, tenant->name, reterr);
    if (code == MS_OK)
        code = ms_inval_new(mount, &mount->inval, reterr);
    if (code == MS_OK)
        ms_files_watch(mount->svc, ms_inval_own, mount->inval);
    const struct ms_follow follow = {.each = ms_inval_each,
                                     .lost = ms_inval_lost,
                                     .priv = mount->inval,
                                     .handed = ms_inval_handed};
    if (code == MS_OK)
        code = ms_store_follow(mount->svc->store, &follow, &mount->follower, reterr);
    return code;
}

/* Order matters: first nothing new comes from the kernel, then what is open is sealed, then the
 * threads end. */
static void close_parts(struct ms_mount *mount) {
    ms_store_unfollow(mount->follower);
    ms_inval_silence(mount->inval);
    if (mount->session)
        fuse_session_unmount(mount->session);
    ms_engine_free(mount->slow);
    ms_open_files_release_all(mount);
    ms_calls_wait(mount);
    ms_files_watch(mount->svc, NULL, NULL);
    ms_inval_free(mount->inval);
    ms_signals_free(mount->signals);
    if (mount->session)
        fuse_session_destroy(mount->session);
    ms_vtree_free(mount->vtree);
    ms_nodes_free(mount->nodes);
}

enum ms_code ms_mount_run(struct ms_svc *svc, const struct ms_mount_options *options,
                          void (*ready)(void *priv), void *priv, struct ms_error *reterr) {
    struct ms_mount mount = {.svc = svc};
    struct ms_tenant_record tenant;
    pthread_mutex_init(&mount.locked.mutex, NULL);
    pthread_cond_init(&mount.locked.none_left, NULL);
    enum ms_code code = open_parts(&mount, options, &tenant, reterr);
    if (code == MS_OK)
        code = serve(&mount, options, ready, priv, reterr);
    close_parts(&mount);
    pthread_cond_destroy(&mount.locked.none_left);
    pthread_mutex_destroy(&mount.locked.mutex);
    return code;
}
