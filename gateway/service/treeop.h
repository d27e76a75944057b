/* treeop.h — a folder that goes into the recycle bin as one operation, and what that makes of the assets
 * below it.
 *
 * ms_tree_bin() takes the folder's name away and writes a TREEOP row, in one commit, however much there is in
 * it. From then on the folder is a removed one that the bin remembers (nlink 0), and what lay below it lies
 * there still: names, entries and links are as they were, but they lead to no root. So:
 *
 *   - a folder is in the tree when it and all above it have links (ms_treeop_above);
 *   - an asset whose every name leads to such a folder is in the bin since the instant of the operation that
 *     took the last of them (ms_treeop_of). Readers see it so, writers apply it first, like a deadline that
 *     has come. Both go by the operation's own instant, actor and retention, so it makes no difference who
 *     does it, and when.
 *
 * ms_tree_settle_some() then writes the rows, entry by entry: whatever it finds in the folder goes, a folder
 * when it is empty. There is no cursor that could be wrong: what is done is not there any more. In the end the
 * folder has no entries, its row in TREEOP goes, and all is as if each file had been deleted by itself.
 *
 * A record of the tenant counts its open operations; while it is 0 nobody looks for them.
 *
 * Invariants: I14 each open operation has a row in TREEOP and one in DUE at its instant, its folder is a
 * removed one that counts it as a thing in the bin, and the tenant's record has the number of them.
 *
 * Threads: as the transaction. See: design.md section 1, "Tree operations".
 */
#ifndef MS_SERVICE_TREEOP_H
#define MS_SERVICE_TREEOP_H

#include "service/tree_rows.h"

/* The removed folder at or above dir; 0: dir leads to the root. What leads nowhere is fsck's to name. */
MS_NODISCARD enum ms_code ms_treeop_above(struct ms_txn *txn, struct ms_tenant_id tenant, uint64_t dir,
                                          uint64_t *ret_removed, struct ms_error *reterr);
/* Whether dir is in the tree; true without a look while the tenant has no operation. */
MS_NODISCARD enum ms_code ms_treeop_attached(const struct ms_tree *t, uint64_t dir, bool *ret_attached,
                                             struct ms_error *reterr);
/* The operation that removed the folder, while it is open. */
MS_NODISCARD enum ms_code ms_treeop_of_folder(struct ms_txn *txn, struct ms_tenant_id tenant,
                                              uint64_t folder, struct ms_treeop_record *ret_op,
                                              bool *ret_there, struct ms_error *reterr);
/* The operation that took the last name of inode ino out of the tree. *ret_there false: there is none. */
MS_NODISCARD enum ms_code ms_treeop_of(struct ms_txn *txn, const struct ms_tenant_record *tenant,
                                       uint64_t ino, struct ms_treeop_record *ret_op, bool *ret_there,
                                       struct ms_error *reterr);
/* What a reader sees: *life, as stored, becomes what it was right after such an operation, with all that was
 * due before it. Unchanged when there is none. */
MS_NODISCARD enum ms_code ms_treeop_life(const struct ms_tree *t, const struct ms_asset_record *asset,
                                         struct ms_life *life, struct ms_error *reterr);
/* What a writer does: the rows of an asset that the operation took. What was due before op->at is applied. */
MS_NODISCARD enum ms_code ms_treeop_apply(struct ms_txn *txn, const struct ms_tenant_record *tenant,
                                          const struct ms_treeop_record *op,
                                          struct ms_asset_record *asset, struct ms_error *reterr);
/* Names of the inode that lead nowhere go, so that nlink counts the others; it is changed, not stored. */
MS_NODISCARD enum ms_code ms_treeop_drop_names(const struct ms_tree *t, struct ms_inode_record *inode,
                                               struct ms_error *reterr);
/* Its row, its due row and its number in the tenant's record (t->tenant follows). */
MS_NODISCARD enum ms_code ms_treeop_open(struct ms_tree *t, const struct ms_treeop_record *op,
                                         struct ms_error *reterr);
MS_NODISCARD enum ms_code ms_treeop_close(struct ms_tree *t, const struct ms_treeop_record *op,
                                          struct ms_error *reterr);

#endif
