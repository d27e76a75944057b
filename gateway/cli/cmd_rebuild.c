#include "cli/out.h"
#include "service/rebuild.h"

#include <inttypes.h>
#include <limits.h>
#include <unistd.h>

enum { OPT_FROM, OPT_DRY_RUN, OPT_TAKE_OVER };

struct talk {
    struct ms_cli *cli;
    struct ms_progress bar;
    json_t *notes;
};

static void note(void *priv, const char *kind, const char *text) {
    struct talk *t = priv;
    if (t->cli->json)
        ms_out_add(t->notes, json_pack("{s:s,s:s}", "kind", kind, "text", text));
    else if (!t->cli->quiet)
        fprintf(stderr, "%s%s: %s\n", t->bar.drawn ? "\r\033[K" : "", kind, text);
}

static bool progress(void *priv, const char *stage, uint64_t done, uint64_t total) {
    struct talk *t = priv;
    t->bar.label = stage;
    return strcmp(stage, "hashes") == 0 ? ms_progress_update(&t->bar, done, total)
                                        : ms_progress_number(&t->bar, done);
}

static json_t *as_json(const struct ms_rebuild_result *r, json_t *notes) {
    json_t *json = json_object();
    const struct {
        const char *name;
        uint64_t n;
    } members[] = {{"listed", r->listed},
                   {"listed_bytes", r->listed_bytes},
                   {"segments", r->segments},
                   {"segments_damaged", r->segments_damaged},
                   {"lines", r->lines},
                   {"lines_damaged", r->lines_damaged},
                   {"tenants", r->tenants},
                   {"tenants_unnamed", r->tenants_unnamed},
                   {"folders", r->folders},
                   {"files", r->files},
                   {"others", r->others},
                   {"bytes", r->bytes},
                   {"binned", r->binned},
                   {"by_birth", r->by_birth},
                   {"newer", r->newer},
                   {"displaced", r->displaced},
                   {"hashed", r->hashed},
                   {"hashed_bytes", r->hashed_bytes},
                   {"changed", r->changed},
                   {"lost", r->lost},
                   {"left", r->left}};
    for (size_t i = 0; i < MS_ARRAY_LEN(members); i++)
        ms_out_set(json, members[i].name, ms_out_json_u64(members[i].n));
    ms_out_set(json, "notes", notes);
    return json;
}

static void print(const struct ms_rebuild_result *r) {
    printf("In the bucket: %" PRIu64 " objects (%s), %" PRIu64 " segments with %" PRIu64
           " facts; damaged: %" PRIu64 " segments, %" PRIu64 " facts.\n",
           r->listed, ms_out_size(r->listed_bytes).s, r->segments, r->lines, r->segments_damaged,
           r->lines_damaged);
    printf("Came back: %" PRIu64 " tenants, %" PRIu64 " folders, %" PRIu64 " files (%s), %" PRIu64
           " links and special files; %" PRIu64 " of the files in the bin.\n",
           r->tenants, r->folders, r->files, ms_out_size(r->bytes).s, r->others, r->binned);
    printf("Not as told: %" PRIu64 " files known by birth facts only, %" PRIu64
           " with newer bytes than told, %" PRIu64 " elsewhere or under another name, %" PRIu64
           " tenants without a name.\n",
           r->by_birth, r->newer, r->displaced, r->tenants_unnamed);
    printf("Hashes computed from the bytes of %" PRIu64 " objects (%s); %" PRIu64
           " did not hold what was sealed.\n",
           r->hashed, ms_out_size(r->hashed_bytes).s, r->changed);
    printf("Did not come back: %" PRIu64 " assets whose object is missing or of another size; %"
           PRIu64 " objects belong to nothing (msasset gc deletes them).\n"
           "Begun anew, because no bucket has them: the history of ledger and audit log, quota "
           "leases, unfinished uploads.\n",
           r->lost, r->left);
}

static enum ms_code absolute(const char *path, char ret_dir[PATH_MAX], struct ms_error *reterr) {
    char cwd[PATH_MAX] = "";
    if (path[0] != '/' && !getcwd(cwd, sizeof cwd))
        return ms_fail_errno(reterr, errno, "cannot tell where \"%s\" is", path);
    int n = snprintf(ret_dir, PATH_MAX, "%s%s%s", cwd, path[0] == '/' ? "" : "/", path);
    while (n > 1 && n < PATH_MAX && ret_dir[n - 1] == '/')
        ret_dir[--n] = '\0';
    return n > 1 && n < PATH_MAX ? MS_OK : ms_fail(reterr, MS_USAGE, "no place for a store: %s", path);
}

static enum ms_code run(struct ms_cli *cli, struct ms_error *reterr) {
    char dir[PATH_MAX], unused[4096];
    struct talk talk = {.cli = cli};
    struct ms_rebuild_result r = {0};
    struct ms_rebuild_options options = {.dry_run = cli->given[OPT_DRY_RUN] != NULL,
                                         .take_over = cli->given[OPT_TAKE_OVER] != NULL,
                                         .note = note,
                                         .progress = progress,
                                         .priv = &talk};
    if (!cli->given[OPT_FROM])
        return ms_fail(reterr, MS_USAGE, "name the bucket: --from URL");
    enum ms_code code = absolute(cli->args[0], dir, reterr);
    if (code == MS_OK)
        code = ms_cli_svc_options(cli, unused, &options.store, reterr);
    if (code != MS_OK)
        return code;
    options.store.dir = dir;
    options.store.object_url = cli->given[OPT_FROM];
    talk.notes = json_array();
    ms_progress_begin(&talk.bar, cli, "objects");
    code = ms_rebuild(&options, &r, reterr);
    ms_progress_end(&talk.bar);
    if (code == MS_OK && cli->json)
        return ms_out_json(as_json(&r, talk.notes), reterr);
    json_decref(talk.notes);
    if (code == MS_OK && !cli->quiet) {
        print(&r);
        printf("%s%s.\n", options.dry_run ? "Nothing was made; without --dry-run the store would be "
                                          : "The store is ",
               dir);
    }
    return code;
}

const struct ms_cmd ms_cmd_rebuild = {
    .name = "rebuild",
    .args = "DIR",
    .summary = "make a lost store again from its objects",
    .help = "Makes a store in DIR, missing or empty, from the object store alone: from the "
            "catalogue below .catalogue/,\n"
            "and for objects that it does not know from what each tells of itself (these appear in "
            "their type's folder\n"
            "under the name that they were born with). Reports what came back, what is not as it "
            "was, and what is lost.\n"
            "The bucket is only read. The old store must not run any more; --take-over makes sure: "
            "the bucket gets a new\n"
            "owner's id, which the old store then refuses. A rebuild that was cut is begun again by "
            "the same command.\n\n"
            "Examples:\n"
            "  msasset rebuild --from 's3://media/assets?endpoint=https://rgw.example.org' "
            "/srv/msasset\n"
            "  msasset rebuild --from dir:/mnt/objects --dry-run /srv/msasset\n",
    .opts = {{"from", 0, "URL", "where the objects are, as for msasset init --objects"},
             {"dry-run", 'n', NULL, "tell what would come back; reads no object's bytes"},
             {"take-over", 0, NULL, "give the bucket a new id, so that the old store is refused"}},
    .args_min = 1,
    .args_max = 1,
    .run = run,
};
