#include "fuse/inval.h"

#include "fuse/node.h"

#include <stdio.h>
#include <stdlib.h>

#define THREADS 4u /* one that waits behind a slow read must not hold the others up */
#define SILENCE_TRIES 1000u
#define SILENCE_PAUSE_NS INT64_C(1000000)
#define AGAIN_FIRST_NS INT64_C(10000000) /* what failed is tried again, with pauses that double up to */
#define AGAIN_LAST_NS INT64_C(320000000)

struct item {
    struct item *next;
    struct ms_feed_row row;
    enum because { BY_OTHERS, BY_US, BY_US_SEALED } because;
    uint64_t parent_nodeid; /* not 0: only the row's name below it */
    uint64_t number;        /* in the order of the queue, from 1 */
};

/* To be said to the feed when every item up to this number is done. */
struct promise {
    struct promise *next;
    uint64_t number, to;
};

struct ms_inval {
    struct ms_mount *mount;
    pthread_t thread[THREADS];
    unsigned threads;
    struct {
        pthread_mutex_t mutex;
        pthread_cond_t cond;
        struct item *first, **end;
        struct promise *promise, **promises_end;
        uint64_t queued;         /* number of the newest item */
        uint64_t doing[THREADS]; /* numbers of items that were taken and are not done; 0: none */
        unsigned started;
        bool lost; /* an item, for want of memory: everything must be dropped before anything is said */
        unsigned in_kernel; /* threads that tell it something */
        bool silent, stop;
    } locked;
};

/* ---- telling the kernel ---------------------------------------------------------------------- */

static bool may_tell(struct ms_inval *inval) {
    pthread_mutex_lock(&inval->locked.mutex);
    bool may = !inval->locked.silent;
    inval->locked.in_kernel += may;
    pthread_mutex_unlock(&inval->locked.mutex);
    return may;
}

static void told(struct ms_inval *inval) {
    pthread_mutex_lock(&inval->locked.mutex);
    inval->locked.in_kernel--;
    pthread_mutex_unlock(&inval->locked.mutex);
}

/* from: of the pages that go; -1: attributes only. */
static void tell_inode(struct ms_mount *mount, uint64_t nodeid, off_t from) {
    if (!may_tell(mount->inval))
        return;
    (void)fuse_lowlevel_notify_inval_inode(mount->session, nodeid, from, 0);
    told(mount->inval);
}

static void forget_name(void *priv, uint64_t parent_nodeid, const char *name) {
    struct ms_mount *mount = priv;
    if (!may_tell(mount->inval))
        return;
    (void)fuse_lowlevel_notify_inval_entry(mount->session, parent_nodeid, name, strlen(name));
    told(mount->inval);
}

void ms_inval_silence(struct ms_inval *inval) {
    if (!inval)
        return;
    pthread_mutex_lock(&inval->locked.mutex);
    inval->locked.silent = true;
    for (unsigned i = 0; i < SILENCE_TRIES && inval->locked.in_kernel > 0; i++) {
        pthread_mutex_unlock(&inval->locked.mutex);
        ms_clock_sleep_ns(SILENCE_PAUSE_NS);
        pthread_mutex_lock(&inval->locked.mutex);
    }
    pthread_mutex_unlock(&inval->locked.mutex);
}

/* ---- what changed ---------------------------------------------------------------------------- */

/* What says false could not be done for want of memory; doing it again from the start does no harm. */

/* Attributes of every node, or pages too of those that are retired. */
static bool inval_inode(struct ms_mount *mount, uint64_t ino, bool retired_pages) {
    struct ms_node_ref *refs = NULL;
    size_t n = ms_nodes_all(mount->nodes, ino, &refs);
    bool listed = refs != NULL;
    for (size_t i = 0; i < n; i++) {
        off_t from = retired_pages && !refs[i].current ? 0 : -1;
        tell_inode(mount, refs[i].nodeid, from);
    }
    free(refs);
    return listed;
}

/* The generation that a lookup gives now: of the live image, where there is one. An inode that is
 * gone has none that could be shown. */
static uint64_t generation_now(struct ms_mount *mount, uint64_t ino) {
    struct ms_node node;
    if (ms_tree_node(mount->svc, &mount->ctx, ino, &node, NULL) != MS_OK)
        return UINT64_MAX;
    (void)ms_file_overlay(mount->svc, &mount->ctx, &node);
    return node.inode.generation;
}

/* New bytes: old handles keep the old node and its pages, the next lookup gets a fresh one. A row
 * may come late, when that has happened already; and while the file is being written here, its
 * bytes are what is written: the seal comes with an event of its own, and mostly finds nothing to
 * do. */
static bool content_changed(struct ms_mount *mount, uint64_t ino, enum because because) {
    bool retired = ms_nodes_retire(mount->nodes, ino, generation_now(mount, ino));
    bool named = ms_nodes_take_names(mount->nodes, ino, false, forget_name, mount);
    if (!retired && !named && because == BY_US_SEALED)
        return true;
    return inval_inode(mount, ino, because == BY_US);
}

static void entry_changed(struct ms_mount *mount, uint64_t parent, const char *name) {
    uint64_t nodeid = ms_nodes_current(mount->nodes, parent);
    if (nodeid == 0)
        return;
    forget_name(mount, nodeid, name);
    tell_inode(mount, nodeid, 0);
}

/* May no longer be read: handles first, so that no page comes back after the kernel dropped them.
 */
static bool cut_off(struct ms_mount *mount, uint64_t ino) {
    bool asked = ms_file_revalidate(mount->svc, mount->ctx.tenant, ino);
    struct ms_node_ref *refs = NULL;
    size_t n = ms_nodes_all(mount->nodes, ino, &refs);
    bool listed = refs != NULL;
    for (size_t i = 0; i < n; i++)
        tell_inode(mount, refs[i].nodeid, 0);
    free(refs);
    return asked && listed;
}

/* Bytes of this asset that are open under an inode which lost its name: the bin and another file's rename took the
 * asset from it. */
static bool cut_off_former(struct ms_mount *mount, const char *asset_id, uint64_t ino) {
    struct ms_asset_id asset;
    if (ms_id_parse(asset_id, &asset.id, NULL) != MS_OK)
        return true;
    size_t n = 0;
    uint64_t *inos = ms_file_inodes(mount->svc, mount->ctx.tenant, asset, &n);
    bool asked = inos != NULL;
    for (size_t i = 0; i < n; i++)
        if (inos[i] != ino)
            asked &= cut_off(mount, inos[i]);
    free(inos);
    return asked;
}

static bool everything_changed(struct ms_mount *mount) {
    bool asked = ms_file_revalidate(mount->svc, mount->ctx.tenant, 0);
    struct ms_node_ref *refs = NULL;
    size_t n = ms_nodes_all(mount->nodes, 0, &refs);
    bool listed = refs != NULL;
    for (size_t i = 0; i < n; i++) {
        ms_nodes_retire(mount->nodes, refs[i].ino, generation_now(mount, refs[i].ino));
        ms_nodes_take_names(mount->nodes, refs[i].ino, true, forget_name, mount);
        tell_inode(mount, refs[i].nodeid, 0);
    }
    free(refs);
    return asked && listed;
}

static bool apply(struct ms_mount *mount, const struct item *item) {
    const struct ms_feed_row *row = &item->row;
    if (item->parent_nodeid != 0) {
        forget_name(mount, item->parent_nodeid, row->name);
        return true;
    }
    switch ((enum ms_feed_kind)row->kind) {
    case MS_FEED_INODE:
        return inval_inode(mount, row->ino, false);
    case MS_FEED_CONTENT:
        return content_changed(mount, row->ino, item->because);
    case MS_FEED_ENTRY:
        entry_changed(mount, row->ino, row->name);
        return true;
    case MS_FEED_FREEZE:
        return cut_off(mount, row->ino) & cut_off_former(mount, row->name, row->ino);
    case MS_FEED_RECALL:
        ms_file_recall(mount->svc, row->tenant);
        return true;
    case MS_FEED_TENANT:
    default: /* a newer msasset's row: what it means is unknown, so nothing cached can be trusted */
        return everything_changed(mount);
    }
}

/* Every item below it is done. */
static uint64_t first_undone_locked(const struct ms_inval *inval) {
    uint64_t first = inval->locked.first ? inval->locked.first->number : inval->locked.queued + 1;
    for (unsigned i = 0; i < THREADS; i++)
        if (inval->locked.doing[i] != 0 && inval->locked.doing[i] < first)
            first = inval->locked.doing[i];
    return first;
}

/* Takes what may be said now; 0: nothing new. */
static uint64_t keep_promises_locked(struct ms_inval *inval) {
    uint64_t first = first_undone_locked(inval), to = 0;
    while (inval->locked.promise && inval->locked.promise->number < first) {
        struct promise *kept = inval->locked.promise;
        to = kept->to;
        inval->locked.promise = kept->next;
        if (!kept->next)
            inval->locked.promises_end = &inval->locked.promise;
        free(kept);
    }
    return to;
}

/* Nothing that is not done yet was queued before this one with its number. */
static void promise_locked(struct ms_inval *inval, uint64_t to) {
    struct promise *promise = calloc(1, sizeof *promise);
    if (!promise)
        return; /* the next one says it */
    promise->number = inval->locked.queued;
    promise->to = to;
    *inval->locked.promises_end = promise;
    inval->locked.promises_end = &promise->next;
}

static void done(struct ms_inval *inval, unsigned thread) {
    pthread_mutex_lock(&inval->locked.mutex);
    inval->locked.doing[thread] = 0;
    uint64_t to = keep_promises_locked(inval);
    pthread_mutex_unlock(&inval->locked.mutex);
    if (to != 0)
        ms_store_answer(inval->mount->svc->store, to);
}

static unsigned my_place(struct ms_inval *inval) {
    pthread_mutex_lock(&inval->locked.mutex);
    unsigned place = inval->locked.started++;
    pthread_mutex_unlock(&inval->locked.mutex);
    return place;
}

static struct item *take(struct ms_inval *inval, unsigned thread) {
    pthread_mutex_lock(&inval->locked.mutex);
    while (!inval->locked.first && !inval->locked.stop)
        pthread_cond_wait(&inval->locked.cond, &inval->locked.mutex);
    struct item *item = inval->locked.stop ? NULL : inval->locked.first;
    if (item) {
        inval->locked.first = item->next;
        if (!item->next)
            inval->locked.end = &inval->locked.first;
        inval->locked.doing[thread] = item->number;
    }
    pthread_mutex_unlock(&inval->locked.mutex);
    return item;
}

static bool stopping(struct ms_inval *inval) {
    pthread_mutex_lock(&inval->locked.mutex);
    bool stop = inval->locked.stop;
    pthread_mutex_unlock(&inval->locked.mutex);
    return stop;
}

/* Until it is done: whoever freezes is answered then and not before, and names this mount meanwhile.
 * False: it was not, and nobody needs it any more. */
static bool do_item(struct ms_inval *inval, const struct item *item) {
    int64_t pause_ns = AGAIN_FIRST_NS;
    while (!apply(inval->mount, item)) {
        if (pause_ns == AGAIN_FIRST_NS)
            ms_log_event(inval->mount->svc->log, MS_LOG_ERROR, "invalidation_delayed", "reason",
                         "what is open here could not be asked about; it is tried again", NULL);
        ms_clock_sleep_ns(pause_ns);
        if (stopping(inval))
            return false;
        pause_ns = pause_ns < AGAIN_LAST_NS ? 2 * pause_ns : pause_ns;
    }
    return true;
}

static void *run(void *priv) {
    struct ms_inval *inval = priv;
    unsigned place = my_place(inval);
    struct item *item;
    while ((item = take(inval, place)) != NULL) {
        bool all = do_item(inval, item);
        free(item);
        if (!all)
            break;
        done(inval, place);
    }
    return NULL;
}

static void queue_item(struct ms_inval *inval, const struct item *what) {
    struct item *item = malloc(sizeof *item);
    pthread_mutex_lock(&inval->locked.mutex);
    inval->locked.lost |= item == NULL;
    if (item) {
        *item = *what;
        item->number = ++inval->locked.queued;
        *inval->locked.end = item;
        inval->locked.end = &item->next;
        pthread_cond_signal(&inval->locked.cond);
    }
    pthread_mutex_unlock(&inval->locked.mutex);
    if (!item)
        ms_log_event(inval->mount->svc->log, MS_LOG_ERROR, "invalidation_lost", "reason",
                     "no memory", NULL);
}

static void queue(struct ms_inval *inval, const struct ms_feed_row *row, enum because because) {
    queue_item(inval, &(struct item){.row = *row, .because = because});
}

void ms_inval_name(struct ms_inval *inval, uint64_t parent_nodeid, const char *name) {
    struct item item = {.parent_nodeid = parent_nodeid};
    (void)snprintf(item.row.name, sizeof item.row.name, "%s", name);
    queue_item(inval, &item);
}

void ms_inval_each(void *priv, struct ms_view change) {
    struct ms_inval *inval = priv;
    struct ms_feed_row row;
    struct ms_error err = {0};
    if (ms_feed_decode(change, &row, &err) != MS_OK)
        ms_inval_lost(inval);
    else if (ms_tenant_id_equal(row.tenant, inval->mount->ctx.tenant))
        queue(inval, &row, BY_OTHERS);
}

void ms_inval_lost(void *priv) {
    struct ms_inval *inval = priv;
    struct ms_feed_row row = {.kind = MS_FEED_TENANT, .tenant = inval->mount->ctx.tenant};
    queue(inval, &row, BY_OTHERS);
}

/* An item that was lost is made up for by dropping everything: while that cannot be queued either,
 * nothing is said. */
void ms_inval_handed(void *priv, uint64_t to) {
    struct ms_inval *inval = priv;
    pthread_mutex_lock(&inval->locked.mutex);
    bool lost = inval->locked.lost;
    inval->locked.lost = false;
    pthread_mutex_unlock(&inval->locked.mutex);
    if (lost)
        ms_inval_lost(inval);
    pthread_mutex_lock(&inval->locked.mutex);
    if (!inval->locked.lost)
        promise_locked(inval, to);
    uint64_t now = keep_promises_locked(inval);
    pthread_mutex_unlock(&inval->locked.mutex);
    if (now != 0)
        ms_store_answer(inval->mount->svc->store, now);
}

/* Sealed as it was written: the kernel's pages are the new version's already. Otherwise they are of
 * bytes that are nowhere any more. */
void ms_inval_own(void *priv, const struct ms_file_event *event) {
    struct ms_inval *inval = priv;
    struct ms_nodes *nodes = inval->mount->nodes;
    const struct ms_feed_row row = {
        .kind = MS_FEED_CONTENT, .tenant = event->tenant, .ino = event->ino};
    if (!ms_tenant_id_equal(event->tenant, inval->mount->ctx.tenant))
        return;
    if (event->fate == MS_FILE_SEALED) {
        ms_nodes_sealed(nodes, event->ino, event->from, event->to);
        return;
    }
    if (event->fate != MS_FILE_RESTS)
        ms_nodes_spoil(nodes, event->ino, event->from);
    else if (!ms_nodes_are_old(nodes, event->ino, generation_now(inval->mount, event->ino)))
        return; /* the usual case, seen without waking anybody */
    queue(inval, &row, event->fate == MS_FILE_RESTS ? BY_US_SEALED : BY_US);
}

enum ms_code ms_inval_new(struct ms_mount *mount, struct ms_inval **ret_inval,
                          struct ms_error *reterr) {
    struct ms_inval *inval = calloc(1, sizeof *inval);
    if (!inval)
        return ms_fail(reterr, MS_NO_MEMORY, "no memory for the invalidation threads");
    inval->mount = mount;
    inval->locked.end = &inval->locked.first;
    inval->locked.promises_end = &inval->locked.promise;
    pthread_mutex_init(&inval->locked.mutex, NULL);
    pthread_cond_init(&inval->locked.cond, NULL);
    for (; inval->threads < THREADS; inval->threads++) {
        int err = pthread_create(&inval->thread[inval->threads], NULL, run, inval);
        if (err != 0) {
            ms_inval_free(inval);
            return ms_fail_errno(reterr, err, "an invalidation thread cannot be started");
        }
    }
    *ret_inval = inval;
    return MS_OK;
}

void ms_inval_free(struct ms_inval *inval) {
    if (!inval)
        return;
    pthread_mutex_lock(&inval->locked.mutex);
    inval->locked.stop = true;
    pthread_cond_broadcast(&inval->locked.cond);
    pthread_mutex_unlock(&inval->locked.mutex);
    for (unsigned i = 0; i < inval->threads; i++)
        pthread_join(inval->thread[i], NULL);
    while (inval->locked.first) {
        struct item *item = inval->locked.first;
        inval->locked.first = item->next;
        free(item);
    }
    while (inval->locked.promise) {
        struct promise *promise = inval->locked.promise;
        inval->locked.promise = promise->next;
        free(promise);
    }
    pthread_cond_destroy(&inval->locked.cond);
    pthread_mutex_destroy(&inval->locked.mutex);
    free(inval);
}
