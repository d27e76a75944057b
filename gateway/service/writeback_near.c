/* The near store: the directory driver over <dir>/writeback/ with all files in one folder, and the
 * store that readers see: the near one where it has the key, else the real one.
 *
 * One folder, because each asset's own would cost two more journal commits of the file system for
 * every acknowledged file: '/' of a key is '+' in the file's name. For the same reason a PUT makes
 * the file under its own name at once, where the directory driver writes another one and renames
 * it: a torn file is nothing to a reader, because no row names it before it is whole; and the
 * syncs of the folder are shared by all who wait for one.
 */
#include "service/writeback.h"

#include "base/assert.h"
#include "object/drv_dir.h"
#include "object/wrap.h"
#include "service/tree_rows.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define FOLDER "writeback"
#define KEEP_FREE_PART 20 /* so many-th of the disk stays free */
#define KEEP_FREE_MAX (4 * 1024 * MS_MB)

/* ---- names ----------------------------------------------------------------------------------- */

static void swap_char(char *text, char from, char to) {
    for (; *text; text++)
        if (*text == from)
            *text = to;
}

static void flat_name(const char *key, char ret_name[MS_OBJECT_KEY_MAX + 1]) {
    (void)snprintf(ret_name, MS_OBJECT_KEY_MAX + 1, "%s", key);
    swap_char(ret_name, '/', '+');
}

/* ---- near: the same operations under flat names ---------------------------------------------- */

struct near {
    struct ms_wrap wrap;
    int folder; /* for what needs no driver */
    pthread_mutex_t mutex;
    pthread_cond_t synced;
    struct { /* of the folder: syncs are counted when they begin */
        uint64_t begun, done;
        bool busy;
        uint64_t failed_no; /* of the last one that failed, and its errno */
        int failed;
    } sync;
};
struct near_call {
    struct ms_wrap_call call;
    char key[MS_OBJECT_KEY_MAX + 1], after[MS_OBJECT_KEY_MAX + 1];
};

static void near_replied(struct ms_wrap_call *call) {
    struct ms_obj_request *r = &call->inner;
    bool list = r->op == MS_OBJ_LIST || r->op == MS_OBJ_MP_LIST;

    for (size_t i = 0; list && r->code == MS_OK && i < r->ret_n; i++)
        swap_char(r->ret_entries[i].key, '+', '/');
    ms_wrap_end(call);
}

/* One sync that began after the caller's last change to the folder is enough for him. */
static enum ms_code sync_folder(struct near *n, struct ms_error *reterr) {
    pthread_mutex_lock(&n->mutex);
    uint64_t mine = n->sync.begun + 1;
    while (n->sync.done < mine) {
        if (n->sync.busy) {
            (void)pthread_cond_wait(&n->synced, &n->mutex);
            continue;
        }
        n->sync.busy = true;
        uint64_t number = ++n->sync.begun;
        pthread_mutex_unlock(&n->mutex);
        int failed = fsync(n->folder) == 0 ? 0 : errno;
        pthread_mutex_lock(&n->mutex);
        n->sync.busy = false;
        n->sync.done = number;
        if (failed) {
            n->sync.failed_no = number;
            n->sync.failed = failed;
        }
        pthread_cond_broadcast(&n->synced);
    }
    /* Not of the last one: that may have gone well behind the one that the caller's change was in. */
    int failed = n->sync.failed_no >= mine ? n->sync.failed : 0;
    pthread_mutex_unlock(&n->mutex);
    return failed == 0 ? MS_OK
                       : ms_fail_errno(reterr, failed, "cannot sync the writeback folder");
}

static enum ms_code put_into(struct near *n, int fd, struct ms_obj_request *r,
                             struct ms_dir_meta *meta, struct ms_error *reterr) {
    MS_TRY(ms_obj_meta_text(r->meta, &meta->text, reterr));
    MS_TRY(ms_dir_write_body(r, &r->body, fd, 0, meta->etag, reterr));
    MS_TRY(ms_dir_meta_write(ms_dir_of(n->wrap.obj.inner), fd, r->key, meta, reterr));
    (void)snprintf(r->ret_etag, sizeof r->ret_etag, "%s", meta->etag);
    return MS_OK;
}

/* What fails leaves nothing behind; what is killed leaves a file that gc removes. */
static enum ms_code put(struct near *n, struct ms_obj_request *r, struct ms_error *reterr) {
    struct ms_dir_meta meta = {.text = MS_BUF_MAX(MS_DIR_META_MAX)};
    int fd = openat(n->folder, r->key, O_RDWR | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC,
                    MS_DIR_FILE_MODE);

    if (fd < 0)
        return ms_fail_errno(reterr, errno, "cannot make %s in the writeback folder", r->key);
    enum ms_code code = put_into(n, fd, r, &meta, reterr);
    ms_dir_meta_fini(&meta);
    close(fd);
    if (code == MS_OK)
        return sync_folder(n, reterr);
    (void)unlinkat(n->folder, r->key, 0);
    return code;
}

/* Here and now: who submits one is a part of an upload, on a thread of the engine that has nothing
 * else to do and holds no lock. Handing it to another of them would only wake that one. */
static void run_put(struct near_call *c) {
    struct near *n = MS_CONTAINER_OF(c->call.wrap, struct near, wrap);
    struct ms_obj_request *r = &c->call.inner;

    r->timer.due_mono_ns =
        ms_clock_mono_ns(ms_clock_system()) + ms_obj_timeout_ms(r) * INT64_C(1000000);
    r->code = put(n, r, &r->error);
    near_replied(&c->call);
}

static void near_submit(struct ms_obj *obj, struct ms_obj_request *request) {
    struct ms_wrap *wrap = MS_CONTAINER_OF(obj, struct ms_wrap, obj);
    struct near_call *c = ms_wrap_begin(wrap, request, sizeof *c, near_replied);

    if (!c)
        return;
    if (c->call.inner.key) {
        flat_name(c->call.inner.key, c->key);
        c->call.inner.key = c->key;
    }
    if (c->call.inner.after) {
        flat_name(c->call.inner.after, c->after);
        c->call.inner.after = c->after;
    }
    if (c->call.inner.op == MS_OBJ_PUT)
        run_put(c);
    else
        ms_wrap_down(&c->call);
}

static void near_close(struct ms_obj *obj) {
    struct ms_wrap *wrap = MS_CONTAINER_OF(obj, struct ms_wrap, obj);
    struct near *n = MS_CONTAINER_OF(wrap, struct near, wrap);

    ms_wrap_fini(wrap);
    close(n->folder);
    pthread_cond_destroy(&n->synced);
    pthread_mutex_destroy(&n->mutex);
    free(n);
}

static const struct ms_obj_ops near_ops = {"near", near_submit, ms_wrap_cancel, near_close};

static struct near *near_of(struct ms_svc *svc) {
    return MS_CONTAINER_OF(MS_CONTAINER_OF(svc->near, struct ms_wrap, obj), struct near, wrap);
}

static enum ms_code near_wrap(struct ms_obj *inner, int folder, struct ms_obj **ret_obj,
                              struct ms_error *reterr) {
    struct near *n = calloc(1, sizeof *n);

    if (!n) {
        ms_obj_close(inner);
        close(folder);
        return ms_fail(reterr, MS_NO_MEMORY, "no memory for the writeback folder");
    }
    ms_wrap_init(&n->wrap, &near_ops, inner);
    n->wrap.obj.caps.batch_delete = n->wrap.obj.caps.copy = n->wrap.obj.caps.part_copy = false;
    n->folder = folder;
    pthread_mutex_init(&n->mutex, NULL);
    pthread_cond_init(&n->synced, NULL);
    *ret_obj = &n->wrap.obj;
    return MS_OK;
}

bool ms_near_takes(struct ms_svc *svc, uint64_t size) {
    struct statvfs fs;

    if (!svc->writeback || !svc->near || fstatvfs(near_of(svc)->folder, &fs) != 0)
        return false;
    uint64_t keep = (uint64_t)fs.f_blocks / KEEP_FREE_PART * fs.f_frsize;
    uint64_t has = (uint64_t)fs.f_bavail * fs.f_frsize;
    keep = keep < KEEP_FREE_MAX ? keep : KEEP_FREE_MAX;
    return has > keep && has - keep > size;
}

void ms_near_remove(struct ms_svc *svc, const char *key) {
    char name[MS_OBJECT_KEY_MAX + 1], sidecar[sizeof name + 16];

    if (!svc->near)
        return;
    flat_name(key, name);
    (void)snprintf(sidecar, sizeof sidecar, ".sidecar/%s", name);
    (void)unlinkat(near_of(svc)->folder, name, 0);
    (void)unlinkat(near_of(svc)->folder, sidecar, 0);
}

enum ms_code ms_near_open_file(struct ms_svc *svc, const char *key, int *ret_fd, uint64_t *ret_size,
                               struct ms_error *reterr) {
    char name[MS_OBJECT_KEY_MAX + 1];
    struct stat st;

    flat_name(key, name);
    int fd = openat(near_of(svc)->folder, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0 && errno == ENOENT)
        return ms_fail(reterr, MS_NOT_FOUND, "%s/" FOLDER "/%s is not there", svc->dir, name);
    if (fd < 0)
        return ms_fail_errno(reterr, errno, "cannot open %s/" FOLDER "/%s", svc->dir, name);
    if (fstat(fd, &st) != 0) {
        int err = errno;
        close(fd);
        return ms_fail_errno(reterr, err, "cannot look at %s/" FOLDER "/%s", svc->dir, name);
    }
    *ret_fd = fd;
    *ret_size = (uint64_t)st.st_size;
    return MS_OK;
}

/* ---- reads: whichever has it ----------------------------------------------------------------- */

struct reads {
    struct ms_wrap wrap;
    struct ms_svc *svc; /* what its store is says svc->obj at each call */
    int folder;         /* the near store's */
};
struct reads_call {
    struct ms_wrap_call call;
    int near; /* atomic: where it is now */
};

static bool is_near(const struct reads *s, const struct ms_obj_request *r) {
    char name[MS_OBJECT_KEY_MAX + 1];

    if (r->op != MS_OBJ_GET && r->op != MS_OBJ_HEAD)
        return false;
    flat_name(r->key, name);
    return faccessat(s->folder, name, F_OK, 0) == 0;
}

/* Gone since we looked: it is in the store, or nowhere. */
static void reads_replied(struct ms_wrap_call *call) {
    struct reads_call *c = MS_CONTAINER_OF(call, struct reads_call, call);
    struct reads *s = MS_CONTAINER_OF(call->wrap, struct reads, wrap);

    if (!__atomic_load_n(&c->near, __ATOMIC_SEQ_CST) || call->inner.code != MS_NOT_FOUND) {
        ms_wrap_end(call);
        return;
    }
    __atomic_store_n(&c->near, 0, __ATOMIC_SEQ_CST);
    ms_obj_submit(s->svc->obj, &call->inner);
}

static void reads_submit(struct ms_obj *obj, struct ms_obj_request *request) {
    struct reads *s = MS_CONTAINER_OF(MS_CONTAINER_OF(obj, struct ms_wrap, obj), struct reads, wrap);
    struct reads_call *c = ms_wrap_begin(&s->wrap, request, sizeof *c, reads_replied);

    if (!c)
        return;
    if (!is_near(s, &c->call.inner)) {
        ms_obj_submit(s->svc->obj, &c->call.inner);
        return;
    }
    __atomic_store_n(&c->near, 1, __ATOMIC_SEQ_CST);
    ms_obj_submit(s->svc->near, &c->call.inner);
}

/* As ms_wrap_cancel, but to where the request is. One that moves on just now ends by itself. */
static void reads_cancel(struct ms_obj *obj, struct ms_obj_request *request) {
    struct reads *s = MS_CONTAINER_OF(MS_CONTAINER_OF(obj, struct ms_wrap, obj), struct reads, wrap);
    struct ms_wrap_call *call;

    __atomic_store_n(&request->cancelled, 1, __ATOMIC_SEQ_CST);
    pthread_mutex_lock(&s->wrap.mutex);
    call = request->drv;
    if (call)
        ms_wrap_ref(call);
    pthread_mutex_unlock(&s->wrap.mutex);
    if (!call)
        return;
    bool near = __atomic_load_n(&MS_CONTAINER_OF(call, struct reads_call, call)->near,
                                __ATOMIC_SEQ_CST) != 0;
    __atomic_store_n(&call->inner.cancelled, 1, __ATOMIC_SEQ_CST);
    if (!near) /* the local disk answers at once */
        ms_obj_cancel(s->svc->obj, &call->inner);
    ms_wrap_unref(call);
}

/* What it wraps is not its own. */
static void reads_close(struct ms_obj *obj) {
    struct ms_wrap *wrap = MS_CONTAINER_OF(obj, struct ms_wrap, obj);

    pthread_mutex_destroy(&wrap->mutex);
    free(MS_CONTAINER_OF(wrap, struct reads, wrap));
}

static const struct ms_obj_ops reads_ops = {"reads", reads_submit, reads_cancel, reads_close};

static enum ms_code reads_open(struct ms_svc *svc, struct ms_error *reterr) {
    struct reads *s = calloc(1, sizeof *s);

    if (!s)
        return ms_fail(reterr, MS_NO_MEMORY, "no memory for an object store");
    ms_wrap_init(&s->wrap, &reads_ops, svc->obj);
    s->svc = svc;
    s->folder = near_of(svc)->folder;
    svc->reads = &s->wrap.obj;
    return MS_OK;
}

/* ---- opening --------------------------------------------------------------------------------- */

static enum ms_code make_folder(struct ms_svc *svc, const char *path, int *ret_fd,
                                struct ms_error *reterr) {
    if (!svc->read_only && mkdir(path, 0700) != 0 && errno != EEXIST)
        return ms_fail_errno(reterr, errno, "cannot make %s", path);
    *ret_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (*ret_fd < 0 && !(svc->read_only && errno == ENOENT))
        return ms_fail_errno(reterr, errno, "cannot open %s", path);
    return MS_OK;
}

static enum ms_code near_open(struct ms_svc *svc, const char *path, int folder,
                              struct ms_error *reterr) {
    struct ms_obj_options options = {
        .engine = svc->engine, .random = svc->random, .log = svc->log, .create = !svc->read_only};
    struct ms_obj *dir = NULL;
    enum ms_code code = ms_drv_dir_open(&options, path, &dir, reterr);

    if (code != MS_OK) {
        close(folder);
        return code;
    }
    return near_wrap(dir, folder, &svc->near, reterr);
}

enum ms_code ms_near_open(struct ms_svc *svc, struct ms_error *reterr) {
    char path[sizeof svc->dir + 16];
    int folder = -1;

    (void)snprintf(path, sizeof path, "%s/" FOLDER, svc->dir);
    svc->reads = svc->obj;
    MS_TRY(make_folder(svc, path, &folder, reterr));
    if (folder < 0)
        return MS_OK;
    MS_TRY(near_open(svc, path, folder, reterr));
    return reads_open(svc, reterr);
}

void ms_near_close(struct ms_svc *svc) {
    if (svc->near)
        ms_obj_close(svc->reads);
    svc->reads = NULL;
    ms_obj_close(MS_TAKE(svc->near));
}
