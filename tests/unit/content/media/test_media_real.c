/* Every real file must fit its own suffix and be refused under every other one. */
#include "support/test.h"

#include "content/media.h"
#include "model/asset_type.h"
#include "model/names.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *source_dir;
static char *dir; /* NULL: the tools are not there */
static struct ms_media *media;

static const char *const suffixes[] = {"mp4", "m4v",  "mkv", "mov", "flv",  "3gp", "wmv",
                                       "avi", "webm", "png", "jpg", "jpeg", "bmp", "gif",
                                       "mp3", "m4a",  "wav", "ppt", "pptx", "pdf"};

/* Suffixes that one content may have; any other content only its own. */
static const char *const families[] = {" mp4 m4v mov 3gp ", " jpg jpeg "};

static bool tools_are_there(void) {
    return system("command -v ffmpeg >/dev/null && command -v python3 >/dev/null") == 0;
}

static void run(const char *program, const char *script) {
    char command[1000];

    snprintf(command, sizeof(command), "%s '%s/%s' '%s'", program, source_dir, script, dir);
    if (system(command) != 0)
        fail_msg("%s failed", command);
}

static int make_files(void **state) {
    (void)state;
    assert_ok(ms_media_new(&media, &test_err));
    if (!tools_are_there())
        return 0;
    dir = ms_test_tmpdir_new();
    run("bash", "make_media.sh");
    run("python3", "make_decks.py");
    return 0;
}

static int remove_files(void **state) {
    (void)state;
    ms_media_free(media);
    ms_test_tmpdir_remove(dir);
    return 0;
}

static void identify(const char *name, char *ret_type) {
    char *path = ms_test_path(dir, name);
    size_t n = 0;
    char *bytes = ms_test_read_file(path, &n);

    assert_ok(ms_media_identify(media, bytes, n, ret_type, &test_err));
    free(bytes);
    free(path);
}

static bool same_family(const char *suffix, const char *other) {
    char a[16], b[16];

    snprintf(a, sizeof(a), " %s ", suffix);
    snprintf(b, sizeof(b), " %s ", other);
    for (size_t i = 0; i < MS_ARRAY_LEN(families); i++)
        if (strstr(families[i], a) && strstr(families[i], b))
            return true;
    return strcmp(suffix, other) == 0;
}

/* ISO media of a neutral brand may be sound alone: an m4a takes it, and the probe looks at the
 * tracks. */
static bool allowed(const char *suffix, const char *type, const char *other) {
    return same_family(suffix, other) ||
           (strcmp(other, "m4a") == 0 && strcmp(type, "video/mp4") == 0);
}

/* The other way round, a sound file of a neutral brand passes for a video until it is probed. */
static bool is_neutral_sound(const char *suffix, const char *type) {
    return strcmp(suffix, "m4a") == 0 && strcmp(type, "video/mp4") == 0;
}

static unsigned check_file(const char *name) {
    bool real = strncmp(name, "no", 2) != 0 || (name[2] != '.' && name[2] != '_');
    char type[MS_MEDIA_TYPE_MAX + 1], suffix[16];

    identify(name, type);
    ms_name_suffix(name, suffix);
    for (size_t i = 0; i < MS_ARRAY_LEN(suffixes); i++) {
        char renamed[32];
        enum ms_asset_type t;
        bool fits;

        snprintf(renamed, sizeof(renamed), "x.%s", suffixes[i]);
        t = ms_asset_type_of_name(renamed, MS_SPECIAL_NONE, false);
        assert_false(ms_asset_type_takes_any(t));
        fits = ms_asset_type_fits(t, suffixes[i], type, &test_err) == MS_OK;
        if (is_neutral_sound(suffix, type) && same_family("mp4", suffixes[i]))
            continue;
        if (fits != (real && allowed(suffix, type, suffixes[i])))
            fail_msg("%s (%s) as %s: %s", name, type, renamed, fits ? "accepted" : "refused");
    }
    return real;
}

static void real_files_fit_their_suffix_and_no_other(void **state) {
    unsigned real = 0, others = 0;
    struct dirent *e;
    DIR *d;

    (void)state;
    if (!dir)
        skip();
    d = opendir(dir);
    assert_non_null(d);
    while ((e = readdir(d)))
        if (e->d_name[0] != '.' && check_file(e->d_name))
            real++;
        else if (e->d_name[0] != '.')
            others++;
    closedir(d);
    print_message("%u files of the kinds that are wanted, %u others\n", real, others);
    assert_true(real >= 80 && others >= 30);
}

static void the_first_bytes_alone_never_do_harm(void **state) {
    struct dirent *e;
    DIR *d;

    (void)state;
    if (!dir)
        skip();
    d = opendir(dir);
    assert_non_null(d);
    while ((e = readdir(d))) {
        char type[MS_MEDIA_TYPE_MAX + 1], *path, *bytes;
        size_t size;

        if (e->d_name[0] == '.')
            continue;
        path = ms_test_path(dir, e->d_name);
        bytes = ms_test_read_file(path, &size);
        for (size_t n = 0; n < 64 && n <= size; n++) {
            char *exact = malloc(n + 1); /* for the sanitizers */

            memcpy(exact, bytes, n);
            assert_ok(ms_media_identify(media, exact, n, type, &test_err));
            assert_true(strchr(type, '/') != NULL);
            free(exact);
        }
        free(bytes);
        free(path);
    }
    closedir(d);
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(real_files_fit_their_suffix_and_no_other),
        cmocka_unit_test(the_first_bytes_alone_never_do_harm),
    };

    if (argc < 2) {
        fprintf(stderr, "usage: %s FOLDER-OF-THE-SCRIPTS\n", argv[0]);
        return 2;
    }
    source_dir = argv[1];
    return cmocka_run_group_tests(tests, make_files, remove_files);
}
