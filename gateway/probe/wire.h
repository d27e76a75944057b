/* wire.h — what the gateway and the program that examines contents (msasset-probe) say to each other.
 *
 * Two kinds of sockets, so that no content can disturb the next one's examination:
 *
 *   control   gateway <-> the waiting program, for its whole life. Program: u32 0 when it is shut in and
 *             ready. Gateway: one byte with the content's socket beside it (SCM_RIGHTS), one content at a
 *             time. Program: u32 wait status, once the examiner of that content has ended.
 *   content   gateway <-> the examiner, a fork of the waiting program that serves one content and has no
 *             other descriptor. Gateway: u64 size. Examiner: heads; the gateway answers a READ with
 *             u32 n and n bytes (0: the end, MS_PROBE_NO_BYTES: the read failed). FACTS ends it.
 *
 * A head is u8 kind, u64 offset, u32 n. All integers big-endian. The gateway believes nothing: kinds,
 * ranges, numbers of reads and the record are checked (prober.h).
 *
 * Threads: each call works on its own descriptor.
 */
#ifndef MS_PROBE_WIRE_H
#define MS_PROBE_WIRE_H

#include "base/assert.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MS_PROBE_READ_MAX (256u * 1024) /* bytes of one READ; the store's own blocks are as large */
#define MS_PROBE_FACTS_MAX 4096u        /* bytes of an encoded record */
#define MS_PROBE_NO_BYTES UINT32_MAX
#define MS_PROBE_CONTROL_FD 3 /* of the waiting program */

enum ms_probe_kind { MS_PROBE_READ = 1, MS_PROBE_FACTS = 2 };
struct ms_probe_head {
    uint8_t kind;
    uint64_t offset;
    uint32_t n;
};
#define MS_PROBE_HEAD_BYTES 13

void ms_probe_head_encode(const struct ms_probe_head *head, uint8_t ret_bytes[MS_PROBE_HEAD_BYTES]);
struct ms_probe_head ms_probe_head_decode(const uint8_t bytes[MS_PROBE_HEAD_BYTES]);

void ms_probe_u32_encode(uint32_t v, uint8_t ret_bytes[4]);
uint32_t ms_probe_u32_decode(const uint8_t bytes[4]);
void ms_probe_u64_encode(uint64_t v, uint8_t ret_bytes[8]);
uint64_t ms_probe_u64_decode(const uint8_t bytes[8]);

/* All of n bytes, waiting as long as it takes: the program's side. False: the other end is gone. */
bool ms_probe_get(int fd, void *p, size_t n);
bool ms_probe_put(int fd, const void *p, size_t n);

/* One byte with a descriptor beside it. */
bool ms_probe_send_fd(int control, int fd);
bool ms_probe_receive_fd(int control, int *ret_fd); /* close-on-exec */

#endif
