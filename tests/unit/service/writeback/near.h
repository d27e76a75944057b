/* near.h — for tests of writeback: what is pending, what lies in the folder, and bringing it to the
 * store with a clock that moves, so that no retry has to be waited for. */
#ifndef MS_TESTS_SERVICE_NEAR_H
#define MS_TESTS_SERVICE_NEAR_H

#include "upkeep/stories.h"

#include "service/writeback.h"

#include <dirent.h>
#include <stdlib.h>

static inline struct ms_pending_sum pending_of_svc(struct ms_svc *svc) {
    struct ms_pending_sum sum;

    assert_ok(ms_pending(svc, NULL, NULL, &sum, &test_err));
    return sum;
}

/* Files of objects in <dir>/writeback. */
static inline unsigned near_files(struct world *w) {
    char *path = ms_test_path(w->dir, "writeback");
    DIR *dir = opendir(path);
    unsigned n = 0;

    assert_non_null(dir);
    for (struct dirent *e; (e = readdir(dir));)
        n += e->d_name[0] != '.';
    closedir(dir);
    free(path);
    return n;
}

static inline bool time_passes(void *priv, const struct ms_pending_sum *left) {
    struct world *w = priv;

    (void)left;
    ms_clock_fake_advance(&w->clock, 1000);
    return true;
}

static inline enum ms_code drain(struct world *w, bool for_ever, struct ms_error *reterr) {
    const struct ms_drain how = {
        .for_ever = for_ever, .others = true, .go_on = time_passes, .priv = w};

    return ms_writeback_drain(w->svc, &how, reterr);
}

#endif
