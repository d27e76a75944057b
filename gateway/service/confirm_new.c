/* A new asset without a file: what the API and "msasset asset create" make. */
#include "service/confirm_part.h"

#include "quota/quota.h"
#include "service/package.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <utf8proc.h>

/* ---- texts ----------------------------------------------------------------------------------- */

/* Valid UTF-8 without control characters; *ret_chars counts code points. With LINES there may be line breaks and tabs:
 * in a name they would make other lines of a table or log. */
static enum ms_code count_chars(const char *what, const char *text, bool lines, size_t *ret_chars,
                                struct ms_error *reterr) {
    const utf8proc_uint8_t *p = (const utf8proc_uint8_t *)text;
    size_t chars = 0;
    while (*p) {
        utf8proc_int32_t c;
        utf8proc_ssize_t n = utf8proc_iterate(p, -1, &c);
        if (n <= 0)
            return ms_fail(reterr, MS_INVALID, "%s is not valid UTF-8 behind %zu characters", what,
                           chars);
        bool breaks = c == '\n' || c == '\r' || c == '\t';
        if ((c < 0x20 && !(lines && breaks)) || (c >= 0x7f && c <= 0x9f))
            return ms_fail(reterr, MS_INVALID, "%s holds control character U+%04X", what,
                           (unsigned)c);
        p += n;
        chars++;
    }
    *ret_chars = chars;
    return MS_OK;
}

enum ms_code ms_text_take(const char *what, const char *text, bool lines, size_t chars_max,
                          size_t bytes_max, char *ret_text, struct ms_error *reterr) {
    size_t chars, n = text ? strlen(text) : 0;
    ret_text[0] = '\0';
    if (n == 0)
        return MS_OK;
    MS_TRY(count_chars(what, text, lines, &chars, reterr));
    if (chars > chars_max || n > bytes_max)
        return ms_fail(reterr, MS_RANGE,
                       "%s has %zu characters in %zu bytes; at most %zu in %zu are allowed", what,
                       chars, n, chars_max, bytes_max);
    memcpy(ret_text, text, n + 1);
    return MS_OK;
}

static enum ms_code take_texts(const struct ms_asset_new *make, struct ms_asset_record *asset,
                               struct ms_error *reterr) {
    const char *tags = make->tags ? make->tags : "";
    MS_TRY(ms_text_take("the name", make->name, false, 256, sizeof asset->name - 1, asset->name,
                        reterr));
    MS_TRY(ms_text_take("the description", make->description, true, 4096,
                        sizeof asset->description - 1, asset->description, reterr));
    MS_TRY(ms_text_take("app_user_id", make->app_user_id, false, 256,
                        sizeof asset->app_user_id - 1, asset->app_user_id, reterr));
    return ms_tree_tags(ms_view_str(tags), asset->tags, reterr);
}

/* ---- the commit ------------------------------------------------------------------------------ */

/* By the platform only: product.md section 4. */
static bool is_platforms(enum ms_asset_type type) {
    return type == MS_TYPE_VOICE_MODEL || type == MS_TYPE_HUMAN_MODEL_2D;
}

/* It takes a unit when its MAIN is confirmed: without one its upload would be in vain. */
static enum ms_code check_unit(const struct ms_tree *t, const struct ms_asset_new *make,
                               struct ms_error *reterr) {
    return ms_package_is_registered((uint8_t)make->origin, (uint8_t)make->type)
               ? ms_package_may_register(t, (uint8_t)make->type, reterr)
               : MS_OK;
}

static enum ms_code check_kind(const struct ms_tree *t, const struct ms_asset_new *make,
                               struct ms_error *reterr) {
    if ((unsigned)make->type >= MS_TYPE_COUNT || (unsigned)make->origin >= MS_ORIGIN_COUNT)
        return ms_fail(reterr, MS_INVALID, "there is no such asset type or origin");
    if (t->admin)
        return MS_OK;
    if (is_platforms(make->type))
        return ms_fail(reterr, MS_NOT_PERMITTED, "assets of type %s are made by the platform only",
                       ms_asset_type_name(make->type));
    if (make->origin != MS_ORIGIN_UPLOADED)
        return ms_fail(reterr, MS_NOT_PERMITTED, "only an administrator makes assets of origin %s",
                       ms_origin_name(make->origin));
    return MS_OK;
}

static enum ms_code create_op(struct ms_txn *txn, const void *in, void *out,
                              struct ms_error *reterr) {
    const struct ms_asset_new *make = ((const struct ms_tree_call *)in)->args;
    struct ms_asset_id *id = out;
    struct ms_asset_record asset = {.type = (uint8_t)make->type,
                                    .origin = (uint8_t)make->origin,
                                    .named = 1};
    struct ms_tree t;
    MS_TRY(ms_tree_begin(&t, txn, in, reterr));
    MS_TRY(ms_tree_thawed(&t, "creating an asset", reterr));
    MS_TRY(check_kind(&t, make, reterr));
    MS_TRY(check_unit(&t, make, reterr));
    MS_TRY(take_texts(make, &asset, reterr));
    struct ms_life life = ms_lc_create(t.now, true);
    ms_asset_set_life(&asset, &life);
    ms_txn_random(txn, asset.id.b, sizeof asset.id.b);
    id->id = asset.id;
    return ms_change_new_asset(txn, t.id, t.who, &asset, reterr);
}

enum ms_code ms_asset_create(struct ms_svc *svc, const struct ms_ctx *ctx,
                             const struct ms_asset_new *make, struct ms_asset_id *ret_id,
                             struct ms_error *reterr) {
    struct ms_asset_id id;
    MS_TRY(ms_tree_write(svc, ctx, create_op, make, &id, sizeof id, reterr));
    *ret_id = id;
    return MS_OK;
}
