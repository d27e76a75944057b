/* folder.c — what lies in a store's folder, and how it comes into being.
 *
 * A new store is made as meta.new and renamed to meta when everything in it is on disk: a cut before that leaves a
 * folder in which it is made again, a cut after it leaves a whole store. Openers hold a lock on the folder while
 * they look, make and open, because two of them may race and LMDB's own opening is not safe against closing. */
#include "store/internal.h"

#include "base/assert.h"
#include "base/codec.h"

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#define HEADER_MAGIC "msasset"
#define LOCK_TRIES 1000
#define LOCK_PAUSE_NS INT64_C(10000000)
#define FIRST_MAP_BYTES ((size_t)1 << 20)
#define LOCK_BYTES(readers)                                                                        \
    (192 + 64 * (off_t)(readers)) /* a missing one; LMDB makes of any size what fits */

static const struct {
    unsigned long type;
    const char *name;
} not_local[] = {
    {0x6969, "NFS"},          {0x65735546, "FUSE"},     {0x01021997, "9p"},
    {0xff534d42, "CIFS"},     {0x517b, "SMB"},          {0xfe534d42, "SMB2"},
    {0x00c36400, "Ceph"},     {0x5346414f, "AFS"},      {0x6b414653, "AFS"},
    {0x73757245, "Coda"},     {0x0bd00bd0, "Lustre"},   {0x01161970, "GFS2"},
    {0x7461636f, "OCFS2"},    {0x47504653, "GPFS"},     {0x19830326, "BeeGFS"},
    {0x013111a8, "IBRIX"},    {0x20030528, "OrangeFS"}, {0x786f4256, "vboxsf"},
    {0x6a656a63, "virtiofs"}, {0x564c, "NCP"},
};

enum ms_code ms_folder_check_fs(long type, const char *dir, struct ms_error *reterr) {
    for (size_t i = 0; i < MS_ARRAY_LEN(not_local); i++)
        if (((unsigned long)type & 0xffffffff) == not_local[i].type)
            return ms_fail(reterr, MS_UNSUPPORTED,
                           "%s lies on %s; the metadata needs a local file system, because its "
                           "locks and memory "
                           "map are not safe there: choose a folder on a local disk",
                           dir, not_local[i].name);
    return MS_OK;
}

enum ms_code ms_folder_lock(const char *dir, int dir_fd, struct ms_error *reterr) {
    for (unsigned i = 0; i < LOCK_TRIES; i++) {
        if (flock(dir_fd, LOCK_EX | LOCK_NB) == 0)
            return MS_OK;
        if (errno != EWOULDBLOCK && errno != EINTR)
            return ms_fail_errno(reterr, errno, "cannot lock %s", dir);
        ms_clock_sleep_ns(LOCK_PAUSE_NS);
    }
    return ms_fail(reterr, MS_BUSY,
                   "another program has held the lock on %s for 10 s; see whether one is stopped "
                   "while it opens the store",
                   dir);
}

void ms_folder_unlock(int dir_fd) { flock(dir_fd, LOCK_UN); }

/* ---- what is there --------------------------------------------------------------------------- */

/* Names that an interrupted creation leaves, and mkfs. */
static bool is_leftover(const char *name) {
    return strcmp(name, "meta.new") == 0 || strcmp(name, "run") == 0 ||
           strcmp(name, "lost+found") == 0;
}

/* The first entry that is not one of ours. */
static enum ms_code find_foreign(struct ms_store *store, char ret_name[256],
                                 struct ms_error *reterr) {
    int fd = openat(store->dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *d = fd >= 0 ? fdopendir(fd) : NULL;
    struct dirent *e;

    ret_name[0] = '\0';
    if (!d) {
        int err = errno;

        if (fd >= 0)
            close(fd);
        return ms_fail_errno(reterr, err, "cannot list %s", store->dir);
    }
    while (!ret_name[0] && (e = readdir(d)))
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0 && !is_leftover(e->d_name))
            snprintf(ret_name, 256, "%s", e->d_name);
    closedir(d);
    return MS_OK;
}

static enum ms_code refuse_absent(struct ms_store *store, const char *foreign,
                                  struct ms_error *reterr) {
    if (foreign[0])
        return ms_fail(reterr, MS_FOREIGN,
                       "%s is not a store of msasset: it holds '%s' but no meta/data.mdb; name "
                       "another folder, an "
                       "empty or a new one for a new store",
                       store->dir, foreign);
    return ms_fail(reterr, MS_NOT_FOUND, "there is no store in %s; make one with: msasset init",
                   store->dir);
}

/* ---- making ---------------------------------------------------------------------------------- */

static void remove_half_made(int dir_fd) {
    unlinkat(dir_fd, "meta.new/data.mdb", 0);
    unlinkat(dir_fd, "meta.new/lock.mdb", 0);
    unlinkat(dir_fd, "meta.new", AT_REMOVEDIR);
}

static enum ms_code sync_folder(int dir_fd, const char *name, struct ms_error *reterr) {
    int fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int rc = fd >= 0 ? fsync(fd) : -1;
    int err = errno;

    if (fd >= 0)
        close(fd);
    return rc == 0 ? MS_OK : ms_fail_errno(reterr, err, "cannot sync the folder %s", name);
}

/* LMDB stores into its lock file through a map: give it its blocks first, or a full disk is a SIGBUS. Before the
 * environment is open, because closing this descriptor later would drop LMDB's locks. */
static enum ms_code reserve_lock(struct ms_store *store, const char *name,
                                 struct ms_error *reterr) {
    int fd = openat(store->dir_fd, name, O_RDWR | O_CREAT | O_CLOEXEC, 0660), err = 0;
    struct stat st;

    if (fd < 0)
        return ms_fail_errno(reterr, errno, "cannot open %s/%s", store->dir, name);
    if (fstat(fd, &st) != 0)
        err = errno;
    else
        err = posix_fallocate(fd, 0,
                              st.st_size > 0 ? st.st_size : LOCK_BYTES(store->options.readers_max));
    close(fd);
    if (err == ENOSPC || err == EDQUOT)
        return ms_fail(reterr, MS_NO_SPACE,
                       "no space for the lock file %s/%s; make some room first", store->dir, name);
    return err == 0 ? MS_OK : ms_fail_errno(reterr, err, "cannot reserve %s/%s", store->dir, name);
}

static enum ms_code put_first_rows(struct ms_store *store, MDB_txn *mdb, struct ms_error *reterr) {
    struct ms_store_state state = {ms_instant_of(1), 1, 1};
    struct ms_store_key key = ms_store_key(MS_ROW_HEADER);
    uint8_t b[64];
    struct ms_writer w = ms_writer_on(b, sizeof b);
    enum ms_code code;

    static const struct ms_id none;

    store->id = store->options.store_id;
    if (memcmp(store->id.b, none.b, sizeof none.b) == 0)
        store->id = ms_id_new(store->options.random);
    ms_write_bytes(&w, HEADER_MAGIC, sizeof HEADER_MAGIC);
    ms_write_u32(&w, MS_STORE_FORMAT);
    ms_write_bytes(&w, store->id.b, sizeof store->id.b);
    ms_write_i64(&w, ms_clock_now(store->options.clock).ms);
    MS_ASSERT(!w.failed);
    code = ms_store_row_put(store, mdb, &key, ms_writer_view(&w), reterr);
    return code == MS_OK ? ms_store_row_state_put(store, mdb, &state, reterr) : code;
}

static enum ms_code fill_new(struct ms_store *store, MDB_env *env, const char *path,
                             struct ms_error *reterr) {
    enum ms_code code;
    MDB_txn *mdb = NULL;
    int rc = mdb_env_set_mapsize(env, FIRST_MAP_BYTES);

    if (rc == 0)
        rc = mdb_env_set_maxreaders(
            env, store->options.readers_max); /* the lock file gets its size here */
    if (rc == 0)
        rc = mdb_env_open(env, path, MDB_NOTLS, 0660);
    if (rc == 0)
        rc = mdb_txn_begin(env, NULL, 0, &mdb);
    if (rc == 0)
        rc = mdb_dbi_open(mdb, NULL, 0, &store->dbi);
    code = rc == 0 ? put_first_rows(store, mdb, reterr) : MS_IO;
    if (code != MS_OK)
        mdb_txn_abort(mdb);
    else if ((rc = mdb_txn_commit(mdb)) != 0)
        code = MS_IO;
    return rc != 0 ? ms_store_fail(store, reterr, rc, "making a new store") : code;
}

static enum ms_code make_meta(struct ms_store *store, struct ms_error *reterr) {
    MDB_env *env = NULL;
    char *path = NULL;
    enum ms_code code;

    remove_half_made(store->dir_fd);
    if (mkdirat(store->dir_fd, "meta.new", 0770) != 0)
        return ms_fail_errno(reterr, errno, "cannot make %s/meta.new", store->dir);
    if (asprintf(&path, "%s/meta.new", store->dir) < 0 || mdb_env_create(&env) != 0)
        code = ms_fail(reterr, MS_NO_MEMORY, "no memory for a new store");
    else
        code = reserve_lock(store, "meta.new/lock.mdb", reterr);
    if (code == MS_OK)
        code = fill_new(store, env, path, reterr);
    mdb_env_close(env);
    free(path);
    if (code == MS_OK)
        code = sync_folder(store->dir_fd, "meta.new", reterr);
    if (code == MS_OK && renameat(store->dir_fd, "meta.new", store->dir_fd, "meta") != 0)
        code = ms_fail_errno(reterr, errno, "cannot rename %s/meta.new to meta", store->dir);
    if (code != MS_OK) {
        remove_half_made(store->dir_fd);
        return code;
    }
    code = sync_folder(store->dir_fd, ".", reterr);
    /* Its own name too, whoever made the folder: another opener may have, and still be on its way
     * to the lock, when what is written here is acknowledged already. */
    return code == MS_OK ? sync_folder(store->dir_fd, "..", reterr) : code;
}

/* ---- opening --------------------------------------------------------------------------------- */

static enum ms_code need_writable(struct ms_store *store, struct ms_error *reterr) {
    static const char *const names[] = {".", "meta", "meta/data.mdb", "meta/lock.mdb"};

    for (size_t i = 0; i < MS_ARRAY_LEN(names); i++)
        if (faccessat(store->dir_fd, names[i], W_OK, AT_EACCESS) != 0 && errno != ENOENT)
            return ms_fail(
                reterr, MS_READ_ONLY,
                "%s/%s cannot be written by this user (%s); the metadata needs a writable folder",
                store->dir, names[i], strerror(errno));
    return MS_OK;
}

/* LMDB takes an empty file for a new environment; here it is a file that lost its content. */
static enum ms_code check_data_file(struct ms_store *store, bool *ret_there,
                                    struct ms_error *reterr) {
    struct stat st;

    *ret_there = false;
    if (fstatat(store->dir_fd, "meta/data.mdb", &st, 0) != 0) {
        if (errno == ENOENT || errno == ENOTDIR)
            return MS_OK;
        if (errno == EACCES)
            return ms_fail(reterr, MS_DENIED, "%s/meta cannot be read by this user", store->dir);
        return ms_fail_errno(reterr, errno, "cannot look at %s/meta/data.mdb", store->dir);
    }
    if (!S_ISREG(st.st_mode) || st.st_size == 0)
        return ms_fail(reterr, MS_CORRUPT,
                       "%s/meta/data.mdb is empty or no regular file; restore it from a copy",
                       store->dir);
    *ret_there = true;
    return MS_OK;
}

static enum ms_code find_or_make(struct ms_store *store, struct ms_error *reterr) {
    char foreign[256] = "";
    bool there = false;
    enum ms_code code = check_data_file(store, &there, reterr);

    if (code != MS_OK)
        return code;
    if (there)
        return store->options.read_only ? MS_OK : need_writable(store, reterr);
    code = find_foreign(store, foreign, reterr);
    if (code != MS_OK)
        return code;
    if (!store->options.create || foreign[0])
        return refuse_absent(store, foreign, reterr);
    code = need_writable(store, reterr);
    return code == MS_OK ? make_meta(store, reterr) : code;
}

static enum ms_code open_dir(struct ms_store *store, struct ms_error *reterr) {
    struct statfs fs;

    store->dir_fd = open(store->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (store->dir_fd < 0 && (errno == ENOENT || errno == ENOTDIR))
        return ms_fail(reterr, MS_NOT_FOUND, "there is no store in %s: %s", store->dir,
                       strerror(errno));
    if (store->dir_fd < 0)
        return ms_fail_errno(reterr, errno, "cannot open %s", store->dir);
    if (fstatfs(store->dir_fd, &fs) != 0)
        return ms_fail_errno(reterr, errno, "cannot look at the file system of %s", store->dir);
    return ms_folder_check_fs(fs.f_type, store->dir, reterr);
}

enum ms_code ms_folder_open(struct ms_store *store, struct ms_error *reterr) {
    bool made = false;
    enum ms_code code;

    MS_ASSERT(store->dir_fd < 0);
    if (store->options.create && !store->options.read_only) {
        made = mkdir(store->dir, 0770) == 0;
        if (!made && errno != EEXIST)
            return errno == EROFS || errno == EACCES
                       ? ms_fail(reterr, MS_READ_ONLY, "cannot make %s: %s", store->dir,
                                 strerror(errno))
                       : ms_fail_errno(reterr, errno, "cannot make %s", store->dir);
    }
    code = open_dir(store, reterr);
    if (code == MS_OK)
        code = ms_folder_lock(store->dir, store->dir_fd, reterr);
    if (code == MS_OK) {
        code = find_or_make(store, reterr);
        if (code != MS_OK)
            ms_folder_unlock(store->dir_fd);
    }
    if (code != MS_OK && made)
        rmdir(store->dir); /* only when nothing is in it */
    return code;
}

enum ms_code ms_folder_reserve(struct ms_store *store, struct ms_error *reterr) {
    return reserve_lock(store, "meta/lock.mdb", reterr);
}

static enum ms_code open_table(struct ms_store *store, struct ms_error *reterr) {
    struct ms_txn *txn;
    MDB_envinfo info;
    MDB_stat stat;
    enum ms_code code = ms_read_begin(store, &txn, reterr);
    int rc;

    if (code != MS_OK)
        return code;
    rc = mdb_dbi_open(txn->mdb, NULL, 0, &store->dbi);
    ms_read_end(txn);
    if (rc == 0)
        rc = mdb_env_info(store->env, &info);
    if (rc == 0)
        rc = mdb_env_stat(store->env, &stat);
    if (rc != 0)
        return ms_store_fail(store, reterr, rc, "opening the metadata");
    MS_ASSERT(mdb_env_get_maxkeysize(store->env) >= MS_KEY_MAX);
    store->page_bytes = stat.ms_psize;
    atomic_store(&store->map_bytes, info.me_mapsize);
    return MS_OK;
}

enum ms_code ms_store_env_open(struct ms_store *store, const char *path, bool read_only,
                               struct ms_error *reterr) {
    /* MDB_NOTLS: a reader slot belongs to our transaction object, not to LMDB's idea of a thread. No other flag:
     * each of the others gives durability or the file's integrity away. */
    unsigned flags = MDB_NOTLS | (read_only ? MDB_RDONLY : 0);
    int rc = mdb_env_create(&store->env), fd;

    if (rc == 0)
        rc = mdb_env_set_mapsize(store->env, store->options.map_bytes);
    if (rc == 0)
        rc = mdb_env_set_maxreaders(store->env, store->options.readers_max);
    if (rc == 0)
        rc = mdb_env_open(store->env, path, flags, 0660);
    if (rc == 0) {
        /* LMDB 0.9.24 forgets it for this one: a prober that we start must not get the file. */
        if (mdb_env_get_fd(store->env, &fd) != 0 || fcntl(fd, F_SETFD, FD_CLOEXEC) != 0)
            return ms_fail_errno(reterr, errno, "cannot keep %s/data.mdb to ourselves", path);
        return open_table(store, reterr);
    }
    if (rc == EACCES || rc == EROFS || rc == EPERM)
        return ms_fail(reterr, MS_READ_ONLY,
                       "cannot open the metadata in %s: %s; even a reader must write its lock "
                       "file",
                       path, strerror(rc));
    return ms_store_fail(store, reterr, rc, "opening the metadata");
}

enum ms_code ms_store_header_check(struct ms_store *store, struct ms_error *reterr) {
    struct ms_store_key key = ms_store_key(MS_ROW_HEADER);
    char magic[sizeof HEADER_MAGIC] = {0};
    struct ms_error err = {0};
    struct ms_txn *txn = NULL;
    struct ms_reader r;
    struct ms_view v;
    uint32_t format;
    enum ms_code code = ms_read_begin(store, &txn, reterr);

    if (code != MS_OK)
        return code;
    code = ms_store_row_get(store, txn->mdb, &key, &v, &err);
    if (code != MS_OK) {
        ms_read_end(txn);
        if (code == MS_NOT_FOUND)
            return ms_fail(reterr, MS_FOREIGN, "%s/meta is a database of another program",
                           store->dir);
        return ms_fail(reterr, code, "%s", err.message);
    }
    r = ms_reader_on(v);
    ms_read_bytes(&r, magic, sizeof magic);
    format = ms_read_u32(&r);
    ms_read_bytes(&r, store->id.b, sizeof store->id.b);
    ms_read_end(txn);
    if (r.failed || memcmp(magic, HEADER_MAGIC, sizeof magic) != 0)
        return ms_fail(reterr, MS_FOREIGN, "%s/meta is a database of another program", store->dir);
    if (format > MS_STORE_FORMAT)
        return ms_fail(reterr, MS_NEWER_FORMAT,
                       "%s has format %" PRIu32
                       ", this msasset knows formats up to %u; use the newer msasset that "
                       "made it, or one at least as new",
                       store->dir, format, MS_STORE_FORMAT);
    if (format == 0)
        return ms_fail(reterr, MS_CORRUPT, "%s says it has format 0, which never existed",
                       store->dir);
    return MS_OK;
}
