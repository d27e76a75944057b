/* wrap_disk_files.h — the folder of a disk cache: whose it is, how large it is, and its blocks.
 *
 *   msasset.cache   marker: format, store
 *   index           one page a set (wrap_disk_set.h)
 *   blocks          64 places of 256 KiB a set; sparse
 *
 * Invariants
 *  D1 The folder never takes more than bytes_max of the disk: the number of places is the limit, and 1/256 is left for
 *     what the file system needs to find them.
 *  D2 A block is never put where the file system would have less than the reserve left (5 % of it, at most 4 GiB).
 *  D3 Nothing is synced. What a power cut or a kill leaves is found out when it is read: the entry's checksum, then
 *     the bytes'. A block that differs is dropped.
 *  D4 One process at a time: flock of the folder.
 *
 * Errors are told by the system's; one that makes the whole cache useless is for the caller to judge.
 *
 * Threads: any may look up, read and drop. One at a time for _store and _drop_keys, which may sleep long, and one at a
 * time for _shrink and _age.
 */
#ifndef MS_OBJECT_WRAP_DISK_FILES_H
#define MS_OBJECT_WRAP_DISK_FILES_H

#include "base/id.h"
#include "object/wrap_disk.h"
#include "object/wrap_disk_set.h"

struct ms_disk_files;

/* Made when it is missing (its parent is not), and taken over with what is in it. One of an older format is emptied.
 * Errors: MS_FOREIGN it holds other things, or the cache of another store; MS_NEWER_FORMAT; MS_BUSY another process has
 * it; MS_RANGE bytes_max is less than one set; what the system says. */
MS_NODISCARD enum ms_code ms_disk_files_open(const struct ms_disk_options *options,
                                             struct ms_disk_files **ret_files,
                                             struct ms_error *reterr);
/* Begins with one reference; the last one closes. */
void ms_disk_files_ref(struct ms_disk_files *files);
void ms_disk_files_unref(struct ms_disk_files *files);

void ms_disk_key_hash(struct ms_id store_id, const char *key, uint64_t ret_hash[2]);

struct ms_disk_found {
    uint32_t set;
    int way;
    struct ms_disk_entry entry;
};
/* Errors: MS_NOT_FOUND (without a message); what the system says. */
MS_NODISCARD enum ms_code ms_disk_files_find(struct ms_disk_files *files,
                                             const struct ms_disk_id *id,
                                             struct ms_disk_found *ret_found,
                                             struct ms_error *reterr);
/* Bytes [from, from + n) of a found block, inside its length. Errors: MS_NOT_FOUND it went meanwhile; MS_CORRUPT its
 * bytes are wrong, it is dropped; what the system says: its place is not used again. */
MS_NODISCARD enum ms_code ms_disk_files_read(struct ms_disk_files *files,
                                             const struct ms_disk_found *found, size_t from,
                                             size_t n, void *into, struct ms_error *reterr);
/* One that is not there is no failure. */
MS_NODISCARD enum ms_code ms_disk_files_drop(struct ms_disk_files *files,
                                             const struct ms_disk_id *id, struct ms_error *reterr);

/* Put a block in, unless it is there. Errors: MS_NO_SPACE; what the system says. */
MS_NODISCARD enum ms_code ms_disk_files_store(struct ms_disk_files *files,
                                              const struct ms_disk_id *id, uint64_t size,
                                              const void *bytes, size_t length,
                                              struct ms_error *reterr);
/* Drop all blocks of these keys, and give the disk back; sorts them. Reads the whole index. */
void ms_disk_files_drop_keys(struct ms_disk_files *files, uint64_t (*keys)[2], size_t n);
/* Give back until the file system has its reserve and a little more, the least useful first. */
void ms_disk_files_shrink(struct ms_disk_files *files);
/* Drop what was not read for MS_DISK_DAYS in the next few sets, so that all are seen within a day of calls once a
 * second. */
#define MS_DISK_DAYS 30
void ms_disk_files_age(struct ms_disk_files *files);
/* Errors: MS_STALE the folder or its files were removed; what the system says. */
MS_NODISCARD enum ms_code ms_disk_files_check(struct ms_disk_files *files, struct ms_error *reterr);
/* What the disk gives to it now. */
uint64_t ms_disk_files_bytes(struct ms_disk_files *files);

#endif
