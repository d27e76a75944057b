/* node.h — nodeids: what the kernel calls an inode, within one mount.
 *
 * A nodeid stands for (inode, version generation), not for an inode number: the page cache belongs
 * to it, so after a foreign seal a fresh nodeid (the same st_ino) gives new handles new bytes while
 * old handles keep the old ones (design.md section 5). Ids count up and are never used twice.
 *
 * Invariants: N1 a node lives while the kernel counts lookups of it; N2 at most one node of an
 * inode is current; N3 the root is nodeid 1 and is never dropped. Threads: any; one lock inside.
 */
#ifndef MS_FUSE_NODE_H
#define MS_FUSE_NODE_H

#include "base/error.h"
#include "model/limits.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ms_nodes;
MS_NODISCARD enum ms_code ms_nodes_new(uint64_t root_ino, struct ms_nodes **ret_nodes,
                                       struct ms_error *reterr);
void ms_nodes_free(struct ms_nodes *nodes);

/* The inode behind a nodeid; 0 when the kernel names one that was never given. */
uint64_t ms_nodes_ino(struct ms_nodes *nodes, uint64_t nodeid);

/* The generation whose bytes the kernel may hold under a nodeid; 0 for one that was never given. */
uint64_t ms_nodes_generation(struct ms_nodes *nodes, uint64_t nodeid);

/* Count one lookup of an inode under (parent nodeid, name): its current node, or a fresh one when
 * there is none or its bytes are of another generation. 0 when memory is short. */
uint64_t ms_nodes_lookup(struct ms_nodes *nodes, uint64_t ino, uint64_t generation,
                         uint64_t parent_nodeid, const char *name);
void ms_nodes_forget(struct ms_nodes *nodes, uint64_t nodeid, uint64_t lookups);
/* A further name under which the kernel may keep the node (rename). */
void ms_nodes_named(struct ms_nodes *nodes, uint64_t ino, uint64_t parent_nodeid, const char *name);
/* This mount sealed the inode itself: its pages are the new version already. */
void ms_nodes_sealed(struct ms_nodes *nodes, uint64_t ino, uint64_t generation);

/* The current nodeid of an inode, 0 when the kernel knows none. */
uint64_t ms_nodes_current(struct ms_nodes *nodes, uint64_t ino);
/* Make the next lookup give a fresh nodeid. each is called, without the lock, for every name under
 * which the kernel may hold the old one. Returns the old nodeid or 0. */
uint64_t ms_nodes_retire(struct ms_nodes *nodes, uint64_t ino,
                         void (*each)(void *priv, uint64_t parent_nodeid, const char *name),
                         void *priv);
/* Every node that the kernel holds: a snapshot of (nodeid, ino), the caller's: free(). */
struct ms_node_ref {
    uint64_t nodeid, ino;
};
size_t ms_nodes_all(struct ms_nodes *nodes, struct ms_node_ref **ret_refs);

#endif
