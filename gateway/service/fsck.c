/* fsck: the order of its parts, what is found, and bounded reads that survive growing old. */
#include "service/fsck_part.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define TEXT_MAX 512
#define READ_TRIES 8

/* ---- what is found --------------------------------------------------------------------------- */

/* "F" or "P", name, text, each with its NUL. Only counted when there is no room: then there is
 * enough to read already. */
static void keep(struct ms_fsck *f, char which, const char *name, const char *text) {
    size_t was = f->found.len;
    if (ms_buf_add(&f->found, &which, 1, NULL) != MS_OK ||
        ms_buf_add(&f->found, name, strlen(name) + 1, NULL) != MS_OK ||
        ms_buf_add(&f->found, text, strlen(text) + 1, NULL) != MS_OK) {
        f->found.len = was;
        if (which == 'F')
            f->result.findings++;
        else
            f->result.pending++;
    }
}

void ms_fsck_finding(struct ms_fsck *f, const char *invariant, const char *fmt, ...) {
    char text[TEXT_MAX];
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    keep(f, 'F', invariant, text);
}

void ms_fsck_pending(struct ms_fsck *f, const char *kind, const char *fmt, ...) {
    char text[TEXT_MAX];
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    keep(f, 'P', kind, text);
}

void ms_fsck_flush(struct ms_fsck *f) {
    const struct ms_fsck_options *o = f->options;
    for (size_t at = 0; at < f->found.len;) {
        bool finding = f->found.data[at] == 'F';
        const char *name = (const char *)f->found.data + at + 1, *text = name + strlen(name) + 1;
        f->result.findings += finding;
        f->result.pending += !finding;
        if (finding && o->finding)
            o->finding(o->priv, name, text);
        if (!finding && o->pending)
            o->pending(o->priv, name, text);
        at += 1 + strlen(name) + 1 + strlen(text) + 1;
    }
    ms_buf_clear(&f->found);
}

bool ms_fsck_decoded(struct ms_fsck *f, enum ms_code code, struct ms_view key,
                     const struct ms_error *err) {
    char hex[2 * 24 + 1];
    const uint8_t *p = key.p;
    size_t n = key.n < 24 ? key.n : 24;
    if (code == MS_OK)
        return true;
    for (size_t i = 0; i < n; i++)
        (void)snprintf(hex + 2 * i, 3, "%02x", p[i]);
    ms_fsck_finding(f, "record", "a row of table '%c' (key %s%s) does not decode: %.200s", p[0],
                    hex, n < key.n ? "..." : "", err->message);
    return false;
}

/* ---- reads ----------------------------------------------------------------------------------- */

struct each_row {
    struct ms_fsck *f;
    ms_walk_fn *each;
};

/* A row whose read grew too old is looked at again in the next one; what was said of it is void. */
static enum ms_code each_row(void *priv, struct ms_txn *txn, struct ms_view key,
                             struct ms_view value, struct ms_error *reterr) {
    struct each_row *r = priv;
    size_t said = r->f->found.len;
    enum ms_code code = r->each(r->f, txn, key, value, reterr);
    if (code == MS_STALE)
        r->f->found.len = said;
    return code;
}

static void pass_over(void *priv, struct ms_view key, const struct ms_error *err) {
    (void)priv, (void)key, (void)err;
}

enum ms_code ms_fsck_walk(struct ms_fsck *f, struct ms_key prefix, ms_walk_fn *each,
                          struct ms_error *reterr) {
    struct each_row r = {.f = f, .each = each};
    struct ms_walk walk = {.prefix = prefix, .each = each_row, .priv = &r, .damaged = pass_over};
    while (!walk.ended) {
        enum ms_code code = ms_walk_some(f->svc, &walk, reterr);
        ms_fsck_flush(f);
        if (code != MS_OK)
            return code;
    }
    return MS_OK;
}

enum ms_code ms_fsck_read(struct ms_fsck *f, ms_fsck_fn *fn, void *priv, struct ms_error *reterr) {
    enum ms_code code = MS_STALE;
    for (unsigned tries = 0; code == MS_STALE && tries < READ_TRIES; tries++) {
        struct ms_txn *txn;
        size_t said = f->found.len;
        MS_TRY(ms_read_begin(f->svc->store, &txn, reterr));
        code = fn(f, txn, priv, reterr);
        ms_read_end(txn);
        if (code == MS_STALE)
            f->found.len = said;
    }
    ms_fsck_flush(f);
    return code;
}

/* ---- processes ------------------------------------------------------------------------------- */

static int by_instance(const void *a, const void *b) {
    return memcmp(((const struct ms_fsck_process *)a)->instance.id.b,
                  ((const struct ms_fsck_process *)b)->instance.id.b, MS_ID_BYTES);
}

static void free_list(struct ms_process_info **list) { free(*list); }

enum ms_code ms_fsck_processes(struct ms_fsck *f, struct ms_error *reterr) {
    MS_AUTO(free_list) struct ms_process_info *list = NULL;
    size_t n;
    bool first = !f->process;
    MS_TRY(ms_store_processes(f->svc->store, &list, &n, reterr));
    free(f->process);
    f->process_n = 0;
    f->process = calloc(n + 1, sizeof *f->process);
    if (!f->process)
        return ms_fail(reterr, MS_NO_MEMORY, "no memory for %zu processes", n);
    for (size_t i = 0; i < n; i++) {
        f->process[i] = (struct ms_fsck_process){list[i].instance, list[i].alive};
        if (!list[i].alive && first)
            ms_fsck_pending(f, "process",
                            "process %s (%s, pid %" PRId64 ") has died: run msasset recover",
                            ms_id_text(list[i].instance.id).s, list[i].label, list[i].pid);
    }
    f->process_n = n;
    qsort(f->process, n, sizeof *f->process, by_instance);
    ms_fsck_flush(f);
    return MS_OK;
}

enum ms_fsck_life ms_fsck_life_of(const struct ms_fsck *f, struct ms_instance_id instance) {
    struct ms_fsck_process wanted = {.instance = instance};
    const struct ms_fsck_process *p =
        bsearch(&wanted, f->process, f->process_n, sizeof wanted, by_instance);
    if (ms_instance_id_equal(instance, ms_store_instance(f->svc->store)))
        return MS_FSCK_ALIVE;
    return !p ? MS_FSCK_UNKNOWN : p->alive ? MS_FSCK_ALIVE : MS_FSCK_DEAD;
}

/* ---- all of it ------------------------------------------------------------------------------- */

static void damaged_row(void *priv, struct ms_view key, const struct ms_error *err) {
    struct ms_fsck *f = priv;
    ms_fsck_finding(f, "S4", "a row of table 0x%02x: %.300s",
                    key.n > 0 ? *(const uint8_t *)key.p : 0, err->message);
}

/* Their ids, two numbers each; a record that cannot be read is named by its row's check. */
static enum ms_code collect_tenant(void *priv, struct ms_txn *txn, struct ms_view key,
                                   struct ms_view value, struct ms_error *reterr) {
    struct ms_fsck *f = priv;
    struct ms_tenant_record tenant;
    struct ms_error err = {0};
    (void)txn;
    if (!ms_fsck_decoded(f, ms_tenant_decode(value, &tenant, &err), key, &err))
        return MS_OK;
    if (!ms_id_is(tenant.id, ms_key_id_at(key, 1)))
        ms_fsck_finding(f, "tenant", "tenant %s lies under another id", tenant.name);
    MS_TRY(ms_numbers_add(f->part, ms_key_u64_at(key, 1), reterr));
    return ms_numbers_add(f->part, ms_key_u64_at(key, 9), reterr);
}

static struct ms_tenant_id tenant_of(const uint64_t half[2]) {
    struct ms_tenant_id id;
    struct ms_writer w = ms_writer_on(id.id.b, sizeof id.id.b);
    ms_write_u64(&w, half[0]);
    ms_write_u64(&w, half[1]);
    return id;
}

static enum ms_code load_tenant(struct ms_fsck *f, struct ms_txn *txn, void *priv,
                                struct ms_error *reterr) {
    const struct ms_tenant_id *id = priv;
    return ms_row_get_tenant(txn, ms_key_tenant(*id), &f->tenant, reterr);
}

static enum ms_code tenants(struct ms_fsck *f, struct ms_error *reterr) {
    MS_AUTO(ms_numbers_fini) struct ms_numbers ids = {NULL, 0, 0};
    f->part = &ids;
    MS_TRY(ms_fsck_walk(f, ms_key_tenants(), collect_tenant, reterr));
    for (size_t i = 0; i < ids.n; i += 2) {
        struct ms_tenant_id id = tenant_of(ids.at + i);
        enum ms_code code = ms_fsck_read(f, load_tenant, &id, reterr);
        if (code == MS_NOT_FOUND)
            continue;
        if (code == MS_OK)
            code = ms_fsck_tenant(f, reterr);
        if (code != MS_OK)
            return code;
        f->result.tenants++;
    }
    return MS_OK;
}

static enum ms_code check_all(struct ms_fsck *f, struct ms_error *reterr) {
    MS_TRY(ms_store_check(f->svc->store, damaged_row, f, reterr));
    ms_fsck_flush(f);
    MS_TRY(ms_fsck_processes(f, reterr));
    MS_TRY(tenants(f, reterr));
    MS_TRY(ms_fsck_shared(f, reterr));
    if (f->options->store)
        MS_TRY(ms_fsck_store(f, reterr));
    return f->options->deep ? ms_fsck_deep(f, reterr) : MS_OK;
}

enum ms_code ms_fsck(struct ms_svc *svc, const struct ms_fsck_options *options,
                     struct ms_fsck_result *ret_result, struct ms_error *reterr) {
    struct ms_fsck f = {.svc = svc, .options = options};
    struct ms_error err = {0};
    enum ms_code code = check_all(&f, &err);
    ms_fsck_flush(&f);
    ms_buf_fini(&f.found);
    ms_numbers_fini(&f.refs);
    ms_numbers_fini(&f.intents);
    ms_numbers_fini(&f.told);
    free(f.process);
    if (code == MS_OK || code == MS_CANCELLED)
        *ret_result = f.result;
    return ms_pass_up(code, &err, reterr);
}
