/* vtree.h — the two folders that a mount adds to its root: .trash/ and .msasset/.
 *
 * .trash/ is the recycle bin as a tree: every file that lies in it, at the path where it was, with
 * folders made of the bin's records. What is moved out of it is restored, what is removed there is
 * deleted for good, what is moved into it is deleted. Files in it are real: their numbers are those
 * of their inodes, and they are opened with ms_file_open(). .msasset/ shows what is known of the
 * tenant, read-only: texts that are made when they are opened, and every asset's files by its id.
 *
 *   .trash/<original path>
 *   .msasset/usage.json     what ms_tenant_quota() says
 *           /pending.json   files that are being written (intents and leases), uploads that wait, edits in review
 *           /stats          figures of the store and of this process's cache, a name and a number
 *                           a line
 *           /assets/<asset id>/asset.json, <CATEGORY>/<file>
 *
 * Names in .trash/: folders keep theirs; a file whose name is taken in its folder gets " (2)",
 * " (3)" and so on. A name once given stays with its file for as long as the struct ms_vtree lives,
 * so that removing one of two does not rename the other under a program's hands; another mount may
 * number them otherwise. A folder appears with the first file below it and leaves the listing with
 * the last one; it can still be named (and removed) while the kernel remembers it, or "rm -r" would
 * complain. Files that time has deleted for good are not shown, swept or not; what time has put
 * into the bin appears when it is swept. What went with its folder shows at once.
 *
 * Numbers of virtual things have bit 63 set, which no inode has. They are hashes of what they stand
 * for, told apart where two are equal, and hold while the struct ms_vtree knows them: as long as
 * the kernel counts lookups.
 *
 * The bin is read once, then followed through the change feed inside the transaction that answers,
 * so what anybody has committed shows at once. About 200 bytes of memory for each file in the bin,
 * once .trash/ is used.
 *
 * Threads: any; one lock inside, not held across a commit.
 */
#ifndef MS_SERVICE_VTREE_H
#define MS_SERVICE_VTREE_H

#include "service/tree.h"

#define MS_VTREE_BIT (UINT64_C(1) << 63)
static inline bool ms_vtree_is(uint64_t ino) { return (ino & MS_VTREE_BIT) != 0; }
/* Whether the root's folder of that name is one of the two. */
bool ms_vtree_is_reserved(const char *name);

struct ms_vtree;
MS_NODISCARD enum ms_code ms_vtree_new(struct ms_svc *svc, struct ms_tenant_id tenant,
                                       uint64_t root_ino, struct ms_vtree **ret_vtree,
                                       struct ms_error *reterr);
void ms_vtree_free(struct ms_vtree *vtree); /* NULL is fine */

/* ---- looking --------------------------------------------------------------------------------- */

/* dir: the root's inode number or a virtual folder's. ret_node->inode.ino is a virtual number,
 * whose lookups are counted (this is one), or that of a file in the bin. Errors: MS_NOT_FOUND,
 * MS_NOT_DIR, MS_BAD_NAME. */
MS_NODISCARD enum ms_code ms_vtree_lookup(struct ms_vtree *vtree, const struct ms_ctx *ctx,
                                          uint64_t dir, const char *name, struct ms_node *ret_node,
                                          struct ms_error *reterr);
void ms_vtree_forget(struct ms_vtree *vtree, uint64_t ino, uint64_t lookups);
/* Of a virtual number. The size of a text is what it would be now. */
MS_NODISCARD enum ms_code ms_vtree_node(struct ms_vtree *vtree, const struct ms_ctx *ctx,
                                        uint64_t ino, struct ms_node *ret_node,
                                        struct ms_error *reterr);
/* Contents of a virtual folder behind offset `after` (below 3: from the start), in order of
 * node->seq, which is below 2^63. Of the root: its two virtual folders. counted: this is a lookup
 * of each virtual number. *ret_n 0: the end. */
MS_NODISCARD enum ms_code ms_vtree_list(struct ms_vtree *vtree, const struct ms_ctx *ctx,
                                        uint64_t dir, uint64_t after, bool counted,
                                        struct ms_node *ret_nodes, size_t max, size_t *ret_n,
                                        struct ms_error *reterr);

/* Open a virtual file for reading: *ret_ino is the inode whose bytes it shows, for ms_file_open(),
 * or 0 and ret_text has its text as it is now. Errors: MS_READ_ONLY for write; MS_IS_DIR;
 * MS_NOT_READABLE a file of an asset without a version of its own. */
MS_NODISCARD enum ms_code ms_vtree_open(struct ms_vtree *vtree, const struct ms_ctx *ctx,
                                        uint64_t ino, bool write, struct ms_buf *ret_text,
                                        uint64_t *ret_ino, struct ms_error *reterr);

/* ---- changing -------------------------------------------------------------------------------- */

/* Whatever has no meaning in a virtual folder or on a virtual thing (ino; the root for one of its
 * two names): making, linking, writing, attributes. Errors: MS_READ_ONLY in .msasset/,
 * MS_NOT_PERMITTED in .trash/, MS_BUSY in the root. */
enum ms_code ms_vtree_refused(struct ms_vtree *vtree, uint64_t ino, const char *what,
                              struct ms_error *reterr);

/* A file of .trash/ is deleted for good. Errors: as above; MS_IS_DIR; MS_WRONG_STATE bound to an
 * auto-renewing package. */
MS_NODISCARD enum ms_code ms_vtree_unlink(struct ms_vtree *vtree, const struct ms_ctx *ctx,
                                          uint64_t dir, const char *name, struct ms_error *reterr);
/* A folder of .trash/ that shows nothing any more. Errors: as above; MS_NOT_EMPTY, MS_NOT_DIR. */
MS_NODISCARD enum ms_code ms_vtree_rmdir(struct ms_vtree *vtree, const struct ms_ctx *ctx,
                                         uint64_t dir, const char *name, struct ms_error *reterr);

/* A rename with a virtual folder on either side (keep_open is found out here).
 *   out of .trash/    restores: a file in one commit, also over another file, which goes the way of
 *                     a replaced one; a folder, to a name that is free, 64 files
 *                     a commit, and what cannot be restored stays.
 *   into .trash/      deletes: a file goes to the bin however young it is, and shows there at the
 *                     path where it was, whatever new_name says; what the bin does not take (links,
 *                     a name beside others, a file nobody has closed yet) goes as by unlink. A
 *                     folder goes as a whole (ms_tree_bin); where the bin is off, for good, 64 files
 *                     a commit, then the folder.
 * *ret_moved: what the mount must know. Errors: as above; MS_NOT_PERMITTED inside .trash/;
 * MS_WRONG_STATE; MS_EXISTS no_replace; MS_IS_DIR, MS_NOT_DIR, MS_NOT_EMPTY, MS_WRONG_KIND. */
struct ms_vmoved {
    bool binned;   /* new_parent has no such name: the kernel must not believe in it */
    uint64_t ino;  /* of a file that was restored; else 0 */
    /* files that were restored or deleted, also when it failed in the middle; a folder that went as a whole
     * is one */
    uint64_t done;
};
MS_NODISCARD enum ms_code ms_vtree_rename(struct ms_vtree *vtree, const struct ms_ctx *ctx,
                                          const struct ms_rename *rename,
                                          struct ms_vmoved *ret_moved, struct ms_error *reterr);

#endif
