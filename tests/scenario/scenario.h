/* scenario.h — text scripts about the life of assets, run against the real service with a clock that
 * moves only when a script says so.
 *
 * A script is a file scripts/<name>.ms; each is a test of its own (CMakeLists.txt), and README.md has
 * the language. Every script runs three times: with a sweep after each tick, without any, and with
 * sweeps by a seed. What assets, audit rows and ledger say at the end must be the same three times, and
 * fsck must find nothing.
 *
 * A verb is a row in a table of some verbs_*.c; the tables stand in scenario.c. It gets the words of its
 * line and returns what the service said: the runner compares that with what the line wants. Whatever
 * is wrong with the script itself ends the test (scene_fail).
 */
#ifndef MS_TESTS_SCENARIO_H
#define MS_TESTS_SCENARIO_H

#include "file/world.h"

#include "service/upkeep.h"

#define SCENE_LABEL_MAX 31
#define SCENE_TENANTS_MAX 16
#define SCENE_ASSETS_MAX 128
#define SCENE_MARKS_MAX 64
#define SCENE_HANDLES_MAX 16
#define SCENE_ROWS_MAX 128
#define SCENE_IDS_MAX 64
#define SCENE_GATEWAYS_MAX 2 /* each with a store of its own; one clock */

enum scene_sweeps { SCENE_SWEPT, SCENE_NEVER, SCENE_SOMETIMES, SCENE_SWEEPS_COUNT };

struct scene_tenant {
    struct ms_tenant_record record; /* as it was made */
    unsigned gateway; /* where it is */
};
struct scene_asset {
    char label[SCENE_LABEL_MAX + 1];
    struct ms_asset_id id;
    struct ms_tenant_id tenant;
};
struct scene_mark {
    char label[SCENE_LABEL_MAX + 1];
    struct ms_instant at;
};
struct scene_handle {
    char label[SCENE_LABEL_MAX + 1];
    struct ms_handle *handle;
};
/* Any other noun that a verb gives a label: transfer jobs, requests. */
struct scene_id {
    char label[SCENE_LABEL_MAX + 1];
    struct ms_id id;
};
/* An audit row that must be there in the end, swept or not. */
struct scene_row {
    unsigned line;
    struct ms_asset_id asset;
    struct ms_tenant_id tenant;
    char event[24];
    char from[24], to[24];
    bool has_at;
    struct ms_instant at;
};

struct scene {
    struct world *w; /* the gateway's in use; w->ctx and w->admin are of the tenant in use there */
    struct world *gateway[SCENE_GATEWAYS_MAX]; /* NULL: not there yet */
    const char *path;
    const char *probe; /* msasset-probe */
    unsigned line;
    enum scene_sweeps sweeps;
    struct ms_random *random;
    bool admin; /* who acts */
    struct scene_tenant tenant[SCENE_TENANTS_MAX];
    struct scene_asset asset[SCENE_ASSETS_MAX];
    struct scene_mark mark[SCENE_MARKS_MAX];
    struct scene_handle handle[SCENE_HANDLES_MAX];
    struct scene_id id[SCENE_IDS_MAX];
    struct scene_row row[SCENE_ROWS_MAX];
    unsigned tenants, assets, marks, handles, ids, rows;
    struct ms_asset_info info; /* scratch: it is big */
};

/* words[0] is the verb; key=value words count too. */
typedef enum ms_code scene_verb_fn(struct scene *s, int n, char **words, struct ms_error *reterr);
struct scene_verb {
    const char *name;
    int min, max; /* words behind the verb; max -1: any number */
    scene_verb_fn *run;
    const char *usage;
};
struct scene_verbs {
    const struct scene_verb *verb;
    size_t n;
    void (*end)(void); /* behind each run, failed or not: what the verbs keep beside the scene; or NULL */
};
extern const struct scene_verbs scene_verbs_asset, scene_verbs_tree, scene_verbs_look,
    scene_verbs_request, scene_verbs_transfer, scene_verbs_money, scene_verbs_upload,
    scene_verbs_review, scene_verbs_share, scene_verbs_kinds, scene_verbs_webhook, scene_verbs_gateway,
    scene_verbs_payment, scene_verbs_journal, scene_verbs_derive;

/* The line is wrong, or what it says is not so. */
_Noreturn void scene_fail(const struct scene *s, const char *fmt, ...) MS_PRINTF(2, 3);

/* The context of whoever acts (verb `as`). */
const struct ms_ctx *scene_ctx(const struct scene *s);
struct ms_instant scene_now(const struct scene *s);
/* Known to an earlier line, or the script is wrong. */
struct scene_asset *scene_asset_of(struct scene *s, const char *label);
struct ms_tenant_id scene_tenant_of(struct scene *s, const char *name);
struct ms_handle **scene_handle_of(struct scene *s, const char *label);
struct ms_id *scene_id_of(struct scene *s, const char *label);
/* A new label, or an old one for something else from now on. */
void scene_name_asset(struct scene *s, const char *label, struct ms_asset_id id);
void scene_name_handle(struct scene *s, const char *label, struct ms_handle *handle);
void scene_name_id(struct scene *s, const char *label, struct ms_id id);
/* The value of the word "key=value", or NULL. A script may not have key words that nobody asks for:
 * scene_only names those that there are ("at why"). */
const char *scene_value(int n, char **words, const char *key);
void scene_only(const struct scene *s, int n, char **words, const char *keys);
/* "7d", "-1ms", "24h": with a sign. */
int64_t scene_duration(const struct scene *s, const char *text);
/* "now", a mark, or RFC 3339, then any number of "+7d", "-1ms", "+3mo" (calendar months). */
struct ms_instant scene_instant(struct scene *s, const char *text);
uint64_t scene_bytes(const struct scene *s, const char *text);
/* n (at least 64) bytes that libmagic takes for what the suffix says; the same ones each time. */
void scene_fill(uint8_t *p, size_t n, const char *suffix);
/* The event or life-cycle rule of that name; the script is wrong when there is none. */
enum ms_event scene_event(const struct scene *s, const char *name);
/* A file below the world's folder that whoever may execute; the text is the program. */
void scene_program(const struct scene *s, const char *name, const char *text, char *ret_path, size_t size);
/* Of a verb that counts: "key=N" is that number; what is not named is 0. */
void scene_number(const struct scene *s, int n, char **words, const char *key, uint64_t is);
/* The gateway of a tenant. */
struct world *scene_world_of(const struct scene *s, struct ms_tenant_id tenant);
/* Instead of the gateway that there is: one whose contents are probed. Before anything was made. */
void scene_probed(struct scene *s);
/* Time goes on; the sweep follows if it is that kind of run. */
void scene_go_to(struct scene *s, struct ms_instant at);
/* The asset at `now`. */
enum ms_code scene_look(struct scene *s, const struct scene_asset *asset, struct ms_error *reterr);
/* A life-cycle event by whoever acts. */
enum ms_code scene_apply(struct scene *s, struct ms_asset_event *event, const char *label,
                         struct ms_error *reterr);

#endif
