/* Copies between two gateways with stores of their own (verb `gateway`): what A tells in a blob, B takes over. */
#include "scenario.h"

#include "service/confirm.h"
#include "service/replicate.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define BLOBS_MAX 16

/* The stream of bytes is a file: stores in memory sign no URLs (those: tests/cli/replicate.sh). */
struct told {
    char label[SCENE_LABEL_MAX + 1];
    struct ms_buf blob;
    char stream[4096]; /* removed with the folder of the gateway that wrote it */
};
static struct told told[BLOBS_MAX];
static unsigned told_n;

static void forget(void) {
    for (unsigned i = 0; i < told_n; i++)
        ms_buf_fini(&told[i].blob);
    memset(told, 0, sizeof told);
    told_n = 0;
}

static struct told *told_of(struct scene *s, const char *label) {
    for (unsigned i = 0; i < told_n; i++)
        if (strcmp(told[i].label, label) == 0)
            return &told[i];
    scene_fail(s, "no blob is called \"%s\"", label);
}

/* The first one seals, each of them opens. */
static enum ms_code verb_keys(struct scene *s, int n, char **words, struct ms_error *reterr) {
    char text[1024] = "", *path = s->w->svc->replication_keys;
    (void)reterr;
    for (int i = 1; i + 1 < n; i += 2) {
        size_t len = strlen(text);
        (void)snprintf(text + len, sizeof text - len, "%s %s\n", words[i], words[i + 1]);
    }
    (void)snprintf(path, sizeof s->w->svc->replication_keys, "%s/keys", s->w->tmp);
    ms_test_write_file(path, text, strlen(text));
    if (chmod(path, 0600) != 0)
        scene_fail(s, "cannot keep the keys");
    return MS_OK;
}

static enum ms_code write_stream(struct scene *s, struct told *t, struct ms_error *reterr) {
    struct ms_replicate_send send = {.blob = ms_buf_view(&t->blob)};
    (void)snprintf(t->stream, sizeof t->stream, "%s/stream-%s", s->w->tmp, t->label);
    send.fd = open(t->stream, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (send.fd < 0)
        scene_fail(s, "cannot write %s", t->stream);
    enum ms_code code = ms_replicate_send(s->w->svc, scene_ctx(s), &send, reterr);
    (void)close(send.fd);
    return code;
}

static enum ms_code verb_tell(struct scene *s, int n, char **words, struct ms_error *reterr) {
    const char *valid = scene_value(n, words, "for");
    struct told t = {.blob = {0}};
    scene_only(s, n, words, "for");
    if (told_n == BLOBS_MAX || strlen(words[1]) > SCENE_LABEL_MAX)
        scene_fail(s, "too many blobs, or a long label");
    (void)snprintf(t.label, sizeof t.label, "%s", words[1]);
    enum ms_code code = ms_replicate_info(s->w->svc, scene_ctx(s), scene_asset_of(s, words[2])->id,
                                          valid ? scene_duration(s, valid) : 0, &t.blob, reterr);
    if (code == MS_OK)
        code = write_stream(s, &t, reterr);
    if (code != MS_OK) {
        ms_buf_fini(&t.blob);
        return code;
    }
    told[told_n++] = t;
    return MS_OK;
}

/* One letter is another one: in a blob still one of base64, which the seal must find. */
static void garble(char *p, size_t n) {
    p[n / 2] = p[n / 2] == 'A' ? 'B' : 'A';
}

static enum ms_code pull(struct scene *s, struct ms_view blob, const char *stream, struct ms_error *reterr) {
    const struct ms_replicate_pull pull = {.blob = blob, .from = open(stream, O_RDONLY | O_CLOEXEC)};
    if (pull.from < 0)
        scene_fail(s, "cannot read %s", stream);
    enum ms_code code = ms_replicate_pull(s->w->svc, scene_ctx(s), &pull, &s->info, reterr);
    (void)close(pull.from);
    return code;
}

static enum ms_code verb_pull(struct scene *s, int n, char **words, struct ms_error *reterr) {
    const char *garbled = scene_value(n, words, "garbled");
    const struct told *t = told_of(s, words[2]);
    char other[sizeof t->stream + 8];
    size_t stream_n;
    scene_only(s, n, words, "garbled");
    bool in_blob = garbled && strcmp(garbled, "blob") == 0, in_bytes = garbled && !in_blob;
    if (in_bytes && strcmp(garbled, "bytes") != 0)
        scene_fail(s, "blob or bytes are garbled");
    char *blob = malloc(t->blob.len + 1), *stream = ms_test_read_file(t->stream, &stream_n);
    if (!blob)
        scene_fail(s, "no memory");
    memcpy(blob, t->blob.data, t->blob.len);
    if (in_blob)
        garble(blob, t->blob.len);
    if (in_bytes)
        garble(stream, stream_n);
    (void)snprintf(other, sizeof other, "%s.read", t->stream);
    ms_test_write_file(other, stream, stream_n);
    enum ms_code code = pull(s, ms_view_of(blob, t->blob.len), other, reterr);
    free(blob);
    free(stream);
    if (code == MS_OK)
        scene_name_asset(s, words[1], (struct ms_asset_id){s->info.asset.id});
    return code;
}

/* What came through a mount has no MD5; its copy has one. */
static bool same_file(const struct ms_file_record *x, const struct ms_file_record *y) {
    return x->category == y->category && x->size == y->size && strcmp(x->name, y->name) == 0 &&
           (!x->has_md5 || !y->has_md5 || memcmp(x->md5, y->md5, sizeof x->md5) == 0);
}

static bool same_files(const struct ms_file_record *x, size_t n, const struct ms_file_record *y, size_t m) {
    size_t found = 0;
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < m; k++)
            found += same_file(&x[i], &y[k]);
    return n == m && found == n;
}

static size_t files_of(struct scene *s, const struct scene_asset *asset, struct ms_file_record *ret_files) {
    struct world *w = scene_world_of(s, asset->tenant);
    struct ms_ctx ctx = w->admin;
    size_t n;
    ctx.tenant = asset->tenant;
    if (ms_file_list(w->svc, &ctx, asset->id, ret_files, MS_FILES_MAX, &n, &test_err) != MS_OK)
        scene_fail(s, "its files: %s", test_err.message);
    return n;
}

/* Name, description, tags and files; ids of their own. */
static enum ms_code verb_same(struct scene *s, int n, char **words, struct ms_error *reterr) {
    const struct scene_asset *a = scene_asset_of(s, words[1]), *b = scene_asset_of(s, words[2]);
    struct ms_file_record *x = calloc(2 * (size_t)MS_FILES_MAX, sizeof *x), *y = x + MS_FILES_MAX;
    struct ms_asset_record of_a;
    (void)n;
    if (!x)
        scene_fail(s, "no memory");
    bool same = same_files(x, files_of(s, a, x), y, files_of(s, b, y));
    free(x);
    MS_TRY(scene_look(s, a, reterr));
    of_a = s->info.asset;
    MS_TRY(scene_look(s, b, reterr));
    if (!same || memcmp(a->id.id.b, b->id.id.b, MS_ID_BYTES) == 0 || of_a.type != s->info.asset.type ||
        strcmp(of_a.name, s->info.asset.name) != 0 || strcmp(of_a.tags, s->info.asset.tags) != 0 ||
        strcmp(of_a.description, s->info.asset.description) != 0)
        scene_fail(s, "%s is no copy of %s", words[2], words[1]);
    return MS_OK;
}

static const struct scene_verb verbs[] = {
    {"keys", 2, 8, verb_keys, "ID HEX...: of this gateway; the first seals, each opens"},
    {"tell", 2, 3, verb_tell, "BLOB LABEL [for=DURATION]: its replication-info, and its bytes as a stream"},
    {"pull", 2, 3, verb_pull, "LABEL BLOB [garbled=blob|bytes]: a copy for the tenant in use"},
    {"same", 2, 2, verb_same, "LABEL LABEL: texts and files are the same, ids are not"},
};
const struct scene_verbs scene_verbs_gateway = {verbs, MS_ARRAY_LEN(verbs), forget};
