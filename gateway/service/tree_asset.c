/* What stands behind a regular file: its asset, with what time has done to it, and what a name
 * makes of it. */
#include "base/checked.h"
#include "service/held.h"
#include "service/package.h"
#include "service/treeop.h"

#include <inttypes.h>
#include <stdio.h>
#include <sys/stat.h>

/* Beside the life cycle's rights: a model's MAIN is not the tenant's to read, a platform product
 * not its to write, a preset neither. */
static uint32_t rights_of(const struct ms_tree *t, const struct ms_asset_record *asset,
                          const struct ms_life *life) {
    uint32_t rights = ms_lc_rights(life, ms_tenant_mask(&t->tenant, t->now));
    if (t->admin)
        return rights;
    if (ms_asset_type_is_model((enum ms_asset_type)asset->type))
        rights &= ~(uint32_t)MS_RIGHT_READ;
    if (asset->origin == MS_ORIGIN_CUSTOMIZED)
        rights &= ~(uint32_t)MS_RIGHT_WRITE;
    if (asset->origin == MS_ORIGIN_SYSTEM)
        rights &= MS_RIGHT_READ | MS_RIGHT_SHARE | MS_RIGHT_USE;
    return rights;
}

static void derive(const struct ms_tree *t, struct ms_tree_asset *a) {
    a->state = ms_lc_shown(&a->life, ms_tenant_mask(&t->tenant, t->now));
    a->rights = rights_of(t, &a->rec, &a->life);
}

static bool is_gone(const struct ms_life *life) {
    return life->rest == MS_STATE_DELETED || life->binned;
}

/* A package may have taken it away altogether. */
static enum ms_code load_again(const struct ms_tree *t, struct ms_tree_asset *a,
                               struct ms_error *reterr) {
    struct ms_key key = ms_key_asset(t->id, (struct ms_asset_id){a->rec.id});
    enum ms_code code = ms_row_get_asset(t->txn, key, &a->rec, reterr);
    if (code != MS_NOT_FOUND)
        return code;
    struct ms_life life = ms_asset_life(&a->rec);
    ms_lc_end(&life);
    ms_asset_set_life(&a->rec, &life);
    return ms_absent_is_fine(code, reterr);
}

/* In a write what is overdue is applied to the rows first, so that nobody works on a state that is
 * over. */
static enum ms_code apply_overdue(const struct ms_tree *t, struct ms_tree_asset *a,
                                  struct ms_error *reterr) {
    struct ms_package_id package = {a->rec.package};
    bool changed = false;
    if (!ms_package_id_is_none(package))
        MS_TRY(ms_package_overdue(t->txn, &t->tenant, package, t->now, t->unasked, &changed,
                                  reterr));
    if (changed)
        MS_TRY(load_again(t, a, reterr));
    MS_TRY(ms_change_overdue(t->txn, &t->tenant, &a->rec, t->now, reterr));
    a->life = ms_asset_life(&a->rec);
    return MS_OK;
}

/* What is overdue is seen by a reader as if it were applied, and told in the same words. */
static enum ms_code look_past_due(const struct ms_tree *t, struct ms_tree_asset *a,
                                  struct ms_error *reterr) {
    struct ms_lc_facts facts = ms_tree_facts(t, &a->rec);
    struct ms_life stored = ms_asset_life(&a->rec), life = stored;
    MS_TRY(ms_treeop_life(t, &a->rec, &life, reterr));
    if (!ms_package_id_is_none((struct ms_package_id){a->rec.package}))
        MS_TRY(ms_package_effective(t->txn, &t->tenant, &a->rec, &facts, t->unasked, &life,
                                    reterr));
    a->life = ms_tenant_life(&t->tenant, &life, &facts, NULL, NULL);
    if (a->life.fail == MS_FAIL_TIMEOUT && stored.fail != MS_FAIL_TIMEOUT) {
        a->rec.bytes = 0;
        ms_asset_set_reason(&a->rec, "", MS_TIMEOUT_REASON);
    }
    return MS_OK;
}

enum ms_code ms_tree_asset_look(const struct ms_tree *t, struct ms_tree_asset *asset,
                                struct ms_error *reterr) {
    MS_TRY(look_past_due(t, asset, reterr));
    derive(t, asset);
    return MS_OK;
}

enum ms_code ms_tree_asset(const struct ms_tree *t, const struct ms_inode_record *inode,
                           struct ms_tree_asset *ret_asset, bool *ret_gone,
                           struct ms_error *reterr) {
    struct ms_asset_id id = {inode->asset};
    enum ms_code code = ms_row_get_asset(t->txn, ms_key_asset(t->id, id), &ret_asset->rec, reterr);
    if (code == MS_NOT_FOUND)
        return ms_fail(reterr, MS_CORRUPT,
                       "inode %" PRIu64 " has asset %s, which is not there: run msasset fsck",
                       inode->ino, ms_id_text(id.id).s);
    if (code != MS_OK)
        return code;
    if (t->writes)
        MS_TRY(apply_overdue(t, ret_asset, reterr));
    else
        MS_TRY(look_past_due(t, ret_asset, reterr));
    derive(t, ret_asset);
    *ret_gone = is_gone(&ret_asset->life);
    return MS_OK;
}

/* By its own state: the freeze of a tenant as a whole ends some day. */
static bool is_readable(const struct ms_tree_asset *a) {
    return (ms_lc_rights(&a->life, (struct ms_mask){0}) & MS_RIGHT_READ) &&
           !ms_asset_type_is_model((enum ms_asset_type)a->rec.type);
}

void ms_tree_part(struct ms_inode_record *inode, const struct ms_tree_asset *asset, enum ms_parting how) {
    if (how != MS_PART_PURGED)
        inode->was_asset = inode->asset;
    inode->shut = how != MS_PART_BINNED && !is_readable(asset);
    memset(&inode->asset, 0, sizeof inode->asset);
}

enum ms_code ms_tree_is_gone(const struct ms_tree_asset *asset, const char *what,
                             struct ms_error *reterr) {
    if (asset->life.rest == MS_STATE_DELETED)
        return ms_fail(reterr, MS_NOT_FOUND, "the file was deleted");
    return ms_fail(reterr, MS_WRONG_STATE,
                   "%s is refused: \"%.255s\" is in the recycle bin: restore it first", what,
                   asset->rec.name);
}

/* ---- rights ---------------------------------------------------------------------------------- */

enum ms_code ms_tree_refused(const struct ms_tree *t, const struct ms_tree_asset *asset,
                             enum ms_lc_rule rule, const char *what, struct ms_error *reterr) {
    const struct ms_asset_record *rec = &asset->rec;
    const char *text = ms_lc_rule_text(rule);
    if (rule == MS_LC_ALLOWED) /* the life cycle would allow it: then it is the asset's kind */
        text = rec->origin == MS_ORIGIN_CUSTOMIZED &&
                       !ms_asset_type_is_model((enum ms_asset_type)rec->type)
                   ? "what the platform produced cannot be changed: read it, and write the bytes to a file "
                         "of your own"
               : rec->origin == MS_ORIGIN_SYSTEM
                   ? "preset assets are read-only"
                   : "models and voices are the platform's: they cannot be read";
    enum ms_code code = strcmp(what, "read") == 0 ? MS_NOT_READABLE : MS_WRONG_STATE;
    (void)t;
    return ms_fail(reterr, code, "%s is refused: \"%.255s\" is %s: %s%s%s", what, rec->name,
                   ms_state_name(asset->state), text, rec->reason[0] ? "; reason: " : "",
                   rec->reason);
}

enum ms_code ms_tree_may(const struct ms_tree *t, const struct ms_tree_asset *asset,
                         enum ms_right right, const char *what, struct ms_error *reterr) {
    if (asset->rights & right)
        return MS_OK;
    return ms_tree_refused(
        t, asset, ms_lc_why(&asset->life, ms_tenant_mask(&t->tenant, t->now), right), what, reterr);
}

void ms_tree_fill(const struct ms_tree *t, const struct ms_inode_record *inode,
                  const struct ms_tree_asset *asset, struct ms_node *ret_node) {
    memset(ret_node, 0, sizeof *ret_node);
    ret_node->inode = *inode;
    ret_node->tenant_frozen = ms_tenant_mask(&t->tenant, t->now).holds != 0;
    ret_node->rights = ret_node->tenant_frozen ? MS_RIGHT_READ | MS_RIGHT_DELETE : UINT32_MAX;
    if (!asset)
        return;
    ret_node->has_asset = true;
    ret_node->state = asset->state;
    ret_node->rights = asset->rights;
    ret_node->type = (enum ms_asset_type)asset->rec.type;
}

/* ---- what a name makes of a file ------------------------------------------------------------- */

/* Type and rules do not follow the name: the platform's products and models keep theirs, an empty
 * file was never judged. */
static bool keeps_type(const struct ms_inode_record *inode, const struct ms_tree_asset *asset) {
    return asset->rec.origin != MS_ORIGIN_UPLOADED ||
           ms_asset_type_is_model((enum ms_asset_type)asset->rec.type) ||
           (asset->life.sealed && inode->size == 0);
}

static enum ms_code main_file(const struct ms_tree *t, const struct ms_asset_record *asset,
                              struct ms_file_record *ret_file, struct ms_error *reterr) {
    struct ms_key key =
        ms_key_file(t->id, (struct ms_asset_id){asset->id}, (struct ms_file_id){asset->main_file});
    enum ms_code code = ms_row_get_file(t->txn, key, ret_file, reterr);
    if (code == MS_NOT_FOUND)
        return ms_fail(reterr, MS_CORRUPT, "asset %s has no MAIN file row: run msasset fsck",
                       ms_id_text(asset->id).s);
    return code;
}

enum ms_code ms_tree_facts_of(const struct ms_tree *t, struct ms_version_id version,
                              struct ms_facts_record *ret_facts, bool *ret_there,
                              struct ms_error *reterr) {
    enum ms_code code = ms_row_get_facts(t->txn, ms_key_facts(t->id, version), ret_facts, reterr);
    *ret_there = code == MS_OK;
    return ms_absent_is_fine(code, reterr);
}

/* The facts that were found when the content came, whatever its name was then. */
static enum ms_code check_facts(const struct ms_tree *t, const struct ms_inode_record *inode,
                                enum ms_asset_type type, const char *name,
                                struct ms_error *reterr) {
    struct ms_facts_record facts;
    struct ms_content content = {.name = name, .type = type, .size = inode->size};
    bool there;
    MS_TRY(ms_tree_facts_of(t, (struct ms_version_id){inode->version}, &facts, &there, reterr));
    content.facts = there ? &facts : NULL;
    return ms_content_accept(t->limits, &content, reterr);
}

static enum ms_code check_content(const struct ms_tree *t, const struct ms_inode_record *inode,
                                  const struct ms_file_record *file, enum ms_asset_type type,
                                  const char *name, struct ms_error *reterr) {
    char suffix[16];
    ms_name_suffix(name, suffix);
    const char *media = file->media_type[0] ? file->media_type : "application/octet-stream";
    MS_TRY(ms_asset_type_fits(type, suffix, media, reterr));
    uint64_t max = ms_asset_type_bytes_max(type, true);
    if (inode->size > max)
        return ms_fail(reterr, MS_TOO_LARGE,
                       "the file has %" PRIu64 " bytes; as %s it may have %" PRIu64, inode->size,
                       ms_asset_type_name(type), max);
    return check_facts(t, inode, type, name, reterr);
}

/* Under its new name both must fit: what is live, and what waits for review to be. */
static enum ms_code check_both(const struct ms_tree *t, const struct ms_inode_record *inode,
                               const struct ms_asset_record *asset, enum ms_asset_type type,
                               const char *name, struct ms_error *reterr) {
    struct ms_inode_record live = *inode;
    struct ms_file_record file;
    struct ms_held held;
    MS_TRY(main_file(t, asset, &file, reterr));
    MS_TRY(ms_held_of(t, asset, &held, reterr));
    MS_TRY(ms_held_as_live(t, asset, &live, reterr));
    MS_TRY(check_content(t, &live, &file, type, name, reterr));
    if (!ms_held_any(&held))
        return MS_OK;
    memcpy(file.media_type, held.media_type, sizeof file.media_type);
    return check_content(t, inode, &file, type, name, reterr);
}

enum ms_code ms_tree_judge(const struct ms_tree *t, const struct ms_inode_record *inode,
                           const struct ms_tree_asset *asset, const char *name,
                           const char *new_name, enum ms_special top, struct ms_judged *ret_judged,
                           struct ms_error *reterr) {
    enum ms_asset_type old = (enum ms_asset_type)asset->rec.type;
    struct ms_judged judged = {.type = old};
    char suffix[16], new_suffix[16];
    ms_name_suffix(name, suffix);
    ms_name_suffix(new_name, new_suffix);
    if (!keeps_type(inode, asset))
        judged.type = ms_asset_type_of_name(new_name, top, false);
    bool same = judged.type == old && strcmp(suffix, new_suffix) == 0;
    if (!same && !keeps_type(inode, asset) && asset->life.sealed) {
        MS_TRY(check_both(t, inode, &asset->rec, judged.type, new_name, reterr));
        judged.fits_now =
            asset->life.rest == MS_STATE_FAILED && asset->life.fail == MS_FAIL_CONTENT;
    }
    *ret_judged = judged;
    return MS_OK;
}

static enum ms_code rename_file(const struct ms_tree *t, const struct ms_asset_record *asset,
                                const char *name, bool fits_now, struct ms_error *reterr) {
    struct ms_file_record file;
    MS_TRY(main_file(t, asset, &file, reterr));
    if (strcmp(file.name, name) == 0 && !fits_now)
        return MS_OK;
    (void)snprintf(file.name, sizeof file.name, "%s", name);
    if (fits_now)
        file.state = t->tenant.review ? MS_FILE_UPLOADED : MS_FILE_CREATED;
    return ms_row_put_file(
        t->txn, ms_key_file(t->id, (struct ms_asset_id){asset->id}, (struct ms_file_id){file.id}),
        &file, reterr);
}

/* A file that failed by its content fits under its new name: checked as at creation, so it waits for review or is
 * live. */
static enum ms_code confirm(const struct ms_tree *t, struct ms_tree_asset *a,
                            struct ms_error *reterr) {
    enum ms_event event = t->tenant.review ? MS_EVENT_CONFIRM_REVIEW : MS_EVENT_CONFIRM;
    struct ms_lc_facts facts = ms_tree_facts(t, &a->rec);
    struct ms_lc_verdict v = ms_lc_step(&a->life, event, &facts);
    if (v.rule != MS_LC_ALLOWED)
        return ms_tree_refused(t, a, v.rule, "rename", reterr);
    a->rec.reason[0] = a->rec.reason_code[0] = '\0';
    MS_TRY(ms_change_life(t->txn, t->id, t->who, &a->rec, &v.next, event, v.at,
                          "fits its new name", reterr));
    a->life = v.next;
    derive(t, a);
    return MS_OK;
}

/* Where changes are reviewed the title of a finished asset does not follow its name, which nobody looks at: an edit
 * changes it, and is held (product.md 3.4). */
static bool keeps_title(const struct ms_tree *t, const struct ms_tree_asset *a) {
    return a->rec.named || (ms_state_is_finished((enum ms_state)a->life.rest) &&
                            (t->tenant.review || a->life.in_review));
}

enum ms_code ms_tree_follow(const struct ms_tree *t, struct ms_tree_asset *asset, const char *name,
                            const struct ms_judged *judged, struct ms_error *reterr) {
    struct ms_asset_record *rec = &asset->rec;
    bool renamed = !keeps_title(t, asset) && strcmp(rec->name, name) != 0;
    bool retyped = rec->type != (uint8_t)judged->type;
    MS_TRY(rename_file(t, rec, name, judged->fits_now, reterr));
    if (renamed)
        (void)snprintf(rec->name, sizeof rec->name, "%s", name);
    rec->type = (uint8_t)judged->type;
    if (judged->fits_now)
        return confirm(t, asset, reterr);
    if (!renamed && !retyped)
        return MS_OK;
    rec->updated = ms_txn_instant(t->txn);
    derive(t, asset);
    MS_TRY(ms_row_put_asset(t->txn, ms_key_asset(t->id, (struct ms_asset_id){rec->id}), rec, reterr));
    if (renamed && asset->life.in_review)
        MS_TRY(ms_case_look_again(t, (struct ms_asset_id){rec->id}, reterr));
    if (!retyped || rec->bytes == 0)
        return MS_OK;
    MS_TRY(ms_package_register(t, rec, reterr)); /* an administrator made it a model or a voice */
    asset->life = ms_asset_life(rec);
    derive(t, asset);
    return MS_OK;
}

/* ---- take-over ------------------------------------------------------------------------------- */

#define TAKE_OVER_MS (24 * MS_HOUR_MS)

/* A finished file that its tenant may write, and nothing else. */
static bool is_plain(const struct ms_tree_asset *a) {
    const struct ms_life *l = &a->life;
    return a->rec.origin == MS_ORIGIN_UPLOADED && (a->rights & MS_RIGHT_WRITE) && !l->in_review &&
           !l->auto_renew && (l->rest == MS_STATE_ACTIVED || l->rest == MS_STATE_UNACTIVED);
}

bool ms_tree_may_take_over(const struct ms_tree *t, const struct ms_tree_asset *keep,
                           const struct ms_tree_asset *source,
                           const struct ms_inode_record *source_inode) {
    const struct ms_asset_record *s = &source->rec;
    bool failed = keep->life.rest == MS_STATE_FAILED && keep->life.fail == MS_FAIL_CONTENT &&
                  (keep->rights & MS_RIGHT_WRITE) && keep->rec.origin == MS_ORIGIN_UPLOADED;
    if (!is_plain(keep) && !failed)
        return false;
    return is_plain(source) && s->from_mount && t->now.ms - s->created.ms < TAKE_OVER_MS &&
           !s->tags[0] && !s->named && !s->description[0] && !s->app_user_id[0] &&
           source->life.scheduled_count == 0 && source_inode->nlink == 1 &&
           !source_inode->unsealed && s->ino == source_inode->ino &&
           !ms_change_is_shared(t->txn, t->id, (struct ms_asset_id){s->id}, t->now);
}

/* The source's version goes under keep's MAIN; keep's old version goes. */
static enum ms_code move_version(const struct ms_tree *t, struct ms_asset_record *keep,
                                 const struct ms_asset_record *source, struct ms_error *reterr) {
    struct ms_file_record from, to;
    MS_TRY(main_file(t, source, &from, reterr));
    MS_TRY(main_file(t, keep, &to, reterr));
    struct ms_version_id old = {to.version}, fresh = {from.version};
    if (!ms_version_id_is_none(old))
        MS_TRY(ms_change_version_drop(t->txn, t->id, old, reterr));
    if (!ms_version_id_is_none(fresh)) {
        struct ms_version_record version;
        MS_TRY(ms_row_get_version(t->txn, ms_key_version(t->id, fresh), &version, reterr));
        version.asset = keep->id;
        version.file = to.id;
        MS_TRY(ms_row_put_version(t->txn, ms_key_version(t->id, fresh), &version, reterr));
    }
    to.version = from.version;
    to.size = from.size;
    to.has_md5 = from.has_md5;
    memcpy(to.md5, from.md5, sizeof to.md5);
    memcpy(to.media_type, from.media_type, sizeof to.media_type);
    to.state = from.state;
    to.versions++;
    memset(&from.version, 0, sizeof from.version);
    MS_TRY(ms_row_put_file(
        t->txn, ms_key_file(t->id, (struct ms_asset_id){source->id}, (struct ms_file_id){from.id}),
        &from, reterr));
    return ms_row_put_file(
        t->txn, ms_key_file(t->id, (struct ms_asset_id){keep->id}, (struct ms_file_id){to.id}), &to,
        reterr);
}

enum ms_code ms_tree_take_over(const struct ms_tree *t, struct ms_tree_asset *keep,
                               struct ms_tree_asset *source, struct ms_inode_record *source_inode,
                               const char *name, const struct ms_judged *judged,
                               struct ms_error *reterr) {
    struct ms_file_record old;
    MS_TRY(main_file(t, &keep->rec, &old, reterr));
    uint64_t others = keep->rec.bytes;
    if (!ms_version_id_is_none((struct ms_version_id){old.version}) &&
        ms_sub_u64(others, old.size, &others))
        return ms_fail(reterr, MS_CORRUPT,
                       "asset %s counts fewer bytes than its MAIN has: run msasset fsck",
                       ms_id_text(keep->rec.id).s);
    MS_TRY(move_version(t, &keep->rec, &source->rec, reterr));
    source->rec.ino = 0; /* its inode stays, under keep */
    MS_TRY(ms_change_purge(t->txn, t->id, t->who, &source->rec, MS_EVENT_FORCE_DELETE, t->now,
                           "its bytes went to the file that it replaced", reterr));
    MS_TRY(ms_change_bytes(t->txn, t->id, &keep->rec, others + source_inode->size, MS_WHY_SEAL,
                           t->now, reterr));
    keep->rec.ino = source_inode->ino;
    keep->rec.updated = t->now;
    source_inode->asset = keep->rec.id;
    struct ms_judged fit = *judged;
    fit.fits_now = keep->life.rest == MS_STATE_FAILED;
    MS_TRY(ms_row_put_asset(t->txn, ms_key_asset(t->id, (struct ms_asset_id){keep->rec.id}),
                            &keep->rec, reterr));
    return ms_tree_follow(t, keep, name, &fit, reterr);
}
