/* simulate_impl.h — the state of a simulation, shared by simulate.c (lines, time, report) and
 * simulate_event.c (what each event means). */
#ifndef MS_QUOTA_SIMULATE_IMPL_H
#define MS_QUOTA_SIMULATE_IMPL_H

#include "quota/days.h"
#include "quota/history.h"
#include "quota/names.h"
#include "quota/simulate.h"
#include "quota/terms.h"

#define NOBODY MS_NAMES_NONE

struct tenant {
    struct ms_meter meter;
    struct ms_days days;
    uint64_t free_bytes, capacity; /* of valid ASSET_MANAGER packages */
    ms_u128 hundredths;            /* ever paid for, against MS_HUNDREDTHS_MAX */
    uint32_t minutes;              /* its first package of VIDEO_MINUTES, NOBODY: none */
};
struct asset {
    uint64_t bytes;
    struct ms_instant created;
    uint32_t owner; /* NOBODY: it left, or was deleted */
    uint8_t type, origin;
    bool deleted;
};
struct package {
    struct ms_terms terms;
    uint64_t amount, left; /* left: hundredths of the running term */
    uint32_t owner;
    uint32_t name; /* in simulation.package_names */
    uint32_t next; /* of the tenant's packages of VIDEO_MINUTES that may run */
    uint8_t kind;
    bool paid;
    bool listed; /* among these */
};
/* Something that time brings about: a video starts to count, a term ends. Those that came to
 * nothing meanwhile (a deleted video) are dropped when they are due. */
struct due {
    struct ms_instant at;
    uint32_t what; /* of assets or packages */
    bool package;
};

struct ms_simulation {
    const struct ms_rates *rates;
    struct ms_json json;
    uint64_t line;
    struct ms_instant now; /* of the last event */
    bool ended;
    struct ms_names tenant_names, asset_names, package_ids, package_names;
    struct tenant *tenants;
    struct asset *assets;
    struct package *packages;
    size_t tenants_cap, assets_cap, packages_cap;
    struct due *due; /* a heap, the earliest first */
    size_t due_n, due_cap;
    struct ms_minutes *draw; /* scratch */
    size_t draw_cap;
};

/* Room for the element at place n of *array. */
MS_NODISCARD enum ms_code ms_simulation_grow(void **array, size_t *cap, size_t n, size_t size,
                                             struct ms_error *reterr);
MS_NODISCARD enum ms_code ms_simulation_add_due(struct ms_simulation *s, struct due due,
                                                struct ms_error *reterr);
/* Close the tenant's days that end at or before at, and integrate up to at. */
MS_NODISCARD enum ms_code ms_simulation_advance(struct ms_simulation *s, struct tenant *tenant,
                                                struct ms_instant at, struct ms_error *reterr);
/* A term begins: a fee, an amount to use. Needs: the tenant advanced to at. */
void ms_simulation_term(struct ms_simulation *s, struct package *package, struct ms_instant at);
/* Apply an event other than end. All that was due has happened. */
MS_NODISCARD enum ms_code ms_simulation_event(struct ms_simulation *s,
                                              const struct ms_history_event *event,
                                              struct ms_error *reterr);

#endif
