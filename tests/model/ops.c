/* The operations, each done to both sides with the same arguments. */
#include "play.h"

#include "service/batch.h"
#include "service/bin.h"
#include "service/confirm.h"
#include "service/copy.h"
#include "service/request.h"
#include "service/review.h"
#include "service/share.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define NAMES 24 /* of each kind in a tenant: few, so that they meet */
#define BYTES_MAX 3000
#define LIVE_MAX 2200 /* of all tenants: then there are no new ones until some have gone */

/* ---- choices ----------------------------------------------------------------------------- */

/* In twos of three operations the one before's, so that stories come about. */
static int some_asset(struct play *p) {
    bool dead = p->last >= 0 && p->m.asset[p->last].life.rest == M_DELETED;
    if (p->last >= 0 && !play_chance(p, 3) && (!dead || play_chance(p, 10)))
        return p->last;
    for (unsigned tries = 0; tries < 8 && p->m.assets > 0; tries++) {
        int i = (int)play_below(p, (uint64_t)p->m.assets);
        if (p->m.asset[i].life.rest != M_DELETED || tries == 7)
            return i;
    }
    return -1;
}

static int some_tenant(struct play *p) { return (int)play_below(p, PLAY_TENANTS); }

static void some_name(struct play *p, char ret_name[M_NAME_MAX + 1]) {
    unsigned n = (unsigned)play_below(p, NAMES);
    if (n % 4 == 0)
        (void)snprintf(ret_name, M_NAME_MAX + 1, "videos/v%u.mp4", n);
    else
        (void)snprintf(ret_name, M_NAME_MAX + 1, "files/f%u.txt", n);
}

static bool is_video(const char *name) { return strncmp(name, "videos/", 7) == 0; }

/* Another one, of the same kind and in the same folder. */
static void name_like(struct play *p, const char *name, char ret_name[M_NAME_MAX + 1]) {
    do
        some_name(p, ret_name);
    while (is_video(name) != is_video(ret_name));
}

/* A name that the asset has, else any. */
static void name_of(struct play *p, int asset, char ret_name[M_NAME_MAX + 1]) {
    const struct m_life *l = &p->m.asset[asset].life;
    if (l->names == 0) {
        some_name(p, ret_name);
        return;
    }
    (void)snprintf(ret_name, M_NAME_MAX + 1, "%s", l->name[play_below(p, (uint64_t)l->names)]);
}

/* Near enough that it comes, and sometimes past. */
static int64_t some_instant(struct play *p) {
    static const int64_t ahead[] = {-1, 0, 1, M_MINUTE, M_HOUR, M_DAY, 3 * M_DAY, 40 * M_DAY};
    return p->m.now + ahead[play_below(p, MS_ARRAY_LEN(ahead))];
}

static struct play_touched about(const struct play *p, int asset) {
    return (struct play_touched){asset, p->m.asset[asset].tenant, -1};
}

static void agree(struct play *p, int asset, enum ms_code code, const struct ms_error *err,
                  enum m_answer answer) {
    struct play_touched touched = about(p, asset);
    play_agree(p, asset, code, err, answer);
    play_compare(p, touched);
}

/* ---- files ------------------------------------------------------------------------------- */

/* The same bytes whenever it has that size: an upload is declared now and sent later. */
static void set_size(const struct play *p, int fd, uint64_t bytes) {
    const uint8_t *content = fd == p->text ? p->text_bytes : p->video_bytes;
    if (ftruncate(fd, (off_t)bytes) != 0 || lseek(fd, 0, SEEK_SET) != 0 ||
        pwrite(fd, content, bytes, 0) != (ssize_t)bytes)
        abort();
}

static enum ms_code put(struct play *p, int tenant, const char *name, uint64_t bytes, bool replace,
                        struct ms_error *err) {
    struct ms_ctx ctx = play_ctx(p, tenant, false);
    struct ms_put args = {.fd = is_video(name) ? p->video : p->text,
                          .path = name,
                          .mode = 0644,
                          .replace = replace};
    set_size(p, args.fd, bytes);
    return ms_asset_put(p->w->svc, &ctx, &args, &p->info, err);
}

static bool is_full(const struct play *p) {
    int64_t live = 0;
    for (int t = 0; t < PLAY_TENANTS; t++)
        live += p->m.tenant[t].counts.assets;
    return live >= LIVE_MAX || p->m.assets + 64 >= p->m.assets_max;
}

static void new_one(struct play *p, int asset, struct ms_id id) {
    p->asset[asset] = (struct play_asset){.id = {id}};
    p->last = asset;
}

static void op_put(struct play *p) {
    char name[M_NAME_MAX + 1];
    struct ms_error err = {0};
    int tenant = some_tenant(p), asset = -1;
    uint64_t bytes = 64 + play_below(p, BYTES_MAX);
    if (is_full(p))
        return;
    some_name(p, name);
    play_say(p, -1, "put %s in %d, %d bytes", name, tenant, (int)bytes);
    enum ms_code code = put(p, tenant, name, bytes, false, &err);
    enum m_answer answer = m_put(&p->m, tenant, name, bytes, &asset);
    play_agree(p, asset, code, &err, answer);
    if (code == MS_OK)
        new_one(p, asset, p->info.asset.id);
    p->stray_tenant = answer == M_QUOTA ? tenant : -1;
    play_compare(p, (struct play_touched){asset, tenant, -1});
    if (p->stray_tenant >= 0)
        play_fail(p, -1, "what was put beyond the quota is not gone");
}

static void op_overwrite(struct play *p) {
    char name[M_NAME_MAX + 1];
    struct ms_error err = {0};
    int asset = some_asset(p);
    uint64_t bytes = 64 + play_below(p, BYTES_MAX);
    if (asset < 0 || p->m.asset[asset].life.names == 0)
        return;
    name_of(p, asset, name);
    int tenant = p->m.asset[asset].tenant;
    play_say(p, asset, "overwrite %s, %d bytes", name, (int)bytes);
    enum ms_code code = put(p, tenant, name, bytes, true, &err);
    agree(p, asset, code, &err, m_overwrite(&p->m, tenant, name, bytes));
}

static void op_copy(struct play *p) {
    char name[M_NAME_MAX + 1];
    struct ms_error err = {0};
    int asset = some_asset(p), copy = -1;
    if (asset < 0 || is_full(p))
        return;
    const struct m_life *l = &p->m.asset[asset].life;
    name_like(p, l->names ? l->name[0] : "files/", name);
    int tenant = p->m.asset[asset].tenant;
    struct ms_ctx ctx = play_ctx(p, tenant, false);
    play_say(p, asset, "copy to %s", name);
    enum ms_code code =
        ms_asset_copy(p->w->svc, &ctx, p->asset[asset].id, name, &p->info, &err);
    enum m_answer answer = m_copy(&p->m, asset, name, &copy);
    play_agree(p, asset, code, &err, answer);
    if (code == MS_OK)
        new_one(p, copy, p->info.asset.id);
    play_compare(p, (struct play_touched){copy < 0 ? asset : copy, tenant, -1});
}

/* ---- names ------------------------------------------------------------------------------- */

struct place {
    struct ms_node folder;
    char name[MS_NAME_BYTES_MAX + 1];
};

static struct place place_of(struct play *p, const struct ms_ctx *ctx, const char *path) {
    struct place place;
    assert_ok(ms_tree_walk_parent(p->w->svc, ctx, path, &place.folder, place.name, &test_err));
    return place;
}

static void op_unlink(struct play *p) {
    char name[M_NAME_MAX + 1];
    struct ms_error err = {0};
    int asset = some_asset(p);
    struct ms_gone went;
    if (asset < 0)
        return;
    name_of(p, asset, name);
    int tenant = p->m.asset[asset].tenant, named = m_named(&p->m, tenant, name);
    struct ms_ctx ctx = play_ctx(p, tenant, false);
    struct place at = place_of(p, &ctx, name);
    play_say(p, named, "unlink %s", name);
    enum ms_code code = ms_tree_unlink(p->w->svc, &ctx, at.folder.inode.ino, at.name, false, &went,
                                       &err);
    agree(p, named < 0 ? asset : named, code, &err, m_unlink(&p->m, tenant, name));
}

static void op_rename(struct play *p) {
    char name[M_NAME_MAX + 1], to[M_NAME_MAX + 1];
    struct ms_error err = {0};
    int asset = some_asset(p);
    struct ms_gone went;
    struct ms_node node;
    if (asset < 0)
        return;
    name_of(p, asset, name);
    name_like(p, name, to);
    if (strcmp(name, to) == 0)
        return;
    int tenant = p->m.asset[asset].tenant, named = m_named(&p->m, tenant, name);
    struct ms_ctx ctx = play_ctx(p, tenant, false);
    struct place from = place_of(p, &ctx, name), at = place_of(p, &ctx, to);
    struct ms_rename args = {.parent = from.folder.inode.ino,
                             .new_parent = at.folder.inode.ino,
                             .name = from.name,
                             .new_name = at.name,
                             .no_replace = true};
    play_say(p, named, "rename %s to %s", name, to);
    enum ms_code code = ms_tree_rename(p->w->svc, &ctx, &args, &node, &went, &err);
    agree(p, named < 0 ? asset : named, code, &err, m_rename(&p->m, tenant, name, to));
}

/* What was made within a day takes the place of what it replaces, in a way that the model does not know. Which of
 * several names is the oldest afterwards, and so the place in the bin, nothing says. */
static void op_rename_over(struct play *p) {
    char name[M_NAME_MAX + 1], to[M_NAME_MAX + 1];
    struct ms_error err = {0};
    int asset = some_asset(p);
    struct ms_gone went;
    struct ms_node node;
    if (asset < 0 || p->m.now - p->m.asset[asset].life.created < M_DAY ||
        p->m.asset[asset].life.names > 1)
        return;
    name_of(p, asset, name);
    name_like(p, name, to);
    int tenant = p->m.asset[asset].tenant, named = m_named(&p->m, tenant, name);
    int over = m_named(&p->m, tenant, to);
    if (named != asset || strcmp(name, to) == 0)
        return;
    struct ms_ctx ctx = play_ctx(p, tenant, false);
    struct place from = place_of(p, &ctx, name), at = place_of(p, &ctx, to);
    struct ms_rename args = {.parent = from.folder.inode.ino,
                             .new_parent = at.folder.inode.ino,
                             .name = from.name,
                             .new_name = at.name};
    play_say(p, asset, "rename %s over %s, which is #%d", name, to, over);
    enum ms_code code = ms_tree_rename(p->w->svc, &ctx, &args, &node, &went, &err);
    agree(p, asset, code, &err, m_rename_over(&p->m, tenant, name, to));
    if (over >= 0)
        play_compare(p, about(p, over));
}

static void op_link(struct play *p) {
    char name[M_NAME_MAX + 1], to[M_NAME_MAX + 1];
    struct ms_error err = {0};
    int asset = some_asset(p);
    struct ms_node node;
    if (asset < 0)
        return;
    name_of(p, asset, name);
    name_like(p, name, to);
    int tenant = p->m.asset[asset].tenant, named = m_named(&p->m, tenant, name);
    struct ms_ctx ctx = play_ctx(p, tenant, false);
    struct place at = place_of(p, &ctx, to);
    if (named < 0 || p->m.asset[named].life.names == M_NAMES_MAX ||
        ms_tree_walk(p->w->svc, &ctx, name, &node, NULL) != MS_OK)
        return;
    play_say(p, named, "link %s as %s", name, to);
    enum ms_code code = ms_tree_link(p->w->svc, &ctx, node.inode.ino, at.folder.inode.ino, at.name,
                                     &node, &err);
    agree(p, named, code, &err, m_link(&p->m, tenant, name, to));
}

/* ---- events of the life cycle ------------------------------------------------------------ */

static enum ms_code apply(struct play *p, int asset, struct ms_asset_event *event, bool admin,
                          struct ms_error *err) {
    struct ms_ctx ctx = play_ctx(p, p->m.asset[asset].tenant, admin);
    event->id = p->asset[asset].id;
    event->why = "because";
    play_say(p, asset, "%s at %lld", ms_event_name(event->event), (long long)event->at.ms);
    return ms_asset_apply(p->w->svc, &ctx, event, NULL, err);
}

static void simple(struct play *p, enum ms_event event, bool admin,
                   enum m_answer (*model)(struct model *m, int asset)) {
    struct ms_asset_event e = {.event = event};
    struct ms_error err = {0};
    int asset = some_asset(p);
    if (asset < 0)
        return;
    enum ms_code code = apply(p, asset, &e, admin, &err);
    agree(p, asset, code, &err, model(&p->m, asset));
}

static void op_delete(struct play *p) { simple(p, MS_EVENT_DELETE, false, m_delete); }
static void op_purge(struct play *p) { simple(p, MS_EVENT_FORCE_DELETE, false, m_purge); }
static void op_freeze(struct play *p) { simple(p, MS_EVENT_FREEZE, true, m_freeze); }
static void op_unfreeze(struct play *p) { simple(p, MS_EVENT_UNFREEZE, true, m_unfreeze); }
static void op_withdraw(struct play *p) { simple(p, MS_EVENT_WITHDRAW, true, m_withdraw); }
static void op_unschedule(struct play *p) { simple(p, MS_EVENT_UNSCHEDULE, false, m_unschedule); }

static void op_restore(struct play *p) {
    struct ms_asset_event e = {.event = MS_EVENT_RESTORE};
    struct ms_error err = {0};
    char to[M_NAME_MAX + 1];
    int asset = some_asset(p);
    if (asset < 0)
        return;
    const struct m_life *l = &p->m.asset[asset].life;
    if (l->binned && l->bin_name[0] && play_chance(p, 3)) {
        name_like(p, l->bin_name, to);
        e.restore_to = to;
    }
    enum ms_code code = apply(p, asset, &e, false, &err);
    agree(p, asset, code, &err, m_restore(&p->m, asset, e.restore_to));
}

static void op_activate(struct play *p) {
    bool on = play_chance(p, 2);
    struct ms_asset_event e = {.event = on ? MS_EVENT_ACTIVATE : MS_EVENT_DEACTIVATE};
    struct ms_error err = {0};
    int asset = some_asset(p);
    if (asset < 0)
        return;
    enum ms_code code = apply(p, asset, &e, false, &err);
    agree(p, asset, code, &err, m_activate(&p->m, asset, on));
}

static void op_announce(struct play *p) {
    struct ms_asset_event e = {.event = MS_EVENT_ANNOUNCE, .at = {some_instant(p)}};
    struct ms_error err = {0};
    int asset = some_asset(p);
    if (asset < 0)
        return;
    enum ms_code code = apply(p, asset, &e, true, &err);
    agree(p, asset, code, &err, m_announce(&p->m, asset, e.at.ms));
}

static void op_schedule(struct play *p) {
    bool block = play_chance(p, 2);
    struct ms_asset_event e = {.event = MS_EVENT_SCHEDULE,
                               .at = {some_instant(p)},
                               .scheduled_op = block ? MS_SCHEDULED_BLOCK : MS_SCHEDULED_DELETE};
    struct ms_error err = {0};
    int asset = some_asset(p);
    if (asset < 0)
        return;
    enum ms_code code = apply(p, asset, &e, false, &err);
    agree(p, asset, code, &err,
          m_schedule(&p->m, asset, block ? M_OP_BLOCK : M_OP_DELETE, e.at.ms));
}

/* What only an administrator may do. */
static void op_not_admin(struct play *p) {
    static const enum ms_event events[] = {MS_EVENT_FREEZE, MS_EVENT_UNFREEZE, MS_EVENT_WITHDRAW,
                                           MS_EVENT_REVIEW_PASS, MS_EVENT_TERMINATE};
    struct ms_asset_event e = {.event = events[play_below(p, MS_ARRAY_LEN(events))]};
    struct ms_error err = {0};
    int asset = some_asset(p);
    if (asset < 0)
        return;
    enum ms_code code = apply(p, asset, &e, false, &err);
    agree(p, asset, code, &err, p->m.asset[asset].life.rest == M_DELETED ? M_GONE : M_REFUSED);
}

/* ---- uploads ----------------------------------------------------------------------------- */

static void op_create(struct play *p) {
    struct ms_error err = {0};
    int tenant = some_tenant(p), asset = -1;
    struct ms_asset_id id;
    bool fits = !play_chance(p, 4);
    struct ms_asset_new args = {.type = fits ? MS_TYPE_COMMON_FILE : MS_TYPE_VIDEO, .name = "api"};
    struct ms_ctx ctx = play_ctx(p, tenant, false);
    if (is_full(p))
        return;
    play_say(p, -1, "create in %d", tenant);
    enum ms_code code = ms_asset_create(p->w->svc, &ctx, &args, &id, &err);
    play_agree(p, -1, code, &err, m_create(&p->m, tenant, &asset));
    if (code == MS_OK) {
        new_one(p, asset, id.id);
        p->asset[asset].fits = fits;
    }
    play_compare(p, (struct play_touched){asset, tenant, -1});
}

static int some_upload(struct play *p) {
    for (unsigned tries = 0; tries < 30; tries++) {
        int i = some_asset(p);
        if (i >= 0 && p->m.asset[i].life.rest == M_CREATING && !p->m.asset[i].life.in_review)
            return i;
        p->last = -1;
    }
    return -1;
}

static uint64_t upload_bytes(const struct play *p, int asset) {
    return 64 + (p->m.asset[asset].serial * 37) % BYTES_MAX;
}

static void upload_name(const struct play *p, int asset, char ret_name[M_NAME_MAX + 1]) {
    unsigned n = (unsigned)(p->m.asset[asset].serial % NAMES);
    if (p->asset[asset].fits)
        (void)snprintf(ret_name, M_NAME_MAX + 1, "files/f%u.txt", n);
    else
        (void)snprintf(ret_name, M_NAME_MAX + 1, "videos/v%u.mp4", n);
}

static void op_declare(struct play *p) {
    struct ms_error err = {0};
    uint8_t md5[16];
    char path[M_NAME_MAX + 1];
    int asset = some_upload(p);
    struct ms_declared declared;
    if (asset < 0)
        return;
    uint64_t bytes = upload_bytes(p, asset), size;
    struct ms_ctx ctx = play_ctx(p, p->m.asset[asset].tenant, false);
    set_size(p, p->text, bytes);
    struct ms_send of = {.fd = p->text};
    assert_ok(ms_md5_fd(&of, md5, &size, &test_err));
    bool right = !play_chance(p, 4);
    md5[0] ^= !right;
    upload_name(p, asset, path);
    struct ms_declare args = {.asset = p->asset[asset].id,
                              .category = MS_CATEGORY_MAIN,
                              .name = strchr(path, '/') + 1,
                              .md5 = md5,
                              .size = bytes,
                              .parts = 1};
    play_say(p, asset, "declare %s, %d bytes", path, (int)bytes);
    enum ms_code code = ms_file_declare(p->w->svc, &ctx, &args, &declared, &err);
    if (code == MS_OK) {
        p->asset[asset].file = declared.file;
        p->asset[asset].right = right;
    }
    p->last = asset;
    agree(p, asset, code, &err, m_declare(&p->m, asset, bytes));
}

static void op_send(struct play *p) {
    struct ms_error err = {0};
    int asset = some_upload(p);
    if (asset < 0 || p->m.asset[asset].life.main == M_MAIN_NONE)
        return;
    struct ms_ctx ctx = play_ctx(p, p->m.asset[asset].tenant, false);
    struct ms_send args = {.file = p->asset[asset].file, .fd = p->text};
    set_size(p, p->text, upload_bytes(p, asset));
    play_say(p, asset, "send");
    p->last = asset;
    enum ms_code code = ms_file_send(p->w->svc, &ctx, &args, &err);
    agree(p, asset, code, &err, m_send(&p->m, asset));
}

static void op_confirm(struct play *p) {
    struct ms_error err = {0};
    char path[M_NAME_MAX + 1];
    int asset = some_upload(p);
    bool cancel = play_chance(p, 6);
    struct ms_confirmed confirmed;
    if (asset < 0 || p->m.asset[asset].life.main == M_MAIN_NONE)
        return;
    struct ms_ctx ctx = play_ctx(p, p->m.asset[asset].tenant, false);
    struct ms_confirm args = {.file = p->asset[asset].file,
                              .as = cancel ? MS_CONFIRM_CANCELLED : MS_CONFIRM_CREATED};
    upload_name(p, asset, path);
    play_say(p, asset, cancel ? "cancel" : "confirm");
    p->last = asset;
    enum ms_code code = ms_file_confirm(p->w->svc, &ctx, &args, &confirmed, &err);
    agree(p, asset, code, &err,
          cancel ? m_cancel(&p->m, asset)
                 : m_confirm(&p->m, asset, p->asset[asset].right, p->asset[asset].fits, path));
}

/* ---- covers ------------------------------------------------------------------------------ */

static uint64_t cover_bytes(const struct play *p, int asset) {
    return 64 + (p->m.asset[asset].serial * 53) % 900;
}

static void cover_declare(struct play *p, int asset) {
    struct ms_ctx ctx = play_ctx(p, p->m.asset[asset].tenant, false);
    struct ms_error err = {0};
    struct ms_send of = {.fd = p->text};
    struct ms_declared declared;
    uint8_t md5[16];
    uint64_t bytes = cover_bytes(p, asset), size;
    set_size(p, p->text, bytes);
    assert_ok(ms_md5_fd(&of, md5, &size, &test_err));
    bool right = !play_chance(p, 4);
    md5[0] ^= !right;
    struct ms_declare args = {.asset = p->asset[asset].id, .category = MS_CATEGORY_COVER,
                              .name = "cover.png", .md5 = md5, .size = bytes, .parts = 1};
    play_say(p, asset, "declare a cover, %d bytes", (int)bytes);
    enum ms_code code = ms_file_declare(p->w->svc, &ctx, &args, &declared, &err);
    if (code == MS_OK) {
        p->asset[asset].cover = declared.file;
        p->asset[asset].cover_right = right;
    }
    agree(p, asset, code, &err, m_cover_declare(&p->m, asset, bytes));
}

static void cover_send(struct play *p, int asset) {
    struct ms_ctx ctx = play_ctx(p, p->m.asset[asset].tenant, false);
    struct ms_error err = {0};
    struct ms_send args = {.file = p->asset[asset].cover, .fd = p->text};
    set_size(p, p->text, cover_bytes(p, asset));
    play_say(p, asset, "send the cover");
    enum ms_code code = ms_file_send(p->w->svc, &ctx, &args, &err);
    agree(p, asset, code, &err, m_cover_send(&p->m, asset));
}

static void cover_confirm(struct play *p, int asset, bool cancel) {
    struct ms_ctx ctx = play_ctx(p, p->m.asset[asset].tenant, false);
    struct ms_error err = {0};
    struct ms_confirmed confirmed;
    struct ms_confirm args = {.file = p->asset[asset].cover,
                              .as = cancel ? MS_CONFIRM_CANCELLED : MS_CONFIRM_CREATED};
    play_say(p, asset, cancel ? "cancel the cover" : "confirm the cover");
    enum ms_code code = ms_file_confirm(p->w->svc, &ctx, &args, &confirmed, &err);
    agree(p, asset, code, &err,
          cancel ? m_cover_cancel(&p->m, asset)
                 : m_cover_confirm(&p->m, asset, p->asset[asset].cover_right));
}

static void cover_remove(struct play *p, int asset) {
    struct ms_ctx ctx = play_ctx(p, p->m.asset[asset].tenant, false);
    struct ms_error err = {0};
    play_say(p, asset, "remove the cover");
    enum ms_code code = ms_file_remove(p->w->svc, &ctx, p->asset[asset].cover, &err);
    agree(p, asset, code, &err, m_cover_remove(&p->m, asset));
}

/* Mostly the next step of it. Not of what failed by content, which may come into review and be CREATING again:
 * whether a freeze of the tenant then puts off the end of its other files, nothing says. */
static void op_cover(struct play *p) {
    int asset = some_asset(p);
    enum m_state rest = asset < 0 ? M_CREATING : p->m.asset[asset].life.rest;
    if (rest == M_CREATING || rest == M_FAILED)
        return;
    enum m_main is = p->m.asset[asset].life.cover;
    static const struct ms_file_id none;
    if (is != M_MAIN_NONE && memcmp(&p->asset[asset].cover, &none, sizeof none) == 0)
        return; /* of a copy: nobody told us its id */
    p->last = asset;
    if (is == M_MAIN_NONE || play_chance(p, 10))
        cover_declare(p, asset);
    else if (is == M_MAIN_THERE && !play_chance(p, 5))
        cover_remove(p, asset);
    else if (is == M_MAIN_DECLARED && !play_chance(p, 5))
        cover_send(p, asset);
    else
        cover_confirm(p, asset, play_chance(p, 5));
}

/* ---- transfers --------------------------------------------------------------------------- */

static void op_offer(struct play *p) {
    struct ms_error err = {0};
    int asset = some_asset(p), to = some_tenant(p), job = -1;
    struct ms_transfer_record record;
    bool admin = play_chance(p, 2);
    if (asset < 0 || p->m.jobs == M_JOBS_MAX || to == p->m.asset[asset].tenant)
        return;
    struct ms_ctx ctx = play_ctx(p, p->m.asset[asset].tenant, admin);
    struct ms_transfer_create args = {
        .assets = &p->asset[asset].id, .n = 1, .dest = p->tenant[to], .activate = admin};
    play_say(p, asset, "offer to %d", to);
    enum ms_code code = ms_transfer_create(p->w->svc, &ctx, &args, &record, &err);
    enum m_answer answer = m_offer(&p->m, asset, to, admin, &job);
    if (code == MS_OK && job >= 0)
        p->job[job].id = record.id;
    agree(p, asset, code, &err, answer);
}

static void op_end_job(struct play *p) {
    struct ms_error err = {0};
    struct ms_transfer_record record;
    bool moved = false, expired;
    if (p->m.jobs == 0)
        return;
    int job = (int)play_below(p, (uint64_t)p->m.jobs), jobs = p->m.jobs;
    struct m_job j = p->m.job[job];
    struct ms_transfer_id id = p->job[job];
    static const enum ms_transfer_state hows[] = {MS_TRANSFER_ACCEPT, MS_TRANSFER_ACCEPT,
                                                  MS_TRANSFER_REJECT, MS_TRANSFER_CANCEL};
    enum ms_transfer_state how = hows[play_below(p, MS_ARRAY_LEN(hows))];
    struct ms_ctx ctx = play_ctx(p, how == MS_TRANSFER_CANCEL ? j.from : j.to, false);
    play_say(p, j.asset, "%s the transfer to %d", ms_transfer_state_name((uint8_t)how), j.to);
    enum ms_code code = ms_transfer_end(p->w->svc, &ctx, id, how, NULL, &record, &err);
    enum m_answer answer = how == MS_TRANSFER_ACCEPT ? m_accept(&p->m, job, &moved)
                                                     : m_drop_job(&p->m, job, &expired);
    if (p->m.jobs < jobs)
        p->job[job] = p->job[jobs - 1];
    play_agree(p, j.asset, code, &err, answer);
    play_compare(p, (struct play_touched){j.asset, j.from, j.to});
}

/* ---- shares ------------------------------------------------------------------------------ */

/* One that it is shared with, mostly. */
static int some_reader(struct play *p, int asset) {
    const struct m_asset *a = &p->m.asset[asset];
    if (a->shares == 0 || play_chance(p, 6))
        return some_tenant(p);
    return a->share[play_below(p, (uint64_t)a->shares)].to;
}

/* One that is shared, when there is one behind some place; mostly. */
static int some_shared(struct play *p) {
    int n = p->m.assets, from = n > 0 ? (int)play_below(p, (uint64_t)n) : 0;
    if (play_chance(p, 6))
        return some_asset(p);
    for (int i = 0; i < n; i++)
        if (m_next_share_end(&p->m, &p->m.asset[(from + i) % n]) != M_NEVER)
            return (from + i) % n;
    return some_asset(p);
}

static void op_share(struct play *p) {
    static const int64_t ahead[] = {1, M_HOUR, M_DAY, 3 * M_DAY, 40 * M_DAY, 90 * M_DAY};
    struct ms_error err = {0};
    int asset = some_asset(p), to = asset < 0 ? -1 : some_reader(p, asset);
    if (asset < 0 || !m_may_share_with(&p->m, asset, to))
        return;
    int64_t until = p->m.now + ahead[play_below(p, MS_ARRAY_LEN(ahead))];
    struct ms_ctx ctx = play_ctx(p, p->m.asset[asset].tenant, false);
    struct ms_share share = {
        .asset = p->asset[asset].id, .receivers = &p->tenant[to], .n = 1, .until = {until}};
    play_say(p, asset, "shared with %d", to);
    enum ms_code code = ms_share_add(p->w->svc, &ctx, &share, NULL, &err);
    p->last = asset;
    agree(p, asset, code, &err, m_share(&p->m, asset, to, until));
}

static void op_unshare(struct play *p) {
    struct ms_error err = {0};
    int asset = some_shared(p), to = asset < 0 ? -1 : some_reader(p, asset);
    if (asset < 0)
        return;
    struct ms_ctx ctx = play_ctx(p, p->m.asset[asset].tenant, false);
    struct ms_share share = {.asset = p->asset[asset].id, .receivers = &p->tenant[to], .n = 1};
    play_say(p, asset, "withdrawn from %d", to);
    enum ms_code code = ms_share_remove(p->w->svc, &ctx, &share, NULL, &err);
    agree(p, asset, code, &err, m_unshare(&p->m, asset, to));
}

static void op_read_shared(struct play *p) {
    struct ms_error err = {0};
    int asset = some_shared(p);
    if (asset < 0)
        return;
    int to = some_reader(p, asset), fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
    struct ms_ctx ctx = play_ctx(p, to, false);
    struct ms_get get = {.id = p->asset[asset].id, .fd = fd};
    play_say(p, asset, "read by %d", to);
    enum ms_code code = ms_shared_fetch(p->w->svc, &ctx, &get, &err);
    (void)close(fd);
    p->last = asset;
    agree(p, asset, code, &err, m_read_shared(&p->m, asset, to));
}

/* ---- verdicts and requests --------------------------------------------------------------- */

static void op_review(struct play *p) {
    int tenant = some_tenant(p);
    bool on = play_chance(p, 2);
    struct ms_ctx ctx = play_ctx(p, tenant, true);
    play_say(p, -1, "uploads of %d are %sreviewed", tenant, on ? "" : "not ");
    assert_ok(ms_review_set(p->w->svc, &ctx, on, &test_err));
    p->m.tenant[tenant].review = on;
    play_compare(p, (struct play_touched){-1, tenant, -1});
}

static void op_verdict(struct play *p) {
    struct ms_error err = {0};
    int asset = some_asset(p);
    for (int i = 0; i < p->m.assets && !play_chance(p, 4); i++) /* one that waits, if there is one */
        if (p->m.asset[i].life.in_review)
            asset = i;
    bool pass = play_chance(p, 2);
    if (asset < 0)
        return;
    struct ms_ctx ctx = play_ctx(p, p->m.asset[asset].tenant, true);
    struct ms_review_decide args = {.asset = p->asset[asset].id,
                                    .verdict = pass ? MS_VERDICT_PASS : MS_VERDICT_REJECT,
                                    .reason = "because"};
    play_say(p, asset, "the verdict is %s", pass ? "pass" : "reject");
    enum ms_code code = ms_review_decide(p->w->svc, &ctx, &args, &err);
    p->last = asset;
    agree(p, asset, code, &err, m_verdict(&p->m, asset, pass));
}

static void op_ask(struct play *p) {
    struct ms_error err = {0};
    int asset = some_asset(p);
    struct ms_request_record record;
    if (asset < 0)
        return;
    struct ms_ctx ctx = play_ctx(p, p->m.asset[asset].tenant, false);
    play_say(p, asset, "an unfreeze is asked for");
    enum ms_code code =
        ms_request_add(p->w->svc, &ctx, p->asset[asset].id, "please", &record, &err);
    if (code == MS_OK)
        p->asset[asset].request.id = record.id;
    agree(p, asset, code, &err, m_ask(&p->m, asset));
}

static void op_decide(struct play *p) {
    struct ms_error err = {0};
    int asset = some_asset(p);
    bool grant = !play_chance(p, 3);
    struct ms_request_record record;
    for (int i = 0; i < p->m.assets && !play_chance(p, 4); i++)
        if (p->m.asset[i].asked)
            asset = i;
    if (asset < 0 || !p->m.asset[asset].asked)
        return;
    struct ms_ctx ctx = play_ctx(p, p->m.asset[asset].tenant, true);
    play_say(p, asset, grant ? "the request is granted" : "the request is refused");
    enum ms_code code = ms_request_decide(p->w->svc, &ctx, p->asset[asset].request, grant,
                                          "because", &record, &err);
    p->last = asset;
    agree(p, asset, code, &err, m_decide(&p->m, asset, grant));
}

/* ---- many at once ------------------------------------------------------------------------ */

static enum m_answer batch_model(struct play *p, enum ms_batch_action action, int asset) {
    switch (action) {
    case MS_BATCH_DELETE:
        return m_delete(&p->m, asset);
    case MS_BATCH_DELETE_FORCE:
        return m_purge(&p->m, asset);
    case MS_BATCH_RESTORE:
        return m_restore(&p->m, asset, NULL);
    case MS_BATCH_ACTIVE:
    case MS_BATCH_UNACTIVE:
    case MS_BATCH_SHARE:
    case MS_BATCH_UNSHARE:
    case MS_BATCH_ACTION_COUNT:
        break;
    }
    return m_activate(&p->m, asset, action == MS_BATCH_ACTIVE);
}

static const struct ms_batch_group *group_of(const struct ms_batch_result *r,
                                             struct ms_asset_id id) {
    for (size_t g = 0; g < r->n; g++)
        for (size_t i = 0; i < r->group[g].n; i++)
            if (ms_asset_id_equal(r->group[g].ids[i], id))
                return &r->group[g];
    return NULL;
}

/* Some assets of one tenant, each once, in any state. */
static size_t some_of_tenant(struct play *p, int tenant, int ret_assets[8]) {
    size_t n = 0;
    for (int i = 0; i < p->m.assets && n < 8; i++)
        if (p->m.asset[i].tenant == tenant && !p->m.asset[i].free && play_chance(p, 3))
            ret_assets[n++] = i;
    return n;
}

static void op_batch(struct play *p) {
    static struct ms_batch_result result;
    static const enum ms_batch_action actions[] = {MS_BATCH_DELETE, MS_BATCH_DELETE,
                                                   MS_BATCH_RESTORE, MS_BATCH_RESTORE,
                                                   MS_BATCH_ACTIVE, MS_BATCH_UNACTIVE,
                                                   MS_BATCH_DELETE_FORCE};
    int tenant = some_tenant(p), assets[8];
    struct ms_asset_id ids[8];
    struct ms_error err = {0};
    size_t n = some_of_tenant(p, tenant, assets);
    enum ms_batch_action action = actions[play_below(p, MS_ARRAY_LEN(actions))];
    struct ms_ctx ctx = play_ctx(p, tenant, false);
    if (n == 0)
        return;
    for (size_t i = 0; i < n; i++) {
        ids[i] = p->asset[assets[i]].id;
        play_say(p, assets[i], "in a batch, action %d", (int)action);
    }
    assert_ok(ms_batch(p->w->svc, &ctx, action, ids, n, NULL, &result, &err));
    for (size_t i = 0; i < n; i++) {
        const struct ms_batch_group *g = group_of(&result, ids[i]);
        assert_non_null(g);
        play_agree(p, assets[i], g->code, &g->error, batch_model(p, action, assets[i]));
    }
    for (size_t i = 0; i < n; i++)
        play_compare(p, about(p, assets[i]));
}

/* ---- the tenant as a whole --------------------------------------------------------------- */

static void op_hold(struct play *p) {
    struct ms_error err = {0};
    int tenant = p->last >= 0 ? p->m.asset[p->last].tenant : some_tenant(p);
    /* lifted more often than set */
    bool on = play_chance(p, 3), arrears = play_chance(p, 3);
    struct ms_ctx ctx = play_ctx(p, tenant, true);
    play_say(p, -1, "%s tenant %d by %s", on ? "freeze" : "unfreeze", tenant,
             arrears ? "ARREARS" : "ADMIN");
    enum ms_code code = ms_tenant_hold(p->w->svc, &ctx, arrears ? MS_HOLD_ARREARS : MS_HOLD_ADMIN,
                                       on, "because", &err);
    play_agree(p, -1, code, &err,
               m_hold_tenant(&p->m, tenant, arrears ? M_ARREARS : M_ADMIN, on));
    play_compare(p, (struct play_touched){p->last, tenant, -1});
}

static void op_thaw_all(struct play *p) {
    for (int t = 0; t < PLAY_TENANTS; t++) {
        struct ms_ctx ctx = play_ctx(p, t, true);
        if (p->m.tenant[t].holds == 0 || !play_chance(p, 2))
            continue;
        play_say(p, -1, "unfreeze tenant %d", t);
        assert_ok(ms_tenant_hold(p->w->svc, &ctx, MS_HOLD_ARREARS, false, "", &test_err));
        assert_ok(ms_tenant_hold(p->w->svc, &ctx, MS_HOLD_ADMIN, false, "", &test_err));
        (void)m_hold_tenant(&p->m, t, M_ARREARS, false);
        (void)m_hold_tenant(&p->m, t, M_ADMIN, false);
        play_compare(p, (struct play_touched){-1, t, -1});
    }
}

static void op_bin_set(struct play *p) {
    static const int64_t keep[] = {0, M_MINUTE, M_DAY, 7 * M_DAY, 20 * M_DAY};
    int tenant = some_tenant(p);
    int64_t retention = keep[play_below(p, MS_ARRAY_LEN(keep))];
    struct ms_ctx ctx = play_ctx(p, tenant, true);
    play_say(p, -1, "bin of %d keeps %lld", tenant, (long long)retention);
    assert_ok(ms_bin_set(p->w->svc, &ctx, retention, NULL, &test_err));
    m_bin_set(&p->m, tenant, retention);
    play_compare(p, (struct play_touched){-1, tenant, -1});
}

static void op_bypass(struct play *p) {
    static const char *const ends[] = {"", "", ".mp4", "4.txt", "1.txt"};
    const char *end = ends[play_below(p, MS_ARRAY_LEN(ends))];
    char pattern[M_NAME_MAX + 1] = "";
    int tenant = some_tenant(p);
    struct ms_ctx ctx = play_ctx(p, tenant, true);
    if (end[0])
        (void)snprintf(pattern, sizeof pattern, "*%s", end);
    play_say(p, -1, "in %d the bin is bypassed by \"%s\"", tenant, pattern);
    assert_ok(ms_bin_set(p->w->svc, &ctx, -1, pattern, &test_err));
    (void)snprintf(p->m.tenant[tenant].bypass, sizeof p->m.tenant[tenant].bypass, "%s", end);
    play_compare(p, (struct play_touched){-1, tenant, -1});
}

static void op_finished(struct play *p) {
    int tenant = some_tenant(p);
    bool unactived = play_chance(p, 3);
    struct ms_ctx ctx = play_ctx(p, tenant, true);
    play_say(p, -1, "what is finished in %d is %s", tenant, unactived ? "UNACTIVED" : "ACTIVED");
    assert_ok(ms_tenant_set_start(p->w->svc, &ctx, unactived, &test_err));
    p->m.tenant[tenant].unactived = unactived;
    play_compare(p, (struct play_touched){-1, tenant, -1});
}

static void op_bin_empty(struct play *p) {
    int tenant = some_tenant(p), gone;
    uint64_t bytes;
    struct ms_bin_empty args = {.older_ms = play_chance(p, 2) ? 0 : M_DAY};
    struct ms_bin_emptied emptied;
    struct ms_ctx ctx = play_ctx(p, tenant, false);
    play_say(p, -1, "empty bin of %d, older than %lld", tenant, (long long)args.older_ms);
    assert_ok(ms_bin_empty(p->w->svc, &ctx, &args, &emptied, &test_err));
    m_bin_empty(&p->m, tenant, args.older_ms, &gone, &bytes);
    if (emptied.assets != (uint64_t)gone || emptied.bytes != bytes)
        play_fail(p, -1, "%d assets and %d bytes left the bin, in the model %d and %d",
                  (int)emptied.assets, (int)emptied.bytes, gone, (int)bytes);
    play_compare(p, (struct play_touched){-1, tenant, -1});
}

static void op_sweep(struct play *p) {
    if (p->sweeps == PLAY_SOMETIMES)
        play_sweep(p, play_chance(p, 3) ? -1 : some_tenant(p));
}

/* ---- the table --------------------------------------------------------------------------- */

static const struct {
    void (*fn)(struct play *p);
    unsigned weight;
} ops[] = {
    {op_put, 16},     {op_overwrite, 4}, {op_copy, 4},       {op_unlink, 5},   {op_rename, 4},
    {op_link, 3},     {op_delete, 8},    {op_purge, 2},      {op_restore, 8},  {op_freeze, 7},
    {op_unfreeze, 7}, {op_activate, 4},  {op_announce, 3},   {op_withdraw, 1}, {op_schedule, 6},
    {op_unschedule, 1}, {op_not_admin, 1}, {op_create, 6},   {op_declare, 6},  {op_send, 6},
    {op_confirm, 6},  {op_offer, 4},     {op_end_job, 4},    {op_hold, 2},     {op_thaw_all, 1},
    {op_review, 1},   {op_verdict, 4},   {op_ask, 2},        {op_decide, 2},   {op_batch, 2},
    {op_bin_set, 1},  {op_bin_empty, 1}, {op_sweep, 1},      {op_cover, 9},    {op_rename_over, 4},
    {op_bypass, 1},   {op_finished, 1},  {op_share, 8},      {op_unshare, 2},  {op_read_shared, 8},
};

static void do_one(struct play *p) {
    unsigned sum = 0;
    for (size_t i = 0; i < MS_ARRAY_LEN(ops); i++)
        sum += ops[i].weight;
    uint64_t at = play_below(p, sum);
    size_t i = 0;
    while (at >= ops[i].weight)
        at -= ops[i++].weight;
    ops[i].fn(p);
}

/* ---- time -------------------------------------------------------------------------------- */

#define YEARS_MS (730 * M_DAY)

/* Of some assets the first instant at which something comes, to meet it exactly, or by a millisecond
 * less or more. */
static int64_t near_due(struct play *p, int64_t goal) {
    int64_t at = M_NEVER;
    if (p->last >= 0) {
        const struct m_asset *a = &p->m.asset[p->last];
        int64_t end = m_next_share_end(&p->m, a);
        at = m_next_due(&p->m, a);
        at = end < at ? end : at;
    }
    for (unsigned i = 0; i < 20 && p->m.assets > 0; i++) {
        int64_t due =
            m_next_due(&p->m, &p->m.asset[play_below(p, (uint64_t)p->m.assets)]);
        if (due < at)
            at = due;
    }
    if (at == M_NEVER)
        return goal;
    at += (int64_t)play_below(p, 3) - 1;
    return at < p->m.now ? p->m.now : at < goal ? at : goal;
}

static void time_goes_on(struct play *p) {
    int64_t start = INT64_C(1772323200000);
    int64_t goal = start + (int64_t)((double)YEARS_MS * (double)p->step / (double)p->steps);
    if (goal <= p->m.now || !play_chance(p, 3))
        return;
    if (play_chance(p, 2))
        goal = near_due(p, goal);
    ms_clock_fake_set(&p->w->clock, (struct ms_instant){goal});
    m_go_to(&p->m, goal);
    if (p->sweeps == PLAY_ALWAYS)
        play_sweep(p, -1);
}

void play_step(struct play *p) {
    p->step++;
    time_goes_on(p);
    do_one(p);
    uint64_t every = p->steps / 40 > 500 ? p->steps / 40 : 500;
    if (p->step % every == 0)
        play_compare_all(p);
}
