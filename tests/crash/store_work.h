/* store_work.h — what the workload of the store's crash tests writes, so that the checker can tell what must be there.
 *
 * Numbered slots, each owned by one thread. An operation on a slot raises its generation by one: it writes
 *   g/<slot>   the generation, and whether the slot is full
 *   a/<slot>, b/<slot>   content that follows from slot and generation, both or neither
 *   sum        how many operations there ever were
 *   n/<number> slot and generation, under a number of its own
 * and appends to the feed, all in one operation; then it says "ack <slot> <generation>". */
#ifndef MS_TESTS_CRASH_STORE_WORK_H
#define MS_TESTS_CRASH_STORE_WORK_H

#include "store/store.h"

#define WORK_SLOTS 64u
#define WORK_VALUE_MAX 9000u

struct work_slot {
    uint64_t generation;
    bool full;
};

/* Read one slot; a slot that was never written is generation 0. Errors: MS_CORRUPT half or wrong content. */
enum ms_code work_read(struct ms_txn *txn, unsigned slot, struct work_slot *ret_slot, struct ms_error *reterr);
/* Everything at once: the slots, and that the sum and the numbers fit them. */
enum ms_code work_read_all(struct ms_store *store, struct work_slot ret_slots[WORK_SLOTS], struct ms_error *reterr);
/* One operation on a slot. */
enum ms_code work_write(struct ms_store *store, unsigned slot, uint64_t *ret_generation, struct ms_error *reterr);

#endif
