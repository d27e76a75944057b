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

/* May a handle on bytes of this generation be opened under the nodeid? Not when it is retired or
 * holds pages of older bytes: then the kernel has to look the name up again. It does so once; when
 * somebody has sealed again meanwhile, the handle must do without the kernel's pages. */
enum ms_node_fit { MS_NODE_FITS, MS_NODE_LOOK_AGAIN, MS_NODE_GO_ROUND };
enum ms_node_fit ms_nodes_fit(struct ms_nodes *nodes, uint64_t nodeid, uint64_t generation);

/* Count one lookup of an inode under (parent nodeid, name): its current node, or a fresh one when
 * there is none or it is older. live: the bytes are those of an open file that is being written
 * here, and generation is what it lies on: then its node is meant, also when there is a newer one.
 * 0 when memory is short. */
struct ms_node_key {
    uint64_t ino, generation;
    bool live;
};
uint64_t ms_nodes_lookup(struct ms_nodes *nodes, const struct ms_node_key *key,
                         uint64_t parent_nodeid, const char *name);
void ms_nodes_forget(struct ms_nodes *nodes, uint64_t nodeid, uint64_t lookups);
/* A name under which the kernel may keep the node (rename), and one under which it does not any
 * more. */
void ms_nodes_named(struct ms_nodes *nodes, uint64_t ino, uint64_t parent_nodeid, const char *name);
void ms_nodes_unnamed(struct ms_nodes *nodes, uint64_t ino, uint64_t parent_nodeid,
                      const char *name);

/* This mount sealed what nodes of generation `from` show: they are `to` now. */
void ms_nodes_sealed(struct ms_nodes *nodes, uint64_t ino, uint64_t from, uint64_t to);
/* Make the next lookup give a fresh nodeid, if the current one is older than that generation: then
 * true. */
bool ms_nodes_retire(struct ms_nodes *nodes, uint64_t ino, uint64_t generation);
/* Whether ms_nodes_retire or ms_nodes_take_names(all: false) would find something to do. */
bool ms_nodes_are_old(struct ms_nodes *nodes, uint64_t ino, uint64_t generation);

/* The pages of nodes that show this generation are of bytes that are gone: none of them is given
 * again. */
void ms_nodes_spoil(struct ms_nodes *nodes, uint64_t ino, uint64_t generation);

/* The current nodeid of an inode, 0 when the kernel knows none. */
uint64_t ms_nodes_current(struct ms_nodes *nodes, uint64_t ino);
/* Take the names under which the kernel may hold retired nodes of an inode, or all of its nodes;
 * each is called for every one, without the lock. True: there were some. */
bool ms_nodes_take_names(struct ms_nodes *nodes, uint64_t ino, bool all,
                         void (*each)(void *priv, uint64_t parent_nodeid, const char *name),
                         void *priv);
/* Every node that the kernel holds, or every one of an inode: a snapshot, the caller's: free().
 * Without memory none. */
struct ms_node_ref {
    uint64_t nodeid, ino;
    bool current;
};
size_t ms_nodes_all(struct ms_nodes *nodes, uint64_t ino_or_0, struct ms_node_ref **ret_refs);

#endif
