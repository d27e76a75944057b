/* derived_rows.h — what was derived from an asset (model/derived.h), in somebody's transaction. Not for front ends. */
#ifndef MS_SERVICE_DERIVED_ROWS_H
#define MS_SERVICE_DERIVED_ROWS_H

#include "model/derived.h"
#include "service/tree_rows.h"

/* Of the file that was made: written when it has succeeded and was examined. */
struct ms_derived_bytes {
    struct ms_facts_record *facts;
    uint64_t *size;
};
/* bytes may be NULL. One that has succeeded without facts is shown as WAITING. */
MS_NODISCARD enum ms_code ms_derived_of(const struct ms_tree *t, struct ms_asset_id asset,
                                        struct ms_version_id main, const struct ms_content *content,
                                        enum ms_derived_kind kind, struct ms_derived *ret_derived,
                                        const struct ms_derived_bytes *bytes,
                                        struct ms_error *reterr);

#endif
