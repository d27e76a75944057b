/* One asset goes from a tenant to another, inside one transaction. */
#include "service/transfer_part.h"

#include "quota/quota.h"
#include "service/upkeep_walk.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

static struct ms_lc_verdict step_of(const struct ms_tree *from, const struct ms_tree_asset *asset,
                                    bool activate) {
    struct ms_lc_facts facts = ms_tree_facts(from, &asset->rec);
    facts.activate = activate;
    return ms_lc_step(&asset->life, MS_EVENT_TRANSFER, &facts);
}

/* ---- may it go? ------------------------------------------------------------------------------ */

/* An upload that is not confirmed has intents and reservations of its own. */
static enum ms_code files_are_settled(const struct ms_tree *from, const struct ms_asset_record *a,
                                      struct ms_error *reterr) {
    struct ms_key prefix = ms_key_files_of(from->id, (struct ms_asset_id){a->id});
    struct ms_file_record file;
    struct ms_scan scan;
    struct ms_view key;
    enum ms_code code;
    bool open = false, more;
    ms_scan_prefix(&scan, from->txn, ms_key_view(&prefix));
    while ((code = ms_row_next_file(&scan, &key, &file, reterr)) == MS_OK && !open)
        open = file.state == MS_FILE_CREATING;
    ms_scan_end(&scan);
    MS_TRY(ms_allow_absent(code, &more));
    return open ? ms_fail(reterr, MS_WRONG_STATE,
                          "TRANSFER is refused: file \"%.255s\" of \"%.128s\" is still being uploaded",
                          file.name, a->name)
                : MS_OK;
}

static enum ms_code fits_quota(const struct ms_tree *to, const struct ms_asset_record *a,
                               uint64_t *bytes, struct ms_error *reterr) {
    struct ms_usage_record usage;
    enum ms_class class = ms_class_of(a->origin, a->type, a->created, to->now);
    if (!ms_class_is_metered(class))
        return MS_OK;
    MS_TRY(ms_usage_now(to->txn, to->id, to->now, to->unasked, &usage, reterr));
    uint64_t left = ms_usage_left(&to->tenant, &usage);
    *bytes += a->bytes;
    if (*bytes <= left)
        return MS_OK;
    return ms_fail(reterr, MS_QUOTA,
                   "tenant %s has %" PRIu64 " bytes of its quota left, and the transfer needs %" PRIu64
                   ": delete something, or get a package",
                   to->tenant.name, left, *bytes);
}

enum ms_code ms_transfer_check(const struct ms_tree *from, const struct ms_tree *to,
                               struct ms_asset_id id, bool activate, uint64_t *bytes,
                               struct ms_error *reterr) {
    struct ms_tree_asset asset;
    MS_TRY(ms_asset_find_in(from, id, &asset, reterr));
    struct ms_lc_verdict step = step_of(from, &asset, activate);
    if (asset.rec.origin == MS_ORIGIN_SYSTEM)
        step.rule = MS_LC_SYSTEM_ASSET;
    if (step.rule != MS_LC_ALLOWED)
        return ms_tree_refused(from, &asset, step.rule, "TRANSFER", reterr);
    MS_TRY(files_are_settled(from, &asset.rec, reterr));
    return to ? fits_quota(to, &asset.rec, bytes, reterr) : MS_OK;
}

/* ---- it goes --------------------------------------------------------------------------------- */

static enum ms_code move_version(const struct ms_tree *from, const struct ms_tree *to,
                                 struct ms_version_id id, struct ms_error *reterr) {
    struct ms_version_record version;
    struct ms_facts_record facts;
    bool probed;
    MS_TRY(ms_row_get_version(from->txn, ms_key_version(from->id, id), &version, reterr));
    MS_TRY(ms_row_put_version(from->txn, ms_key_version(to->id, id), &version, reterr));
    MS_TRY(ms_row_del(from->txn, ms_key_version(from->id, id), reterr));
    MS_TRY(ms_allow_absent(
        ms_row_get_facts(from->txn, ms_key_facts(from->id, id), &facts, reterr), &probed));
    if (!probed)
        return MS_OK;
    MS_TRY(ms_row_put_facts(from->txn, ms_key_facts(to->id, id), &facts, reterr));
    return ms_row_del(from->txn, ms_key_facts(from->id, id), reterr);
}

static enum ms_code move_file(const struct ms_tree *from, const struct ms_tree *to,
                              struct ms_asset_id asset, const struct ms_file_record *file,
                              struct ms_error *reterr) {
    struct ms_file_id id = {file->id};
    struct ms_version_id version = {file->version};
    struct ms_id owner;
    bool declared; /* whoever knows its id finds it: also at the receiver */
    MS_TRY(ms_allow_absent(ms_row_get_id(from->txn, ms_key_fowner(from->id, id), &owner, reterr),
                           &declared));
    if (declared) {
        MS_TRY(ms_row_put_id(from->txn, ms_key_fowner(to->id, id), owner, reterr));
        MS_TRY(ms_row_del(from->txn, ms_key_fowner(from->id, id), reterr));
    }
    MS_TRY(ms_row_put_file(from->txn, ms_key_file(to->id, asset, id), file, reterr));
    MS_TRY(ms_row_del(from->txn, ms_key_file(from->id, asset, id), reterr));
    return ms_version_id_is_none(version) ? MS_OK : move_version(from, to, version, reterr);
}

/* Rows name the same objects as before: no reference is taken or given. */
static enum ms_code move_files(const struct ms_tree *from, const struct ms_tree *to,
                               struct ms_asset_id asset, struct ms_error *reterr) {
    struct ms_key prefix = ms_key_files_of(from->id, asset);
    struct ms_file_record file;
    struct ms_scan scan;
    struct ms_view key;
    enum ms_code code;
    ms_scan_prefix(&scan, from->txn, ms_key_view(&prefix));
    while ((code = ms_row_next_file(&scan, &key, &file, reterr)) == MS_OK)
        if ((code = move_file(from, to, asset, &file, reterr)) != MS_OK)
            break;
    ms_scan_end(&scan);
    return ms_absent_is_fine(code, reterr);
}

/* Names and inode of the sender go as by a purge: what it has open is nobody's file any more. */
static enum ms_code leave_tree(const struct ms_tree *from, const struct ms_asset_record *asset,
                               struct ms_error *reterr) {
    if (asset->ino == 0)
        return MS_OK;
    MS_TRY(ms_change_remove_names(from->txn, from->id, asset->ino, reterr));
    return ms_change_inode_drop(from->txn, from->id, asset->ino, reterr);
}

/* The MAIN file's name, with what a name may not have as "_". */
static enum ms_code name_for(const struct ms_file_record *main, char ret_name[MS_NAME_BYTES_MAX + 1],
                             struct ms_error *reterr) {
    char nfc[MS_NAME_BYTES_MAX + 1];
    (void)snprintf(ret_name, MS_NAME_BYTES_MAX + 1, "%.*s", MS_NAME_BYTES_MAX, main->name);
    for (char *p = ret_name; *p; p++)
        if (*p == '/' || (unsigned char)*p < 0x20)
            *p = '_';
    if (ms_name_check(ret_name, nfc, NULL) == MS_OK)
        return MS_OK;
    (void)snprintf(ret_name, MS_NAME_BYTES_MAX + 1, "%s", ms_id_text(main->id).s);
    return ms_name_check(ret_name, nfc, reterr);
}

static struct ms_inode_record inode_for(const struct ms_tree *to, struct ms_asset_id asset,
                                        const struct ms_file_record *main) {
    struct ms_inode_record inode = {.mode = S_IFREG | (0666 & ~to->tenant.umask),
                                    .uid = to->tenant.uid,
                                    .gid = to->tenant.gid,
                                    .nlink = 1,
                                    .size = main->size,
                                    .asset = asset.id,
                                    .version = main->version,
                                    .generation = 1};
    ms_tree_touch(to, &inode, MS_TOUCH_ATIME | MS_TOUCH_CHANGE);
    inode.btime_s = inode.ctime_s;
    inode.btime_ns = inode.ctime_ns;
    return inode;
}

static enum ms_code enter_tree(const struct ms_tree *to, enum ms_asset_type type,
                               struct ms_asset_id asset, const struct ms_file_record *main,
                               uint64_t *ret_ino, struct ms_error *reterr) {
    struct ms_inode_record inode = inode_for(to, asset, main), dir;
    char wanted[MS_NAME_BYTES_MAX + 1], name[MS_NAME_BYTES_MAX + 1], nfc[MS_NAME_BYTES_MAX + 1];
    struct ms_found folder;
    MS_TRY(ms_tree_find(to, to->tenant.root_ino, ms_special_name(ms_asset_type_folder(type)),
                        &folder, reterr));
    if (!folder.found)
        return ms_fail(reterr, MS_CORRUPT, "tenant %s has no folder %s: run msasset fsck",
                       to->tenant.name, ms_special_name(ms_asset_type_folder(type)));
    MS_TRY(name_for(main, wanted, reterr));
    MS_TRY(ms_tree_free_name(to, folder.inode.ino, wanted, name, reterr));
    MS_TRY(ms_name_check(name, nfc, reterr));
    MS_TRY(ms_txn_number(to->txn, "ino", &inode.ino, reterr));
    MS_TRY(ms_tree_dir(to, folder.inode.ino, &dir, reterr));
    MS_TRY(ms_tree_name_add(to, &dir, nfc, name, &inode, reterr));
    MS_TRY(ms_tree_put(to, &dir, reterr));
    *ret_ino = inode.ino;
    return ms_change_inode_new(to->txn, to->id, &inode, reterr);
}

enum ms_code ms_transfer_move(const struct ms_tree *from, const struct ms_tree *to,
                              struct ms_asset_id id, bool activate, const char *why,
                              struct ms_error *reterr) {
    struct ms_tree_asset asset;
    struct ms_file_record main;
    uint64_t ino;
    MS_TRY(ms_asset_find_in(from, id, &asset, reterr));
    struct ms_lc_verdict step = step_of(from, &asset, activate);
    MS_ASSERT(step.rule == MS_LC_ALLOWED);
    MS_TRY(ms_row_get_file(from->txn,
                           ms_key_file(from->id, id, (struct ms_file_id){asset.rec.main_file}),
                           &main, reterr));
    MS_TRY(leave_tree(from, &asset.rec, reterr));
    MS_TRY(move_files(from, to, id, reterr));
    MS_TRY(enter_tree(to, (enum ms_asset_type)asset.rec.type, id, &main, &ino, reterr));
    return ms_change_transfer(from->txn, from->id, to->id, from->who, &asset.rec, &step.next, ino,
                              why, reterr);
}
