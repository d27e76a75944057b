/* attr.h — from a node of the tree to what the kernel wants: struct stat, entries, timeouts. */
#ifndef MS_FUSE_ATTR_H
#define MS_FUSE_ATTR_H

#include "fuse/mount.h"

/* Caches are told when something changes, so timeouts are long; 0 where the kernel could not be
 * told. */
#define MS_TIMEOUT_S 3600.0

void ms_attr_fill(const struct ms_node *node, struct stat *ret_st);
/* Look the node up in the node table (one count for the kernel) and fill an entry. name: as it was
 * asked; a spelling other than the stored one must not be cached, for the kernel could not be told
 * of its change. live: what ms_file_overlay said of the node. */
MS_NODISCARD enum ms_code ms_entry_fill(struct ms_mount *mount, uint64_t parent_nodeid,
                                        const char *name, const struct ms_node *node, bool live,
                                        struct fuse_entry_param *ret_entry,
                                        struct ms_error *reterr);
/* Entry for a node that was just found or made; on a failed reply the count is taken back. */
void ms_reply_entry(fuse_req_t req, const char *op, uint64_t parent_nodeid, const char *name,
                    struct ms_node *node);

#endif
