/* Extended attributes: stored ones, and the life cycle shown as computed ones. */
#include "service/derived_rows.h"
#include "service/held.h"

#include <inttypes.h>
#include <stdio.h>
#include <sys/stat.h>

#define OURS "user.msasset."
#define TAGS OURS "tags"
#define TAGS_MAX 50
#define TAG_CHARS_MAX 128

/* ---- computed -------------------------------------------------------------------------------- */

struct shown {
    const struct ms_tree *t;
    const struct ms_inode_record *inode;
    const struct ms_tree_asset *asset;
    struct ms_file_record file;
    struct ms_version_record version;
    bool has_version;
    struct ms_review_record waits; /* zeroed: no verdict is outstanding */
};

/* Each prints into buf and returns false when there is nothing to show. */
typedef bool show_fn(const struct shown *s, struct ms_buf *buf);

static bool print(struct ms_buf *buf, const char *text) {
    return text[0] && ms_buf_add(buf, text, strlen(text), NULL) == MS_OK;
}

static bool print_instant(struct ms_buf *buf, struct ms_instant at) {
    char text[MS_RFC3339_MS_LEN + 1];
    if (ms_instant_is_none(at))
        return false;
    ms_instant_format_ms(at, text);
    return print(buf, text);
}

static bool show_id(const struct shown *s, struct ms_buf *buf) {
    return print(buf, ms_id_text(s->asset->rec.id).s);
}
static bool show_type(const struct shown *s, struct ms_buf *buf) {
    return print(buf, ms_asset_type_name((enum ms_asset_type)s->asset->rec.type));
}
static bool show_state(const struct shown *s, struct ms_buf *buf) {
    return print(buf, ms_state_name(s->asset->state));
}
static bool show_origin(const struct shown *s, struct ms_buf *buf) {
    return print(buf, ms_origin_name((enum ms_origin)s->asset->rec.origin));
}
static bool show_name(const struct shown *s, struct ms_buf *buf) {
    return print(buf, s->asset->rec.name);
}
static bool show_created(const struct shown *s, struct ms_buf *buf) {
    return print_instant(buf, s->asset->rec.created);
}
static bool show_size(const struct shown *s, struct ms_buf *buf) {
    return ms_buf_addf(buf, NULL, "%" PRIu64, s->inode->size) == MS_OK;
}
static bool show_media(const struct shown *s, struct ms_buf *buf) {
    bool held = !ms_version_id_is_none((struct ms_version_id){s->waits.held});
    return print(buf, held && s->waits.held_media[0] ? s->waits.held_media : s->file.media_type);
}
static bool show_root(const struct shown *s, struct ms_buf *buf) {
    if (!s->has_version || !s->version.hashed)
        return false;
    for (size_t i = 0; i < sizeof s->version.root; i++)
        if (ms_buf_addf(buf, NULL, "%02x", s->version.root[i]) != MS_OK)
            return false;
    return true;
}
/* Where the bytes are: acknowledged from the local disk (writeback), or in the object store. */
static bool show_bytes(const struct shown *s, struct ms_buf *buf) {
    struct ms_object_id id = {s->version.object};
    struct ms_object_record object;
    if (!s->has_version || ms_object_id_is_none(id) ||
        ms_row_get_object(s->t->txn, ms_key_object(id), &object, NULL) != MS_OK)
        return false;
    return print(buf, ms_instant_is_none(object.local) ? "STORED" : "LOCAL");
}
/* "video_production yes; livestreaming no: 3840x2160 (at most 1920x1080); preview yes" */
static bool show_usable(const struct shown *s, struct ms_buf *buf) {
    struct ms_facts_record facts, webm;
    struct ms_derived derived;
    struct ms_content content = {.name = s->file.name,
                                 .type = (enum ms_asset_type)s->asset->rec.type,
                                 .size = s->inode->size};
    struct ms_use_verdict v;
    bool there = false, any = false;
    if (!s->has_version || ms_tree_facts_of(s->t, (struct ms_version_id){s->version.id}, &facts,
                                            &there, NULL) != MS_OK)
        return false;
    content.facts = there ? &facts : NULL;
    const struct ms_derived_bytes bytes = {&webm, &content.webm_size};
    if ((ms_derived_wanted(&content) >> MS_DERIVED_WEBM & 1) &&
        ms_derived_of(s->t, (struct ms_asset_id){s->asset->rec.id}, (struct ms_version_id){s->version.id},
                      &content, MS_DERIVED_WEBM, &derived, &bytes, NULL) == MS_OK &&
        derived.state == MS_DERIVED_SUCCEEDED)
        content.webm = &webm;
    for (enum ms_use use = 0; use < MS_USE_COUNT; use++) {
        ms_content_use(s->t->limits, &content, use, &v);
        if (v.usable == MS_USABLE_NO_MATTER)
            continue;
        if (ms_buf_addf(buf, NULL, "%s%s %s%s%s", any ? "; " : "", ms_use_name(use),
                        ms_usable_name(v.usable), v.text[0] ? ": " : "", v.text) != MS_OK)
            return false;
        any = true;
    }
    return any;
}
static bool show_tags(const struct shown *s, struct ms_buf *buf) {
    return print(buf, s->asset->rec.tags);
}

/* Why something may be refused: the tenant's freeze, the asset's, or what its content broke. */
static bool show_reason(const struct shown *s, struct ms_buf *buf) {
    const struct ms_tenant_record *tenant = &s->t->tenant;
    ms_warning why;
    if (ms_tenant_mask(tenant, s->t->now).holds) {
        ms_tenant_why(tenant, s->t->now, why);
        return print(buf, why[0] ? why : "the tenant is frozen");
    }
    if (s->asset->rec.reason[0])
        return print(buf, s->asset->rec.reason);
    return print(buf, ms_hold_words(s->asset->life.holds));
}

/* "MAIN of 123 bytes, live are 100; title \"a\"; description": what waits for review. */
static bool show_pending(const struct shown *s, struct ms_buf *buf) {
    const struct ms_review_record *r = &s->waits;
    enum ms_code code = MS_OK;
    if (s->asset->life.rest == MS_STATE_CREATING && s->asset->life.in_review)
        return print(buf, "a new asset");
    if (!ms_version_id_is_none((struct ms_version_id){r->held}))
        code = ms_buf_addf(buf, NULL, "MAIN of %" PRIu64 " bytes, live are %" PRIu64, r->held_bytes,
                           s->file.size);
    if (code == MS_OK && r->has_name)
        code = ms_buf_addf(buf, NULL, "%stitle \"%s\"", buf->len ? "; " : "", r->name);
    if (code == MS_OK && r->has_description)
        code = ms_buf_addf(buf, NULL, "%sdescription", buf->len ? "; " : "");
    return code == MS_OK && buf->len > 0;
}

/* What comes unless somebody pays. */
static bool show_warning(const struct shown *s, struct ms_buf *buf) {
    ms_warning text;
    return ms_asset_warning(s->t, &s->asset->rec, text, NULL) == MS_OK && print(buf, text);
}

static const struct {
    const char *name;
    show_fn *show;
} computed[] = {
    {OURS "bytes", show_bytes},
    {OURS "created", show_created},
    {OURS "id", show_id},
    {OURS "media_type", show_media},
    {OURS "name", show_name},
    {OURS "origin", show_origin},
    {OURS "pending", show_pending},
    {OURS "reason", show_reason},
    {OURS "root", show_root},
    {OURS "size_bytes", show_size},
    {OURS "state", show_state},
    {TAGS, show_tags},
    {OURS "type", show_type},
    {OURS "usable", show_usable},
    {OURS "warning", show_warning},
};

static bool is_ours(const char *name) { return strncmp(name, OURS, strlen(OURS)) == 0; }

static enum ms_code load_shown(const struct ms_tree *t, const struct ms_inode_record *inode,
                               const struct ms_tree_asset *asset, struct shown *ret_shown,
                               struct ms_error *reterr) {
    struct ms_asset_id id = {asset->rec.id};
    struct ms_version_id version = {inode->version};
    *ret_shown = (struct shown){.t = t, .inode = inode, .asset = asset};
    MS_TRY(ms_row_get_file(t->txn,
                           ms_key_file(t->id, id, (struct ms_file_id){asset->rec.main_file}),
                           &ret_shown->file, reterr));
    bool there;
    MS_TRY(ms_held_case(t, &asset->rec, &ret_shown->waits, &there, reterr));
    ret_shown->has_version = !ms_version_id_is_none(version);
    if (!ret_shown->has_version)
        return MS_OK;
    return ms_row_get_version(t->txn, ms_key_version(t->id, version), &ret_shown->version, reterr);
}

static enum ms_code no_attr(const char *name, struct ms_error *reterr) {
    return ms_fail(reterr, MS_NO_ATTR, "there is no attribute %.255s", name);
}

static enum ms_code get_computed(const struct ms_tree *t, const struct ms_inode_record *inode,
                                 const char *name, struct ms_buf *ret_value,
                                 struct ms_error *reterr) {
    struct ms_tree_asset asset;
    struct shown shown;
    bool gone;
    if (!ms_inode_has_asset(inode))
        return no_attr(name, reterr);
    MS_TRY(ms_tree_asset(t, inode, &asset, &gone, reterr));
    MS_TRY(load_shown(t, inode, &asset, &shown, reterr));
    for (size_t i = 0; i < MS_ARRAY_LEN(computed); i++)
        if (strcmp(name, computed[i].name) == 0)
            return computed[i].show(&shown, ret_value) ? MS_OK : no_attr(name, reterr);
    return no_attr(name, reterr);
}

/* ---- get and list ---------------------------------------------------------------------------- */

static enum ms_code check_name(const char *name, struct ms_error *reterr) {
    static const char *const spaces[] = {"user.", "trusted.", "security."};
    size_t n = strlen(name);
    if (n > MS_XATTR_NAME_MAX)
        return ms_fail(reterr, MS_RANGE,
                       "the attribute's name has %zu bytes; at most %d are allowed", n,
                       MS_XATTR_NAME_MAX);
    for (size_t i = 0; i < MS_ARRAY_LEN(spaces); i++)
        if (strncmp(name, spaces[i], strlen(spaces[i])) == 0 && name[strlen(spaces[i])])
            return MS_OK;
    return ms_fail(reterr, MS_UNSUPPORTED,
                   "attribute %s: only user., trusted. and security. are kept", name);
}

static enum ms_code get_in(const struct ms_tree *t, uint64_t ino, const char *name,
                           struct ms_buf *ret_value, struct ms_error *reterr) {
    struct ms_inode_record inode;
    MS_TRY(ms_tree_inode(t, ino, &inode, reterr));
    ms_buf_clear(ret_value);
    if (is_ours(name))
        return get_computed(t, &inode, name, ret_value, reterr);
    struct ms_key key = ms_key_xattr(t->id, ino, name);
    struct ms_view value;
    enum ms_code code = ms_txn_get(t->txn, ms_key_view(&key), &value, NULL);
    if (code == MS_NOT_FOUND)
        return no_attr(name, reterr);
    if (code != MS_OK)
        return ms_fail(reterr, code, "attribute %s cannot be read", name);
    return ms_buf_add(ret_value, value.p, value.n, reterr);
}

enum ms_code ms_tree_xattr_get(struct ms_svc *svc, const struct ms_ctx *ctx, uint64_t ino,
                               const char *name, struct ms_buf *ret_value,
                               struct ms_error *reterr) {
    struct ms_tree t;
    MS_TRY(check_name(name, reterr));
    MS_TRY(ms_tree_read(&t, svc, ctx, reterr));
    enum ms_code code = get_in(&t, ino, name, ret_value, reterr);
    ms_tree_read_end(&t);
    return code;
}

static enum ms_code list_computed(const struct ms_tree *t, const struct ms_inode_record *inode,
                                  struct ms_buf *ret_names, struct ms_error *reterr) {
    struct ms_tree_asset asset;
    struct shown shown;
    bool gone;
    MS_TRY(ms_tree_asset(t, inode, &asset, &gone, reterr));
    MS_TRY(load_shown(t, inode, &asset, &shown, reterr));
    MS_AUTO(ms_buf_fini) struct ms_buf value = {0};
    for (size_t i = 0; i < MS_ARRAY_LEN(computed); i++) {
        ms_buf_clear(&value);
        if (computed[i].show(&shown, &value))
            MS_TRY(ms_buf_add(ret_names, computed[i].name, strlen(computed[i].name) + 1, reterr));
    }
    return MS_OK;
}

static enum ms_code list_stored(const struct ms_tree *t, uint64_t ino, struct ms_buf *ret_names,
                                struct ms_error *reterr) {
    struct ms_key prefix = ms_key_xattrs_of(t->id, ino);
    struct ms_scan scan;
    struct ms_view key, value;
    enum ms_code code;
    ms_scan_prefix(&scan, t->txn, ms_key_view(&prefix));
    while ((code = ms_scan_next(&scan, &key, &value, reterr)) == MS_OK) {
        const uint8_t *name = (const uint8_t *)key.p + prefix.len;
        if ((code = ms_buf_add(ret_names, name, key.n - prefix.len, reterr)) != MS_OK ||
            (code = ms_buf_add(ret_names, "", 1, reterr)) != MS_OK)
            break;
    }
    ms_scan_end(&scan);
    return ms_absent_is_fine(code, reterr);
}

enum ms_code ms_tree_xattr_list(struct ms_svc *svc, const struct ms_ctx *ctx, uint64_t ino,
                                struct ms_buf *ret_names, struct ms_error *reterr) {
    struct ms_tree t;
    struct ms_inode_record inode;
    MS_TRY(ms_tree_read(&t, svc, ctx, reterr));
    ms_buf_clear(ret_names);
    enum ms_code code = ms_tree_inode(&t, ino, &inode, reterr);
    if (code == MS_OK && ms_inode_has_asset(&inode))
        code = list_computed(&t, &inode, ret_names, reterr);
    if (code == MS_OK)
        code = list_stored(&t, ino, ret_names, reterr);
    ms_tree_read_end(&t);
    return code;
}

/* ---- tags ------------------------------------------------------------------------------------ */

static size_t utf8_chars(const char *p, size_t n) {
    size_t chars = 0;
    for (size_t i = 0; i < n; i++)
        chars += ((unsigned char)p[i] & 0xc0) != 0x80;
    return chars;
}

static enum ms_code check_tag(const char *p, size_t n, struct ms_error *reterr) {
    size_t chars = utf8_chars(p, n);
    if (chars == 0 || chars > TAG_CHARS_MAX)
        return ms_fail(reterr, MS_INVALID, "a tag has %zu characters; 1 to %d are allowed", chars,
                       TAG_CHARS_MAX);
    return MS_OK;
}

static enum ms_code check_tags(const char *text, struct ms_error *reterr) {
    size_t count = 0;
    for (const char *p = text; *text; p += strcspn(p, ",") + 1) {
        MS_TRY(check_tag(p, strcspn(p, ","), reterr));
        if (++count > TAGS_MAX)
            return ms_fail(reterr, MS_INVALID, "more than %d tags", TAGS_MAX);
        if (!p[strcspn(p, ",")])
            break;
    }
    return MS_OK;
}

enum ms_code ms_tree_tags(struct ms_view value, char ret_tags[8193], struct ms_error *reterr) {
    if (value.n > 8192)
        return ms_fail(reterr, MS_RANGE, "tags have %zu bytes; at most 8192 are allowed", value.n);
    if (value.n && memchr(value.p, '\0', value.n))
        return ms_fail(reterr, MS_INVALID, "tags hold a NUL byte");
    if (value.n)
        memcpy(ret_tags, value.p, value.n);
    ret_tags[value.n] = '\0';
    MS_TRY(ms_line_check("tags", ret_tags, 8192, reterr));
    return check_tags(ret_tags, reterr);
}

/* ---- set and remove -------------------------------------------------------------------------- */

struct set_args {
    uint64_t ino;
    const char *name;
    struct ms_view value;
    enum ms_xattr_how how;
    bool remove;
};

static enum ms_code check_how(const struct set_args *a, bool there, struct ms_error *reterr) {
    if (!there && (a->remove || a->how == MS_XATTR_REPLACE))
        return no_attr(a->name, reterr);
    if (there && !a->remove && a->how == MS_XATTR_CREATE)
        return ms_fail(reterr, MS_EXISTS, "attribute %s exists already", a->name);
    return MS_OK;
}

static enum ms_code set_tags(const struct ms_tree *t, struct ms_tree_asset *asset,
                             const struct set_args *a, struct ms_error *reterr) {
    char tags[8193];
    MS_TRY(check_how(a, asset->rec.tags[0] != '\0', reterr));
    MS_TRY(ms_tree_tags(a->remove ? ms_view_str("") : a->value, tags, reterr));
    memcpy(asset->rec.tags, tags, strlen(tags) + 1);
    asset->rec.updated = t->now;
    return ms_row_put_asset(t->txn, ms_key_asset(t->id, (struct ms_asset_id){asset->rec.id}),
                            &asset->rec, reterr);
}

/* How much all attributes of the inode would take but this one. */
static enum ms_code others_take(const struct ms_tree *t, const struct set_args *a,
                                size_t *ret_bytes, struct ms_error *reterr) {
    struct ms_key prefix = ms_key_xattrs_of(t->id, a->ino),
                  own = ms_key_xattr(t->id, a->ino, a->name);
    struct ms_scan scan;
    struct ms_view key, value;
    enum ms_code code;
    size_t bytes = 0;
    ms_scan_prefix(&scan, t->txn, ms_key_view(&prefix));
    while ((code = ms_scan_next(&scan, &key, &value, reterr)) == MS_OK)
        if (!ms_view_equal(key, ms_key_view(&own)))
            bytes += key.n - prefix.len + value.n;
    ms_scan_end(&scan);
    *ret_bytes = bytes;
    return ms_absent_is_fine(code, reterr);
}

static enum ms_code set_stored(const struct ms_tree *t, const struct set_args *a,
                               struct ms_error *reterr) {
    struct ms_key key = ms_key_xattr(t->id, a->ino, a->name);
    size_t others;
    MS_TRY(check_how(a, ms_txn_has(t->txn, ms_key_view(&key)), reterr));
    if (a->remove)
        return ms_row_del(t->txn, key, reterr);
    MS_TRY(others_take(t, a, &others, reterr));
    if (others + strlen(a->name) + a->value.n > MS_XATTR_TOTAL_MAX)
        return ms_fail(reterr, MS_NO_SPACE,
                       "attributes of one file may take %d bytes; with this one they take %zu",
                       MS_XATTR_TOTAL_MAX, others + strlen(a->name) + a->value.n);
    return ms_txn_put(t->txn, ms_key_view(&key), a->value, reterr);
}

static enum ms_code set_any(const struct ms_tree *t, const struct ms_inode_record *inode,
                            const struct set_args *a, struct ms_error *reterr) {
    struct ms_tree_asset asset;
    bool gone, has_asset = ms_inode_has_asset(inode);
    if (has_asset) {
        MS_TRY(ms_tree_asset(t, inode, &asset, &gone, reterr));
        if (gone)
            return ms_tree_is_gone(&asset, "changing attributes", reterr);
        MS_TRY(ms_tree_may(t, &asset, MS_RIGHT_RENAME, "changing attributes", reterr));
    }
    if (!is_ours(a->name))
        return set_stored(t, a, reterr);
    if (!has_asset || strcmp(a->name, TAGS) != 0)
        return ms_fail(reterr, MS_NOT_PERMITTED,
                       "attribute %s is computed: only " TAGS " of a file can be set", a->name);
    return set_tags(t, &asset, a, reterr);
}

static enum ms_code set_op(struct ms_txn *txn, const void *in, void *out, struct ms_error *reterr) {
    struct ms_tree t;
    const struct set_args *args = ((const struct ms_tree_call *)in)->args;
    struct ms_inode_record inode;
    (void)out;
    MS_TRY(ms_tree_begin(&t, txn, in, reterr));
    MS_TRY(ms_tree_thawed(&t, "changing attributes", reterr));
    MS_TRY(ms_tree_inode(&t, args->ino, &inode, reterr));
    MS_TRY(set_any(&t, &inode, args, reterr));
    ms_tree_touch(&t, &inode, MS_TOUCH_CTIME);
    MS_TRY(ms_tree_put(&t, &inode, reterr));
    return ms_tree_feed_inode(&t, inode.ino, reterr);
}

enum ms_code ms_tree_xattr_set(struct ms_svc *svc, const struct ms_ctx *ctx, uint64_t ino,
                               const char *name, struct ms_view value, enum ms_xattr_how how,
                               struct ms_error *reterr) {
    struct set_args args = {ino, name, value, how, false};
    MS_TRY(check_name(name, reterr));
    if (value.n > MS_XATTR_VALUE_MAX)
        return ms_fail(reterr, MS_RANGE, "the attribute has %zu bytes; at most %d are allowed",
                       value.n, MS_XATTR_VALUE_MAX);
    return ms_tree_write(svc, ctx, set_op, &args, NULL, 0, reterr);
}

enum ms_code ms_tree_xattr_remove(struct ms_svc *svc, const struct ms_ctx *ctx, uint64_t ino,
                                  const char *name, struct ms_error *reterr) {
    struct set_args args = {ino, name, {NULL, 0}, MS_XATTR_ANY, true};
    MS_TRY(check_name(name, reterr));
    return ms_tree_write(svc, ctx, set_op, &args, NULL, 0, reterr);
}
