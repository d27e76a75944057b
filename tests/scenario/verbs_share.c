/* Assets that other tenants may read. */
#include "scenario.h"

#include "service/share.h"

#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* Names with commas between. */
static size_t tenants_of(struct scene *s, char *names, struct ms_tenant_id *ret_ids) {
    size_t n = 0;
    for (char *p = names, *next; p; p = next) {
        next = strchr(p, ',');
        if (next)
            *next++ = '\0';
        if (n == MS_SHARE_TENANTS_MAX)
            scene_fail(s, "too many tenants");
        ret_ids[n++] = scene_tenant_of(s, p);
    }
    return n;
}

static enum ms_code verb_share(struct scene *s, int n, char **words, struct ms_error *reterr) {
    struct ms_tenant_id ids[MS_SHARE_TENANTS_MAX];
    const char *until = scene_value(n, words, "until");
    struct ms_share share = {.asset = scene_asset_of(s, words[1])->id, .receivers = ids};
    scene_only(s, n, words, "until");
    share.n = tenants_of(s, words[2], ids);
    if (until)
        share.until = scene_instant(s, until);
    return ms_share_add(s->w->svc, scene_ctx(s), &share, NULL, reterr);
}

static enum ms_code verb_unshare(struct scene *s, int n, char **words, struct ms_error *reterr) {
    struct ms_tenant_id ids[MS_SHARE_TENANTS_MAX];
    struct ms_share share = {.asset = scene_asset_of(s, words[1])->id, .receivers = ids};
    if (n > 2)
        share.n = tenants_of(s, words[2], ids);
    return ms_share_remove(s->w->svc, scene_ctx(s), &share, NULL, reterr);
}

static enum ms_code verb_shares(struct scene *s, int n, char **words, struct ms_error *reterr) {
    static struct ms_share_info infos[MS_SHARE_TENANTS_MAX];
    const struct ms_share_record start = {.since = {0}};
    const char *until = scene_value(n, words, "until");
    size_t found;
    scene_only(s, n, words, "until");
    MS_TRY(ms_share_list(s->w->svc, scene_ctx(s), scene_asset_of(s, words[1])->id, &start, infos,
                         MS_SHARE_TENANTS_MAX, &found, reterr));
    if (found != scene_bytes(s, words[2]))
        scene_fail(s, "it is shared with %zu tenants", found);
    for (size_t i = 0; until && i < found; i++)
        if (infos[i].share.until.ms != scene_instant(s, until).ms)
            scene_fail(s, "with %s until %" PRId64, infos[i].receiver, infos[i].share.until.ms);
    return MS_OK;
}

/* The row of the asset in what is shared with the tenant in use; NULL: there is none. */
static const struct ms_shared_info *row_of(struct scene *s, struct ms_asset_id id) {
    static struct ms_shared_info infos[SCENE_ASSETS_MAX];
    size_t found;
    assert_ok(ms_shared_list(s->w->svc, scene_ctx(s), (struct ms_asset_id){{{0}}}, infos, SCENE_ASSETS_MAX,
                             &found, &test_err));
    for (size_t i = 0; i < found; i++)
        if (memcmp(infos[i].share.asset.b, id.id.b, MS_ID_BYTES) == 0)
            return &infos[i];
    return NULL;
}

/* What is shown, found and read must agree, whatever it is. */
static enum ms_code verb_shared(struct scene *s, int n, char **words, struct ms_error *reterr) {
    const struct scene_asset *asset = scene_asset_of(s, words[1]);
    const struct ms_shared_info *row = row_of(s, asset->id);
    static struct ms_shared_info info;
    const char *is = !row ? "none" : row->readable ? "yes" : "no";
    enum ms_code code = ms_shared_find(s->w->svc, scene_ctx(s), ms_id_text(asset->id.id).s, &info, NULL);
    (void)reterr;
    if (strcmp(words[2], is) != 0)
        scene_fail(s, "wanted %s, it is %s%s%s", words[2], is, row ? ": " : "", row ? row->why.message : "");
    if (!row != (code == MS_NOT_FOUND) || (row && row->readable) != (code == MS_OK))
        scene_fail(s, "listed: %s, found: %s", is, ms_code_name(code));
    if (n > 3 && strcmp(words[3], ms_state_name(info.state)) != 0)
        scene_fail(s, "the reader sees %s", ms_state_name(info.state));
    return MS_OK;
}

static enum ms_code verb_take(struct scene *s, int n, char **words, struct ms_error *reterr) {
    const char *bytes = scene_value(n, words, "bytes");
    int fd = memfd_create("taken", MFD_CLOEXEC);
    struct ms_get get = {.id = scene_asset_of(s, words[1])->id, .fd = fd};
    struct stat st = {.st_size = 0};
    scene_only(s, n, words, "bytes");
    enum ms_code code = ms_shared_fetch(s->w->svc, scene_ctx(s), &get, reterr);
    if (fd < 0 || fstat(fd, &st) != 0)
        scene_fail(s, "no file to write to");
    (void)close(fd);
    if (code != MS_OK && st.st_size > 0)
        scene_fail(s, "refused, and %lld bytes came", (long long)st.st_size);
    if (code == MS_OK && bytes && (uint64_t)st.st_size != scene_bytes(s, bytes))
        scene_fail(s, "%lld bytes came", (long long)st.st_size);
    return code;
}

/* By a name, as msasset show --shared does. */
static enum ms_code verb_called(struct scene *s, int n, char **words, struct ms_error *reterr) {
    static struct ms_shared_info info;
    (void)n;
    MS_TRY(ms_shared_find(s->w->svc, scene_ctx(s), words[2], &info, reterr));
    if (memcmp(info.share.asset.b, scene_asset_of(s, words[1])->id.id.b, MS_ID_BYTES) != 0)
        scene_fail(s, "%s is another asset", words[2]);
    return MS_OK;
}

static const struct scene_verb verbs[] = {
    {"share", 2, 3, verb_share, "LABEL TENANT,... [until=INSTANT]"},
    {"unshare", 1, 2, verb_unshare, "LABEL [TENANT,...]"},
    {"shares", 2, 3, verb_shares, "LABEL N [until=INSTANT]: the tenant in use shares it with so many"},
    {"shared", 2, 3, verb_shared, "LABEL yes|no|none [STATE]: with the tenant in use, and it reads it now"},
    {"take", 1, 2, verb_take, "LABEL [bytes=N]: read what is shared with the tenant in use"},
    {"called", 2, 2, verb_called, "LABEL TENANT/NAME: so the tenant in use finds it"},
};
const struct scene_verbs scene_verbs_share = {verbs, MS_ARRAY_LEN(verbs)};
