#include "keep.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* ---- fsck -------------------------------------------------------------------------------- */

static void hear_finding(void *priv, const char *invariant, const char *text) {
    struct said *said = priv;
    if (said->findings < SAID_MAX) {
        snprintf(said->finding[said->findings].name, sizeof said->finding[0].name, "%s", invariant);
        snprintf(said->finding[said->findings].text, sizeof said->finding[0].text, "%s", text);
    }
    said->findings++;
}

static void hear_pending(void *priv, const char *kind, const char *text) {
    struct said *said = priv;
    if (said->pending < SAID_MAX) {
        snprintf(said->pend[said->pending].name, sizeof said->pend[0].name, "%s", kind);
        snprintf(said->pend[said->pending].text, sizeof said->pend[0].text, "%s", text);
    }
    said->pending++;
}

void run_fsck(struct ms_svc *svc, bool store, bool deep, struct said *ret_said) {
    struct ms_fsck_options options = {.store = store,
                                      .deep = deep,
                                      .finding = hear_finding,
                                      .pending = hear_pending,
                                      .priv = ret_said};
    memset(ret_said, 0, sizeof *ret_said);
    assert_ok(ms_fsck(svc, &options, &ret_said->result, &test_err));
    assert_int_equal(ret_said->result.findings, ret_said->findings);
    assert_int_equal(ret_said->result.pending, ret_said->pending);
}

static void print_said(const struct said *said) {
    for (unsigned i = 0; i < said->findings && i < SAID_MAX; i++)
        print_message("finding %s: %s\n", said->finding[i].name, said->finding[i].text);
    for (unsigned i = 0; i < said->pending && i < SAID_MAX; i++)
        print_message("pending %s: %s\n", said->pend[i].name, said->pend[i].text);
}

void check_findings(struct ms_svc *svc) {
    struct said *said = calloc(1, sizeof *said);
    assert_non_null(said);
    run_fsck(svc, true, true, said);
    if (said->findings > 0)
        print_said(said);
    assert_int_equal(said->findings, 0);
    free(said);
}

void check_clean(struct ms_svc *svc) {
    struct said *said = calloc(1, sizeof *said);
    assert_non_null(said);
    run_fsck(svc, true, true, said);
    if (said->findings + said->pending > 0)
        print_said(said);
    assert_int_equal(said->findings, 0);
    assert_int_equal(said->pending, 0);
    free(said);
}

static bool is_among(const char *name, const char *names) {
    size_t n = strlen(name);
    for (const char *p = names; *p; p += strcspn(p, " "), p += *p == ' ')
        if (strcspn(p, " ") == n && strncmp(p, name, n) == 0)
            return true;
    return false;
}

void check_found(struct ms_svc *svc, const char *what, const char *names) {
    struct said *said = calloc(1, sizeof *said);
    bool only = true, all = true;
    assert_non_null(said);
    run_fsck(svc, true, true, said);
    for (unsigned i = 0; i < said->findings && i < SAID_MAX; i++)
        only &= is_among(said->finding[i].name, names);
    for (const char *p = names; *p; p += strcspn(p, " "), p += *p == ' ') {
        bool found = false;
        for (unsigned i = 0; i < said->findings && i < SAID_MAX; i++) {
            size_t n = strlen(said->finding[i].name);
            found |= strcspn(p, " ") == n && strncmp(p, said->finding[i].name, n) == 0;
        }
        all &= found;
    }
    if (!only || !all) {
        print_message("%s: wanted %s\n", what, names);
        print_said(said);
    }
    assert_true(all);
    assert_true(only);
    free(said);
}

unsigned pending_of(const struct said *said, const char *kind) {
    unsigned n = 0;
    for (unsigned i = 0; i < said->pending && i < SAID_MAX; i++)
        n += strcmp(said->pend[i].name, kind) == 0;
    return n;
}

/* ---- rows -------------------------------------------------------------------------------- */

struct raw {
    change_fn *fn;
    const void *arg;
};

static enum ms_code raw_op(struct ms_txn *txn, const void *in, void *out, struct ms_error *reterr) {
    const struct raw *raw = in;
    (void)out;
    return raw->fn(txn, raw->arg, reterr);
}

void change_rows(struct ms_svc *svc, change_fn *fn, const void *arg) {
    struct raw raw = {fn, arg};
    struct ms_write write = {.fn = raw_op, .in = &raw};
    assert_ok(ms_store_write(svc->store, &write, &test_err));
}

/* ---- all rows ---------------------------------------------------------------------------- */

struct rows {
    struct row {
        uint8_t *key, *value;
        size_t key_n, value_n;
    } * row;
    size_t n, cap;
};

static void add_row(struct rows *rows, struct ms_view key, struct ms_view value) {
    if (rows->n == rows->cap) {
        rows->cap = rows->cap ? 2 * rows->cap : 256;
        rows->row = realloc(rows->row, rows->cap * sizeof *rows->row);
        assert_non_null(rows->row);
    }
    struct row *row = &rows->row[rows->n++];
    *row = (struct row){malloc(key.n + 1), malloc(value.n + 1), key.n, value.n};
    assert_non_null(row->key);
    assert_non_null(row->value);
    memcpy(row->key, key.p, key.n);
    memcpy(row->value, value.p, value.n);
}

struct rows *rows_of(struct ms_svc *svc) {
    struct rows *rows = calloc(1, sizeof *rows);
    struct ms_scan scan;
    struct ms_view key, value;
    struct ms_txn *txn;
    assert_non_null(rows);
    assert_ok(ms_read_begin(svc->store, &txn, &test_err));
    ms_scan_begin(&scan, txn, ms_view_of(NULL, 0), ms_view_of(NULL, 0));
    while (ms_scan_next(&scan, &key, &value, NULL) == MS_OK)
        add_row(rows, key, value);
    ms_scan_end(&scan);
    ms_read_end(txn);
    return rows;
}

bool rows_equal(const struct rows *a, const struct rows *b) {
    bool equal = a->n == b->n;
    for (size_t i = 0; equal && i < a->n; i++)
        equal = a->row[i].key_n == b->row[i].key_n && a->row[i].value_n == b->row[i].value_n &&
                memcmp(a->row[i].key, b->row[i].key, a->row[i].key_n) == 0 &&
                memcmp(a->row[i].value, b->row[i].value, a->row[i].value_n) == 0;
    return equal;
}

struct restore {
    const struct rows *is, *shall;
};

static enum ms_code restore_fn(struct ms_txn *txn, const void *arg, struct ms_error *reterr) {
    const struct restore *r = arg;
    enum ms_code code = MS_OK;
    for (size_t i = 0; code == MS_OK && i < r->is->n; i++)
        code = ms_txn_del(txn, ms_view_of(r->is->row[i].key, r->is->row[i].key_n), reterr);
    for (size_t i = 0; code == MS_OK && i < r->shall->n; i++)
        code = ms_txn_put(txn, ms_view_of(r->shall->row[i].key, r->shall->row[i].key_n),
                          ms_view_of(r->shall->row[i].value, r->shall->row[i].value_n), reterr);
    return code;
}

void rows_restore(struct ms_svc *svc, const struct rows *rows) {
    struct rows *is = rows_of(svc);
    struct restore restore = {is, rows};
    change_rows(svc, restore_fn, &restore);
    rows_free(is);
}

void rows_free(struct rows *rows) {
    for (size_t i = 0; i < rows->n; i++) {
        free(rows->row[i].key);
        free(rows->row[i].value);
    }
    free(rows->row);
    free(rows);
}

/* ---- records ----------------------------------------------------------------------------- */

void look_behind(struct world *w, const char *path, struct behind *b) {
    struct ms_txn *txn;
    struct ms_tenant_id t = w->ctx.tenant;
    uint64_t ino = ino_of(w, path);
    memset(b, 0, sizeof *b);
    assert_ok(ms_read_begin(w->svc->store, &txn, &test_err));
    assert_ok(ms_row_get_inode(txn, ms_key_inode(t, ino), &b->inode, &test_err));
    if (S_ISREG(b->inode.mode)) {
        struct ms_asset_id asset = {b->inode.asset};
        assert_ok(ms_row_get_asset(txn, ms_key_asset(t, asset), &b->asset, &test_err));
        assert_ok(ms_row_get_file(txn,
                                  ms_key_file(t, asset, (struct ms_file_id){b->asset.main_file}),
                                  &b->file, &test_err));
    }
    struct ms_version_id version = {b->inode.version};
    if (!ms_version_id_is_none(version))
        assert_ok(ms_row_get_version(txn, ms_key_version(t, version), &b->version, &test_err));
    struct ms_object_id object = {b->version.object};
    if (!ms_object_id_is_none(object))
        assert_ok(ms_row_get_object(txn, ms_key_object(object), &b->object, &test_err));
    ms_read_end(txn);
}

size_t count_rows(struct ms_svc *svc, struct ms_key prefix) {
    struct ms_scan scan;
    struct ms_view key, value;
    struct ms_txn *txn;
    size_t n = 0;
    assert_ok(ms_read_begin(svc->store, &txn, &test_err));
    ms_scan_prefix(&scan, txn, ms_key_view(&prefix));
    while (ms_scan_next(&scan, &key, &value, NULL) == MS_OK)
        n++;
    ms_scan_end(&scan);
    ms_read_end(txn);
    return n;
}

/* ---- one of everything ------------------------------------------------------------------- */

static uint64_t make_node(struct world *w, const char *path, uint32_t mode, const char *target) {
    char name[MS_NAME_BYTES_MAX + 1];
    struct ms_node parent;
    struct ms_made made;
    assert_ok(ms_tree_walk_parent(w->svc, &w->ctx, path, &parent, name, &test_err));
    struct ms_make make = {
        .parent = parent.inode.ino, .name = name, .mode = mode, .target = target};
    assert_ok(ms_tree_make(w->svc, &w->ctx, &make, &made, &test_err));
    return made.node.inode.ino;
}

void unlink_path(struct world *w, const char *path) {
    char name[MS_NAME_BYTES_MAX + 1];
    struct ms_node parent;
    struct ms_gone gone;
    assert_ok(ms_tree_walk_parent(w->svc, &w->ctx, path, &parent, name, &test_err));
    assert_ok(ms_tree_unlink(w->svc, &w->ctx, parent.inode.ino, name, false, &gone, &test_err));
}

void apply_event(struct world *w, struct ms_asset_id id, enum ms_event event, struct ms_instant at,
                 uint8_t op) {
    struct ms_asset_event e = {
        .id = id, .event = event, .why = "test", .at = at, .scheduled_op = op};
    struct ms_asset_info *info = malloc(sizeof *info);
    assert_non_null(info);
    assert_ok(ms_asset_apply(w->svc, &w->admin, &e, info, &test_err));
    free(info);
}

static void write_text(struct world *w, const char *path, size_t n, char fill) {
    uint8_t *p = malloc(n + 1);
    assert_non_null(p);
    memset(p, fill, n);
    if (n >= 64)
        fill_like(p, n, "txt");
    write_file(w, path, p, n);
    free(p);
}

static void overwrite(struct world *w, const char *path, const void *p, size_t n) {
    struct ms_handle *h = open_file(w, path, 't');
    put_bytes(h, 0, p, n);
    seal_file(h);
}

void fill_world(struct world *w) {
    struct ms_node node;
    struct behind b;
    static const char again[] = "bytes that replace others\n";
    write_text(w, "/files/a.txt", 300000, 'a');
    write_text(w, "/files/b.txt", 100, 'b');
    write_text(w, "/files/empty", 0, 0);
    overwrite(w, "/files/b.txt", again, sizeof again - 1);
    (void)make_node(w, "/dir", S_IFDIR | 0755, NULL);
    (void)make_node(w, "/dir/sub", S_IFDIR | 0755, NULL);
    write_text(w, "/dir/sub/deep.bin", 5000, 'd');
    (void)make_node(w, "/dir/link", S_IFLNK | 0777, "../files/a.txt");
    assert_ok(ms_tree_link(w->svc, &w->ctx, ino_of(w, "/files/a.txt"), ino_of(w, "/dir"), "hard",
                           &node, &test_err));
    assert_ok(ms_tree_xattr_set(w->svc, &w->ctx, ino_of(w, "/files/a.txt"), "user.colour",
                                ms_view_str("blue"), MS_XATTR_ANY, &test_err));
    write_text(w, "/dir/binned.txt", 700, 'x');
    write_text(w, "/dir/young.txt", 500, 'y');
    unlink_path(w, "/dir/young.txt"); /* for good */
    ms_clock_fake_advance(&w->clock, 2 * MS_BIN_BYPASS_AGE_MS);
    unlink_path(w, "/dir/binned.txt");
    look_behind(w, "/files/b.txt", &b);
    apply_event(w, (struct ms_asset_id){b.asset.id}, MS_EVENT_SCHEDULE,
                ms_instant_add_ms(ms_clock_now(&w->clock.clock), 30 * MS_DAY_MS),
                MS_SCHEDULED_BLOCK);
}
