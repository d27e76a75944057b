/* Room on the disk: blocks behind the metadata are kept, so that a disk that others have filled does not keep a user
 * from deleting. Pages that LMDB frees are not enough: what a commit frees only a later one may use. */
#include "store/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#define ROOM_BYTES ((uint64_t)16 << 20)
#define ROOM_OF_DISK 8 /* of a small disk at most this part */

static uint64_t used_bytes(struct ms_store *store) {
    MDB_envinfo info;

    return mdb_env_info(store->env, &info) == 0 ? ((uint64_t)info.me_last_pgno + 1) * store->page_bytes : 0;
}

static uint64_t wanted_bytes(struct ms_store *store) {
    struct statvfs fs;
    uint64_t part;

    if (fstatvfs(store->dir_fd, &fs) != 0)
        return ROOM_BYTES;
    part = (uint64_t)fs.f_blocks * fs.f_frsize / ROOM_OF_DISK;
    return part < ROOM_BYTES ? part : ROOM_BYTES;
}

/* Another process may have got them, or an earlier life of this one. */
static uint64_t allocated_bytes(int fd) {
    struct stat st;

    return fstat(fd, &st) == 0 ? (uint64_t)st.st_blocks * 512 : 0;
}

static uint64_t count_free(struct ms_txn *txn) {
    uint64_t pages = 0;
    MDB_cursor *c = NULL;
    MDB_val k, v;

    if (mdb_cursor_open(txn->mdb, 0, &c) != 0)
        return 0;
    while (mdb_cursor_get(c, &k, &v, MDB_NEXT) == 0) {
        size_t n;

        if (v.mv_size < sizeof n)
            continue;
        memcpy(&n, v.mv_data, sizeof n);
        pages += n;
    }
    mdb_cursor_close(c);
    return pages * txn->store->page_bytes;
}

uint64_t ms_room_free_bytes(struct ms_store *store) {
    struct ms_txn *txn;
    uint64_t bytes;

    if (ms_read_begin(store, &txn, NULL) != MS_OK)
        return 0;
    bytes = count_free(txn);
    ms_read_end(txn);
    return bytes;
}

static uint64_t left_bytes(struct ms_store *store, int fd, uint64_t used) {
    uint64_t allocated = allocated_bytes(fd);

    return (allocated > used ? allocated - used : 0) + ms_room_free_bytes(store);
}

/* The file's size stays: only blocks are taken. A file system that cannot do it is not asked again. */
static void ask(struct ms_store *store, int fd, uint64_t used) {
    uint64_t wanted = wanted_bytes(store);

    store->w.no_disk = false;
    if (wanted == 0)
        return;
    if (fallocate(fd, FALLOC_FL_KEEP_SIZE, (off_t)used, (off_t)wanted) == 0)
        store->w.room_low = used + wanted / 2;
    else if (errno == ENOSPC || errno == EDQUOT)
        store->w.no_disk = left_bytes(store, fd, used) < wanted / 2;
    else if (errno != EINTR)
        store->w.room_low = UINT64_MAX;
}

void ms_room_keep(struct ms_store *store) {
    uint64_t used = used_bytes(store);
    int fd;

    if (used > store->w.room_low && mdb_env_get_fd(store->env, &fd) == 0)
        ask(store, fd, used);
}

bool ms_room_refuses(struct ms_store *store, const struct ms_write *write, struct ms_error *reterr) {
    if (!store->w.no_disk || write->frees)
        return false;
    (void)ms_fail(reterr, MS_NO_SPACE,
                  "the disk of %s is full, and what the metadata has left is kept for deletes: delete something for "
                  "good (msasset purge, then msasset gc) or make room on the disk", store->dir);
    return true;
}
