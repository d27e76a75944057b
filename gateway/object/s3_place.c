#include "object/s3_place.h"

#include "object/s3_xml.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define VALUE_MAX 512
#define CONNECTIONS_MAX 1024
#define KEYS_FILE_MAX (MS_S3_TOKEN_MAX + 1024)

/* ---- the URL --------------------------------------------------------------------------------- */

static bool is_of(const char *text, const char *alphabet) {
    return *text && text[strspn(text, alphabet)] == '\0';
}

static enum ms_code set_word(const char *name, const char *value, const char *alphabet, char *to,
                             size_t size, struct ms_error *reterr) {
    if (!is_of(value, alphabet) || strlen(value) >= size)
        return ms_fail(reterr, MS_CONFIG, "object store: %s '%.60s' is not 1 to %zu of %s", name,
                       value, size - 1, alphabet);
    (void)snprintf(to, size, "%s", value);
    return MS_OK;
}

static enum ms_code set_choice(const char *name, const char *value, const char *yes, const char *no,
                               bool *ret_is, struct ms_error *reterr) {
    if (strcmp(value, yes) != 0 && strcmp(value, no) != 0)
        return ms_fail(reterr, MS_CONFIG, "object store: %s=%.40s: %s or %s", name, value, yes, no);
    *ret_is = strcmp(value, yes) == 0;
    return MS_OK;
}

static enum ms_code set_endpoint(struct ms_s3_place *place, const char *value,
                                 struct ms_error *reterr) {
    place->https = strncmp(value, "https://", 8) == 0;
    if (!place->https && strncmp(value, "http://", 7) != 0)
        return ms_fail(reterr, MS_CONFIG,
                       "object store: endpoint=%.80s does not begin with http:// or "
                       "https://",
                       value);
    return set_word("the host of endpoint", value + (place->https ? 8 : 7),
                    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.-:[]",
                    place->host, sizeof place->host, reterr);
}

static enum ms_code set_file(const char *name, const char *value, char to[VALUE_MAX],
                             struct ms_error *reterr) {
    if (value[0] != '/')
        return ms_fail(reterr, MS_CONFIG, "object store: %s=%.80s: give an absolute path", name,
                       value);
    (void)snprintf(to, VALUE_MAX, "%s", value);
    return MS_OK;
}

static enum ms_code set_connections(const char *value, unsigned *ret_n, struct ms_error *reterr) {
    size_t digits = strspn(value, "0123456789");
    unsigned long n = digits > 0 && digits < 6 && !value[digits] ? strtoul(value, NULL, 10) : 0;

    if (n < 1 || n > CONNECTIONS_MAX)
        return ms_fail(reterr, MS_CONFIG, "object store: connections=%.20s: 1 to %d", value,
                       CONNECTIONS_MAX);
    *ret_n = (unsigned)n;
    return MS_OK;
}

struct given {
    bool style, payload;
};

static enum ms_code set_option(struct ms_s3_place *place, const char *name, const char *value,
                               struct given *given, struct ms_error *reterr) {
    if (strcmp(name, "endpoint") == 0)
        return set_endpoint(place, value, reterr);
    if (strcmp(name, "region") == 0)
        return set_word("region", value, "abcdefghijklmnopqrstuvwxyz0123456789-", place->region,
                        sizeof place->region, reterr);
    if (strcmp(name, "style") == 0) {
        given->style = true;
        return set_choice(name, value, "path", "virtual", &place->path_style, reterr);
    }
    if (strcmp(name, "payload") == 0) {
        given->payload = true;
        return set_choice(name, value, "sha256", "unsigned", &place->sign_payload, reterr);
    }
    if (strcmp(name, "multipart") == 0)
        return set_choice(name, value, "yes", "no", &place->multipart, reterr);
    if (strcmp(name, "connections") == 0)
        return set_connections(value, &place->connections_max, reterr);
    if (strcmp(name, "ca") == 0)
        return set_file(name, value, place->ca_file, reterr);
    if (strcmp(name, "keys") == 0)
        return set_file(name, value, place->keys_file, reterr);
    return ms_fail(reterr, MS_CONFIG,
                   "object store: '%.40s' is no option of its URL; there are "
                   "endpoint, region, style, payload, connections, multipart, ca and keys",
                   name);
}

static enum ms_code set_options(struct ms_s3_place *place, const char *p, struct given *given,
                                struct ms_error *reterr) {
    char text[VALUE_MAX], *equals;
    enum ms_code code = MS_OK;

    while (*p && code == MS_OK) {
        size_t n = strcspn(p, "&");

        if (n >= sizeof text)
            return ms_fail(reterr, MS_CONFIG,
                           "object store: an option of %zu bytes; the most is %zu", n,
                           sizeof text - 1);
        memcpy(text, p, n);
        text[n] = '\0';
        equals = strchr(text, '=');
        if (!equals)
            return ms_fail(reterr, MS_CONFIG, "object store: the option '%.40s' has no '='", text);
        *equals = '\0';
        ms_s3_percent_decode(equals + 1); /* of a file's name too, and '+' is a character of it */
        code = set_option(place, text, equals + 1, given, reterr);
        p += n + (p[n] == '&');
    }
    return code;
}

static bool is_bucket_name(const char *s) {
    size_t n = strlen(s);

    return s[0] != '-' && s[0] != '.' && s[n - 1] != '-' && s[n - 1] != '.' && !strstr(s, "..") &&
           !strstr(s, ".-") && !strstr(s, "-.") && (strspn(s, "0123456789.") < n || !strchr(s, '.'));
}

/* What stands before the '?': bucket and prefix. */
static enum ms_code set_bucket(struct ms_s3_place *place, const char *scheme, const char *p,
                               size_t n, struct ms_error *reterr) {
    char bucket[sizeof place->bucket];
    size_t bucket_n = strcspn(p, "/?"), prefix_n;

    if (bucket_n < 3 || bucket_n >= sizeof bucket)
        return ms_fail(reterr, MS_CONFIG,
                       "object store: the form is %s://BUCKET[/PREFIX][?OPTIONS]; a "
                       "bucket's name has 3 to 63 characters",
                       scheme);
    memcpy(bucket, p, bucket_n);
    bucket[bucket_n] = '\0';
    if (!is_bucket_name(bucket))
        return ms_fail(reterr, MS_CONFIG,
                       "object store: bucket '%s': a name begins and ends with a letter or digit, has "
                       "no '..', '.-' or '-.', and is no IP address",
                       bucket);
    p += bucket_n + (bucket_n < n);
    prefix_n = bucket_n < n ? n - bucket_n - 1 : 0;
    while (prefix_n > 0 && p[prefix_n - 1] == '/')
        prefix_n--;
    if (prefix_n + 2 > sizeof place->prefix)
        return ms_fail(reterr, MS_CONFIG, "object store: a prefix of %zu bytes; the most is %zu",
                       prefix_n, sizeof place->prefix - 2);
    (void)snprintf(place->prefix, sizeof place->prefix, "%.*s%s", (int)prefix_n, p,
                   prefix_n ? "/" : "");
    return set_word("bucket", bucket, "abcdefghijklmnopqrstuvwxyz0123456789.-", place->bucket,
                    sizeof place->bucket, reterr);
}

enum ms_code ms_s3_place_parse(const char *scheme, const char *address,
                               struct ms_s3_place *ret_place, struct ms_error *reterr) {
    struct ms_s3_place place = {.https = true, .multipart = true, .region = "us-east-1"};
    struct given given = {0};
    enum ms_code code;
    const char *query;

    if (strncmp(address, "//", 2) != 0)
        return ms_fail(reterr, MS_CONFIG,
                       "object store: the form is %s://BUCKET[/PREFIX][?OPTIONS]", scheme);
    query = strchrnul(address + 2, '?');
    code = set_bucket(&place, scheme, address + 2, (size_t)(query - address - 2), reterr);
    if (code == MS_OK)
        code = set_options(&place, query + (*query == '?'), &given, reterr);
    if (code != MS_OK)
        return code;
    if (!given.style)
        place.path_style = place.host[0] != '\0';
    if (!given.payload)
        place.sign_payload = !place.https;
    if (!place.host[0])
        (void)snprintf(place.host, sizeof place.host, "s3.%s.amazonaws.com", place.region);
    *ret_place = place;
    return MS_OK;
}

/* ---- keys ------------------------------------------------------------------------------------ */

static enum ms_code set_key(const char *what, const char *text, size_t n, char *to, size_t size,
                            struct ms_error *reterr) {
    if (n >= size)
        return ms_fail(reterr, MS_CONFIG, "the %s has %zu bytes; the most is %zu", what, n,
                       size - 1);
    for (size_t i = 0; i < n; i++)
        if (text[i] <= 0x20 || text[i] > 0x7e)
            return ms_fail(reterr, MS_CONFIG, "the %s has a character that no key has", what);
    memcpy(to, text, n);
    to[n] = '\0';
    return MS_OK;
}

static enum ms_code set_keys(const char *const text[3], const size_t n[3],
                             struct ms_s3_keys *ret_keys, struct ms_error *reterr) {
    struct ms_s3_keys keys = {0};
    enum ms_code code = set_key("access key id", text[0], n[0], keys.id, sizeof keys.id, reterr);

    if (code == MS_OK)
        code = set_key("secret access key", text[1], n[1], keys.secret.text,
                       sizeof keys.secret.text, reterr);
    if (code == MS_OK)
        code = set_key("session token", text[2], n[2], keys.token, sizeof keys.token, reterr);
    if (code == MS_OK && (!keys.id[0] || !keys.secret.text[0]))
        code = ms_fail(reterr, MS_CONFIG,
                       "no keys for the object store: set AWS_ACCESS_KEY_ID and "
                       "AWS_SECRET_ACCESS_KEY, or name a file with keys= in its URL");
    if (code == MS_OK)
        *ret_keys = keys;
    ms_s3_keys_fini(&keys);
    return code;
}

static enum ms_code check_keys_file(const char *path, int fd, struct ms_error *reterr) {
    struct stat st;

    if (fstat(fd, &st) != 0)
        return ms_fail_errno(reterr, errno, "cannot look at the file of keys %s", path);
    if (!S_ISREG(st.st_mode) || st.st_uid != geteuid() || (st.st_mode & 077) != 0)
        return ms_fail(reterr, MS_CONFIG,
                       "the file of keys %s (mode %04o, user %u) must be a file of "
                       "user %u, closed to others: chmod 600",
                       path, (unsigned)(st.st_mode & 07777), (unsigned)st.st_uid,
                       (unsigned)geteuid());
    return MS_OK;
}

static enum ms_code keys_of_text(const char *p, struct ms_s3_keys *ret_keys,
                                 struct ms_error *reterr) {
    const char *text[3] = {"", "", ""};
    size_t n[3] = {0};

    for (size_t i = 0; i < 3 && *p; i++) {
        text[i] = p;
        n[i] = strcspn(p, "\r\n");
        p += n[i];
        p += strspn(p, "\r\n");
    }
    return set_keys(text, n, ret_keys, reterr);
}

static enum ms_code keys_of_file(const char *path, struct ms_s3_keys *ret_keys,
                                 struct ms_error *reterr) {
    char text[KEYS_FILE_MAX + 1];
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    enum ms_code code;
    ssize_t n;

    if (fd < 0)
        return ms_fail_errno(reterr, errno, "cannot open the file of keys %s", path);
    code = check_keys_file(path, fd, reterr);
    n = code == MS_OK ? read(fd, text, sizeof text - 1) : 0;
    if (n < 0)
        code = ms_fail_errno(reterr, errno, "cannot read the file of keys %s", path);
    close(fd);
    if (code == MS_OK) {
        text[n] = '\0';
        code = keys_of_text(text, ret_keys, reterr);
    }
    OPENSSL_cleanse(text, sizeof text);
    return code;
}

enum ms_code ms_s3_keys_load(const struct ms_s3_place *place, struct ms_s3_keys *ret_keys,
                             struct ms_error *reterr) {
    static const char *const names[3] = {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY",
                                         "AWS_SESSION_TOKEN"};
    const char *text[3];
    size_t n[3];

    if (place->keys_file[0])
        return keys_of_file(place->keys_file, ret_keys, reterr);
    for (size_t i = 0; i < 3; i++) {
        text[i] = secure_getenv(names[i]);
        text[i] = text[i] ? text[i] : "";
        n[i] = strlen(text[i]);
    }
    return set_keys(text, n, ret_keys, reterr);
}

void ms_s3_whole_characters(char *text) {
    size_t n = strlen(text), more = 0;
    unsigned char first;

    while (more < n && more < 3 && ((unsigned char)text[n - 1 - more] & 0xc0) == 0x80)
        more++;
    if (more == n)
        return;
    first = (unsigned char)text[n - 1 - more];
    if ((first >= 0xc0 && more < 1) || (first >= 0xe0 && more < 2) || (first >= 0xf0 && more < 3))
        text[n - 1 - more] = '\0';
}
