/* Bytes in and out for commands: the same live image and the same verified reads as the mount's. */
#include "service/asset.h"

#include "base/fd.h"
#include "service/file_image.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PIECE_BYTES ((size_t)1 << 20)
#define READS_IN_FLIGHT 8

/* ---- put ------------------------------------------------------------------------------------- */

#define LAG_BYTES (48 * MS_MB) /* what may be staged and not sent: the parts in flight, and some   \
                                */
#define TICK_NS INT64_C(50000000)

/* A close that is waited for in ticks, so that its progress can be told, and it can be given up. */
struct ticking {
    struct ms_file_io io;
    pthread_mutex_t mutex;
    pthread_cond_t cond;
    bool done;
};

static void ticking_done(struct ms_file_io *io) {
    struct ticking *t = io->priv;

    pthread_mutex_lock(&t->mutex);
    t->done = true;
    pthread_cond_signal(&t->cond); /* under the lock: who waits destroys both */
    pthread_mutex_unlock(&t->mutex);
}

static void ticking_init(struct ticking *t) {
    *t = (struct ticking){.io = {.done = ticking_done, .priv = t}};
    pthread_mutex_init(&t->mutex, NULL);
    pthread_cond_init(&t->cond, NULL);
}

static void ticking_fini(struct ticking *t) {
    pthread_cond_destroy(&t->cond);
    pthread_mutex_destroy(&t->mutex);
}

/* True when it is done; false after one tick. */
static bool tick(struct ticking *t) {
    struct timespec until = ms_clock_mono_deadline(TICK_NS);
    bool done;

    pthread_mutex_lock(&t->mutex);
    while (!t->done && pthread_cond_clockwait(&t->cond, &t->mutex, CLOCK_MONOTONIC, &until) == 0)
        continue;
    done = t->done;
    pthread_mutex_unlock(&t->mutex);
    return done;
}

static enum ms_code go_on(bool (*progress)(void *, uint64_t, uint64_t), void *priv, uint64_t done,
                          uint64_t total, struct ms_error *reterr) {
    if (!progress || progress(priv, done, total))
        return MS_OK;
    return ms_fail(reterr, MS_CANCELLED, "cancelled after %" PRIu64 " of %" PRIu64 " bytes", done,
                   total);
}

static enum ms_code create(struct ms_svc *svc, const struct ms_ctx *ctx, const struct ms_put *put,
                           uint64_t parent, const char *name, struct ms_handle **ret_handle,
                           struct ms_error *reterr) {
    const struct ms_make make = {.parent = parent,
                                 .name = name,
                                 .mode = S_IFREG | (put->mode & 07777),
                                 .uid = ctx->uid,
                                 .gid = ctx->gid,
                                 .any_folder = ctx->admin,
                                 .produced = put->produced,
                                 .seconds = put->seconds};
    const struct ms_open open = {.read = true, .write = true};
    struct ms_node node;

    return ms_file_create(svc, ctx, &make, &open, &node, ret_handle, reterr);
}

static enum ms_code overwrite(struct ms_svc *svc, const struct ms_ctx *ctx,
                              const struct ms_put *put, const struct ms_node *node,
                              struct ms_handle **ret_handle, struct ms_error *reterr) {
    const struct ms_open open = {
        .ino = node->inode.ino, .read = true, .write = true, .truncate = true};

    if (put->produced)
        return ms_fail(reterr, MS_EXISTS,
                       "\"%.255s\" is there already: a produced video is a new asset, choose a name",
                       put->path);
    if (!put->replace)
        return ms_fail(reterr, MS_EXISTS,
                       "\"%.255s\" is there already: ask for it to be replaced, or choose a name",
                       put->path);
    return ms_file_open(svc, ctx, &open, ret_handle, reterr);
}

static enum ms_code open_target(struct ms_svc *svc, const struct ms_ctx *ctx,
                                const struct ms_put *put, struct ms_handle **ret_handle,
                                struct ms_error *reterr) {
    char name[MS_NAME_BYTES_MAX + 1];
    struct ms_node parent, node;
    struct ms_error err;
    enum ms_code code = ms_tree_walk_parent(svc, ctx, put->path, &parent, name, reterr);

    if (code != MS_OK)
        return code;
    code = ms_tree_lookup(svc, ctx, parent.inode.ino, name, &node, &err);
    if (code == MS_OK)
        return overwrite(svc, ctx, put, &node, ret_handle, reterr);
    if (code == MS_NOT_FOUND)
        return create(svc, ctx, put, parent.inode.ino, name, ret_handle, reterr);
    if (reterr)
        *reterr = err;
    return code;
}

static enum ms_code write_all(struct ms_handle *handle, uint64_t offset, const uint8_t *p, size_t n,
                              struct ms_error *reterr) {
    for (size_t at = 0; at < n;) {
        size_t done = 0;
        enum ms_code code = ms_file_write(handle, offset + at, p + at, n - at, &done, reterr);

        if (code != MS_OK)
            return code;
        at += done;
    }
    return MS_OK;
}

struct putting {
    const struct ms_put *put;
    struct ms_handle *handle;
    uint64_t staged, total, told;
};

/* What the store has. It never goes back, although a part that was touched counts anew. */
static enum ms_code tell(struct putting *p, uint64_t sent, struct ms_error *reterr) {
    if (sent > p->told)
        p->told = sent < p->total ? sent : p->total;
    return go_on(p->put->progress, p->put->priv, p->told, p->total, reterr);
}

/* The staging area is not filled much faster than the store takes it. */
static enum ms_code keep_pace(struct putting *p, struct ms_error *reterr) {
    struct ticking pause;
    enum ms_code code;
    uint64_t sent;
    bool busy;

    ticking_init(&pause);
    do {
        sent = ms_file_sent(p->handle, &busy);
        code = tell(p, sent, reterr);
    } while (code == MS_OK && busy && p->staged > sent && p->staged - sent > LAG_BYTES &&
             !tick(&pause));
    ticking_fini(&pause);
    return code;
}

static enum ms_code copy_in(struct putting *p, uint8_t *buffer, struct ms_error *reterr) {
    struct stat st;
    enum ms_code code = MS_OK;

    if (fstat(p->put->fd, &st) != 0)
        return ms_fail_errno(reterr, errno, "cannot look at the local file");
    p->total = S_ISREG(st.st_mode) ? (uint64_t)st.st_size : 0;
    while (code == MS_OK) {
        ssize_t n = read(p->put->fd, buffer, PIECE_BYTES);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return ms_fail_errno(reterr, errno, "cannot read the local file at byte %" PRIu64,
                                 p->staged);
        if (n == 0)
            break;
        code = write_all(p->handle, p->staged, buffer, (size_t)n, reterr);
        p->staged += (size_t)n;
        if (p->total < p->staged)
            p->total = p->staged;
        if (code == MS_OK)
            code = keep_pace(p, reterr);
    }
    return code;
}

static void set_mtime(struct ms_svc *svc, const struct ms_ctx *ctx, const struct ms_put *put,
                      uint64_t ino) {
    const struct ms_setattr set = {.ino = ino, .which = MS_ATTR_MTIME, .mtime = put->mtime};
    struct ms_node node;

    if (put->mtime.tv_sec != 0 || put->mtime.tv_nsec != 0)
        (void)ms_file_setattr(svc, ctx, &set,
                              &node); /* unsealed: it is taken and becomes part of the seal */
}

/* Send the rest and seal. Whoever gives up meanwhile is heard until the commit. */
static enum ms_code finish(struct putting *p, struct ms_error *reterr) {
    struct ticking t;
    bool busy, heard = false;
    enum ms_code code;

    ticking_init(&t);
    ms_file_flush(p->handle, &t.io);
    while (!tick(&t)) {
        if (heard || tell(p, ms_file_sent(p->handle, &busy), NULL) == MS_OK)
            continue;
        heard = true;
        ms_file_abandon(p->handle);
    }
    ticking_fini(&t);
    code = t.io.code;
    if (code != MS_OK && reterr)
        *reterr = t.io.error;
    if (code == MS_OK && p->put->progress)
        (void)p->put->progress(p->put->priv, p->total, p->total);
    return code;
}

/* The first error counts: a failed flush is what the user must hear of. But the release of the last handle tries again
 * what a failing store has refused, and when that is through the file is there, whole: then nothing has failed. */
static enum ms_code close_target(struct putting *p, enum ms_code code, struct ms_error *reterr) {
    struct ms_file_wait wait;
    enum ms_code released;
    bool copied = code == MS_OK;

    if (copied) {
        code = finish(p, reterr);
        if (code != MS_OK && p->put->produced) /* refused: nothing is produced */
            ms_file_abandon(p->handle);
    } else {
        ms_file_abandon(p->handle);
    }
    ms_file_release(p->handle, ms_file_wait_begin(&wait));
    released = ms_file_wait_end(&wait, NULL, code ? NULL : reterr);
    if (released == MS_OK && copied && !ms_file_is_refusal(code))
        return MS_OK;
    return code ? code : released;
}

static enum ms_code info_of(struct ms_svc *svc, const struct ms_ctx *ctx, uint64_t ino,
                            struct ms_asset_info *ret_info, struct ms_error *reterr) {
    struct ms_node node;
    enum ms_code code = ms_tree_node(svc, ctx, ino, &node, reterr);

    return code ? code
                : ms_asset_get(svc, ctx, (struct ms_asset_id){node.inode.asset}, ret_info, reterr);
}

enum ms_code ms_asset_put(struct ms_svc *svc, const struct ms_ctx *ctx, const struct ms_put *put,
                          struct ms_asset_info *ret_info, struct ms_error *reterr) {
    uint8_t *buffer = malloc(PIECE_BYTES);
    struct putting p = {.put = put};
    uint64_t ino = 0;
    enum ms_code code;

    if (!buffer)
        return ms_fail(reterr, MS_NO_MEMORY, "no memory to copy a file");
    code = open_target(svc, ctx, put, &p.handle, reterr);
    if (code == MS_OK) {
        ino = ms_file_ino(p.handle);
        code = copy_in(&p, buffer, reterr);
        if (code == MS_OK)
            set_mtime(svc, ctx, put, ino);
        code = close_target(&p, code, reterr);
    }
    free(buffer);
    return code || !ret_info ? code : info_of(svc, ctx, ino, ret_info, reterr);
}

/* ---- fetch ----------------------------------------------------------------------------------- */

struct fetch {
    struct ms_handle *handle;
    const struct ms_get *get;
    uint64_t size, asked, written;
    struct lane {
        struct ms_file_wait wait;
        uint8_t *buffer;
        size_t n;
        bool busy;
    } lane[READS_IN_FLIGHT];
    unsigned next; /* the lane whose bytes come next */
};

static size_t piece_at(const struct fetch *f, uint64_t offset) {
    return f->size - offset < PIECE_BYTES ? (size_t)(f->size - offset) : PIECE_BYTES;
}

static void ask(struct fetch *f, struct lane *lane) {
    lane->busy = f->asked < f->size;
    if (!lane->busy)
        return;
    lane->n = piece_at(f, f->asked);
    ms_file_read(f->handle, f->asked, lane->n, lane->buffer, ms_file_wait_begin(&lane->wait));
    f->asked += lane->n;
}

/* The bytes of the oldest read go out, and the lane asks for the next ones. */
static enum ms_code turn(struct fetch *f, struct ms_error *reterr) {
    struct lane *lane = &f->lane[f->next];
    size_t n = 0;
    enum ms_code code = ms_file_wait_end(&lane->wait, &n, reterr);

    lane->busy = false;
    f->next = (f->next + 1) % READS_IN_FLIGHT;
    if (code == MS_OK && n < lane->n)
        code = ms_fail(reterr, MS_CONFLICT, "the file was cut while it was read");
    if (code == MS_OK)
        code = ms_fd_write(f->get->fd, lane->buffer, n, reterr);
    f->written += n;
    if (code == MS_OK)
        code = go_on(f->get->progress, f->get->priv, f->written, f->size, reterr);
    if (code == MS_OK)
        ask(f, lane);
    return code;
}

static enum ms_code copy_out(struct fetch *f, struct ms_error *reterr) {
    enum ms_code code = MS_OK;

    for (unsigned i = 0; i < READS_IN_FLIGHT; i++)
        ask(f, &f->lane[i]);
    while (code == MS_OK && f->lane[f->next].busy)
        code = turn(f, reterr);
    for (unsigned i = 0; i < READS_IN_FLIGHT;
         i++) /* what is still on its way reads into our buffers */
        if (f->lane[i].busy && ms_file_wait_end(&f->lane[i].wait, NULL, NULL) != MS_OK)
            continue;
    return code;
}

static enum ms_code fetch_all(struct ms_svc *svc, const struct ms_ctx *ctx, struct fetch *f,
                              const struct ms_asset_info *info, struct ms_error *reterr) {
    const struct ms_open open = {.ino = info->asset.ino, .read = true};
    struct ms_file_wait wait;
    enum ms_code code, released;

    if (info->asset.ino == 0)
        return ms_fail(reterr, MS_NOT_READABLE, "asset %s has no bytes: it is %s",
                       ms_id_text(info->asset.id).s, ms_state_name(info->state));
    f->size = info->size;
    code = ms_file_open(svc, ctx, &open, &f->handle, reterr);
    if (code != MS_OK)
        return code;
    code = copy_out(f, reterr);
    ms_file_release(f->handle, ms_file_wait_begin(&wait));
    released = ms_file_wait_end(&wait, NULL, code ? NULL : reterr);
    return code ? code : released;
}

static struct fetch *new_fetch(const struct ms_get *get) {
    struct fetch *f = calloc(1, sizeof *f);
    uint8_t *buffers = malloc(READS_IN_FLIGHT * PIECE_BYTES);

    if (!f || !buffers) {
        free(f);
        free(buffers);
        return NULL;
    }
    f->get = get;
    for (unsigned i = 0; i < READS_IN_FLIGHT; i++)
        f->lane[i].buffer = buffers + i * PIECE_BYTES;
    return f;
}

enum ms_code ms_asset_fetch(struct ms_svc *svc, const struct ms_ctx *ctx, const struct ms_get *get,
                            struct ms_error *reterr) {
    struct ms_asset_info *info = malloc(sizeof *info);
    struct fetch *f = new_fetch(get);
    enum ms_code code;

    if (!info || !f)
        code = ms_fail(reterr, MS_NO_MEMORY, "no memory to copy a file");
    else
        code = ms_asset_get(svc, ctx, get->id, info, reterr);
    if (code == MS_OK)
        code = fetch_all(svc, ctx, f, info, reterr);
    if (f)
        free(f->lane[0].buffer);
    free(f);
    free(info);
    return code;
}
