/* Sharing: the receiver's side. */
#include "service/asset_in.h"
#include "service/fetch.h"
#include "service/file_image.h"
#include "service/share_part.h"
#include "service/upkeep_walk.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* ---- may it be read? ------------------------------------------------------------------------- */

enum ms_code ms_share_tenant_name(const struct ms_tree *t, struct ms_tenant_id id,
                                  char ret_name[MS_TENANT_NAME_MAX + 1], struct ms_error *reterr) {
    struct ms_tenant_record tenant;
    MS_TRY(ms_row_get_tenant(t->txn, ms_key_tenant(id), &tenant, reterr));
    memcpy(ret_name, tenant.name, sizeof tenant.name);
    return MS_OK;
}

/* Others hear neither why the owner is frozen nor what became of the asset. */
enum ms_code ms_share_may_read(const struct ms_tree *owner, const struct ms_tree *receiver,
                               const struct ms_tree_asset *asset, struct ms_error *reterr) {
    struct ms_mask mask = ms_tenant_mask(&owner->tenant, owner->now);
    MS_TRY(ms_tree_thawed(receiver, "reading what is shared", reterr));
    if (mask.holds)
        return ms_fail(reterr, MS_WRONG_STATE,
                       "reading asset %s is refused: tenant %s, who shares it, is frozen",
                       ms_id_text(asset->rec.id).s, owner->tenant.name);
    if (ms_lc_rights_shared(&asset->life, mask) & MS_RIGHT_READ)
        return MS_OK;
    return ms_fail(reterr, MS_NOT_READABLE,
                   "reading asset %s is refused: what tenant %s shares can be read while it is ACTIVED or "
                   "WAITING_DELETE, and this is neither now: ask them",
                   ms_id_text(asset->rec.id).s, owner->tenant.name);
}

/* ---- what there is to see -------------------------------------------------------------------- */

static void show_asset(struct ms_shared_info *info, const struct ms_asset_record *a) {
    struct ms_asset_record *to = &info->asset;
    to->id = a->id;
    to->type = a->type;
    to->origin = a->origin;
    to->created = a->created;
    to->updated = a->updated;
    memcpy(to->name, a->name, sizeof to->name);
    memcpy(to->description, a->description, sizeof to->description);
    memcpy(to->tags, a->tags, sizeof to->tags);
}

/* By the file's row, which has the live version also while a new one waits for review. */
static enum ms_code show_main(const struct ms_tree *owner, struct ms_asset_id id, struct ms_file_id file,
                              struct ms_shared_info *info, struct ms_error *reterr) {
    MS_TRY(ms_row_get_file(owner->txn, ms_key_file(owner->id, id, file), &info->main, reterr));
    struct ms_version_id version = {info->main.version};
    if (ms_version_id_is_none(version))
        return MS_OK;
    return ms_row_get_version(owner->txn, ms_key_version(owner->id, version), &info->version, reterr);
}

/* The owner's view, as somebody else than an administrator has it. */
static enum ms_code owner_of(const struct ms_tree *t, const struct ms_share_record *share,
                             struct ms_tree *ret_owner, struct ms_error *reterr) {
    *ret_owner = *t;
    ret_owner->id = (struct ms_tenant_id){share->tenant};
    ret_owner->admin = false;
    return ms_row_get_tenant(t->txn, ms_key_tenant(ret_owner->id), &ret_owner->tenant, reterr);
}

/* Errors: MS_NOT_FOUND the asset's time has come. */
static enum ms_code fill(const struct ms_tree *t, const struct ms_share_record *share,
                         struct ms_shared_info *info, struct ms_error *reterr) {
    struct ms_asset_id id = {share->asset};
    struct ms_tree_asset asset;
    struct ms_tree owner;
    memset(info, 0, sizeof *info);
    info->share = *share;
    MS_TRY(owner_of(t, share, &owner, reterr));
    memcpy(info->owner, owner.tenant.name, sizeof info->owner);
    MS_TRY(ms_asset_find_in(&owner, id, &asset, reterr));
    info->readable = ms_share_may_read(&owner, t, &asset, &info->why) == MS_OK;
    if (!info->readable)
        return MS_OK;
    info->state = asset.state;
    show_asset(info, &asset.rec);
    return show_main(&owner, id, (struct ms_file_id){asset.rec.main_file}, info, reterr);
}

/* The share behind a row of SHARED. Errors: MS_NOT_FOUND it is over. */
static enum ms_code share_of(const struct ms_tree *t, struct ms_asset_id asset,
                             struct ms_share_record *ret_share, struct ms_error *reterr) {
    struct ms_tenant_id owner;
    MS_TRY(ms_row_get_id(t->txn, ms_key_shared(t->id, asset), &owner.id, reterr));
    MS_TRY(ms_row_get_share(t->txn, ms_key_share(owner, asset, t->id), ret_share, reterr));
    return ret_share->until.ms > t->now.ms ? MS_OK : ms_fail(reterr, MS_NOT_FOUND, "the share is over");
}

/* ---- list ------------------------------------------------------------------------------------ */

static enum ms_code list_in(const struct ms_tree *t, struct ms_asset_id after,
                            struct ms_shared_info *infos, size_t max, size_t *ret_n,
                            struct ms_error *reterr) {
    struct ms_key from = ms_key_shared(t->id, after), to = ms_key_shared_with(t->id);
    struct ms_share_record share;
    struct ms_view key, value;
    struct ms_scan scan;
    enum ms_code code = MS_OK;
    size_t n = 0;
    memset(to.bytes + to.len, 0xff, MS_ID_BYTES + 1);
    to.len += MS_ID_BYTES + 1;
    if (!ms_asset_id_is_none(after))
        from.bytes[from.len++] = 0;
    ms_scan_begin(&scan, t->txn, ms_key_view(&from), ms_key_view(&to));
    while (n < max && (code = ms_scan_next(&scan, &key, &value, reterr)) == MS_OK) {
        struct ms_asset_id asset = {ms_key_id_at(key, MS_TABLE_TENANT_KEY_BYTES)};
        code = share_of(t, asset, &share, reterr);
        if (code == MS_OK)
            code = fill(t, &share, &infos[n], reterr);
        if (code != MS_OK && code != MS_NOT_FOUND)
            break;
        n += code == MS_OK;
    }
    ms_scan_end(&scan);
    *ret_n = n;
    return ms_absent_is_fine(code, reterr);
}

enum ms_code ms_shared_list(struct ms_svc *svc, const struct ms_ctx *ctx, struct ms_asset_id after,
                            struct ms_shared_info *ret_infos, size_t max, size_t *ret_n,
                            struct ms_error *reterr) {
    struct ms_error err = {0};
    struct ms_tree t;
    MS_TRY(ms_tree_read(&t, svc, ctx, reterr));
    enum ms_code code = list_in(&t, after, ret_infos, max, ret_n, &err);
    ms_tree_read_end(&t);
    return ms_pass_up(code, &err, reterr);
}

/* ---- find ------------------------------------------------------------------------------------ */

static enum ms_code no_such(const struct ms_tree *t, const char *what, struct ms_error *reterr) {
    return ms_fail(reterr, MS_NOT_FOUND,
                   "nothing \"%.255s\" is shared with tenant %s, or not any more: give an id, or TENANT/NAME of "
                   "what can be read now (msasset share ls --with-me)",
                   what, t->tenant.name);
}

static enum ms_code find_id(const struct ms_tree *t, struct ms_asset_id id, struct ms_shared_info *info,
                            struct ms_error *reterr) {
    struct ms_share_record share;
    struct ms_error err = {0};
    enum ms_code code = share_of(t, id, &share, &err);
    if (code == MS_OK)
        code = fill(t, &share, info, &err);
    if (code == MS_NOT_FOUND)
        return no_such(t, ms_id_text(id.id).s, reterr);
    if (code == MS_OK && !info->readable)
        return ms_pass_up(info->why.code, &info->why, reterr);
    return ms_pass_up(code, &err, reterr);
}

#define PAGE 32u

/* The first slash ends the tenant: its name has none, an asset's may have some. */
static bool has_name(const struct ms_shared_info *info, const char *name) {
    size_t n = strlen(info->owner);
    return info->readable && strncmp(name, info->owner, n) == 0 && name[n] == '/' &&
           strcmp(name + n + 1, info->asset.name) == 0;
}

static enum ms_code find_in_pages(struct ms_svc *svc, const struct ms_ctx *ctx, const char *name,
                                  struct ms_shared_info *page, struct ms_asset_id *ret_id,
                                  struct ms_error *reterr) {
    struct ms_asset_id after = {{{0}}};
    size_t n = PAGE;
    *ret_id = after;
    while (n == PAGE) {
        MS_TRY(ms_shared_list(svc, ctx, after, page, PAGE, &n, reterr));
        for (size_t i = 0; i < n; i++) {
            after.id = page[i].share.asset;
            if (!has_name(&page[i], name))
                continue;
            if (!ms_asset_id_is_none(*ret_id))
                return ms_fail(reterr, MS_INVALID,
                               "several assets are \"%.255s\", among them %s and %s: give an id", name,
                               ms_id_text(ret_id->id).s, ms_id_text(after.id).s);
            *ret_id = after;
        }
    }
    return MS_OK;
}

static enum ms_code find_named(struct ms_svc *svc, const struct ms_ctx *ctx, const char *name,
                               struct ms_asset_id *ret_id, struct ms_error *reterr) {
    struct ms_shared_info *page = calloc(PAGE, sizeof *page);
    if (!page)
        return ms_fail(reterr, MS_NO_MEMORY, "no memory for a page of shares");
    enum ms_code code = find_in_pages(svc, ctx, name, page, ret_id, reterr);
    free(page);
    return code;
}

enum ms_code ms_shared_find(struct ms_svc *svc, const struct ms_ctx *ctx, const char *id_or_name,
                            struct ms_shared_info *ret_info, struct ms_error *reterr) {
    struct ms_asset_id id;
    struct ms_error err = {0};
    struct ms_tree t;
    enum ms_code code;
    if (ms_id_parse(id_or_name, &id.id, NULL) != MS_OK)
        MS_TRY(find_named(svc, ctx, id_or_name, &id, reterr));
    MS_TRY(ms_tree_read(&t, svc, ctx, reterr));
    if (!ms_asset_id_is_none(id))
        code = find_id(&t, id, ret_info, &err);
    else if ((code = ms_tree_thawed(&t, "reading what is shared", &err)) == MS_OK)
        code = no_such(&t, id_or_name, &err);
    ms_tree_read_end(&t);
    return ms_pass_up(code, &err, reterr);
}

/* ---- fetch ----------------------------------------------------------------------------------- */

struct fetch {
    struct ms_svc *svc;
    const struct ms_ctx *ctx;
    const struct ms_get *get;
    struct ms_shared_info info;
};

static enum ms_code refuse_models(const struct ms_shared_info *info, struct ms_error *reterr) {
    if (!ms_asset_type_is_model((enum ms_asset_type)info->asset.type))
        return MS_OK;
    return ms_fail(reterr, MS_NOT_READABLE,
                   "reading asset %s is refused: it is %s; models and voices can be used, not read",
                   ms_id_text(info->asset.id).s, ms_asset_type_name((enum ms_asset_type)info->asset.type));
}

/* As it is now (struct ms_fetch). */
static enum ms_code look(void *of, struct ms_source *source, struct ms_error *reterr) {
    struct fetch *f = of;
    struct ms_error err = {0};
    struct ms_tree t;
    MS_TRY(ms_tree_read(&t, f->svc, f->ctx, reterr));
    enum ms_code code = find_id(&t, f->get->id, &f->info, &err);
    if (code == MS_OK)
        code = refuse_models(&f->info, &err);
    if (code == MS_OK && source && f->info.main.size > 0)
        code = ms_source_load(t.txn, (struct ms_tenant_id){f->info.share.tenant},
                              (struct ms_version_id){f->info.main.version}, source, &err);
    ms_tree_read_end(&t);
    return ms_pass_up(code, &err, reterr);
}

enum ms_code ms_shared_fetch(struct ms_svc *svc, const struct ms_ctx *ctx, const struct ms_get *get,
                             struct ms_error *reterr) {
    struct fetch *f = calloc(1, sizeof *f);
    if (!f)
        return ms_fail(reterr, MS_NO_MEMORY, "no memory to copy a file");
    *f = (struct fetch){.svc = svc, .ctx = ctx, .get = get};
    const struct ms_fetch fetch = {svc, get, look, f};
    enum ms_code code = ms_fetch(&fetch, reterr);
    free(f);
    return code;
}
