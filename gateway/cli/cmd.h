/* cmd.h — one command of msasset: its option table, its help and its handler stand in one file,
 * cmd_<name>.c.
 *
 * main.c finds commands in a generated list (MS_COMMANDS in CMakeLists.txt). A name with an
 * underscore is two words on the command line: tenant_add is "msasset tenant add". Help, completion
 * and the man page's synopsis come from these tables; a test compares them with man/.
 */
#ifndef MS_CLI_CMD_H
#define MS_CLI_CMD_H

#include "base/config.h"
#include "service/service.h"
#include "service/tenant.h"

#include <jansson.h>
#include <stdio.h>

#define MS_CLI_OPTIONS_MAX 16

struct ms_opt {
    const char *name;  /* "to": --to */
    char letter;       /* 0: none */
    const char *value; /* "PATH": takes a value; NULL: a switch */
    const char *help;
};

struct ms_cli {
    struct ms_config config;
    struct ms_log log;
    const struct ms_cmd *cmd;
    const char
        *given[MS_CLI_OPTIONS_MAX]; /* by place in cmd->opts: NULL, a value, or "" for a switch */
    int args_n;
    char **args; /* what is neither option nor its value */
    bool json, quiet, yes;
    unsigned verbose;
    const char *as; /* --as TENANT/USER: without an administrator's rights */
    char probe[4096]; /* where msasset-probe lies; set by ms_cli_svc_options */
    void *own;      /* the command's, for what ms_cli_each calls */
    /* set by ms_cli_open */
    struct ms_svc *svc;
    struct ms_ctx ctx;
    struct ms_tenant_record tenant;
};

struct ms_cmd {
    const char *name;    /* "tenant add" */
    const char *args;    /* "NAME", "[PATH|ID...]" */
    const char *summary; /* one line, lower case, no full stop */
    const char *help;    /* paragraphs and examples; what it changes and what not */
    struct ms_opt opts[MS_CLI_OPTIONS_MAX];
    int args_min, args_max; /* -1: any number */
    bool destructive;       /* asks on a terminal unless --yes */
    enum ms_code (*run)(struct ms_cli *cli, struct ms_error *reterr);
};

/* What a command needs open. */
enum ms_cli_need { MS_NEED_STORE = 1, MS_NEED_TENANT = 2, MS_NEED_READ_ONLY = 4,
                   MS_NEED_NO_OBJECTS = 8 }; /* the store is not asked at first */
/* Open the store of --store (and the tenant of --tenant; with only one tenant that one). Everything
 * is closed by main. Errors: what the service says; MS_USAGE no tenant named and there are several,
 * naming them. */
MS_NODISCARD enum ms_code ms_cli_open(struct ms_cli *cli, unsigned need, struct ms_error *reterr);
/* The options under which this process opens or makes a store; dir lives in the static buffer
 * given. */
MS_NODISCARD enum ms_code ms_cli_svc_options(struct ms_cli *cli, char dir[4096],
                                             struct ms_svc_options *ret_options,
                                             struct ms_error *reterr);

/* The limits of contents that are configured. */
void ms_cli_limits(const struct ms_cli *cli, struct ms_limits *ret_limits);

/* What a path stands for relative to the current folder. Errors: MS_USAGE longer than a path may
 * be. */
MS_NODISCARD enum ms_code ms_cli_absolute(const char *path, char ret_path[4096],
                                          struct ms_error *reterr);

/* Ask on a terminal; without one, without --yes, this is MS_USAGE naming --yes. */
MS_NODISCARD enum ms_code ms_cli_confirm(struct ms_cli *cli, struct ms_error *reterr,
                                         const char *fmt, ...) MS_PRINTF(3, 4);

/* SIGINT and SIGTERM ask to stop, a second one ends the process at once; SIGPIPE becomes an error
 * of the write. stop.c holds the one flag of the program that a handler has to reach. */
void ms_cli_catch_signals(void);
bool ms_cli_stopped(void);

/* Run fn for each argument; report failures one by one, go on, and return MS_OK, the failure of a
 * single argument, or MS_CLI_SOME_FAILED (exit status 1). */
#define MS_CLI_SOME_FAILED MS_CODE_COUNT
typedef enum ms_code ms_cli_each_fn(struct ms_cli *cli, const char *arg, json_t *results,
                                    struct ms_error *reterr);
MS_NODISCARD enum ms_code ms_cli_each(struct ms_cli *cli, ms_cli_each_fn *fn,
                                      struct ms_error *reterr);

void ms_cli_print_error(const struct ms_cli *cli, enum ms_code code, const struct ms_error *err);

#endif
