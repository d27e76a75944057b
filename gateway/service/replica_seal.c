#include "service/replica_seal.h"

#include "base/assert.h"
#include "base/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <jansson.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define ALGORITHM "AES128_GCM"
#define NONCE_BYTES 12
#define TAG_BYTES 16
#define KEYS_FILE_MAX ((size_t)64 << 10)

/* ---- keys ------------------------------------------------------------------------------------ */

void ms_replica_keys_fini(struct ms_replica_keys *keys) {
    OPENSSL_cleanse(keys, sizeof *keys);
}

/* A line of keys: the words of a view, at most two. */
struct words {
    struct ms_view word[3];
    size_t n;
};

static bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\r'; }

static struct words words_of(struct ms_view line) {
    const char *p = line.p, *end = p + line.n;
    struct words w = {.n = 0};
    while (p < end && *p != '#' && w.n < MS_ARRAY_LEN(w.word)) {
        const char *from = p;
        while (p < end && !is_blank(*p) && *p != '#')
            p++;
        if (p > from)
            w.word[w.n++] = ms_view_of(from, (size_t)(p - from));
        while (p < end && is_blank(*p))
            p++;
    }
    return w;
}

static int hex_digit(char c) {
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static bool take_hex(struct ms_view text, uint8_t ret_key[MS_REPLICA_KEY_BYTES]) {
    const char *p = text.p;
    if (text.n != (size_t)2 * MS_REPLICA_KEY_BYTES)
        return false;
    for (size_t i = 0; i < text.n; i += 2) {
        int high = hex_digit(p[i]), low = hex_digit(p[i + 1]);
        if (high < 0 || low < 0)
            return false;
        ret_key[i / 2] = (uint8_t)(high << 4 | low);
    }
    return true;
}

static bool take_id(struct ms_view text, char ret_id[MS_REPLICA_KEY_ID_MAX + 1]) {
    const char *p = text.p;
    if (text.n > MS_REPLICA_KEY_ID_MAX)
        return false;
    for (size_t i = 0; i < text.n; i++)
        if (p[i] <= ' ' || p[i] > '~')
            return false;
    memcpy(ret_id, p, text.n);
    ret_id[text.n] = '\0';
    return true;
}

static bool find_key(const struct ms_replica_keys *keys, const char *id, size_t *ret_at) {
    for (size_t i = 0; i < keys->n; i++)
        if (strcmp(keys->key[i].id, id) == 0) {
            *ret_at = i;
            return true;
        }
    return false;
}

/* The message names the line and never what stands there. */
static enum ms_code take_line(struct ms_replica_keys *keys, struct ms_view line, const char *where,
                              unsigned number, struct ms_error *reterr) {
    struct words w = words_of(line);
    size_t at;
    if (w.n == 0)
        return MS_OK;
    if (keys->n == MS_REPLICA_KEYS_MAX)
        return ms_fail(reterr, MS_CONFIG, "%s has more than %d replication keys", where,
                       MS_REPLICA_KEYS_MAX);
    if (w.n != 2 || !take_id(w.word[0], keys->key[keys->n].id) ||
        !take_hex(w.word[1], keys->key[keys->n].key))
        return ms_fail(reterr, MS_CONFIG,
                       "line %u of %s is no replication key: \"<id> <32 hex digits>\", the id at "
                       "most %d printable characters",
                       number, where, MS_REPLICA_KEY_ID_MAX);
    if (find_key(keys, keys->key[keys->n].id, &at))
        return ms_fail(reterr, MS_CONFIG, "line %u of %s: key \"%s\" is there twice", number, where,
                       keys->key[at].id);
    keys->n++;
    return MS_OK;
}

enum ms_code ms_replica_keys_parse(struct ms_view text, const char *where,
                                   struct ms_replica_keys *ret_keys, struct ms_error *reterr) {
    MS_AUTO(ms_replica_keys_fini) struct ms_replica_keys keys = {.n = 0};
    const char *p = text.p, *end = p + text.n;
    for (unsigned number = 1; p < end; number++) {
        const char *feed = memchr(p, '\n', (size_t)(end - p));
        const char *stop = feed ? feed : end;
        MS_TRY(take_line(&keys, ms_view_of(p, (size_t)(stop - p)), where, number, reterr));
        p = feed ? feed + 1 : end;
    }
    if (keys.n == 0)
        return ms_fail(reterr, MS_CONFIG, "%s has no replication key", where);
    *ret_keys = keys;
    return MS_OK;
}

static enum ms_code check_file(int fd, const char *path, struct ms_error *reterr) {
    struct stat st;
    if (fstat(fd, &st) != 0)
        return ms_fail_errno(reterr, errno, "%s cannot be looked at", path);
    if (!S_ISREG(st.st_mode))
        return ms_fail(reterr, MS_CONFIG, "%s, the file of replication keys, is no regular file",
                       path);
    if (st.st_mode & (S_IRWXG | S_IRWXO))
        return ms_fail(reterr, MS_CONFIG,
                       "%s, the file of replication keys, has mode %04o: others may use it; chmod "
                       "600 it",
                       path, (unsigned)st.st_mode & 07777);
    return MS_OK;
}

void ms_replica_wipe(struct ms_buf *buf) {
    if (buf->data)
        OPENSSL_cleanse(buf->data, buf->cap);
    ms_buf_fini(buf);
}

enum ms_code ms_replica_keys_load(const char *path, struct ms_replica_keys *ret_keys,
                                  struct ms_error *reterr) {
    MS_AUTO(ms_replica_wipe) struct ms_buf text = MS_BUF_MAX(KEYS_FILE_MAX);
    if (path[0] == '\0')
        return ms_fail(reterr, MS_CONFIG,
                       "no replication keys are configured: set replication_keys to a file with "
                       "the key that both gateways share (msasset.conf(5))");
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return ms_fail(reterr, MS_NO_INPUT, "%s, the file of replication keys, cannot be read: %s",
                       path, strerror(errno));
    enum ms_code code = check_file(fd, path, reterr);
    /* at once as large as it may get: growing would leave copies behind */
    if (code == MS_OK)
        code = ms_buf_reserve(&text, KEYS_FILE_MAX, reterr);
    if (code == MS_OK)
        code = ms_fd_read_all(fd, &text, reterr);
    close(fd);
    return code == MS_OK ? ms_replica_keys_parse(ms_buf_view(&text), path, ret_keys, reterr) : code;
}

/* ---- base64 ---------------------------------------------------------------------------------- */

static size_t base64_chars(size_t bytes) { return (bytes + 2) / 3 * 4; }

/* Strict: the alphabet, no blanks, padding as it must be, no bits left over. *ret_n bytes in into, which has room for
 * 3 bytes for every 4 characters. */
static bool base64_decode(const char *text, size_t chars, uint8_t *into, size_t *ret_n) {
    size_t pad = 0;
    if (chars == 0 || chars % 4 != 0)
        return false;
    while (pad < 2 && text[chars - 1 - pad] == '=')
        pad++;
    for (size_t i = 0; i < chars - pad; i++) {
        char c = text[i];
        bool known = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
                     c == '+' || c == '/';
        if (!known)
            return false;
    }
    int n = EVP_DecodeBlock(into, (const unsigned char *)text, (int)chars);
    if (n != (int)(chars / 4 * 3))
        return false;
    for (size_t i = 0; i < pad; i++)
        if (into[(size_t)n - 1 - i] != 0)
            return false;
    *ret_n = (size_t)n - pad;
    return true;
}

/* ---- AES-128-GCM ----------------------------------------------------------------------------- */

struct box {
    const uint8_t *key;
    uint8_t nonce[NONCE_BYTES], tag[TAG_BYTES];
    char head[512]; /* authenticated, not encrypted */
    size_t head_n;
};

static void box_init(struct box *box, const struct ms_replica_head *head, const char *key_id,
                     const uint8_t *key) {
    int n = snprintf(box->head, sizeof box->head,
                     "msasset replication 1\n%s\n" ALGORITHM "\n%s\n%" PRId64 "\n",
                     ms_id_text(head->asset.id).s, key_id, head->expires.ms / 1000);
    MS_ASSERT(n > 0 && (size_t)n < sizeof box->head);
    box->head_n = (size_t)n;
    box->key = key;
}

static bool encrypt(EVP_CIPHER_CTX *c, struct box *box, struct ms_view plain, uint8_t *into) {
    int n = 0, m = 0;
    return EVP_EncryptInit_ex(c, EVP_aes_128_gcm(), NULL, box->key, box->nonce) == 1 &&
           EVP_EncryptUpdate(c, NULL, &n, (const uint8_t *)box->head, (int)box->head_n) == 1 &&
           EVP_EncryptUpdate(c, into, &n, plain.p, (int)plain.n) == 1 &&
           EVP_EncryptFinal_ex(c, into + n, &m) == 1 && (size_t)n + (size_t)m == plain.n &&
           EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_GCM_GET_TAG, TAG_BYTES, box->tag) == 1;
}

static bool decrypt(EVP_CIPHER_CTX *c, struct box *box, struct ms_view sealed, uint8_t *into) {
    int n = 0, m = 0;
    return EVP_DecryptInit_ex(c, EVP_aes_128_gcm(), NULL, box->key, box->nonce) == 1 &&
           EVP_DecryptUpdate(c, NULL, &n, (const uint8_t *)box->head, (int)box->head_n) == 1 &&
           EVP_DecryptUpdate(c, into, &n, sealed.p, (int)sealed.n) == 1 &&
           EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_GCM_SET_TAG, TAG_BYTES, box->tag) == 1 &&
           EVP_DecryptFinal_ex(c, into + n, &m) == 1 && (size_t)n + (size_t)m == sealed.n;
}

static bool run_box(bool (*fn)(EVP_CIPHER_CTX *, struct box *, struct ms_view, uint8_t *),
                    struct box *box, struct ms_view in, uint8_t *into) {
    EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
    bool fine = c && fn(c, box, in, into);
    EVP_CIPHER_CTX_free(c);
    return fine;
}

/* ---- sealing --------------------------------------------------------------------------------- */

static enum ms_code envelope(const struct ms_replica_head *head, const char *key_id,
                             const struct box *box, struct ms_view sealed, struct ms_buf *ret_blob,
                             struct ms_error *reterr) {
    char nonce[NONCE_BYTES / 3 * 4 + 1];
    size_t chars = base64_chars(sealed.n);
    MS_AUTO(ms_buf_fini) struct ms_buf info = MS_BUF_MAX(MS_REPLICA_INFO_CHARS_MAX);
    (void)EVP_EncodeBlock((unsigned char *)nonce, box->nonce, NONCE_BYTES);
    MS_TRY(ms_buf_reserve(&info, chars, reterr));
    (void)EVP_EncodeBlock(info.data, sealed.p, (int)sealed.n);
    json_t *blob = json_pack("{s:s, s:s%, s:{s:s, s:s, s:s}, s:I}", "asset_id",
                             ms_id_text(head->asset.id).s, "asset_info", info.data, chars,
                             "encryption_info", "algorithm", ALGORITHM, "iv", nonce, "key_id",
                             key_id, "expire_time", (json_int_t)(head->expires.ms / 1000));
    char *text = blob ? json_dumps(blob, JSON_COMPACT) : NULL;
    json_decref(blob);
    if (!text)
        return ms_fail(reterr, MS_NO_MEMORY, "no memory for a replication blob");
    enum ms_code code = ms_buf_add(ret_blob, text, strlen(text), reterr);
    free(text);
    return code;
}

enum ms_code ms_replica_seal(const struct ms_replica_keys *keys, struct ms_random *random,
                             const struct ms_replica_head *head, struct ms_view plain,
                             struct ms_buf *ret_blob, struct ms_error *reterr) {
    MS_AUTO(ms_buf_fini) struct ms_buf sealed = MS_BUF_MAX(MS_REPLICA_PLAIN_MAX + TAG_BYTES);
    struct box box;
    MS_ASSERT(keys->n > 0);
    MS_ASSERT(head->expires.ms % 1000 == 0);
    if (plain.n > MS_REPLICA_PLAIN_MAX)
        return ms_fail(reterr, MS_RANGE,
                       "what is told of the asset and its files has %zu bytes; a replication blob "
                       "takes %d",
                       plain.n, MS_REPLICA_PLAIN_MAX);
    MS_TRY(ms_buf_reserve(&sealed, plain.n + TAG_BYTES, reterr));
    box_init(&box, head, keys->key[0].id, keys->key[0].key);
    ms_random_fill(random, box.nonce, sizeof box.nonce);
    if (!run_box(encrypt, &box, plain, sealed.data))
        return ms_fail(reterr, MS_INTERNAL, "OpenSSL cannot seal with AES-128-GCM");
    memcpy(sealed.data + plain.n, box.tag, TAG_BYTES);
    return envelope(head, keys->key[0].id, &box, ms_view_of(sealed.data, plain.n + TAG_BYTES),
                    ret_blob, reterr);
}

/* ---- opening --------------------------------------------------------------------------------- */

/* The members as they were sent; nothing is believed yet. Texts are borrowed from the JSON. */
struct claims {
    struct ms_replica_head head;
    const char *info, *nonce;
    size_t info_n, nonce_n;
    char key_id[MS_REPLICA_KEY_ID_MAX + 1];
};

static enum ms_code no_blob(const char *member, const char *want, struct ms_error *reterr) {
    return ms_fail(reterr, MS_INVALID, "this is no replication blob: its %s is not %s", member,
                   want);
}

/* The API's key_id is a text; its own example shows a number. */
static enum ms_code take_key_id(const json_t *value, struct claims *claims,
                                struct ms_error *reterr) {
    if (json_is_integer(value)) {
        (void)snprintf(claims->key_id, sizeof claims->key_id, "%" JSON_INTEGER_FORMAT,
                       json_integer_value(value));
        return MS_OK;
    }
    if (json_is_string(value) && json_string_length(value) > 0 &&
        take_id(ms_view_of(json_string_value(value), json_string_length(value)), claims->key_id))
        return MS_OK;
    return no_blob("key_id", "a text of 1 to 128 characters", reterr);
}

static enum ms_code take_head(const json_t *blob, struct claims *claims, struct ms_error *reterr) {
    const char *asset = json_string_value(json_object_get(blob, "asset_id"));
    const json_t *expires = json_object_get(blob, "expire_time");
    json_int_t seconds = json_integer_value(expires);
    if (!asset || ms_id_parse(asset, &claims->head.asset.id, NULL) != MS_OK)
        return no_blob("asset_id", "an id of 32 hex digits", reterr);
    if (!json_is_integer(expires) || seconds < 0 || seconds > INT64_MAX / 1000)
        return no_blob("expire_time", "a number of seconds", reterr);
    claims->head.expires.ms = (int64_t)seconds * 1000;
    return MS_OK;
}

static enum ms_code take_claims(const json_t *blob, struct claims *claims,
                                struct ms_error *reterr) {
    const json_t *info = json_object_get(blob, "asset_info");
    const json_t *with = json_object_get(blob, "encryption_info");
    const char *algorithm = json_string_value(json_object_get(with, "algorithm"));
    const json_t *nonce = json_object_get(with, "iv");
    MS_TRY(take_head(blob, claims, reterr));
    if (!json_is_string(info) || json_string_length(info) > MS_REPLICA_INFO_CHARS_MAX)
        return no_blob("asset_info", "a text of 1 to 100000 characters", reterr);
    if (!algorithm)
        return no_blob("encryption_info.algorithm", "a text", reterr);
    if (strcmp(algorithm, ALGORITHM) != 0)
        return ms_fail(reterr, MS_UNSUPPORTED,
                       "the replication blob is sealed with \"%.64s\"; " ALGORITHM " is understood",
                       algorithm);
    if (!json_is_string(nonce) || json_string_length(nonce) != base64_chars(NONCE_BYTES))
        return no_blob("encryption_info.iv", "12 bytes in base64", reterr);
    claims->info = json_string_value(info);
    claims->info_n = json_string_length(info);
    claims->nonce = json_string_value(nonce);
    claims->nonce_n = json_string_length(nonce);
    return take_key_id(json_object_get(with, "key_id"), claims, reterr);
}

static enum ms_code open_box(const struct ms_replica_keys *keys, const struct claims *claims,
                             struct ms_buf *ret_plain, struct ms_error *reterr) {
    MS_AUTO(ms_buf_fini) struct ms_buf sealed = MS_BUF_MAX(MS_REPLICA_INFO_CHARS_MAX);
    struct box box;
    size_t at, n = 0, nonce_n = 0;
    if (!find_key(keys, claims->key_id, &at))
        return ms_fail(reterr, MS_DENIED,
                       "the replication blob is sealed with key \"%s\", which this gateway has not: "
                       "both need it in the file of replication_keys",
                       claims->key_id);
    MS_TRY(ms_buf_reserve(&sealed, claims->info_n, reterr));
    if (!base64_decode(claims->info, claims->info_n, sealed.data, &n) || n < TAG_BYTES)
        return no_blob("asset_info", "base64 of a sealed text: it was cut or altered", reterr);
    if (!base64_decode(claims->nonce, claims->nonce_n, box.nonce, &nonce_n) ||
        nonce_n != NONCE_BYTES)
        return no_blob("encryption_info.iv", "12 bytes in base64", reterr);
    box_init(&box, &claims->head, claims->key_id, keys->key[at].key);
    n -= TAG_BYTES;
    memcpy(box.tag, sealed.data + n, TAG_BYTES);
    MS_TRY(ms_buf_reserve(ret_plain, n, reterr));
    if (!run_box(decrypt, &box, ms_view_of(sealed.data, n), ret_plain->data)) {
        OPENSSL_cleanse(ret_plain->data, ret_plain->cap);
        return ms_fail(reterr, MS_DENIED,
                       "the seal of the replication blob does not hold: it was altered, or key "
                       "\"%s\" is another one here",
                       claims->key_id);
    }
    ret_plain->len = n;
    ret_plain->data[n] = '\0';
    return MS_OK;
}

static void drop_json(json_t **json) { json_decref(*json); }

enum ms_code ms_replica_unseal(const struct ms_replica_keys *keys, struct ms_instant now,
                               struct ms_view blob, struct ms_replica_head *ret_head,
                               struct ms_buf *ret_plain, struct ms_error *reterr) {
    struct claims claims = {.info = NULL};
    char expired[MS_RFC3339_S_LEN + 1];
    json_error_t why;
    if (blob.n > MS_REPLICA_BLOB_MAX)
        return ms_fail(reterr, MS_INVALID,
                       "this is no replication blob: it has more than %zu bytes",
                       MS_REPLICA_BLOB_MAX);
    MS_AUTO(drop_json) json_t *json = json_loadb(blob.p, blob.n, JSON_REJECT_DUPLICATES, &why);
    if (!json_is_object(json))
        return ms_fail(reterr, MS_INVALID, "this is no replication blob: %s",
                       json ? "no JSON object" : why.text);
    MS_TRY(take_claims(json, &claims, reterr));
    MS_TRY(open_box(keys, &claims, ret_plain, reterr));
    if (now.ms >= claims.head.expires.ms) {
        ms_buf_clear(ret_plain);
        ms_instant_format_s(claims.head.expires, expired);
        return ms_fail(reterr, MS_STALE,
                       "the replication blob expired at %s: ask the other gateway for a new one",
                       expired);
    }
    *ret_head = claims.head;
    return MS_OK;
}
