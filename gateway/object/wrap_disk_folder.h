/* wrap_disk_folder.h — the folder of a disk cache as files: claimed, marked, resized, removed underneath.
 * A part of wrap_disk_files.c; its users see wrap_disk_files.h.
 */
#ifndef MS_OBJECT_WRAP_DISK_FOLDER_H
#define MS_OBJECT_WRAP_DISK_FOLDER_H

#include "base/id.h"

#define MS_DISK_FORMAT 1

struct ms_disk_folder {
    char path[4096];
    int dir_fd; /* locked */
    int index_fd, blocks_fd;
};
#define MS_DISK_FOLDER_NONE                                                                        \
    { .dir_fd = -1, .index_fd = -1, .blocks_fd = -1 }

/* folder is MS_DISK_FOLDER_NONE, and to be closed either way. Errors as of ms_disk_files_open(). */
MS_NODISCARD enum ms_code ms_disk_folder_open(const char *path, struct ms_id store_id,
                                              struct ms_disk_folder *folder,
                                              struct ms_error *reterr);
void ms_disk_folder_close(struct ms_disk_folder *folder);
/* Lengths of the two files; what is behind them goes. */
MS_NODISCARD enum ms_code ms_disk_folder_resize(struct ms_disk_folder *folder, uint64_t index_bytes,
                                                uint64_t blocks_bytes, struct ms_error *reterr);
MS_NODISCARD enum ms_code ms_disk_folder_check(const struct ms_disk_folder *folder,
                                               struct ms_error *reterr);
/* What the disk gives to all of it. */
uint64_t ms_disk_folder_bytes(const struct ms_disk_folder *folder);

#endif
