/* Files (through inih) and environment. inih, as Debian builds it, does not tell its handler the
 * number of the line, and goes on silently where a line is longer than its buffer: the reader below
 * knows both. */
#include "base/config.h"

#include "base/assert.h"

#include <ini.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define SYSTEM_FILE "/etc/msasset/msasset.conf"
#define ENV_PREFIX "MSASSET_"
#define ENV_FILE "MSASSET_CONFIG"

struct loader {
    struct ms_config *config;
    FILE *file;
    const char *path;
    enum ms_config_origin origin;
    unsigned line;
    unsigned set_on[MS_CONFIG_KEY_COUNT]; /* line on which this file sets a key; 0: not */
    enum ms_code code;                    /* the first failure, which ends the reading */
    struct ms_error *reterr;
};

static char *read_line(char *text, int size, void *priv) {
    struct loader *l = priv;
    size_t n;

    if (l->code != MS_OK || !fgets(text, size, l->file))
        return NULL;
    l->line++;
    n = strlen(text);
    if (n > 0 && text[n - 1] != '\n' && !feof(l->file)) {
        l->code =
            ms_fail(l->reterr, MS_CONFIG, "%s:%u: the line is longer than %d bytes or holds a NUL",
                    l->path, l->line, size - 2);
        return NULL;
    }
    return text;
}

static enum ms_code take_pair(struct loader *l, const char *section, const char *name,
                              const char *value) {
    const struct ms_config_row *row = ms_config_find(name);
    char *where = NULL;
    struct ms_config_place place;
    enum ms_code code;

    if (section[0])
        return ms_fail(l->reterr, MS_CONFIG, "%s:%u: there are no sections here, but [%s] is one",
                       l->path, l->line, section);
    if (!row)
        return ms_fail(
            l->reterr, MS_CONFIG,
            "%s:%u: unknown key '%s' (value '%s'): msasset(1), CONFIGURATION, has the keys",
            l->path, l->line, name, value);
    if (l->set_on[row->key])
        return ms_fail(l->reterr, MS_CONFIG,
                       "%s:%u: %s is set already on line %u (an indented line continues the one "
                       "before it)",
                       l->path, l->line, row->name, l->set_on[row->key]);
    l->set_on[row->key] = l->line;
    if (asprintf(&where, "%s:%u", l->path, l->line) < 0)
        return ms_fail(l->reterr, MS_NO_MEMORY, "out of memory for %s", l->path);
    place = (struct ms_config_place){l->origin, where};
    code = ms_config_set(l->config, row->key, &place, value, l->reterr);
    free(where);
    return code;
}

static int on_pair(void *priv, const char *section, const char *name, const char *value) {
    struct loader *l = priv;

    if (l->code == MS_OK)
        l->code = take_pair(l, section, name, value);
    return l->code == MS_OK;
}

/* What the parser itself did not understand; a failure of ours is reported with its own line. */
static enum ms_code judge(struct loader *l, int bad_line) {
    if (l->code != MS_OK)
        return l->code;
    if (ferror(l->file))
        return ms_fail_errno(l->reterr, errno, "cannot read %s", l->path);
    if (bad_line != 0)
        return ms_fail(l->reterr, MS_CONFIG, "%s:%d: not a line of the form 'key = value'", l->path,
                       bad_line);
    return MS_OK;
}

/* Absent files are fine unless somebody named them. */
static enum ms_code load_file(struct ms_config *config, const char *path,
                              enum ms_config_origin origin, bool must_exist,
                              struct ms_error *reterr) {
    struct loader l = {.config = config, .path = path, .origin = origin, .reterr = reterr};
    enum ms_code code;
    int bad_line;

    l.file = fopen(path, "re");
    if (!l.file) {
        int err = errno;

        if (!must_exist && (err == ENOENT || err == ENOTDIR))
            return MS_OK;
        return ms_fail(reterr, MS_NO_INPUT, "cannot read the configuration file %s: %s", path,
                       strerror(err));
    }
    bad_line = ini_parse_stream(read_line, &l, on_pair, &l);
    code = judge(&l, bad_line);
    fclose(l.file);
    return code;
}

static const char *lookup(char *const *environment, const char *name) {
    size_t n = strlen(name);

    for (; *environment; environment++) {
        if (strncmp(*environment, name, n) == 0 && (*environment)[n] == '=')
            return *environment + n + 1;
    }
    return NULL;
}

static enum ms_code load_user_file(struct ms_config *config, char *const *environment,
                                   struct ms_error *reterr) {
    const char *dir = lookup(environment, "XDG_CONFIG_HOME");
    const char *home = lookup(environment, "HOME");
    char *path = NULL;
    enum ms_code code;
    int n;

    if (dir && dir[0] == '/') /* the XDG specification: a relative one is to be ignored */
        n = asprintf(&path, "%s/msasset/config", dir);
    else if (home && home[0] == '/')
        n = asprintf(&path, "%s/.config/msasset/config", home);
    else
        return MS_OK;
    if (n < 0)
        return ms_fail(reterr, MS_NO_MEMORY, "out of memory for a path");
    code = load_file(config, path, MS_CONFIG_FROM_USER_FILE, false, reterr);
    free(path);
    return code;
}

static enum ms_code load_files(struct ms_config *config, const struct ms_config_sources *sources,
                               char *const *environment, struct ms_error *reterr) {
    const char *named = sources->file ? sources->file : lookup(environment, ENV_FILE);
    const char *system_file = sources->system_file ? sources->system_file : SYSTEM_FILE;
    enum ms_code code;

    if (named && named[0])
        return load_file(config, named, MS_CONFIG_FROM_USER_FILE, true, reterr);
    code = load_file(config, system_file, MS_CONFIG_FROM_SYSTEM_FILE, false, reterr);
    return code == MS_OK ? load_user_file(config, environment, reterr) : code;
}

static const struct ms_config_row *row_of_env(const char *entry, size_t name_len) {
    for (int key = 0; key < MS_CONFIG_KEY_COUNT; key++) {
        const struct ms_config_row *row = ms_config_row((enum ms_config_key)key);

        if (strlen(row->env) == name_len && memcmp(row->env, entry, name_len) == 0)
            return row;
    }
    return NULL;
}

static enum ms_code load_variable(struct ms_config *config, const char *entry,
                                  struct ms_error *reterr) {
    size_t name_len = strcspn(entry, "=");
    const struct ms_config_row *row;
    struct ms_config_place place;

    if (strncmp(entry, ENV_PREFIX, strlen(ENV_PREFIX)) != 0 || entry[name_len] != '=')
        return MS_OK;
    if (name_len == strlen(ENV_FILE) && memcmp(entry, ENV_FILE, name_len) == 0)
        return MS_OK;
    row = row_of_env(entry, name_len);
    if (!row)
        return ms_fail(reterr, MS_CONFIG,
                       "environment: unknown key %.*s (value '%.80s'): msasset(1), "
                       "CONFIGURATION, has the keys",
                       (int)name_len, entry, entry + name_len + 1);
    place = (struct ms_config_place){MS_CONFIG_FROM_ENVIRONMENT, row->env};
    return ms_config_set(config, row->key, &place, entry + name_len + 1, reterr);
}

enum ms_code ms_config_load(struct ms_config *config, const struct ms_config_sources *sources,
                            struct ms_error *reterr) {
    char *const *environment = sources->environment ? sources->environment : environ;
    enum ms_code code = load_files(config, sources, environment, reterr);

    for (size_t i = 0; code == MS_OK && environment && environment[i]; i++)
        code = load_variable(config, environment[i], reterr);
    return code;
}
