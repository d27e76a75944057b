/* wrap_disk.h — a persistent cache of objects' bytes in a folder of the local disk, around an object store.
 *
 * Answers GET from the folder, in aligned blocks of 256 KiB; what is missing comes from the store, by several GETs at
 * once straight into the caller's buffer, and is written to the folder afterwards. Everything else passes through.
 * Because keys are written once (I2), a block never goes out of date: a key that is put a second time with other bytes
 * is answered with the first ones, so this is for objects of a store only. A cached answer has no ETag.
 *
 * Promises
 *  - The folder never takes more of the disk than its limit, nor the file system's last 5 % (at most 4 GiB): it gives
 *    back when others fill the disk.
 *  - Bytes that differ from their checksum are not served: the store is asked, and the block dropped. A request with
 *    "fresh" set drops what is cached of its range and asks the store.
 *  - Nothing in a GET waits for a write to the cache; when the disk is slower than the store, blocks are not cached.
 *  - It opens in the same time whatever it holds, and survives kills and power cuts at any point.
 *  - One pass over what is larger than the cache does not cost the blocks that are read again and again.
 *  - Whatever the disk does, reads go on: full, failing, removed, hanging. It is then left alone, said so once in the
 *    log, and tried again every 30 s. A disk that answers nothing for 2 s is gone around; reads that it already holds
 *    wait for it.
 *  - One process has it (flock); another one goes on without, says so, and takes over when the first one has ended.
 *  - DELETE of a key drops its blocks. Those that another process deletes go when they were not read for 30 days.
 *
 * Its files have mode 0600, the folder 0700. It has threads of its own, so that a slow disk takes none from the engine.
 */
#ifndef MS_OBJECT_WRAP_DISK_H
#define MS_OBJECT_WRAP_DISK_H

#include "object/object.h"

#define MS_DISK_BYTES_MIN (64 * MS_MB)

/* For tests: what stands before a call of the system. */
enum ms_disk_io {
    MS_DISK_OPEN,
    MS_DISK_INDEX_READ,
    MS_DISK_INDEX_WRITE,
    MS_DISK_BLOCK_READ,
    MS_DISK_BLOCK_WRITE
};

struct ms_disk_options {
    const char *dir;        /* absolute; its parent exists */
    uint64_t bytes_max;     /* at least 17 MiB; MS_DISK_BYTES_MIN makes sense */
    struct ms_id store_id;  /* a folder of another store's is refused */
    struct ms_log *log;
    uint64_t reserve_bytes; /* 0: 5 % of the file system, at most 4 GiB */
    int64_t retry_ms;       /* 0: 30 s */
    int (*fault)(void *priv, enum ms_disk_io io); /* 0, or the errno with which the call fails; may wait */
    void *priv;
};

/* Takes over inner, also on failure. A folder that cannot be used now is no failure.
 * Errors: MS_FOREIGN, MS_NEWER_FORMAT, MS_RANGE of ms_disk_files_open(); MS_NO_MEMORY. */
MS_NODISCARD enum ms_code ms_wrap_disk(const struct ms_disk_options *options, struct ms_obj *inner,
                                       struct ms_obj **ret_obj, struct ms_error *reterr);

/* The disk cache among the wrappers of a store, or NULL. */
struct ms_obj *ms_obj_disk_of(struct ms_obj *obj);
/* Wait until what was to be written or dropped so far is done. Not on a thread of an engine. */
void ms_disk_settle(struct ms_obj *disk);

struct ms_disk_stats {
    bool on;                   /* the folder is used now */
    uint64_t bytes, bytes_max; /* what the disk gives to it now; its limit */
    uint64_t hits, misses;     /* blocks */
    uint64_t hit_bytes;
    uint64_t stored;           /* blocks */
    uint64_t skipped;          /* blocks that were not stored: the disk was too slow, or full */
    uint64_t corrupt;          /* blocks that differed from their checksum */
    uint64_t errors;           /* of the disk */
    uint64_t bypassed;         /* GETs that went around it: it is off, or hangs */
};
void ms_disk_stats(struct ms_obj *disk, struct ms_disk_stats *ret_stats);

#endif
