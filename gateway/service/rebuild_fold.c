/* What there is: the bucket's list, its segments folded into rows, the newest line of each thing. */
#include "service/rebuild_part.h"

#include "content/hash.h"
#include "service/upkeep_list.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define LIST_MAX 1000
#define SEGMENT_BYTES_MAX (256 * MS_MB)

/* ---- the list -------------------------------------------------------------------------------- */

struct segments {
    struct segment {
        struct ms_segment s;
        uint64_t size;
    } *at;
    size_t n, cap;
};

static void drop_entries(struct ms_obj_entry **entries) { free(*entries); }
static void segments_fini(struct segments *s) { free(s->at); }

typedef enum ms_code entry_fn(void *priv, const struct ms_obj_entry *entry,
                              struct ms_error *reterr);

static enum ms_code list_all(struct ms_rebuild *r, const char *prefix, entry_fn *each, void *priv,
                             struct ms_error *reterr) {
    char after[MS_OBJECT_KEY_MAX + 1] = "";
    for (bool more = true; more;) {
        struct ms_obj_request list = {.op = MS_OBJ_LIST,
                                      .key = prefix,
                                      .after = after[0] ? after : NULL,
                                      .list_max = LIST_MAX};
        MS_TRY(ms_obj_run(r->svc->obj, &list, reterr));
        MS_AUTO(drop_entries) struct ms_obj_entry *entries = list.ret_entries;
        more = list.ret_more && list.ret_n > 0;
        for (size_t i = 0; i < list.ret_n; i++)
            MS_TRY(each(priv, &entries[i], reterr));
        if (more)
            memcpy(after, entries[list.ret_n - 1].key, sizeof after);
        MS_TRY(ms_rebuild_goes_on(r, "objects", r->result.listed, 0, reterr));
    }
    return MS_OK;
}

struct listing {
    struct ms_rebuild *r;
    struct ms_scratch_batch batch;
};

static enum ms_code put_listed(struct ms_scratch_batch *b, const char *key,
                               const struct ms_listed *listed, struct ms_error *reterr) {
    uint8_t bytes[64 + MS_ETAG_MAX];
    struct ms_writer w = ms_writer_on(bytes, sizeof bytes);
    struct ms_key k = ms_key_scratch('O', key, strlen(key));
    ms_listed_put(&w, listed);
    return ms_scratch_add(b, &k, ms_writer_view(&w), reterr);
}

static enum ms_code each_object(void *priv, const struct ms_obj_entry *entry,
                                struct ms_error *reterr) {
    struct listing *l = priv;
    struct ms_listed listed = {.size = entry->size, .modified = entry->modified};
    if (!ms_stored_is_ours(entry->key) || strlen(entry->key) > 400 ||
        strstr(entry->key, MS_FSYNC_SUFFIX))
        return MS_OK;
    memcpy(listed.etag, entry->etag, sizeof listed.etag);
    l->r->result.listed++;
    l->r->result.listed_bytes += entry->size;
    return put_listed(&l->batch, entry->key, &listed, reterr);
}

enum ms_code ms_rebuild_list(struct ms_rebuild *r, struct ms_error *reterr) {
    struct listing l = {.r = r};
    MS_TRY(ms_scratch_begin(&l.batch, r->svc, reterr));
    enum ms_code code = list_all(r, NULL, each_object, &l, reterr);
    if (code == MS_OK)
        code = ms_scratch_commit(&l.batch, reterr);
    ms_scratch_end(&l.batch);
    return code;
}

static enum ms_code each_segment(void *priv, const struct ms_obj_entry *entry,
                                 struct ms_error *reterr) {
    struct segments *found = priv;
    struct segment s = {.size = entry->size};
    if (!ms_segment_parse(entry->key, &s.s))
        return MS_OK;
    if (found->n == found->cap) {
        size_t cap = found->cap ? 2 * found->cap : 64;
        struct segment *at = reallocarray(found->at, cap, sizeof *at);
        if (!at)
            return ms_fail(reterr, MS_NO_MEMORY, "no memory for %zu segments", cap);
        found->at = at;
        found->cap = cap;
    }
    found->at[found->n++] = s;
    return MS_OK;
}

/* ---- a line ---------------------------------------------------------------------------------- */

struct fold {
    struct ms_rebuild *r;
    struct ms_scratch_batch batch;
    struct ms_rebuild_tenant *tenant;
    struct ms_buf bytes; /* of the segment */
    bool base;           /* it is of the newest whole snapshot */
    uint64_t lines;      /* of this segment, header and end not counted */
};

static enum ms_code add_id(struct fold *f, char what, struct ms_id id, struct ms_view line,
                           struct ms_error *reterr) {
    struct ms_key key = ms_scratch_of_ids(what, f->tenant->id, id);
    return ms_scratch_add(&f->batch, &key, line, reterr);
}

static enum ms_code add_ino(struct fold *f, uint64_t ino, struct ms_view line,
                            struct ms_error *reterr) {
    struct ms_key key = ms_scratch_of_ino('I', f->tenant->id, ino);
    return ms_scratch_add(&f->batch, &key, line, reterr);
}

static enum ms_code know_asset(struct fold *f, struct ms_id asset, uint8_t there,
                               struct ms_error *reterr) {
    struct ms_key key = ms_scratch_of_id('a', asset);
    return ms_scratch_add(&f->batch, &key, ms_view_of(&there, 1), reterr);
}

static enum ms_code fold_gone(struct fold *f, const json_t *line, struct ms_error *reterr) {
    const struct ms_view nothing = {NULL, 0};
    struct ms_id asset = ms_json_id(line, "asset");
    uint64_t ino = ms_json_number(line, "ino");
    struct ms_key object = ms_scratch_of_id('o', ms_json_id(line, "object"));
    if (ms_json_text(line, "object")[0])
        return ms_scratch_add(&f->batch, &object, ms_view_of("", 1), reterr);
    if (ino != 0)
        return add_ino(f, ino, nothing, reterr);
    MS_TRY(know_asset(f, asset, 0, reterr));
    return add_id(f, 'A', asset, nothing, reterr);
}

static enum ms_code fold_hashes(struct fold *f, const json_t *line, struct ms_error *reterr) {
    uint8_t bytes[8 * MS_HASHES_PER_ROW], raw[MS_ID_BYTES * 2 + 8];
    const char *hex = ms_json_text(line, "blocks");
    size_t n = strlen(hex) / 2;
    struct ms_writer w = ms_writer_on(raw, sizeof raw);
    if (n > sizeof bytes || n == 0 || !ms_hex_parse(hex, bytes, n))
        return MS_OK; /* the version is hashed anew */
    ms_write_bytes(&w, f->tenant->id.id.b, MS_ID_BYTES);
    ms_write_bytes(&w, ms_json_id(line, "version").b, MS_ID_BYTES);
    ms_write_u64(&w, ms_json_number(line, "chunk"));
    struct ms_key key = ms_key_scratch('h', raw, sizeof raw);
    return ms_scratch_add(&f->batch, &key, ms_view_of(bytes, n), reterr);
}

/* One byte before the value, so that an empty one is no deletion. */
static enum ms_code fold_xattr(struct fold *f, const json_t *line, struct ms_error *reterr) {
    uint8_t raw[MS_ID_BYTES + 8 + MS_XATTR_NAME_MAX];
    char name[MS_XATTR_NAME_MAX + 1];
    const char *hex = ms_json_text(line, "value");
    size_t n = strlen(hex) / 2, name_n;
    struct ms_writer w = ms_writer_on(raw, sizeof raw);
    if (n > MS_XATTR_VALUE_MAX || !ms_json_bytes(line, "name", name, MS_XATTR_NAME_MAX, &name_n))
        return MS_OK;
    uint8_t *value = malloc(n + 1);
    if (!value)
        return ms_fail(reterr, MS_NO_MEMORY, "no memory for an attribute");
    value[0] = 0;
    ms_write_bytes(&w, f->tenant->id.id.b, MS_ID_BYTES);
    ms_write_u64(&w, ms_json_number(line, "ino"));
    ms_write_bytes(&w, name, name_n);
    struct ms_key key = ms_key_scratch('x', raw, w.len);
    enum ms_code code = MS_OK;
    if (ms_hex_parse(hex, value + 1, n))
        code = ms_scratch_add(&f->batch, &key, ms_view_of(value, n + 1), reterr);
    free(value);
    return code;
}

static enum ms_code fold_tenant(struct fold *f, const json_t *json, struct ms_view line,
                                struct ms_error *reterr) {
    struct ms_key key = ms_scratch_of_id('T', f->tenant->id.id);
    f->r->free_bytes = ms_json_number(json, "store_free_bytes");
    f->r->retention_ms = (int64_t)ms_json_number(json, "store_retention_ms");
    return ms_scratch_add(&f->batch, &key, line, reterr);
}

static enum ms_code fold_asset(struct fold *f, const json_t *json, struct ms_view line,
                               struct ms_error *reterr) {
    struct ms_id id = ms_json_id(json_object_get(json, "asset"), "id");
    MS_TRY(know_asset(f, id, 1, reterr));
    return add_id(f, 'A', id, line, reterr);
}

static enum ms_code fold_line(struct fold *f, const json_t *json, struct ms_view line,
                              struct ms_error *reterr) {
    const char *kind = ms_json_text(json, "kind");
    f->lines++;
    if (strcmp(kind, "inode") == 0)
        return add_ino(f, ms_json_number(json_object_get(json, "inode"), "ino"), line, reterr);
    if (strcmp(kind, "asset") == 0)
        return fold_asset(f, json, line, reterr);
    if (strcmp(kind, "version") == 0)
        return add_id(f, 'V', ms_json_id(json_object_get(json, "version"), "id"), line, reterr);
    if (strcmp(kind, "hashes") == 0)
        return fold_hashes(f, json, reterr);
    if (strcmp(kind, "xattr") == 0)
        return fold_xattr(f, json, reterr);
    if (strcmp(kind, "gone") == 0)
        return fold_gone(f, json, reterr);
    if (strcmp(kind, "tenant") == 0)
        return fold_tenant(f, json, line, reterr);
    return MS_OK; /* of a later format: what is not known is not needed */
}

/* ---- a segment ------------------------------------------------------------------------------- */

static enum ms_code get_segment(struct fold *f, const struct segment *s, struct ms_error *reterr) {
    char key[MS_CATALOGUE_KEY_MAX];
    ms_segment_key(&s->s, key);
    ms_buf_clear(&f->bytes);
    if (s->size > SEGMENT_BYTES_MAX)
        return ms_fail(reterr, MS_CORRUPT, "a segment of %" PRIu64 " bytes", s->size);
    MS_TRY(ms_buf_reserve(&f->bytes, s->size + 1, reterr));
    struct ms_obj_request get = {
        .op = MS_OBJ_GET, .key = key, .length = s->size, .into = f->bytes.data};
    if (s->size > 0)
        MS_TRY(ms_obj_run(f->r->svc->obj, &get, reterr));
    f->bytes.len = s->size;
    return MS_OK;
}

/* The line at *at, without its newline; *at moves behind it. */
static struct ms_view next_line(const struct ms_buf *bytes, size_t *at) {
    const uint8_t *p = bytes->data + *at, *end = memchr(p, '\n', bytes->len - *at);
    size_t n = end ? (size_t)(end - p) : bytes->len - *at;
    *at += n + 1;
    return ms_view_of(p, n);
}

struct verdict {
    uint64_t damaged; /* lines */
    bool ended, last; /* its end is there, and it says that no part follows */
    uint64_t lines;   /* that the end counts */
};

static enum ms_code take_line(struct fold *f, struct ms_view line, bool fold, struct verdict *v,
                              struct ms_error *reterr) {
    MS_AUTO(ms_json_drop) json_t *json = NULL;
    if (ms_line_parse(line, &json, NULL) != MS_OK) {
        v->damaged++;
        return MS_OK;
    }
    const char *kind = ms_json_text(json, "kind");
    if (strcmp(kind, "segment") == 0) {
        if (fold && f->base && f->tenant->snapshot_at.ms == 0)
            f->tenant->snapshot_at.ms = (int64_t)ms_json_number(json, "at");
        return MS_OK;
    }
    if (strcmp(kind, "end") == 0) {
        v->ended = true;
        v->last = ms_json_number(json, "last") != 0;
        v->lines = ms_json_number(json, "lines");
        return MS_OK;
    }
    return fold ? fold_line(f, json, line, reterr) : MS_OK;
}

bool ms_rebuild_is_damage(const char *object_url, enum ms_code code) {
    static const char dir[] = "dir:";
    return code == MS_CORRUPT || code == MS_NOT_FOUND || code == MS_RANGE ||
           (code == MS_IO && strncmp(object_url, dir, sizeof dir - 1) == 0);
}

/* Whether a segment's end says that it is the last part. */
static enum ms_code is_last(struct fold *f, const struct segment *s, bool *ret_last,
                            struct ms_error *reterr) {
    struct verdict v = {0};
    struct ms_error err = {0};
    *ret_last = false;
    enum ms_code code = get_segment(f, s, &err);
    if (code != MS_OK)
        return ms_rebuild_is_damage(f->r->svc->object_url, code) ? MS_OK : ms_pass_up(code, &err, reterr);
    if (f->bytes.len == 0)
        return MS_OK;
    size_t at = f->bytes.len - (f->bytes.data[f->bytes.len - 1] == '\n');
    while (at > 0 && f->bytes.data[at - 1] != '\n')
        at--;
    MS_TRY(take_line(f, next_line(&f->bytes, &at), false, &v, reterr));
    *ret_last = v.ended && v.last;
    return MS_OK;
}

static void judge(struct fold *f, const struct segment *s, const struct verdict *v) {
    char key[MS_CATALOGUE_KEY_MAX];
    struct ms_rebuild *r = f->r;
    ms_segment_key(&s->s, key);
    r->result.segments++;
    r->result.lines += f->lines;
    r->result.lines_damaged += v->damaged;
    if (v->damaged == 0 && v->ended && v->lines == f->lines)
        return;
    r->result.segments_damaged++;
    f->tenant->damaged = true;
    ms_rebuild_note(r, "segment",
                    "%s: %" PRIu64 " lines used, %" PRIu64 " damaged%s", key, f->lines,
                    v->damaged, v->ended ? "" : ", its end is missing");
}

static enum ms_code fold_segment(struct fold *f, const struct segment *s,
                                 struct ms_error *reterr) {
    struct verdict v = {0};
    char key[MS_CATALOGUE_KEY_MAX];
    struct ms_error err = {0};
    ms_segment_key(&s->s, key);
    f->lines = 0;
    enum ms_code code = get_segment(f, s, &err);
    if (ms_rebuild_is_damage(f->r->svc->object_url, code)) {
        f->r->result.segments_damaged++;
        f->tenant->damaged = true;
        ms_rebuild_note(f->r, "segment", "%s cannot be read: %.200s", key, err.message);
        return MS_OK;
    }
    if (code != MS_OK)
        return ms_pass_up(code, &err, reterr);
    for (size_t at = 0; at < f->bytes.len;)
        MS_TRY(take_line(f, next_line(&f->bytes, &at), true, &v, reterr));
    judge(f, s, &v);
    return ms_rebuild_goes_on(f->r, "lines", f->r->result.lines, 0, reterr);
}

/* ---- a tenant's segments --------------------------------------------------------------------- */

static int by_number(const void *a, const void *b) {
    const struct ms_segment *x = &((const struct segment *)a)->s,
                            *y = &((const struct segment *)b)->s;
    int tenants = memcmp(x->tenant.id.b, y->tenant.id.b, MS_ID_BYTES);
    if (tenants != 0)
        return tenants;
    if (x->number != y->number)
        return x->number < y->number ? -1 : 1;
    return (x->part > y->part) - (x->part < y->part);
}

/* The parts from `from` on are 1, 2, ... of one snapshot, up to *ret_to. */
static bool are_parts(const struct segment *s, size_t from, size_t n, size_t *ret_to) {
    size_t i = from;
    while (i < n && s[i].s.number == s[from].s.number && s[i].s.snapshot &&
           s[i].s.part == i - from + 1)
        i++;
    *ret_to = i;
    return i > from && (i == n || s[i].s.number != s[from].s.number);
}

/* The first segment of the newest whole snapshot; 0 when there is none: then all that is there must
 * do. *ret_behind: behind it. */
static enum ms_code find_base(struct fold *f, const struct segment *s, size_t n, size_t *ret_from,
                              size_t *ret_behind, struct ms_error *reterr) {
    *ret_from = *ret_behind = 0;
    for (size_t i = n; i-- > 0;) {
        size_t to;
        bool whole = false;
        if (s[i].s.part != 1 || !s[i].s.snapshot || !are_parts(s, i, n, &to))
            continue;
        MS_TRY(is_last(f, &s[to - 1], &whole, reterr));
        if (!whole)
            continue;
        *ret_from = i;
        *ret_behind = to;
        return MS_OK;
    }
    return MS_OK;
}

static enum ms_code fold_tenant_segments(struct fold *f, const struct segment *s, size_t n,
                                         struct ms_error *reterr) {
    size_t from, behind;
    f->tenant->id = s[0].s.tenant;
    f->tenant->last_number = s[n - 1].s.number;
    MS_TRY(find_base(f, s, n, &from, &behind, reterr));
    for (size_t i = from; i < n; i++) {
        f->base = i < behind;
        MS_TRY(fold_segment(f, &s[i], reterr));
    }
    return MS_OK;
}

static enum ms_code fold_all(struct fold *f, const struct segments *s, struct ms_error *reterr) {
    for (size_t i = 0, to; i < s->n; i = to) {
        for (to = i + 1; to < s->n; to++)
            if (memcmp(s->at[to].s.tenant.id.b, s->at[i].s.tenant.id.b, MS_ID_BYTES) != 0)
                break;
        f->tenant = &f->r->tenant[f->r->tenant_n++];
        MS_TRY(fold_tenant_segments(f, s->at + i, to - i, reterr));
    }
    return ms_scratch_commit(&f->batch, reterr);
}

enum ms_code ms_rebuild_fold(struct ms_rebuild *r, struct ms_error *reterr) {
    MS_AUTO(segments_fini) struct segments found = {NULL, 0, 0};
    struct fold f = {.r = r, .bytes = MS_BUF_MAX(SEGMENT_BYTES_MAX + 2)};
    MS_TRY(list_all(r, MS_CATALOGUE_PREFIX, each_segment, &found, reterr));
    if (found.n == 0)
        return MS_OK;
    qsort(found.at, found.n, sizeof *found.at, by_number);
    r->tenant = calloc(found.n, sizeof *r->tenant);
    if (!r->tenant)
        return ms_fail(reterr, MS_NO_MEMORY, "no memory for the tenants of a catalogue");
    MS_TRY(ms_scratch_begin(&f.batch, r->svc, reterr));
    enum ms_code code = fold_all(&f, &found, reterr);
    ms_scratch_end(&f.batch);
    ms_buf_fini(&f.bytes);
    return code;
}
