#include "world.h"

#include "service/tables.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- the gate ---------------------------------------------------------------------------- */

static bool is_refused_key(const struct gate *g, const char *key) {
    return key && strncmp(key, g->refuse_key, strlen(g->refuse_key)) == 0;
}

static bool is_refused(const struct gate *g, const struct ms_obj_request *request) {
    bool refused = g->refuse_key[0] == '\0' || is_refused_key(g, request->key);

    for (size_t i = 0; i < request->keys_n && !refused; i++)
        refused = is_refused_key(g, request->keys[i]);
    return g->refuse != MS_OK && refused && (g->refuse_op == MS_OBJ_OP_COUNT || g->refuse_op == request->op);
}

/* Only what moves bytes or publishes them is held: the rest cannot be cancelled, and ends by its
 * deadline. Held requests hang together by `drv`, which nobody uses before the inner driver gets
 * them. */
static void gate_submit(struct ms_obj *obj, struct ms_obj_request *request) {
    struct gate *g = MS_CONTAINER_OF(obj, struct gate, obj);
    enum ms_code refuse;
    bool hold;

    atomic_fetch_add(&g->requests, 1);
    if (request->op == MS_OBJ_PUT || request->op == MS_OBJ_MP_PUT)
        atomic_fetch_add(&g->put_bytes, request->body.length);
    atomic_fetch_add(&g->puts, request->op == MS_OBJ_PUT);
    atomic_fetch_add(&g->parts, request->op == MS_OBJ_MP_PUT);
    pthread_mutex_lock(&g->mutex);
    hold = g->hold && request->op != MS_OBJ_MP_CREATE && request->op != MS_OBJ_MP_ABORT &&
           request->op != MS_OBJ_DELETE;
    refuse = is_refused(g, request) ? g->refuse : MS_OK;
    if (refuse != MS_OK && g->refuse_left > 0 && --g->refuse_left == 0)
        g->refuse = MS_OK;
    if (hold) {
        request->drv = g->held;
        g->held = request;
        g->held_n++;
    }
    pthread_mutex_unlock(&g->mutex);
    if (hold)
        return;
    if (refuse != MS_OK) {
        request->code = ms_fail(&request->error, refuse, "the gate refuses");
        request->done(request);
        return;
    }
    ms_obj_submit(g->inner, request);
}

static bool take_held(struct gate *g, struct ms_obj_request *request) {
    struct ms_obj_request **at = &g->held;
    bool found;

    pthread_mutex_lock(&g->mutex);
    while (*at && *at != request)
        at = (struct ms_obj_request **)&(*at)->drv;
    found = *at != NULL;
    if (found) {
        *at = request->drv;
        g->held_n--;
    }
    pthread_mutex_unlock(&g->mutex);
    return found;
}

static void gate_cancel(struct ms_obj *obj, struct ms_obj_request *request) {
    struct gate *g = MS_CONTAINER_OF(obj, struct gate, obj);

    if (!take_held(g, request)) {
        ms_obj_cancel(g->inner, request);
        return;
    }
    request->drv = NULL;
    request->code = ms_fail(&request->error, MS_CANCELLED, "cancelled at the gate");
    request->done(request);
}

static void gate_close(struct ms_obj *obj) { (void)obj; }

static const struct ms_obj_ops gate_ops = {
    .name = "gate", .submit = gate_submit, .cancel = gate_cancel, .close = gate_close};

/* Between the service (its cache too) and its objects, or a store in memory in their place. */
static void gate_put_in(struct gate *g, struct ms_svc *svc, bool mem) {
    const struct ms_obj_options options = {.url = "mem:",
                                           .engine = svc->engine,
                                           .random = svc->random,
                                           .create = true,
                                           .store_id = svc->store_id};

    g->own = svc->obj;
    g->inner = svc->obj;
    if (mem)
        assert_ok(ms_obj_open(&options, &g->inner, NULL));
    g->obj = (struct ms_obj){.ops = &gate_ops, .caps = g->inner->caps, .engine = svc->engine};
    pthread_mutex_init(&g->mutex, NULL);
    ms_cache_free(svc->cache);
    svc->obj = &g->obj;
    assert_ok(ms_cache_new(svc->reads, NULL, 16 * MS_MB, &svc->cache, &test_err));
}

static void gate_take_out(struct gate *g, struct ms_svc *svc) {
    ms_files_free(MS_TAKE(svc->files)); /* what is tried again goes through the gate too */
    svc->obj = g->own;
    ms_cache_free(MS_TAKE(svc->cache));
    if (g->inner != g->own)
        ms_obj_close(g->inner);
    pthread_mutex_destroy(&g->mutex);
}

void gate_hold(struct world *w) {
    pthread_mutex_lock(&w->gate.mutex);
    w->gate.hold = true;
    pthread_mutex_unlock(&w->gate.mutex);
}

unsigned gate_held(struct world *w) {
    unsigned n;

    pthread_mutex_lock(&w->gate.mutex);
    n = w->gate.held_n;
    pthread_mutex_unlock(&w->gate.mutex);
    return n;
}

void gate_wait(struct world *w, unsigned n) {
    while (gate_held(w) < n)
        usleep(1000);
}

void gate_release(struct world *w) {
    struct ms_obj_request *next;

    pthread_mutex_lock(&w->gate.mutex);
    w->gate.hold = false;
    next = w->gate.held;
    w->gate.held = NULL;
    w->gate.held_n = 0;
    pthread_mutex_unlock(&w->gate.mutex);
    while (next) {
        struct ms_obj_request *request = next;

        next = request->drv;
        request->drv = NULL;
        ms_obj_submit(w->gate.inner, request);
    }
}

void gate_refuse(struct world *w, enum ms_code code) { gate_refuse_key(w, MS_OBJ_OP_COUNT, "", code); }

void gate_refuse_key(struct world *w, enum ms_obj_op op, const char *key, enum ms_code code) {
    assert_true(strlen(key) <= MS_OBJECT_KEY_MAX);
    pthread_mutex_lock(&w->gate.mutex);
    w->gate.refuse = code;
    w->gate.refuse_left = 0;
    w->gate.refuse_op = op;
    memcpy(w->gate.refuse_key, key, strlen(key) + 1);
    pthread_mutex_unlock(&w->gate.mutex);
}

void gate_refuse_once(struct world *w, enum ms_obj_op op, enum ms_code code) {
    gate_refuse_key(w, op, "", code);
    pthread_mutex_lock(&w->gate.mutex);
    w->gate.refuse_left = 1;
    pthread_mutex_unlock(&w->gate.mutex);
}

/* ---- the world --------------------------------------------------------------------------- */

static struct ms_svc_options options_of(struct world *w) {
    return (struct ms_svc_options){.dir = w->dir,
                                   .clock = &w->clock.clock,
                                   .label = "test",
                                   .engine_threads = 4,
                                   .cache_bytes = 64 * MS_MB, /* half for what is staged */
                                   .probe_program = w->probe_program,
                                   .probe_argument = w->probe_argument,
                                   .journal_bytes_max = UINT64_C(1) << 40};
}

static struct world *fill_new(struct world *w, bool mem, uint64_t quota_bytes) {
    struct ms_tenant_options tenant = {
        .name = "t1", .free_bytes = quota_bytes ? quota_bytes : UINT64_MAX, .retention_ms = -1};
    struct ms_svc_options options;

    assert_non_null(w);
    w->tmp = ms_test_tmpdir_new();
    w->dir = ms_test_path(w->tmp, "store");
    ms_clock_fake_init(&w->clock, ms_instant_of(INT64_C(1772323200000)));
    options = options_of(w);
    assert_ok(ms_svc_init(&options, NULL));
    assert_ok(ms_svc_open(&options, &w->svc, NULL));
    gate_put_in(&w->gate, w->svc, mem);
    assert_ok(ms_tenant_add(w->svc, "root@test", &tenant, &w->tenant, &test_err));
    w->ctx = (struct ms_ctx){.tenant = {w->tenant.id}, .who = "alice"};
    w->admin = (struct ms_ctx){.tenant = {w->tenant.id}, .who = "root@test", .admin = true};
    return w;
}

struct world *world_new(bool mem, uint64_t quota_bytes) {
    return fill_new(calloc(1, sizeof(struct world)), mem, quota_bytes);
}

struct world *world_new_probed(const char *program, const char *argument) {
    struct world *w = calloc(1, sizeof *w);

    assert_non_null(w);
    w->probe_program = program;
    w->probe_argument = argument;
    return fill_new(w, true, 0);
}

void world_reopen(struct world *w) {
    struct ms_svc_options options = options_of(w);

    gate_release(w);
    gate_take_out(&w->gate, w->svc);
    ms_svc_close(MS_TAKE(w->svc));
    memset(&w->gate, 0, sizeof w->gate);
    assert_ok(ms_svc_open(&options, &w->svc, NULL));
    gate_put_in(&w->gate, w->svc, false);
}

void world_free(struct world *w) {
    if (!w)
        return;
    peer_stop(w);
    if (w->svc) {
        gate_release(w);
        gate_take_out(&w->gate, w->svc);
        ms_svc_close(w->svc);
    }
    free(w->dir);
    ms_test_tmpdir_remove(w->tmp);
    free(w);
}

int world_setup_mem(void **state) {
    *state = world_new(true, 0);
    return 0;
}

int world_setup_dir(void **state) {
    *state = world_new(false, 0);
    return 0;
}

int world_teardown(void **state) {
    world_free(*state);
    return 0;
}

/* ---- files ------------------------------------------------------------------------------- */

struct ms_handle *make_file(struct world *w, const char *path) {
    char name[MS_NAME_BYTES_MAX + 1];
    struct ms_node parent, node;
    struct ms_handle *handle;
    const struct ms_open open = {.read = true, .write = true};

    assert_ok(ms_tree_walk_parent(w->svc, &w->ctx, path, &parent, name, &test_err));
    const struct ms_make make = {
        .parent = parent.inode.ino, .name = name, .mode = S_IFREG | 0644, .uid = 1000};
    assert_ok(ms_file_create(w->svc, &w->ctx, &make, &open, &node, &handle, &test_err));
    return handle;
}

uint64_t ino_of(struct world *w, const char *path) {
    struct ms_node node;

    assert_ok(ms_tree_walk(w->svc, &w->ctx, path, &node, &test_err));
    return node.inode.ino;
}

struct ms_handle *open_file(struct world *w, const char *path, char how) {
    struct ms_handle *handle;
    struct ms_open open = {.ino = ino_of(w, path), .read = true};

    open.write = how != 'r';
    open.append = how == 'a';
    open.truncate = how == 't';
    assert_ok(ms_file_open(w->svc, &w->ctx, &open, &handle, &test_err));
    return handle;
}

void put_bytes(struct ms_handle *h, uint64_t offset, const void *p, size_t n) {
    size_t done = 0;

    assert_ok(ms_file_write(h, offset, p, n, &done, &test_err));
    assert_int_equal(done, n);
}

enum ms_code read_file(struct ms_handle *h, uint64_t offset, size_t n, void *into, size_t *ret_n,
                       struct ms_error *reterr) {
    struct ms_file_wait wait;

    ms_file_read(h, offset, n, into, ms_file_wait_begin(&wait));
    return ms_file_wait_end(&wait, ret_n, reterr);
}

enum ms_code flush_file(struct ms_handle *h, struct ms_error *reterr) {
    struct ms_file_wait wait;

    ms_file_flush(h, ms_file_wait_begin(&wait));
    return ms_file_wait_end(&wait, NULL, reterr);
}

enum ms_code release_file(struct ms_handle *h, struct ms_error *reterr) {
    struct ms_file_wait wait;

    ms_file_release(h, ms_file_wait_begin(&wait));
    return ms_file_wait_end(&wait, NULL, reterr);
}

enum ms_code sync_file(struct ms_handle *h, struct ms_error *reterr) {
    struct ms_file_wait wait;

    ms_file_sync(h, ms_file_wait_begin(&wait));
    return ms_file_wait_end(&wait, NULL, reterr);
}

void check_bytes(struct ms_handle *h, uint64_t offset, const void *p, size_t n, bool end) {
    uint8_t *got = malloc(n + 1);
    size_t got_n = 0;

    assert_non_null(got);
    assert_ok(read_file(h, offset, n + end, got, &got_n, &test_err));
    assert_int_equal(got_n, n);
    for (size_t i = 0; i < n; i++)
        if (got[i] != ((const uint8_t *)p)[i])
            fail_msg("byte %zu is %02x, not %02x", (size_t)offset + i, got[i],
                     ((const uint8_t *)p)[i]);
    free(got);
}

void seal_file(struct ms_handle *h) {
    assert_ok(flush_file(h, &test_err));
    assert_ok(release_file(h, &test_err));
}

void write_file(struct world *w, const char *path, const void *p, size_t n) {
    struct ms_handle *h = make_file(w, path);

    for (size_t at = 0; at < n;) {
        size_t piece = n - at < MS_MB ? n - at : MS_MB;

        put_bytes(h, at, (const uint8_t *)p + at, piece);
        at += piece;
    }
    seal_file(h);
}

void check_file(struct world *w, const char *path, const void *p, size_t n) {
    struct ms_handle *h = open_file(w, path, 'r');

    check_bytes(h, 0, p, n, true);
    assert_ok(release_file(h, &test_err));
}

/* ---- facts ------------------------------------------------------------------------------- */

struct ms_quota_info quota_of(struct world *w) {
    struct ms_quota_info info;

    assert_ok(ms_tenant_quota(w->svc, &w->ctx, &info, &test_err));
    return info;
}

uint64_t commits_of(struct ms_svc *svc) {
    struct ms_store_stats stats;

    ms_store_stats(svc->store, &stats);
    return stats.commits;
}

static unsigned rows_below(struct ms_txn *txn, struct ms_key prefix) {
    struct ms_scan scan;
    struct ms_view key, value;
    unsigned n = 0;

    ms_scan_prefix(&scan, txn, ms_key_view(&prefix));
    while (ms_scan_next(&scan, &key, &value, NULL) == MS_OK)
        n++;
    ms_scan_end(&scan);
    return n;
}

void check_settled(struct world *w) {
    struct ms_quota_info info = quota_of(w);
    struct ms_key prefix = ms_key_assets_of(w->ctx.tenant);
    struct ms_asset_record asset;
    struct ms_scan scan;
    struct ms_view key;
    struct ms_txn *txn;
    unsigned intents, leases, orphans;
    uint64_t bytes = 0;

    assert_ok(ms_read_begin(w->svc->store, &txn, &test_err));
    intents = rows_below(txn, ms_key_intents());
    leases = rows_below(txn, ms_key_leases_of(w->ctx.tenant));
    orphans = rows_below(txn, ms_key_orphans_of(w->ctx.tenant));
    ms_scan_prefix(&scan, txn, ms_key_view(&prefix));
    while (ms_row_next_asset(&scan, &key, &asset, NULL) == MS_OK)
        bytes += asset.bytes;
    ms_scan_end(&scan);
    ms_read_end(txn);
    assert_int_equal(intents, 0);
    assert_int_equal(leases, 0);
    assert_int_equal(orphans, 0);
    assert_int_equal(info.reserved, 0);
    assert_int_equal(info.metered, bytes);
}

/* ---- bytes ------------------------------------------------------------------------------- */

void fill_random(struct ms_random *random, uint8_t *p, size_t n) { ms_random_fill(random, p, n); }

void fill_like(uint8_t *p, size_t n, const char *suffix) {
    static const uint8_t mp4[] = "\0\0\0\x20"
                                 "ftypisom\0\0\2\0isomiso2avc1mp41";
    static const uint8_t png[] = "\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\1\0\0\0\1\0\x08\2\0\0\0";

    memset(p, 0x5a, n);
    if (strcmp(suffix, "mp4") == 0)
        memcpy(p, mp4, sizeof mp4 - 1);
    else if (strcmp(suffix, "png") == 0)
        memcpy(p, png, sizeof png - 1);
    else
        memcpy(p, "just text, and nothing else in it\n", 34);
}
