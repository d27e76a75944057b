/* ops_xattr.c — extended attributes; user.msasset.* are the service's. */
#include "fuse/attr.h"
#include "fuse/node.h"
#include "fuse/virtual.h"

#include <sys/xattr.h>

void ms_op_setxattr(fuse_req_t req, fuse_ino_t nodeid, const char *name, const char *value,
                    size_t size, int flags) {
    struct ms_mount *mount = ms_mount_of(req);
    struct ms_ctx ctx = ms_mount_ctx(mount, req);
    struct ms_error err = {0};
    enum ms_xattr_how how = flags & XATTR_CREATE    ? MS_XATTR_CREATE
                            : flags & XATTR_REPLACE ? MS_XATTR_REPLACE
                                                    : MS_XATTR_ANY;
    if (ms_virtual_is(nodeid)) {
        ms_virtual_refuse(req, nodeid, "setxattr", "changing attributes");
        return;
    }
    enum ms_code code = ms_tree_xattr_set(mount->svc, &ctx, ms_nodes_ino(mount->nodes, nodeid),
                                          name, ms_view_of(value, size), how, &err);
    if (code != MS_OK)
        ms_reply_failure(req, "setxattr", code, &err);
    else
        (void)fuse_reply_err(req, 0);
}

/* The size when it is asked for, the bytes when they fit, ERANGE otherwise. */
static void reply_value(fuse_req_t req, const struct ms_buf *value, size_t size) {
    if (size == 0)
        (void)fuse_reply_xattr(req, value->len);
    else if (size < value->len)
        (void)fuse_reply_err(req, ERANGE);
    else
        (void)fuse_reply_buf(req, (const char *)value->data, value->len);
}

void ms_op_getxattr(fuse_req_t req, fuse_ino_t nodeid, const char *name, size_t size) {
    struct ms_mount *mount = ms_mount_of(req);
    struct ms_ctx ctx = ms_mount_ctx(mount, req);
    struct ms_error err = {0};
    MS_AUTO(ms_buf_fini) struct ms_buf value = {0};
    if (ms_virtual_is(nodeid)) {
        ms_virtual_getxattr(req);
        return;
    }
    enum ms_code code =
        ms_tree_xattr_get(mount->svc, &ctx, ms_nodes_ino(mount->nodes, nodeid), name, &value, &err);
    if (code != MS_OK)
        ms_reply_failure(req, "getxattr", code, &err);
    else
        reply_value(req, &value, size);
}

void ms_op_listxattr(fuse_req_t req, fuse_ino_t nodeid, size_t size) {
    struct ms_mount *mount = ms_mount_of(req);
    struct ms_ctx ctx = ms_mount_ctx(mount, req);
    struct ms_error err = {0};
    MS_AUTO(ms_buf_fini) struct ms_buf names = {0};
    if (ms_virtual_is(nodeid)) {
        ms_virtual_listxattr(req, size);
        return;
    }
    enum ms_code code =
        ms_tree_xattr_list(mount->svc, &ctx, ms_nodes_ino(mount->nodes, nodeid), &names, &err);
    if (code != MS_OK)
        ms_reply_failure(req, "listxattr", code, &err);
    else
        reply_value(req, &names, size);
}

void ms_op_removexattr(fuse_req_t req, fuse_ino_t nodeid, const char *name) {
    struct ms_mount *mount = ms_mount_of(req);
    struct ms_ctx ctx = ms_mount_ctx(mount, req);
    struct ms_error err = {0};
    if (ms_virtual_is(nodeid)) {
        ms_virtual_refuse(req, nodeid, "removexattr", "changing attributes");
        return;
    }
    enum ms_code code =
        ms_tree_xattr_remove(mount->svc, &ctx, ms_nodes_ino(mount->nodes, nodeid), name, &err);
    if (code != MS_OK)
        ms_reply_failure(req, "removexattr", code, &err);
    else
        (void)fuse_reply_err(req, 0);
}
