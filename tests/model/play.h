/* play.h — the model and the gateway side by side: what is done to the one is done to the other, and
 * then they are compared.
 */
#ifndef MS_TESTS_PLAY_H
#define MS_TESTS_PLAY_H

#include "file/world.h"
#include "model.h"

#include "service/transfer.h"
#include "service/upkeep.h"

#define PLAY_TENANTS 50
#define PLAY_ASSETS_MAX 4096
#define PLAY_TRACE 8192

enum play_sweeps { PLAY_NEVER, PLAY_SOMETIMES, PLAY_ALWAYS };

struct play_asset {
    struct ms_asset_id id;
    struct ms_file_id file; /* of its upload */
    bool right, fits;       /* what was declared of it holds */
    struct ms_file_id cover;
    bool cover_right;
    struct ms_request_id request;
};

struct play {
    struct world *w;
    struct model m;
    struct ms_random *random;
    enum play_sweeps sweeps;
    struct ms_tenant_id tenant[PLAY_TENANTS];
    uint64_t seen[PLAY_TENANTS]; /* audit rows */
    struct play_asset asset[PLAY_ASSETS_MAX];
    struct ms_transfer_id job[M_JOBS_MAX];
    int last;      /* the asset that the last operation was about; -1 */
    struct ms_id stray; /* of a put that no quota had room for */
    int stray_tenant;   /* -1: none */
    uint64_t step, steps, done, refused, deep;
    int text, video; /* descriptors of contents */
    uint8_t text_bytes[4096], video_bytes[4096];
    struct ms_asset_info info;      /* scratch */
    struct ms_audit_record rows[64];
    char trace[PLAY_TRACE][160];
};

/* Which tenants an operation touched; -1: none. */
struct play_touched {
    int asset, tenant, other;
};

void play_begin(struct play *p, struct ms_random *random, enum play_sweeps sweeps, uint64_t steps);
void play_end(struct play *p); /* swept, compared in full, fsck */

uint64_t play_below(struct play *p, uint64_t n);
bool play_chance(struct play *p, unsigned one_in);
struct ms_ctx play_ctx(const struct play *p, int tenant, bool admin);

/* One line of the trace that a failure prints. */
void play_say(struct play *p, int asset, const char *fmt, ...) MS_PRINTF(3, 4);
_Noreturn void play_fail(struct play *p, int asset, const char *fmt, ...) MS_PRINTF(3, 4);
/* The gateway's answer is the model's. */
void play_agree(struct play *p, int asset, enum ms_code code, const struct ms_error *err,
                enum m_answer answer);
/* Audit, counters and the asset that was touched. */
void play_compare(struct play *p, struct play_touched touched);
void play_compare_all(struct play *p);
void play_sweep(struct play *p, int tenant_or_all);

/* What happens next: time goes on, one operation, compared. */
void play_step(struct play *p);

#endif
