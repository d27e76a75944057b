/* ctx.h — who asks, for which tenant, and when. One per request or mount; borrowed by every call. */
#ifndef MS_SERVICE_CTX_H
#define MS_SERVICE_CTX_H

#include "base/id.h"
#include "base/time.h"
#include "model/limits.h"

struct ms_ctx {
    struct ms_tenant_id tenant;
    char who[MS_WHO_MAX + 1]; /* principal in audit rows: "root@cli", "alice" */
    bool admin;               /* may do what only administrators may */
    struct ms_instant now;    /* read once per request, for guards; 0: the call reads the clock itself */
    uint32_t uid, gid;        /* owner of what it makes */
};

#endif
