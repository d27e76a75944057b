#include "cli/parcel.h"

#include <fcntl.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

enum ms_code ms_cli_type(const char *text, enum ms_asset_type *ret_type, struct ms_error *reterr) {
    char names[320] = "";
    for (enum ms_asset_type t = 0; t < MS_TYPE_COUNT; t++) {
        size_t n = strlen(names);
        if (strcasecmp(text, ms_asset_type_name(t)) == 0) {
            *ret_type = t;
            return MS_OK;
        }
        (void)snprintf(names + n, sizeof names - n, "%s%s", n ? " " : "", ms_asset_type_name(t));
    }
    return ms_fail(reterr, MS_USAGE, "there is no asset type \"%.40s\": %s", text, names);
}

enum ms_code ms_cli_category(const char *text, enum ms_category *ret_category,
                             struct ms_error *reterr) {
    char names[120] = "";
    for (enum ms_category c = 0; c < MS_CATEGORY_COUNT; c++) {
        size_t n = strlen(names);
        if (strcasecmp(text, ms_category_name(c)) == 0) {
            *ret_category = c;
            return MS_OK;
        }
        (void)snprintf(names + n, sizeof names - n, "%s%s", n ? " " : "", ms_category_name(c));
    }
    return ms_fail(reterr, MS_USAGE, "there is no file category \"%.40s\": %s", text, names);
}

enum ms_code ms_cli_file_id(const char *text, struct ms_file_id *ret_file,
                            struct ms_error *reterr) {
    if (ms_id_parse(text, &ret_file->id, NULL) == MS_OK)
        return MS_OK;
    return ms_fail(reterr, MS_USAGE, "\"%.64s\" is no id of a file: 32 hex digits", text);
}

static int digit_of(char c, const char *digits) {
    const char *at = c ? strchr(digits, c) : NULL;
    return at ? (int)(at - digits) : -1;
}

/* Digits of `bits` bits each; false when one is none, or what is left over is not zero. */
static bool take_digits(const char *text, const char *digits, unsigned bits, uint8_t ret_md5[16]) {
    uint32_t held = 0;
    unsigned have = 0, out = 0;
    for (; *text; text++) {
        int d = digit_of(*text, digits);
        if (d < 0)
            return false;
        held = (held << bits | (uint32_t)d) & 0xffff;
        have += bits;
        if (have >= 8 && out < 16) {
            have -= 8;
            ret_md5[out++] = (uint8_t)(held >> have);
        }
    }
    return out == 16 && (held & ((1u << have) - 1)) == 0;
}

enum ms_code ms_cli_md5(const char *text, uint8_t ret_md5[16], struct ms_error *reterr) {
    static const char base64[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    size_t n = strlen(text);
    char copy[33];
    bool is_base64 = n == 24 && strcmp(text + 22, "==") == 0;
    if (n == 32 || is_base64) {
        memcpy(copy, text, is_base64 ? 22 : 32);
        copy[is_base64 ? 22 : 32] = '\0';
        for (char *p = copy; !is_base64 && *p; p++)
            *p = (char)(*p >= 'A' && *p <= 'F' ? *p + ('a' - 'A') : *p);
        if (take_digits(copy, is_base64 ? base64 : "0123456789abcdef", is_base64 ? 6 : 4, ret_md5))
            return MS_OK;
    }
    return ms_fail(reterr, MS_USAGE, "\"%.64s\" is no MD5: 24 characters of base64, or 32 hex digits",
                   text);
}

enum ms_code ms_cli_open_upload(const char *file, int *ret_fd, struct ms_error *reterr) {
    struct stat st;
    int fd = open(file, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) != 0) {
        int err = errno;
        if (fd >= 0)
            close(fd);
        return ms_fail(reterr, MS_NO_INPUT, "%s cannot be read: %s", file, strerror(err));
    }
    if (!S_ISREG(st.st_mode) || st.st_size == 0) {
        close(fd);
        return ms_fail(reterr, MS_NO_INPUT, "%s is not a regular file, or it is empty", file);
    }
    *ret_fd = fd;
    return MS_OK;
}

enum ms_code ms_cli_confirmed(struct ms_cli *cli, const struct ms_confirmed *c, json_t *results,
                              struct ms_error *reterr) {
    if (cli->json)
        ms_out_add(
            results, json_pack("{s:s,s:s,s:s,s:s?}", "asset_id", ms_id_text(c->asset.id).s,
             "asset_state", ms_state_name(c->state), "file_state",
             ms_file_state_name(c->file_state), "reason",
             c->reason[0] ? c->reason : NULL));
    else if (!cli->quiet)
        printf("%s  %s  file %s\n", ms_id_text(c->asset.id).s, ms_state_name(c->state),
               ms_file_state_name(c->file_state));
    if (c->verdict == MS_OK)
        return MS_OK;
    return ms_fail(reterr, c->verdict, "%s", c->reason);
}
