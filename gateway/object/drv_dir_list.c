/* drv_dir_list.c — LIST of the directory driver: a walk in the order of whole keys.
 *
 * "a-b" < "a/c" < "a.b" as keys, so a folder is compared as its name with a slash behind it. Cost: each folder on
 * the way is read whole for every page, but no more names are kept than the page has room for.
 */
#include "base/assert.h"
#include "object/drv_dir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>

#define NAME_SIZE 257 /* a name, a slash, a NUL */

struct listing {
    const struct ms_dir *d;
    struct ms_obj_request *r;
    const char *prefix, *after; /* after: "" for none */
    char path[MS_OBJECT_KEY_MAX +
              2]; /* of the folder, with a slash behind it unless it is the root */
    size_t path_n;
};

/* The first `room` names behind `floor` of a folder, of which there may be millions. */
struct names {
    char **name; /* folders end with a slash; 2 * room of them */
    size_t n, room;
    char floor[NAME_SIZE]; /* "": none */
    bool cut;              /* there are more */
};

static void names_drop(struct names *names, size_t from) {
    for (size_t i = from; i < names->n; i++)
        free(names->name[i]);
    names->n = from < names->n ? from : names->n;
}

static void names_fini(struct names *names) {
    names_drop(names, 0);
    free(names->name);
    names->name = NULL;
}

static int by_bytes(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void names_sort(struct names *names) {
    qsort(names->name, names->n, sizeof *names->name, by_bytes);
    names->cut = names->cut || names->n > names->room;
    names_drop(names, names->room);
}

static bool names_add(struct names *names, const char *name) {
    char *copy;

    if (strcmp(name, names->floor) <= 0)
        return true;
    copy = strdup(name);
    if (!copy)
        return false;
    if (names->n == 2 * names->room)
        names_sort(names);
    names->name[names->n++] = copy;
    return true;
}

/* Can key, or for a folder anything in it, be in the list? */
static bool is_wanted(const struct listing *l, const char *key, size_t n, bool folder) {
    size_t prefix_n = strlen(l->prefix);

    if (strncmp(key, l->prefix, n < prefix_n ? n : prefix_n) != 0 || (!folder && n < prefix_n))
        return false;
    return folder ? strncmp(key, l->after, n) >= 0 : strcmp(key, l->after) > 0;
}

struct collector {
    struct listing *l;
    struct names *names;
    int folder;
    bool failed;
};

static unsigned char type_of(int folder, const char *name) {
    struct stat st;

    if (fstatat(folder, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
        return DT_UNKNOWN;
    return S_ISDIR(st.st_mode) ? DT_DIR : S_ISREG(st.st_mode) ? DT_REG : DT_UNKNOWN;
}

static void collect(struct collector *c, const char *name, unsigned char type) {
    char key[MS_OBJECT_KEY_MAX + 2];
    size_t n = c->l->path_n + strlen(name);

    if (n + 1 > sizeof key - 1 || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
        return;
    if (type == DT_UNKNOWN)
        type = type_of(c->folder, name);
    if (type != DT_DIR && type != DT_REG)
        return;
    memcpy(key, c->l->path, c->l->path_n);
    memcpy(key + c->l->path_n, name, n - c->l->path_n);
    key[n] = '\0';
    /* What is not a key is not an object: ours, or left there by another tool. */
    if (ms_obj_key_check(key, NULL) != MS_OK)
        return;
    if (type == DT_DIR) {
        key[n++] = '/';
        key[n] = '\0';
    }
    if (is_wanted(c->l, key, n, type == DT_DIR))
        c->failed = !names_add(c->names, key + c->l->path_n);
}

static enum ms_code read_folder(struct collector *c, struct ms_error *reterr) {
    int fd = dup(c->folder), err = 0;
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    struct dirent *entry = NULL;

    if (!dir) {
        err = errno;
        ms_fd_close(&fd);
        return ms_fail_errno(reterr, err, "cannot list '%s'", c->l->path);
    }
    rewinddir(dir); /* the offset is shared with c->folder, which may have been read before */
    do {
        errno = 0;
        entry = readdir(dir);
        err = errno;
        if (entry)
            collect(c, entry->d_name, entry->d_type);
    } while (entry && !c->failed);
    closedir(dir);
    if (c->failed)
        return ms_fail(reterr, MS_NO_MEMORY, "no memory to list '%s'", c->l->path);
    return err == 0 ? MS_OK : ms_fail_errno(reterr, err, "cannot list '%s'", c->l->path);
}

static enum ms_code collect_names(struct listing *l, int folder, struct names *names,
                                  struct ms_error *reterr) {
    struct collector c = {.l = l, .names = names, .folder = folder};
    enum ms_code code;

    names_fini(names);
    names->cut = false;
    names->room = l->r->list_max - l->r->ret_n + 1; /* one more tells that there are more */
    names->name = calloc(2 * names->room, sizeof *names->name);
    if (!names->name)
        return ms_fail(reterr, MS_NO_MEMORY, "no memory to list '%s'", l->path);
    code = read_folder(&c, reterr);
    if (code != MS_OK)
        return code;
    names_sort(names);
    if (names->n > 0)
        snprintf(names->floor, sizeof names->floor, "%s", names->name[names->n - 1]);
    return MS_OK;
}

/* One that vanished since is none. */
static enum ms_code add_file(struct listing *l, int folder, const char *name,
                             struct ms_error *reterr) {
    MS_AUTO(ms_dir_meta_fini) struct ms_dir_meta meta = {0};
    struct ms_obj_request *r = l->r;
    struct ms_obj_entry *e;
    enum ms_code code;
    struct stat st;
    MS_AUTO_FD fd = openat(folder, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);

    if (fd < 0 && errno == ENOENT)
        return MS_OK;
    if (fd < 0 || fstat(fd, &st) != 0)
        return ms_fail_errno(reterr, errno, "cannot look at object %s%s", l->path, name);
    if (r->ret_n == r->list_max) {
        r->ret_more = true;
        return MS_OK;
    }
    e = &r->ret_entries[r->ret_n];
    if (snprintf(e->key, sizeof e->key, "%s%s", l->path, name) >= (int)sizeof e->key)
        return MS_OK;
    code = ms_dir_meta_read(l->d, fd, e->key, &st, &meta, reterr);
    if (code != MS_OK)
        return code;
    snprintf(e->etag, sizeof e->etag, "%s", meta.etag);
    e->size = (uint64_t)st.st_size;
    e->modified = ms_instant_of(st.st_mtim.tv_sec * MS_SECOND_MS + st.st_mtim.tv_nsec / 1000000);
    r->ret_n++;
    return MS_OK;
}

static enum ms_code walk(struct listing *l, int folder, struct ms_error *reterr);

static enum ms_code walk_child(struct listing *l, int folder, const char *name,
                               struct ms_error *reterr) {
    size_t path_n = l->path_n, n = strlen(name);
    enum ms_code code;
    MS_AUTO_FD child = openat(folder, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

    if (child < 0 && (errno == ENOENT || errno == ENOTDIR || errno == ELOOP))
        return MS_OK;
    if (child < 0)
        return ms_fail_errno(reterr, errno, "cannot list '%s%s'", l->path, name);
    memcpy(l->path + path_n, name, n + 1);
    l->path_n += n;
    code = walk(l, child, reterr);
    l->path_n = path_n;
    l->path[path_n] = '\0';
    return code;
}

static enum ms_code walk_names(struct listing *l, int folder, const struct names *names,
                               struct ms_error *reterr) {
    enum ms_code code = MS_OK;
    const char *name;

    for (size_t i = 0; i < names->n && code == MS_OK && !l->r->ret_more; i++) {
        name = names->name[i];
        code = ms_job_go_on(l->r, reterr);
        if (code == MS_OK && name[strlen(name) - 1] == '/')
            code = walk_child(l, folder, name, reterr);
        else if (code == MS_OK)
            code = add_file(l, folder, name, reterr);
    }
    return code;
}

static enum ms_code walk(struct listing *l, int folder, struct ms_error *reterr) {
    struct names names = {0};
    enum ms_code code;

    /* Again when folders turn out to hold nothing, or files to have gone. */
    do {
        code = collect_names(l, folder, &names, reterr);
        if (code == MS_OK)
            code = walk_names(l, folder, &names, reterr);
    } while (code == MS_OK && names.cut && !l->r->ret_more);
    names_fini(&names);
    return code;
}

/* Begin in the deepest folder that the prefix names. */
static enum ms_code start_folder(struct listing *l, int *ret_fd, struct ms_error *reterr) {
    const char *slash = strrchr(l->prefix, '/');
    size_t n = slash ? (size_t)(slash - l->prefix) : 0;
    char path[MS_OBJECT_KEY_MAX + 1];

    snprintf(path, sizeof path, "%.*s", (int)n, l->prefix);
    if (slash && ms_obj_key_check(path, NULL) != MS_OK)
        return MS_NOT_FOUND;
    if (slash) {
        memcpy(l->path, l->prefix, n + 1);
        l->path_n = n + 1;
    }
    return ms_dir_open_folder(l->d->root, path, n, ret_fd, reterr);
}

enum ms_code ms_dir_list(struct ms_obj *obj, struct ms_obj_request *r, struct ms_error *reterr) {
    struct listing l = {.d = ms_dir_of(obj),
                        .r = r,
                        .prefix = r->key ? r->key : "",
                        .after = r->after ? r->after : ""};
    MS_AUTO_FD folder = -1;
    enum ms_code code;

    r->ret_entries = calloc(r->list_max, sizeof *r->ret_entries);
    if (!r->ret_entries)
        return ms_fail(reterr, MS_NO_MEMORY, "no memory for a list of %zu", r->list_max);
    code = start_folder(&l, &folder, reterr);
    if (code == MS_NOT_FOUND)
        return MS_OK;
    return code != MS_OK ? code : walk(&l, folder, reterr);
}
