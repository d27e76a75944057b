/* catalogue.h — what birth metadata cannot know, kept in the object store: present names and
 * folders, owners, states, tags, hashes. A lost store is made again from it (rebuild.h).
 *
 * Segments lie below MS_CATALOGUE_PREFIX, a folder a tenant: <tenant>/<number>-<part>.delta.jsonl or
 * .snapshot.jsonl, immutable, named once. The facts of the newest line of a thing hold; a snapshot
 * has every thing, so what lies before the newest whole one is deleted once it is durable.
 *
 * A change never waits for this: service/tables.c leaves a mark beside the row, in the same
 * transaction. A flush reads marked rows, stores a segment, and then removes the marks that are
 * still the ones it saw: killed at any point, it says something twice at worst. One process at a
 * time writes a tenant's segments (the row CATALOGUE names it), so that numbers are in the order of
 * what was read.
 *
 * Threads: any. Only one flush of a process is at work at a time.
 */
#ifndef MS_SERVICE_CATALOGUE_H
#define MS_SERVICE_CATALOGUE_H

#include "service/service.h"

#define MS_CATALOGUE_PREFIX ".catalogue/"
#define MS_CATALOGUE_FORMAT 1
#define MS_CATALOGUE_INTERVAL_MS MS_MINUTE_MS /* of mounts, and at the ends of commands */

struct ms_catalogue_options {
    bool snapshot;      /* write everything anew */
    int64_t min_age_ms; /* leave a tenant alone whose last segment is younger */
    /* Done so far; false: stop, with MS_CANCELLED. May be NULL. */
    bool (*progress)(void *priv, uint64_t lines);
    void *priv;
};
struct ms_catalogue_result {
    uint64_t tenants;   /* that had something to tell */
    uint64_t busy;      /* left alone: another process is writing theirs */
    uint64_t segments, snapshots, lines, bytes;
    uint64_t deleted;   /* segments that a snapshot has replaced */
};
/* Every tenant's marks at the time of the call. Errors: MS_READ_ONLY; MS_CANCELLED; MS_FOREIGN; what the
 * object store says. */
MS_NODISCARD enum ms_code ms_catalogue_flush(struct ms_svc *svc,
                                             const struct ms_catalogue_options *options,
                                             struct ms_catalogue_result *ret_result,
                                             struct ms_error *reterr);
/* For the end of a command: what is marked, unless the last segment is younger than the interval. A
 * failure is logged and no more: another time, or process, will do it. A store that the command did not ask
 * is not asked for this either. */
void ms_catalogue_tend(struct ms_svc *svc);
/* Rows that no segment tells yet, at most max. */
MS_NODISCARD enum ms_code ms_catalogue_marks(struct ms_svc *svc, uint64_t max, uint64_t *ret_n,
                                             struct ms_error *reterr);

/* A thread that flushes every interval_ms; for mounts and daemons. A failure is logged and tried
 * again at the next interval. stop waits for a flush at work, which ends after its segment. */
struct ms_catalogue_keeper;
MS_NODISCARD enum ms_code ms_catalogue_start(struct ms_svc *svc, int64_t interval_ms,
                                             struct ms_catalogue_keeper **ret_keeper,
                                             struct ms_error *reterr);
void ms_catalogue_stop(struct ms_catalogue_keeper *keeper); /* NULL is fine */

#endif
