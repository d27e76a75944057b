/* held.h — a new MAIN of a finished asset that waits for review beside the live one (product.md
 * section 3.4). Steps of write operations; not for front ends.
 *
 * The asset's inode has the held version, and so its owner's mount and CLI show the held bytes. The
 * MAIN file's row keeps the live version: who goes by it (copies, shares, use) sees the old bytes. The
 * case in REVIEW names the held version; where an upload brought it, also the TEMPORARY that has it.
 * Held bytes are counted beside the live ones (bill.md section 2): in the asset's figure from the seal
 * to the verdict.
 *
 * H1 a held version is the inode's, and a version of the asset.  H2 without one the inode's version is
 * MAIN's.  fsck checks both.
 *
 * Threads: as struct ms_tree.
 */
#ifndef MS_SERVICE_HELD_H
#define MS_SERVICE_HELD_H

#include "service/tree_rows.h"

struct ms_held {
    struct ms_version_id version; /* none: no MAIN is held */
    struct ms_file_id file;       /* its TEMPORARY; none: MAIN itself was written */
    uint64_t bytes;
    char media_type[129];
};
static inline bool ms_held_any(const struct ms_held *held) {
    return !ms_version_id_is_none(held->version);
}

/* The case of an asset; *ret_there false: no verdict is outstanding, and the row is zeroed. */
MS_NODISCARD enum ms_code ms_held_case(const struct ms_tree *t, const struct ms_asset_record *asset,
                                       struct ms_review_record *ret_row, bool *ret_there,
                                       struct ms_error *reterr);
/* What the asset holds; zeroed when nothing. */
MS_NODISCARD enum ms_code ms_held_of(const struct ms_tree *t, const struct ms_asset_record *asset,
                                     struct ms_held *ret_held, struct ms_error *reterr);
/* Whether a new MAIN of the asset waits for a verdict now: it is finished, and its tenant's uploads
 * are reviewed, or an earlier one waits that this one replaces. */
bool ms_held_waits(const struct ms_tree *t, const struct ms_life *life, const struct ms_held *held);
/* What is metered already of what a new MAIN replaces: the live bytes, or where it will wait, only those
 * of the one that waits before it. */
uint64_t ms_held_base(bool waits, const struct ms_held *held, uint64_t live_bytes);

/* The inode of the asset as everyone but its owner sees it: with the live bytes. */
MS_NODISCARD enum ms_code ms_held_as_live(const struct ms_tree *t,
                                          const struct ms_asset_record *asset,
                                          struct ms_inode_record *inode, struct ms_error *reterr);

/* Hold that version aside: in_review, the case, what was held before goes. Its version row (and that of
 * its TEMPORARY) and the asset's bytes are the caller's; so is the inode. The asset's record is stored.
 * Errors: MS_WRONG_STATE. */
MS_NODISCARD enum ms_code ms_held_put(const struct ms_tree *t, struct ms_tree_asset *asset,
                                      const struct ms_held *held, struct ms_error *reterr);
/* The held version becomes MAIN's, the live one goes; the asset's bytes follow. Its record is changed,
 * not stored; the case and in_review are the caller's. */
MS_NODISCARD enum ms_code ms_held_live(const struct ms_tree *t, struct ms_asset_record *asset,
                                       const struct ms_held *held, struct ms_error *reterr);
/* The held version goes, and the owner sees the live one again. The same is the caller's.
 *   why  stands at the TEMPORARY */
MS_NODISCARD enum ms_code ms_held_drop(const struct ms_tree *t, struct ms_asset_record *asset,
                                       const struct ms_held *held, const char *why,
                                       struct ms_error *reterr);
/* Of an asset that is in review itself (review.c): what is looked at is another one now, and a verdict on what was
 * there before no longer fits. */
MS_NODISCARD enum ms_code ms_case_look_again(const struct ms_tree *t, struct ms_asset_id id,
                                             struct ms_error *reterr);
/* The inode has these bytes now: a generation of its own, and mounts hear of it. */
MS_NODISCARD enum ms_code ms_held_show(const struct ms_tree *t, uint64_t ino,
                                       struct ms_version_id version, uint64_t bytes,
                                       struct ms_error *reterr);

#endif
