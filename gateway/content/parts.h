/* parts.h — where the parts of an upload begin: a pure, versioned function of the offset (design.md
 * section 4).
 *
 * 8 MiB steps for the first 4 000 parts, 32 MiB for the next 3 000, 128 MiB behind that: at most 10
 * 000 parts for 500 GB (31.25 + 93.75 + 375 GB). Never change version 1: recovery reads part lists
 * with it.
 */
#ifndef MS_CONTENT_PARTS_H
#define MS_CONTENT_PARTS_H

#include "model/limits.h"

#define MS_PARTS_VERSION 1

struct ms_part_range {
    uint32_t part_no;        /* from 1 */
    uint64_t offset, length; /* length: of the full step */
};
struct ms_part_range ms_part_at(uint64_t offset);  /* offset < MS_FILE_BYTES_MAX */
struct ms_part_range ms_part_no(uint32_t part_no); /* 1..MS_PARTS_MAX */
uint32_t ms_part_count(uint64_t size);             /* 0 for size 0; size <= MS_FILE_BYTES_MAX */

/* Every boundary is a multiple of this, in every version. */
#define MS_PART_GRAIN (8 * MS_MB)

#endif
