/* The catalogue's segments: who writes, what is written, and when it is taken for told. */
#include "service/catalogue_part.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#define PART_BYTES (4 * MS_MB)     /* a part of a snapshot is stored once it is so large */
#define BUFFER_BYTES (256 * MS_MB) /* one version of 500 GB has 33 MB of hashes */
#define TOLD_MAX 1024
#define DELTAS_MIN 64               /* so many are fine whatever the snapshot has */
#define BYTES_A_DELTA (64 * MS_KB)  /* of the snapshot allow one more */
#define DELTA_BYTES_MIN MS_MB
#define DELETES_MAX 256

/* ---- keys ------------------------------------------------------------------------------------ */

void ms_segment_key(const struct ms_segment *s, char ret_key[MS_CATALOGUE_KEY_MAX]) {
    (void)snprintf(ret_key, MS_CATALOGUE_KEY_MAX, MS_CATALOGUE_PREFIX "%s/%016" PRIx64 "-%06" PRIu32
                   ".%s.jsonl",
                   ms_id_text(s->tenant.id).s, s->number, s->part,
                   s->snapshot ? "snapshot" : "delta");
}

/* Read, written anew and compared: so nothing else is taken for a segment. */
bool ms_segment_parse(const char *key, struct ms_segment *ret_segment) {
    struct ms_segment s = {.number = 0};
    char again[MS_CATALOGUE_KEY_MAX], id[MS_ID_TEXT_LEN + 1], *end;
    const char *p = key + sizeof MS_CATALOGUE_PREFIX - 1;
    if (strlen(key) < sizeof MS_CATALOGUE_PREFIX + MS_ID_TEXT_LEN + 25)
        return false;
    memcpy(id, p, MS_ID_TEXT_LEN);
    id[MS_ID_TEXT_LEN] = '\0';
    if (ms_id_parse(id, &s.tenant.id, NULL) != MS_OK)
        return false;
    s.number = strtoull(p + MS_ID_TEXT_LEN + 1, &end, 16);
    if (*end == '-')
        s.part = (uint32_t)strtoul(end + 1, NULL, 10);
    s.snapshot = strstr(p, ".snapshot.") != NULL;
    ms_segment_key(&s, again);
    *ret_segment = s;
    return strcmp(key, again) == 0;
}

/* ---- one tenant's flush ---------------------------------------------------------------------- */

/* A mark that goes when its lines are stored, if it is still this one. */
struct told {
    struct ms_key mark;
    uint8_t token[8];
};

struct flush {
    struct ms_svc *svc;
    const struct ms_catalogue_options *options;
    struct ms_catalogue_result *result;
    struct ms_tenant_id t;
    struct ms_catalogue_record state;
    struct ms_segment segment; /* that is being filled */
    struct ms_buf buf;
    uint64_t lines; /* of the segment */
    struct told *told;
    unsigned told_n;
};

static enum ms_code write_op(struct ms_svc *svc, ms_write_fn *fn, const void *in, void *out,
                             size_t out_size, struct ms_error *reterr) {
    struct ms_write write = {.fn = fn,
                             .in = in,
                             .out = out,
                             .out_size = out_size,
                             .fence = ms_store_fence(svc->store),
                             .frees = true};
    return ms_store_write(svc->store, &write, reterr);
}

/* ---- claim ----------------------------------------------------------------------------------- */

struct claim {
    struct ms_tenant_id t;
    struct ms_instance_id expected, by; /* who wrote when it was read; who will */
};
struct claimed {
    bool ours;
    uint64_t number; /* this one and the next are the caller's */
    struct ms_catalogue_record state;
};

static enum ms_code get_state(struct ms_txn *txn, struct ms_tenant_id t,
                              struct ms_catalogue_record *ret_state, struct ms_error *reterr) {
    bool there;
    MS_TRY(ms_allow_absent(ms_row_get_catalogue(txn, ms_key_catalogue(t), ret_state, reterr),
                           &there));
    if (!there)
        *ret_state = (struct ms_catalogue_record){.next = 1};
    return MS_OK;
}

static enum ms_code claim_op(struct ms_txn *txn, const void *in, void *out,
                             struct ms_error *reterr) {
    const struct claim *claim = in;
    struct claimed *claimed = out;
    MS_TRY(get_state(txn, claim->t, &claimed->state, reterr));
    struct ms_instance_id writer = {claimed->state.writer};
    if (!ms_instance_id_equal(writer, claim->expected))
        return MS_OK;
    claimed->ours = true;
    claimed->number = claimed->state.next;
    claimed->state.next += 2;
    claimed->state.writer = claim->by.id;
    return ms_row_put_catalogue(txn, ms_key_catalogue(claim->t), &claimed->state, reterr);
}

/* *ret_ours false: somebody else writes this tenant's segments. */
static enum ms_code claim_tenant(struct flush *f, uint64_t *ret_number, bool *ret_ours,
                                 struct ms_error *reterr) {
    struct ms_instance_id self = ms_store_instance(f->svc->store), writer = {f->state.writer};
    struct claim in = {.t = f->t, .expected = writer, .by = self};
    struct claimed out = {.ours = false};
    *ret_ours = false;
    if (!ms_instance_id_is_none(writer) && !ms_instance_id_equal(writer, self) &&
        ms_store_instance_alive(f->svc->store, writer))
        return MS_OK;
    MS_TRY(write_op(f->svc, claim_op, &in, &out, sizeof out, reterr));
    *ret_ours = out.ours;
    *ret_number = out.number;
    f->state = out.state;
    return MS_OK;
}

/* ---- store a segment ------------------------------------------------------------------------- */

static enum ms_code begin_segment(struct flush *f, struct ms_error *reterr) {
    struct ms_line l;
    ms_buf_clear(&f->buf);
    f->lines = 0;
    f->told_n = 0;
    ms_line_begin(&l, &f->buf, "segment");
    ms_line_number(&l, "format", MS_CATALOGUE_FORMAT);
    ms_line_id(&l, "store", f->svc->store_id);
    ms_line_id(&l, "tenant", f->t.id);
    ms_line_number(&l, "number", f->segment.number);
    ms_line_number(&l, "part", f->segment.part);
    ms_line_number(&l, "snapshot", f->segment.snapshot);
    ms_line_number(&l, "at", (uint64_t)ms_clock_now(f->svc->clock).ms);
    return ms_line_end(&l, reterr);
}

static enum ms_code put_segment(struct flush *f, bool last, struct ms_error *reterr) {
    char key[MS_CATALOGUE_KEY_MAX];
    struct ms_obj_meta meta = {.content_type = "application/x-ndjson"};
    struct ms_line l;
    ms_line_begin(&l, &f->buf, "end");
    ms_line_number(&l, "lines", f->lines);
    ms_line_number(&l, "last", last);
    MS_TRY(ms_line_end(&l, reterr));
    ms_segment_key(&f->segment, key);
    struct ms_obj_request put = {.op = MS_OBJ_PUT,
                                 .key = key,
                                 .meta = &meta,
                                 .body = {.memory = ms_buf_view(&f->buf), .length = f->buf.len}};
    MS_TRY(ms_obj_run(f->svc->obj, &put, reterr));
    f->result->segments++;
    f->result->lines += f->lines;
    f->result->bytes += f->buf.len;
    return MS_OK;
}

struct settle {
    struct ms_tenant_id t;
    struct ms_catalogue_record state;
    const struct told *told;
    unsigned told_n;
};

static enum ms_code settle_op(struct ms_txn *txn, const void *in, void *out,
                              struct ms_error *reterr) {
    const struct settle *s = in;
    (void)out;
    for (unsigned i = 0; i < s->told_n; i++) {
        struct ms_view key = ms_key_view(&s->told[i].mark), token;
        bool there;
        MS_TRY(ms_allow_absent(ms_txn_get(txn, key, &token, reterr), &there));
        if (there && ms_view_equal(token, ms_view_of(s->told[i].token, sizeof s->told[i].token)))
            MS_TRY(ms_txn_del(txn, key, reterr));
    }
    return ms_row_put_catalogue(txn, ms_key_catalogue(s->t), &s->state, reterr);
}

static enum ms_code settle(struct flush *f, struct ms_error *reterr) {
    struct settle in = {.t = f->t, .state = f->state, .told = f->told, .told_n = f->told_n};
    return write_op(f->svc, settle_op, &in, NULL, 0, reterr);
}

static void count_whole(struct flush *f, bool last) {
    if (!last)
        return;
    f->state.snapshot = f->segment.number;
    f->state.deltas = f->state.delta_bytes = 0;
    f->result->snapshots++;
}

/* The lines are durable, so their marks may go. Parts of a snapshot that never became whole count
 * as deltas do, for who reads. */
static enum ms_code store_segment(struct flush *f, bool last, struct ms_error *reterr) {
    if (f->lines > 0 || f->segment.snapshot) {
        MS_TRY(put_segment(f, last, reterr));
        f->state.written = ms_clock_now(f->svc->clock);
        if (f->segment.snapshot) {
            f->state.snapshot_bytes += f->buf.len;
            count_whole(f, last);
        } else {
            f->state.deltas++;
            f->state.delta_bytes += f->buf.len;
        }
    }
    MS_TRY(settle(f, reterr));
    f->segment.part++;
    return begin_segment(f, reterr);
}

/* ---- fill it --------------------------------------------------------------------------------- */

/* A damaged row is fsck's; it keeps no other one from being told. */
static enum ms_code tell(struct flush *f, struct ms_txn *txn, struct ms_view key,
                         struct ms_error *reterr) {
    struct ms_error err = {0};
    enum ms_code code = ms_catalogue_tell(txn, key, &f->buf, &f->lines, &err);
    if (code == MS_CORRUPT || code == MS_NOT_FOUND) {
        ms_log_failure(f->svc->log, MS_LOG_WARN, "row-not-in-catalogue", &err, NULL);
        return MS_OK;
    }
    return ms_pass_up(code, &err, reterr);
}

static void remember(struct flush *f, const struct ms_key *mark, struct ms_view token) {
    struct told *told = &f->told[f->told_n];
    MS_ASSERT(f->told_n < TOLD_MAX);
    if (token.n != sizeof told->token)
        return;
    told->mark = *mark;
    memcpy(told->token, token.p, token.n);
    f->told_n++;
}

/* From a mark's key back to the row's. */
static struct ms_key row_of(const struct ms_key *mark) {
    struct ms_key key = {.len = mark->len - 1};
    key.bytes[0] = mark->bytes[MS_TABLE_TENANT_KEY_BYTES];
    memcpy(key.bytes + 1, mark->bytes + 1, MS_ID_BYTES);
    memcpy(key.bytes + MS_TABLE_TENANT_KEY_BYTES, mark->bytes + MS_TABLE_TENANT_KEY_BYTES + 1,
           mark->len - MS_TABLE_TENANT_KEY_BYTES - 1);
    return key;
}

static enum ms_code each_mark(void *priv, struct ms_txn *txn, struct ms_view key,
                              struct ms_view value, struct ms_error *reterr) {
    struct flush *f = priv;
    struct ms_key mark = {.len = key.n};
    memcpy(mark.bytes, key.p, key.n);
    struct ms_key row = row_of(&mark);
    MS_TRY(tell(f, txn, ms_key_view(&row), reterr));
    remember(f, &mark, value);
    return MS_OK;
}

static enum ms_code each_row(void *priv, struct ms_txn *txn, struct ms_view key,
                             struct ms_view value, struct ms_error *reterr) {
    struct flush *f = priv;
    struct ms_key row = {.len = key.n};
    struct ms_view token;
    bool there;
    (void)value;
    memcpy(row.bytes, key.p, key.n);
    MS_TRY(tell(f, txn, key, reterr));
    struct ms_key mark = ms_key_mark(&row);
    MS_TRY(ms_allow_absent(ms_txn_get(txn, ms_key_view(&mark), &token, reterr), &there));
    if (there)
        remember(f, &mark, token);
    return MS_OK;
}

/* Dead objects of all tenants lie together; there are as many as gc has not deleted yet. */
static enum ms_code each_tomb(void *priv, struct ms_txn *txn, struct ms_view key,
                              struct ms_view value, struct ms_error *reterr) {
    struct flush *f = priv;
    struct ms_tombstone_record tomb;
    (void)key;
    if (ms_tombstone_decode(value, &tomb, NULL) != MS_OK ||
        memcmp(tomb.tenant.b, f->t.id.b, MS_ID_BYTES) != 0)
        return MS_OK;
    struct ms_key row = ms_key_of_dead(f->t, (struct ms_object_id){tomb.object});
    return each_row(f, txn, ms_key_view(&row), value, reterr);
}

static void pass_over(void *priv, struct ms_view key, const struct ms_error *err) {
    (void)priv, (void)key, (void)err;
}

static enum ms_code go_on(const struct flush *f, struct ms_error *reterr) {
    const struct ms_catalogue_options *o = f->options;
    if (!o->progress || o->progress(o->priv, f->result->lines + f->lines))
        return MS_OK;
    return ms_fail(reterr, MS_CANCELLED, "stopped; what was not written yet stays marked");
}

/* One read gives at most 512 rows, so two fit. */
static enum ms_code fill(struct flush *f, struct ms_key prefix, ms_walk_fn *each, size_t full,
                         struct ms_error *reterr) {
    struct ms_walk walk = {.prefix = prefix, .each = each, .priv = f, .damaged = pass_over};
    while (!walk.ended) {
        MS_TRY(ms_walk_some(f->svc, &walk, reterr));
        if (f->buf.len >= full || f->told_n > TOLD_MAX / 2)
            MS_TRY(store_segment(f, false, reterr));
        MS_TRY(go_on(f, reterr));
    }
    return MS_OK;
}

/* ---- snapshot -------------------------------------------------------------------------------- */

static enum ms_code delete_keys(struct flush *f, char (*keys)[MS_CATALOGUE_KEY_MAX], unsigned n,
                                struct ms_error *reterr) {
    const char *many[DELETES_MAX];
    for (unsigned i = 0; i < n; i++)
        many[i] = keys[i];
    struct ms_obj_request request = {.op = MS_OBJ_DELETE_MANY, .keys = many, .keys_n = n};
    f->result->deleted += n;
    if (n > 0 && f->svc->obj->caps.batch_delete)
        return ms_obj_run(f->svc->obj, &request, reterr);
    for (unsigned i = 0; i < n; i++) {
        struct ms_obj_request one = {.op = MS_OBJ_DELETE, .key = keys[i]};
        MS_TRY(ms_obj_run(f->svc->obj, &one, reterr));
    }
    return MS_OK;
}

static void drop_entries(struct ms_obj_entry **entries) { free(*entries); }

/* What the newest whole snapshot has made useless, one page at a time: keys sort by number. */
static enum ms_code delete_page(struct flush *f, const char *prefix, bool *ret_more,
                                struct ms_error *reterr) {
    char keys[DELETES_MAX][MS_CATALOGUE_KEY_MAX];
    unsigned n = 0;
    struct ms_obj_request list = {.op = MS_OBJ_LIST, .key = prefix, .list_max = DELETES_MAX};
    MS_TRY(ms_obj_run(f->svc->obj, &list, reterr));
    MS_AUTO(drop_entries) struct ms_obj_entry *entries = list.ret_entries;
    for (size_t i = 0; i < list.ret_n; i++) {
        struct ms_segment s;
        if (!ms_segment_parse(entries[i].key, &s) || s.number >= f->state.snapshot)
            continue;
        ms_segment_key(&s, keys[n++]);
    }
    *ret_more = list.ret_more && n == list.ret_n;
    return delete_keys(f, keys, n, reterr);
}

static enum ms_code delete_old(struct flush *f, struct ms_error *reterr) {
    char prefix[MS_CATALOGUE_KEY_MAX];
    bool more = true;
    (void)snprintf(prefix, sizeof prefix, MS_CATALOGUE_PREFIX "%s/", ms_id_text(f->t.id).s);
    while (more)
        MS_TRY(delete_page(f, prefix, &more, reterr));
    return MS_OK;
}

static enum ms_code snapshot(struct flush *f, uint64_t number, struct ms_error *reterr) {
    uint64_t bytes_before = f->state.snapshot_bytes;
    f->segment = (struct ms_segment){f->t, number, 1, true};
    f->state.snapshot_bytes = 0;
    MS_TRY(begin_segment(f, reterr));
    enum ms_code code = fill(f, ms_key_tenant(f->t), each_row, PART_BYTES, reterr);
    if (code == MS_OK)
        code = fill(f, ms_key_inodes_of(f->t), each_row, PART_BYTES, reterr);
    if (code == MS_OK)
        code = fill(f, ms_key_assets_of(f->t), each_row, PART_BYTES, reterr);
    if (code == MS_OK)
        code = fill(f, ms_key_versions_of(f->t), each_row, PART_BYTES, reterr);
    if (code == MS_OK)
        code = fill(f, ms_key_tombs(), each_tomb, PART_BYTES, reterr);
    if (code == MS_OK)
        code = store_segment(f, true, reterr);
    if (f->state.snapshot != number)
        f->state.snapshot_bytes = bytes_before;
    return code == MS_OK ? delete_old(f, reterr) : code;
}

/* As much again, or as many as make a LIST longer than it need be. */
static bool wants_snapshot(const struct flush *f) {
    const struct ms_catalogue_record *s = &f->state;
    uint64_t bytes = s->snapshot_bytes > DELTA_BYTES_MIN ? s->snapshot_bytes : DELTA_BYTES_MIN;
    return f->options->snapshot || s->snapshot == 0 || s->delta_bytes > bytes ||
           s->deltas > DELTAS_MIN + s->snapshot_bytes / BYTES_A_DELTA;
}

/* ---- a tenant -------------------------------------------------------------------------------- */

static enum ms_code write_tenant(struct flush *f, uint64_t number, struct ms_error *reterr) {
    if (wants_snapshot(f))
        MS_TRY(snapshot(f, number, reterr));
    f->segment = (struct ms_segment){f->t, number + 1, 1, false};
    MS_TRY(begin_segment(f, reterr));
    MS_TRY(fill(f, ms_key_marks_of(f->t), each_mark, PART_BYTES, reterr));
    f->state.writer = (struct ms_id){{0}};
    return store_segment(f, true, reterr);
}

static enum ms_code has_marks(struct ms_txn *txn, struct ms_tenant_id t, bool *ret_any,
                              struct ms_error *reterr) {
    struct ms_key prefix = ms_key_marks_of(t);
    struct ms_scan scan;
    struct ms_view key, value;
    ms_scan_prefix(&scan, txn, ms_key_view(&prefix));
    enum ms_code code = ms_scan_next(&scan, &key, &value, reterr);
    ms_scan_end(&scan);
    return ms_allow_absent(code, ret_any);
}

static enum ms_code is_due(struct flush *f, bool *ret_due, struct ms_error *reterr) {
    struct ms_txn *txn;
    bool any = false;
    MS_TRY(ms_read_begin(f->svc->store, &txn, reterr));
    enum ms_code code = get_state(txn, f->t, &f->state, reterr);
    if (code == MS_OK)
        code = has_marks(txn, f->t, &any, reterr);
    ms_read_end(txn);
    int64_t age = ms_clock_now(f->svc->clock).ms - f->state.written.ms;
    *ret_due = code == MS_OK && (any || wants_snapshot(f)) &&
               (age >= f->options->min_age_ms || f->options->snapshot);
    return code;
}

static enum ms_code flush_tenant(struct flush *f, struct ms_error *reterr) {
    bool due, ours;
    uint64_t number = 0;
    struct ms_error err = {0};
    MS_TRY(is_due(f, &due, reterr));
    if (!due)
        return MS_OK;
    MS_TRY(claim_tenant(f, &number, &ours, reterr));
    if (!ours) {
        f->result->busy++;
        return MS_OK;
    }
    f->result->tenants++;
    enum ms_code code = write_tenant(f, number, &err);
    if (code != MS_OK) { /* let another process try; what is marked stays so */
        f->told_n = 0;
        f->state.writer = (struct ms_id){{0}};
        (void)settle(f, NULL);
    }
    return ms_pass_up(code, &err, reterr);
}

/* ---- all of them ----------------------------------------------------------------------------- */

static enum ms_code flush_all(struct flush *f, struct ms_error *reterr) {
    struct ms_tenant_record tenant;
    struct ms_tenant_id after = {{{0}}};
    for (;;) {
        enum ms_code code = ms_tenant_behind(f->svc, after, &tenant, reterr);
        if (code == MS_NOT_FOUND)
            return ms_absent_is_fine(code, reterr);
        if (code != MS_OK && code != MS_CORRUPT)
            return code;
        after.id = tenant.id;
        f->t = after;
        if (code == MS_OK)
            MS_TRY(flush_tenant(f, reterr));
        MS_TRY(go_on(f, reterr));
    }
}

enum ms_code ms_catalogue_flush(struct ms_svc *svc, const struct ms_catalogue_options *options,
                                struct ms_catalogue_result *ret_result, struct ms_error *reterr) {
    struct ms_catalogue_result result = {0};
    struct flush f = {
        .svc = svc, .options = options, .result = &result, .buf = MS_BUF_MAX(BUFFER_BYTES)};
    struct ms_error err = {0};
    if (svc->read_only)
        return ms_fail(reterr, MS_READ_ONLY, "the store %s is open read-only: no catalogue",
                       svc->dir);
    MS_TRY(ms_svc_check_owner(svc, reterr));
    if (__atomic_exchange_n(&svc->catalogue_busy, 1, __ATOMIC_ACQUIRE)) {
        *ret_result = (struct ms_catalogue_result){.busy = 1};
        return MS_OK;
    }
    f.told = calloc(TOLD_MAX, sizeof *f.told);
    enum ms_code code = f.told ? flush_all(&f, &err)
                               : ms_fail(&err, MS_NO_MEMORY, "no memory to write the catalogue");
    free(f.told);
    ms_buf_fini(&f.buf);
    __atomic_store_n(&svc->catalogue_busy, 0, __ATOMIC_RELEASE);
    if (code == MS_OK || code == MS_CANCELLED)
        *ret_result = result;
    return ms_pass_up(code, &err, reterr);
}

/* ---- how far behind -------------------------------------------------------------------------- */

struct marks {
    uint64_t n, max;
};

static enum ms_code count_mark(void *priv, struct ms_txn *txn, struct ms_view key,
                               struct ms_view value, struct ms_error *reterr) {
    struct marks *marks = priv;
    (void)txn, (void)key, (void)value, (void)reterr;
    marks->n += marks->n < marks->max;
    return MS_OK;
}

enum ms_code ms_catalogue_marks(struct ms_svc *svc, uint64_t max, uint64_t *ret_n,
                                struct ms_error *reterr) {
    struct marks marks = {.max = max};
    struct ms_walk walk = {
        .prefix = ms_key_marks(), .each = count_mark, .priv = &marks, .damaged = pass_over};
    struct ms_error err = {0};
    enum ms_code code = MS_OK;
    while (code == MS_OK && !walk.ended && marks.n < max)
        code = ms_walk_some(svc, &walk, &err);
    if (code == MS_OK)
        *ret_n = marks.n;
    return ms_pass_up(code, &err, reterr);
}
