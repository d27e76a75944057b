/* catalogue_part.h — what the parts of the catalogue share. Private to service/catalogue*.c and
 * rebuild*.c.
 */
#ifndef MS_SERVICE_CATALOGUE_PART_H
#define MS_SERVICE_CATALOGUE_PART_H

#include "service/catalogue.h"
#include "service/catalogue_text.h"
#include "service/tree_rows.h"
#include "service/upkeep_walk.h"

#define MS_CATALOGUE_KEY_MAX 96
#define MS_CATALOGUE_NAMES_MAX 256 /* of one inode that a line tells; hard links beyond are not */

/* ---- keys of segments ------------------------------------------------------------------------ */

struct ms_segment {
    struct ms_tenant_id tenant;
    uint64_t number;
    uint32_t part; /* from 1 */
    bool snapshot;
};
void ms_segment_key(const struct ms_segment *segment, char ret_key[MS_CATALOGUE_KEY_MAX]);
bool ms_segment_parse(const char *key, struct ms_segment *ret_segment);

/* ---- lines of rows --------------------------------------------------------------------------- */

/* Lines about one row, by its key: what is there now, or that it is gone. A file that was never
 * sealed has none. */
MS_NODISCARD enum ms_code ms_catalogue_tell(struct ms_txn *txn, struct ms_view key,
                                            struct ms_buf *to, uint64_t *lines,
                                            struct ms_error *reterr);

#endif
