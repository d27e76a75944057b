/* error.c — LMDB's results in our words. */
#include "store/internal.h"

#include <inttypes.h>

static enum ms_code code_of(int rc) {
    switch (rc) {
    case MDB_NOTFOUND:
        return MS_NOT_FOUND;
    case MDB_MAP_FULL:
    case ENOSPC:
    case EDQUOT: /* the disk's quota, not a tenant's */
    case EFBIG:
        return MS_NO_SPACE;
    case MDB_TXN_FULL:
        return MS_RANGE;
    case MDB_READERS_FULL:
    case ENOMEM:
        return MS_NO_MEMORY;
    case MDB_PAGE_NOTFOUND:
    case MDB_CORRUPTED:
    case MDB_INVALID:
        return MS_CORRUPT;
    case MDB_VERSION_MISMATCH:
        return MS_NEWER_FORMAT;
    case MDB_PANIC:
        return MS_PANIC;
    default:
        return rc > 0 ? ms_code_from_errno(rc) : MS_INTERNAL;
    }
}

enum ms_code ms_store_fail(struct ms_store *store, struct ms_error *reterr, int rc,
                           const char *what) {
    enum ms_code code = code_of(rc);

    if (code == MS_PANIC)
        atomic_store(&store->panic, 1);
    if (rc == MDB_MAP_FULL || rc == MDB_TXN_FULL)
        store->w.no_room = rc; /* only writes end so, and who leads makes room */
    switch (rc) {
    case MDB_MAP_FULL:
        return ms_fail(reterr, code,
                       "%s: the metadata of %s has reached its limit of %" PRIu64 " bytes", what,
                       store->dir, store->options.map_bytes_max);
    case MDB_TXN_FULL:
        return ms_fail(reterr, code, "%s: one operation changes too many pages; split it", what);
    case MDB_READERS_FULL:
        return ms_fail(reterr, code, "%s: all %u reader slots of %s are in use", what,
                       store->options.readers_max, store->dir);
    case MDB_PANIC:
        return ms_fail(reterr, code, "%s: writing %s failed earlier; restart this program", what,
                       store->dir);
    case MDB_NOTFOUND:
        return ms_fail(reterr, code, "%s: no such record", what);
    default:
        return ms_fail(reterr, code, "%s in %s/meta: %s", what, store->dir, mdb_strerror(rc));
    }
}
