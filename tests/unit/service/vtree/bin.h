/* bin.h — a tenant with files in its recycle bin, seen through a mount's virtual folders. */
#ifndef MS_TESTS_UNIT_SERVICE_VTREE_BIN_H
#define MS_TESTS_UNIT_SERVICE_VTREE_BIN_H

#include "world.h"

#include "service/vtree_part.h"

struct bin {
    struct world *w;
    struct ms_vtree *vt;
    unsigned findings;
};

/* Teardown also runs fsck: nothing may be found. */
int bin_setup(void **state);
int bin_teardown(void **state);

/* A finished file older than the bin's minimum age, with these few bytes. */
void bin_file(struct bin *b, const char *path, const char *text);
void bin_mkdir(struct bin *b, const char *path);
void bin_rmdir(struct bin *b, const char *path);
void bin_rename(struct bin *b, const char *from, const char *to);
void bin_unlink(struct bin *b, const char *path);
/* A file that is made and deleted. */
void bin_deleted(struct bin *b, const char *path, const char *text);
bool bin_there(struct bin *b, const char *path);
void bin_check(struct bin *b, const char *path, const char *text);

/* A path that begins with .trash or .msasset: its node, or the failure. */
enum ms_code bin_look(struct bin *b, const char *path, struct ms_node *ret_node,
                      struct ms_error *reterr);
uint64_t bin_ino(struct bin *b, const char *path);
bool bin_shows(struct bin *b, const char *path);
/* Everything below a virtual folder in the order of listing, each followed by a blank; folders end
 * with "/". To be freed. */
char *bin_tree(struct bin *b, const char *path);
#define assert_tree(b, path, want)                                                                 \
    do {                                                                                           \
        char *tree_ = bin_tree(b, path);                                                           \
        char copy_[4096];                                                                          \
        (void)snprintf(copy_, sizeof copy_, "%s", tree_);                                          \
        free(tree_);                                                                               \
        assert_string_equal(copy_, want);                                                          \
    } while (0)

/* "mv", each side in the tree or virtual. */
enum ms_code bin_move(struct bin *b, const char *from, const char *to, bool no_replace,
                      struct ms_error *reterr);
enum ms_code bin_purge(struct bin *b, const char *path, struct ms_error *reterr);
enum ms_code bin_drop_folder(struct bin *b, const char *path, struct ms_error *reterr);
/* The text of a file of .msasset/. */
struct ms_buf bin_text(struct bin *b, const char *path);

#endif
