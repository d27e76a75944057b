/* runs.h — a line of offsets cut into runs, each of one kind (0..3); what no one set is kind 0.
 *
 * The map of a staged file. Kept as the offsets where the kind changes, sorted, in leaves of
 * bounded size: an append touches the last leaf only, a write in the middle moves at most one leaf,
 * however many runs there are.
 *
 * Invariants: neighbours are of different kinds, so a state has one form only. Threads: the owner's
 * lock.
 */
#ifndef MS_CONTENT_RUNS_H
#define MS_CONTENT_RUNS_H

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MS_RUNS_END (UINT64_C(1) << 61) /* behind every offset */

struct ms_runs_leaf;
struct ms_runs_top; /* one leaf and its first offset */

#define MS_RUNS_SPARE 4 /* two changes, each of which may split two leaves */

/* {0} is empty: all of it kind 0. */
struct ms_runs {
    struct ms_runs_top *top;
    size_t leaves, cap;
    struct ms_runs_leaf *spare[MS_RUNS_SPARE];
};
void ms_runs_fini(struct ms_runs *runs);

/* Take the memory that two ms_runs_set may want. Errors: MS_NO_MEMORY, nothing changed. */
MS_NODISCARD enum ms_code ms_runs_reserve(struct ms_runs *runs, struct ms_error *reterr);
/* Give [from, to) a kind. Cannot fail: needs an ms_runs_reserve for each two calls. from < to <=
 * MS_RUNS_END. */
void ms_runs_set(struct ms_runs *runs, uint64_t from, uint64_t to, unsigned kind);

struct ms_run {
    uint64_t from, to; /* as far as the kind reaches; the last run ends at MS_RUNS_END */
    unsigned kind;
};
struct ms_run ms_runs_at(const struct ms_runs *runs, uint64_t offset); /* Cost: O(log n) */

/* The whole structure: for tests and MS_CHECK. */
bool ms_runs_is_valid(const struct ms_runs *runs);
size_t
ms_runs_changes(const struct ms_runs *runs); /* how often the kind changes. Cost: O(leaves) */

#endif
