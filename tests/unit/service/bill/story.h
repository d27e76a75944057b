/* story.h — random lives of a few tenants through service calls, and a model of what they hold.
 *
 * The model knows what was done and bill.md, nothing of the store: an asset's bytes, when they begin to
 * count and when they end; a package's terms. After any operation it says what the counters, the fold
 * of the ledger, the quota and df must say.
 */
#ifndef MS_TESTS_UNIT_SERVICE_BILL_STORY_H
#define MS_TESTS_UNIT_SERVICE_BILL_STORY_H

#include "bills.h"

#include "service/package.h"

#define STORY_TENANTS 3
#define STORY_ASSETS 24
#define STORY_PACKAGES 256

/* What a step may do, besides letting time pass. */
#define STORY_DOES(X)                                                                              \
    X(PUT, "put") X(OVERWRITE, "overwrite") X(PRODUCE, "produce") X(VOICE, "voice")                \
    X(DELETE, "delete") X(RESTORE, "restore") X(FREEZE, "freeze") X(TRANSFER, "transfer")          \
    X(QUOTA, "quota") X(BUY, "buy") X(RENEW, "renew") X(BIND, "bind") X(ADJUST, "adjust")          \
    X(RUN, "run")
enum story_does {
#define STORY_ENUM(n, text) DONE_##n,
    STORY_DOES(STORY_ENUM)
#undef STORY_ENUM
        STORY_DONE
};
extern const char *const story_done_names[STORY_DONE];

struct story_tenant {
    struct ms_tenant_record tenant;
    uint64_t free_bytes;
    struct ms_usage_record fold; /* of its ledger rows before next */
    uint64_t next;
};

enum story_kind { STORY_FILE, STORY_VIDEO, STORY_VOICE };
struct story_asset { /* owner 0: the place is free */
    struct ms_id id;
    char name[16];
    struct ms_instant created, gone; /* gone none: it stays */
    uint64_t bytes;
    enum story_kind kind;
    unsigned owner;  /* tenant, from 1 */
    unsigned bound;  /* package, from 1; 0: to none */
    bool binned, frozen;
};

struct story_package {
    struct ms_id id;
    unsigned owner;
    uint8_t kind;
    uint64_t amount, used; /* used: units */
    struct ms_instant start;
    uint32_t months, terms;
    bool auto_renew;
};

struct story {
    struct fx *f;
    const struct ms_rates *rates;
    struct ms_random_seeded random;
    bool sweeps; /* after every operation: else only runs do, and the check compares less */
    bool runs;   /* nights are closed on the way */
    struct story_tenant tenants[STORY_TENANTS];
    struct story_asset assets[STORY_ASSETS];
    struct story_package packages[STORY_PACKAGES];
    unsigned packages_n, made, orders;
    unsigned done[STORY_DONE]; /* how often each did something */
};

/* f has one tenant; the others are added. The clock may jump ahead first. */
void story_begin(struct story *s, struct fx *f, const struct ms_rates *rates, uint64_t seed);
void story_step(struct story *s);
/* Model, counters, fold, quota and statfs of every tenant agree. */
void story_check(struct story *s);
void story_end(struct story *s); /* also the tree's check of every tenant */

/* fx_setup() with what commands need; in memory where there is a /dev/shm. */
int story_setup(void **state);
int story_teardown(void **state);

#endif
