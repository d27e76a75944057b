/* tree_check.h — the invariants of a tenant's tree, compared row by row: for fsck, and for tests
 * after every step.
 *
 * T1 to T5 of tree.h, and what ties the tree to the rest: an inode's asset names that inode; a
 * version has the size of its inode; orphans and unsealed files stand in ORPHAN; a folder counts
 * what the bin has from it; usage.inodes is the number of inodes. Works in bounded reads, table by
 * table, so it may run on a live store: what differs only because somebody is at work is looked at
 * again before it is reported.
 *
 * Threads: any.
 */
#ifndef MS_SERVICE_TREE_CHECK_H
#define MS_SERVICE_TREE_CHECK_H

#include "service/service.h"

struct ms_tree_check {
    /* invariant: "T1", "usage" ... text: what was found where. */
    void (*finding)(void *priv, const char *invariant, const char *text);
    void *priv;
};
/* *ret_inodes: how many there are. Errors: those of reads; a broken invariant is no error. */
MS_NODISCARD enum ms_code ms_tree_check(struct ms_svc *svc, struct ms_tenant_id tenant,
                                        const struct ms_tree_check *check, uint64_t *ret_inodes,
                                        struct ms_error *reterr);

#endif
