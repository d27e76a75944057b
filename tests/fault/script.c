#include "fault/script.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *fault_op_name(enum fault_op op) {
    static const char *const names[] = {
#define NAME(n) #n,
        FAULT_OPS(NAME)
#undef NAME
    };

    return op < FAULT_OP_COUNT ? names[op] : "*";
}

const char *fault_action_name(enum fault_action action) {
    static const char *const names[] = {
#define NAME(n, text) text,
        FAULT_ACTIONS(NAME)
#undef NAME
    };

    return names[action];
}

/* ---- the script ------------------------------------------------------------------------------ */

static bool read_number(const char *text, char **ret_end, uint64_t *ret_number) {
    if (*text < '0' || *text > '9')
        return false;
    errno = 0;
    *ret_number = strtoull(text, ret_end, 10);
    return errno == 0;
}

static bool read_op(const char *text, enum fault_op *ret_op) {
    unsigned op = 0;

    while (op < FAULT_OP_COUNT && strcmp(fault_op_name(op), text) != 0)
        op++;
    *ret_op = op;
    return op < FAULT_OP_COUNT || strcmp(text, "*") == 0;
}

static bool read_which(const char *text, struct fault_rule *rule) {
    char *end;

    rule->first = 1;
    rule->last = UINT64_MAX;
    if (strcmp(text, "*") == 0)
        return true;
    if (!read_number(text, &end, &rule->first))
        return false;
    if (strcmp(end, "%") == 0) {
        rule->percent = (unsigned)rule->first;
        rule->first = 1;
        return rule->percent >= 1 && rule->percent <= 100;
    }
    if (strcmp(end, "+") == 0)
        return true;
    rule->last = rule->first;
    if (*end == '-' && !read_number(end + 1, &end, &rule->last))
        return false;
    return *end == '\0' && rule->first >= 1 && rule->first <= rule->last;
}

static bool read_action(char *text, struct fault_rule *rule) {
    char *value = strchr(text, '='), *end = value;
    unsigned action = 0;

    if (value) {
        *value = '\0';
        if (!read_number(value + 1, &end, &rule->value) || *end)
            return false;
    }
    while (action < FAULT_ACTION_COUNT && strcmp(fault_action_name(action), text) != 0)
        action++;
    rule->action = action;
    if (action == FAULT_DO_TRICKLE && rule->value == 0)
        return false;
    return action < FAULT_ACTION_COUNT;
}

static bool read_rule(char *text, struct fault_rule *ret_rule) {
    char *which = strchr(text, ':'), *action = which ? strchr(which + 1, ':') : NULL;

    if (!action)
        return false;
    *which++ = *action++ = '\0';
    *ret_rule = (struct fault_rule){0};
    return read_op(text, &ret_rule->op) && read_which(which, ret_rule) && read_action(action, ret_rule);
}

bool fault_script_parse(const char *text, struct fault_script *ret_script, char *ret_why, size_t why_size) {
    struct fault_script script = {0};
    char rule[128];
    size_t n;

    for (text += strspn(text, ", \n"); *text; text += strspn(text, ", \n")) {
        n = strcspn(text, ", \n");
        (void)snprintf(rule, sizeof rule, "%.*s", (int)n, text);
        if (script.n == FAULT_RULES_MAX || n >= sizeof rule || !read_rule(rule, &script.rule[script.n])) {
            (void)snprintf(ret_why, why_size, "rule %zu cannot be read: %.*s", script.n + 1, (int)n, text);
            return false;
        }
        script.n++;
        text += n;
    }
    *ret_script = script;
    return true;
}

/* splitmix64: enough to spread what differs in one bit. */
static uint64_t mix(uint64_t x) {
    x += UINT64_C(0x9e3779b97f4a7c15);
    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return x ^ (x >> 31);
}

struct fault_plan fault_script_plan(const struct fault_script *script, uint64_t seed, enum fault_op op, uint64_t nth) {
    uint64_t of_request = mix(mix(seed ^ ((uint64_t)op << 56)) ^ nth);
    struct fault_plan plan = {.where = mix(of_request)};

    for (size_t i = 0; i < script->n; i++) {
        const struct fault_rule *rule = &script->rule[i];

        if ((rule->op != op && rule->op != FAULT_OP_COUNT) || nth < rule->first || nth > rule->last)
            continue;
        if (rule->percent && mix(of_request ^ (i + 1)) % 100 >= rule->percent)
            continue;
        if (rule->action == FAULT_DO_DELAY) {
            plan.delay_ms += rule->value;
            continue;
        }
        plan.action = rule->action;
        plan.value = rule->value;
        break;
    }
    return plan;
}

/* ---- requests -------------------------------------------------------------------------------- */

static bool has_param(const char *query, const char *name) {
    size_t n = strlen(name);

    for (const char *p = query; *p; p += strcspn(p, "&"), p += *p == '&')
        if (strncmp(p, name, n) == 0 && (p[n] == '\0' || p[n] == '=' || p[n] == '&'))
            return true;
    return false;
}

static enum fault_op op_of_bucket(const char *method, const char *query) {
    if (strcmp(method, "POST") == 0)
        return has_param(query, "delete") ? FAULT_DELETE_MANY : FAULT_OTHER;
    if (strcmp(method, "GET") != 0)
        return FAULT_OTHER;
    return has_param(query, "uploads") ? FAULT_MP_LIST : FAULT_LIST;
}

static enum fault_op op_of_upload(const char *method, bool copies) {
    if (strcmp(method, "PUT") == 0)
        return copies ? FAULT_MP_COPY : FAULT_MP_PUT;
    if (strcmp(method, "POST") == 0)
        return FAULT_MP_COMPLETE;
    if (strcmp(method, "DELETE") == 0)
        return FAULT_MP_ABORT;
    return FAULT_MP_PARTS;
}

enum fault_op fault_op_of(const char *method, const char *target, bool copies) {
    static const struct {
        const char *method;
        enum fault_op op;
    } plain[] = {{"PUT", FAULT_PUT}, {"GET", FAULT_GET}, {"HEAD", FAULT_HEAD}, {"DELETE", FAULT_DELETE}};
    const char *query = strchr(target, '?'), *key;

    query = query ? query + 1 : "";
    if (*target != '/')
        return FAULT_OTHER;
    key = target + 1 + strcspn(target + 1, "/?");
    if (*key != '/' || key[1] == '\0' || key[1] == '?')
        return op_of_bucket(method, query);
    if (has_param(query, "uploadId"))
        return op_of_upload(method, copies);
    if (has_param(query, "uploads"))
        return FAULT_MP_CREATE;
    if (copies)
        return FAULT_COPY;
    for (size_t i = 0; i < sizeof plain / sizeof plain[0]; i++)
        if (strcmp(method, plain[i].method) == 0)
            return plain[i].op;
    return FAULT_OTHER;
}
