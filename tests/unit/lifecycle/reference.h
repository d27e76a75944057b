/* reference.h — product.md sections 3.1 to 3.3 and 3.6 once more, written from the text and not
 * from lifecycle/.
 *
 * One function per sentence, plain conditions on facts with names of their own. Slow and dull by
 * intention: the matrix test compares every cell of the table with it.
 */
#ifndef MS_TESTS_LIFECYCLE_REFERENCE_H
#define MS_TESTS_LIFECYCLE_REFERENCE_H

#include "lifecycle/lifecycle.h"

struct ref_answer {
    bool allowed;
    struct ms_life next;
    bool bytes_freed, gone, into_bin, out_of_bin, op_dropped, op_refused, edit_live, edit_dropped;
    struct ms_instant dated;
};
struct ref_answer ref_step(const struct ms_life *life, enum ms_event event,
                           const struct ms_lc_facts *facts);

/* INT64_MAX: never. ret_kind as the table names it. */
int64_t ref_deadline(const struct ms_life *life, const struct ms_lc_facts *facts,
                     enum ms_due_kind *ret_kind);

enum ms_state ref_shown(const struct ms_life *life, bool tenant_frozen);
bool ref_may(const struct ms_life *life, bool tenant_frozen, enum ms_right right);

#endif
