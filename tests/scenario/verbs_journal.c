/* Bytes that are acknowledged from the local disk, and an object store that is away. */
#include "scenario.h"

#include "service/writeback.h"

#include <inttypes.h>
#include <string.h>

static enum ms_code verb_writeback(struct scene *s, int n, char **words, struct ms_error *reterr) {
    (void)n, (void)reterr;
    if (strcmp(words[1], "on") != 0 && strcmp(words[1], "off") != 0)
        scene_fail(s, "writeback is on or off, not %s", words[1]);
    s->w->svc->writeback = words[1][1] == 'n';
    return MS_OK;
}

static enum ms_code verb_store(struct scene *s, int n, char **words, struct ms_error *reterr) {
    (void)n, (void)reterr;
    if (strcmp(words[1], "down") != 0 && strcmp(words[1], "up") != 0)
        scene_fail(s, "a store is down or up, not %s", words[1]);
    gate_refuse(s->w, words[1][0] == 'd' ? MS_UNAVAILABLE : MS_OK);
    return MS_OK;
}

static enum ms_code verb_sync(struct scene *s, int n, char **words, struct ms_error *reterr) {
    (void)n;
    return sync_file(*scene_handle_of(s, words[1]), reterr);
}

/* What waits on the local disk to be uploaded. */
static enum ms_code verb_pending(struct scene *s, int n, char **words, struct ms_error *reterr) {
    struct ms_pending_sum sum;
    scene_only(s, n, words, "files bytes failing");
    MS_TRY(ms_pending(s->w->svc, NULL, NULL, &sum, reterr));
    scene_number(s, n, words, "files", sum.files);
    scene_number(s, n, words, "bytes", sum.bytes);
    scene_number(s, n, words, "failing", sum.failing);
    return MS_OK;
}

/* All that waits, once: refused by what the store says. */
static enum ms_code verb_drain(struct scene *s, int n, char **words, struct ms_error *reterr) {
    const struct ms_drain how = {.others = true};
    (void)n, (void)words;
    return ms_writeback_drain(s->w->svc, &how, reterr);
}

static const struct scene_verb verbs[] = {
    {"writeback", 1, 1, verb_writeback, "on|off: whether what is written is acknowledged from the local disk"},
    {"store", 1, 1, verb_store, "down|up: the object store"},
    {"sync", 1, 1, verb_sync, "HANDLE: fsync"},
    {"pending", 1, 3, verb_pending, "files=N [bytes=N] [failing=N]: so much waits on the local disk"},
    {"drain", 0, 0, verb_drain, ": what waits is uploaded, as msasset pending --drain does"},
};
const struct scene_verbs scene_verbs_journal = {verbs, MS_ARRAY_LEN(verbs), NULL};
