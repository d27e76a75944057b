#include "cli/bill_common.h"

#include "base/assert.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#define RATES_BYTES_MAX ((size_t)64 << 20)

/* jansson goes on when its buffer for a token cannot grow, and loses bytes of it. A bill must not
 * come of half a number, so we stop. */
static void *memory_or_stop(size_t n) {
    void *p = malloc(n);
    MS_ASSERT(p != NULL);
    return p;
}

enum ms_code ms_cli_open_input(const char *path, FILE **ret_file, struct ms_error *reterr) {
    *ret_file = strcmp(path, "-") == 0 ? stdin : fopen(path, "re");
    if (*ret_file)
        return MS_OK;
    return ms_fail(reterr, MS_NO_INPUT, "%s cannot be read: %s", path, strerror(errno));
}

void ms_cli_close_input(FILE **file) {
    if (*file && *file != stdin)
        fclose(*file);
}

enum ms_code ms_cli_rates_read(const char *path, struct ms_rates *ret_rates,
                               struct ms_error *reterr) {
    MS_AUTO(ms_cli_close_input) FILE *file = NULL;
    MS_AUTO(ms_buf_fini) struct ms_buf text = MS_BUF_MAX(RATES_BYTES_MAX);
    char part[65536];
    size_t n;
    json_set_alloc_funcs(memory_or_stop, free);
    *ret_rates = (struct ms_rates){0};
    enum ms_code code = ms_cli_open_input(path, &file, reterr);
    if (code != MS_OK)
        return code;
    while ((n = fread(part, 1, sizeof part, file)) > 0) {
        code = ms_buf_add(&text, part, n, reterr);
        if (code != MS_OK)
            return code;
    }
    if (ferror(file))
        return ms_fail_errno(reterr, errno, "%s cannot be read", path);
    return ms_rates_parse(text.data ? (const char *)text.data : "", text.len, ret_rates, reterr);
}

enum ms_code ms_cli_rates(struct ms_cli *cli, const char *given, struct ms_rates *ret_rates,
                          struct ms_error *reterr) {
    const char *path = given ? given : ms_config_text(&cli->config, MS_CONFIG_BILL_RATES);
    *ret_rates = (struct ms_rates){0};
    if (path[0] == '\0')
        return ms_fail(reterr, MS_USAGE,
                       "no rate cards: give --rates FILE, or set bill_rates in the configuration "
                       "(a file of {\"currency\":\"CNY\",\"cards\":[]} makes everything cost 0)");
    return ms_cli_rates_read(path, ret_rates, reterr);
}

enum ms_code ms_cli_day(const char *text, struct ms_instant *ret_midnight,
                        struct ms_error *reterr) {
    char full[MS_RFC3339_S_LEN + 1];
    int n = snprintf(full, sizeof full, "%sT00:00:00Z", text);
    if (n == MS_RFC3339_S_LEN && ms_instant_parse(full, ret_midnight, NULL) == MS_OK)
        return MS_OK;
    return ms_fail(reterr, MS_INVALID, "\"%.40s\" is no day: it is written as 2026-01-31", text);
}

enum ms_code ms_cli_tenant_or_all(struct ms_cli *cli, struct ms_tenant_id *ret_tenant,
                                  struct ms_error *reterr) {
    struct ms_tenant_record tenant;
    *ret_tenant = (struct ms_tenant_id){{{0}}};
    if (ms_config_origin(&cli->config, MS_CONFIG_TENANT) != MS_CONFIG_FROM_FLAG)
        return MS_OK;
    enum ms_code code = ms_tenant_find(cli->svc, ms_config_text(&cli->config, MS_CONFIG_TENANT),
                                       &tenant, reterr);
    if (code == MS_OK)
        *ret_tenant = (struct ms_tenant_id){tenant.id};
    return code;
}

struct ms_money_text ms_cli_adjustment_amount(const struct ms_adjust_record *row) {
    struct ms_money_text t;
    (void)snprintf(t.s, sizeof t.s, "%s%" PRIu64 ".%06" PRIu64, row->credit ? "-" : "",
                   row->micros / MS_MICRO, row->micros % MS_MICRO);
    return t;
}

json_t *ms_cli_adjustment_json(const char *tenant, const struct ms_adjust_record *row) {
    char seq[24], micros[24], day[MS_RFC3339_S_LEN + 1];
    ms_instant_format_s(row->day, day);
    day[10] = '\0';
    (void)snprintf(seq, sizeof seq, "%" PRIu64, row->seq);
    (void)snprintf(micros, sizeof micros, "%s%" PRIu64, row->credit ? "-" : "", row->micros);
    return json_pack("{s:s,s:s,s:o,s:o,s:s,s:s,s:s,s:s}", "tenant", tenant, "adjustment", seq, "at",
                     ms_out_json_time(row->at), "day",
                     ms_instant_is_none(row->day) ? json_null() : json_string(day), "micros", micros,
                     "currency", ms_currency_name((enum ms_currency)row->currency), "reason",
                     row->reason, "who", row->who);
}
