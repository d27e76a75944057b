/* dir_rig.h — a bare directory store in a folder of its own, and how it looks from outside. */
#ifndef MS_TESTS_OBJECT_DIR_RIG_H
#define MS_TESTS_OBJECT_DIR_RIG_H

#include "fake.h"

#include <dirent.h>
#include <sys/stat.h>
#include <unistd.h>

struct dir_rig {
    char *tmp, root[512];
    struct ms_engine *engine;
    struct ms_obj *obj;
};

int dir_rig_new(void **state);
int dir_rig_free(void **state);
/* Another process, or the next one: a second store on the same folder. */
struct ms_obj *dir_open(struct dir_rig *rig);
void dir_reopen(struct dir_rig *rig);

char *dir_path(struct dir_rig *rig, const char *name); /* to be freed */
size_t dir_count(struct dir_rig *rig, const char *folder); /* entries; 0 when it is not there */

enum ms_code dir_put(struct dir_rig *rig, const char *key, const void *p, size_t n);
enum ms_code dir_get(struct dir_rig *rig, const char *key, void *into, size_t n);
enum ms_code dir_op(struct dir_rig *rig, struct ms_obj_request *r);
bool dir_has(struct dir_rig *rig, const char *key, const void *p, size_t n);
size_t dir_list(struct dir_rig *rig); /* how many objects there are */

enum ms_code dir_mp_create(struct dir_rig *rig, const char *key, char *ret_id);
enum ms_code dir_mp_put(struct dir_rig *rig, const char *key, const char *id, uint32_t no,
                        uint64_t offset, const void *p, size_t n, struct ms_obj_part *ret_part);
enum ms_code dir_mp_complete(struct dir_rig *rig, const char *key, const char *id,
                             const struct ms_obj_part *parts, size_t n);

#endif
