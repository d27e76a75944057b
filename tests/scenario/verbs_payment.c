/* The program that pays renewals, and whoever asks it: msasset sweep, and the nightly run. */
#include "scenario.h"

#include "service/bill.h"
#include "service/payment.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static const struct {
    const char *name, *does;
    int64_t timeout_ms;
} payers[] = {
    {"pays", "exit 0", 20000},
    {"refuses", "echo 'no money'\nexit 3", 20000},
    {"garbage", "head -c 100000 /dev/zero\nkill -9 $$", 20000}, /* a lot of nonsense, and no exit status */
    {"dies", "kill -9 $$", 20000},
    {"hangs", "exec sleep 60", 50},
    {"gone", NULL, 20000}, /* it is configured, and cannot be started */
    {"none", NULL, 0},
};

/* Each question is a line: what it was told as argument. */
static void orders_file(const struct scene *s, char ret_path[4096]) {
    (void)snprintf(ret_path, 4096, "%s/orders", s->w->tmp);
}

static enum ms_code verb_payer(struct scene *s, int n, char **words, struct ms_error *reterr) {
    char text[9000], orders[4096];
    struct ms_svc *svc = s->w->svc;
    size_t i = 0;
    (void)n, (void)reterr;
    while (i < MS_ARRAY_LEN(payers) && strcmp(payers[i].name, words[1]) != 0)
        i++;
    if (i == MS_ARRAY_LEN(payers))
        scene_fail(s, "nobody pays like \"%s\"", words[1]);
    orders_file(s, orders);
    ms_test_write_file(orders, "", 0);
    svc->payment_command[0] = '\0';
    svc->payment_timeout_ms = payers[i].timeout_ms;
    if (payers[i].timeout_ms == 0)
        return MS_OK;
    (void)snprintf(text, sizeof text, "#!/bin/sh\necho \"$1\" >>%s\ncat >/dev/null\n%s\n", orders,
                   payers[i].does ? payers[i].does : "");
    scene_program(s, "payer", text, svc->payment_command, sizeof svc->payment_command);
    if (!payers[i].does && chmod(svc->payment_command, 0000) == 0 && remove(svc->payment_command) != 0)
        scene_fail(s, "cannot remove %s", svc->payment_command);
    return MS_OK;
}

/* How often it was asked since it is as it is, and about how many orders. */
static enum ms_code verb_payer_asked(struct scene *s, int n, char **words, struct ms_error *reterr) {
    char path[4096], line[MS_ORDER_MAX + 2], seen[16][MS_ORDER_MAX + 2];
    unsigned asked = 0, orders = 0;
    (void)reterr;
    scene_only(s, n, words, "times orders");
    orders_file(s, path);
    FILE *file = fopen(path, "r");
    for (; file && fgets(line, sizeof line, file); asked++) {
        unsigned i = 0;
        while (i < orders && strcmp(seen[i], line) != 0)
            i++;
        if (i == MS_ARRAY_LEN(seen))
            scene_fail(s, "too many orders");
        if (i == orders)
            memcpy(seen[orders++], line, sizeof line);
    }
    if (file)
        (void)fclose(file);
    scene_number(s, n, words, "times", asked);
    scene_number(s, n, words, "orders", orders);
    return MS_OK;
}

/* As msasset sweep does: what needs no answer, then the questions. */
static enum ms_code verb_pay(struct scene *s, int n, char **words, struct ms_error *reterr) {
    struct ms_sweep_result swept, paid = {.applied = 0};
    scene_only(s, n, words, "waiting");
    MS_TRY(ms_sweep(s->w->svc, &swept, reterr));
    if (swept.unpaid > 0)
        MS_TRY(ms_sweep_payments(s->w->svc, (struct ms_tenant_id){{{0}}}, NULL, &paid, reterr));
    scene_number(s, n, words, "waiting", paid.unpaid);
    return MS_OK;
}

/* Refused (TIMEOUT) while a day waits for an answer; the days before it are closed then. */
static enum ms_code verb_night(struct scene *s, int n, char **words, struct ms_error *reterr) {
    struct ms_bill_options options = {.dry = false};
    struct ms_bill_result result;
    (void)n, (void)words;
    return ms_bill_run(s->w->svc, &options, &result, reterr);
}

static const struct scene_verb verbs[] = {
    {"payer", 1, 1, verb_payer, "pays|refuses|garbage|dies|hangs|gone|none: the program that pays renewals"},
    {"payer-asked", 1, 2, verb_payer_asked, "times=N [orders=N]: so often since, about so many orders"},
    {"pay", 0, 1, verb_pay, "[waiting=N]: a sweep that asks it; so many packages are without an answer then"},
    {"night", 0, 0, verb_night, ": the nightly run"},
};
const struct scene_verbs scene_verbs_payment = {verbs, MS_ARRAY_LEN(verbs), NULL};
