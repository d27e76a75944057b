/* crash_log.h — the log that the recorder writes and the replayer reads: one event after the other, each a head, its
 * names and its bytes, in the order in which the calls returned. Native byte order; it never leaves the machine. */
#ifndef MS_TESTS_CRASH_LOG_H
#define MS_TESTS_CRASH_LOG_H

#include <stdint.h>

#define CRASH_MAGIC 0x4352534cu

enum crash_type {
    CRASH_START = 1, /* ino: the recorded folder */
    CRASH_CREATE,    /* dir, name: a file ino */
    CRASH_MKDIR,     /* dir, name: a folder ino */
    CRASH_SYMLINK,   /* dir, name; bytes: the target */
    CRASH_LINK,      /* dir, name: another name of ino */
    CRASH_RENAME,    /* dir, name to dir2, name2 */
    CRASH_UNLINK,    /* dir, name: of a file or folder */
    CRASH_WRITE,     /* ino, off, bytes; CRASH_DSYNC: durable when the call returned */
    CRASH_SIZE,      /* ino: cut or grown to off */
    CRASH_ZERO,      /* ino, off: dir2 bytes are zero */
    CRASH_SYNC,      /* ino: what stands in the log before off is durable */
    CRASH_SYNC_ALL,  /* of every file and folder */
    CRASH_ACK,       /* bytes: what the workload wrote to its standard output */
    CRASH_GROW,      /* ino: at least off long, the new part zero */
};

#define CRASH_DSYNC 1u

struct crash_event {
    uint32_t magic, type;
    uint64_t ino, dir, dir2, off;
    uint32_t name_len, name2_len, len, flags;
};

#endif
