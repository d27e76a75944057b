#include "probe/confine.h"

#include "base/scope.h"
#include "probe/shut.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <linux/sockios.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { ARG_FOLDER, ARG_CPU, ARG_MEMORY, ARG_FILE, ARG_PROGRAM };

/* ---- files ----------------------------------------------------------------------------------- */

#define READS                                                                                      \
    (LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR)
#define WRITES                                                                                     \
    (LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_REMOVE_DIR | LANDLOCK_ACCESS_FS_REMOVE_FILE | \
     LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_MAKE_DIR)
#define MAKES                                                                                      \
    (LANDLOCK_ACCESS_FS_MAKE_CHAR | LANDLOCK_ACCESS_FS_MAKE_SOCK | LANDLOCK_ACCESS_FS_MAKE_FIFO |    \
     LANDLOCK_ACCESS_FS_MAKE_BLOCK | LANDLOCK_ACCESS_FS_MAKE_SYM)

/* What is not there needs no rule; a file takes none of a folder's rights. */
static bool let(int rules, const char *path, uint64_t what) {
    struct landlock_path_beneath_attr rule = {.allowed_access = what,
                                              .parent_fd = open(path, O_PATH | O_CLOEXEC)};
    if (rule.parent_fd < 0)
        return errno == ENOENT;
    bool good = syscall(SYS_landlock_add_rule, rules, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) == 0;
    close(rule.parent_fd);
    return good;
}

static bool shut_files(const char *program, bool office) {
    /* Of /etc only what programs and fonts need: secrets of the service may lie there, readable to its own user. */
    static const char *const system[] = {"/usr",       "/lib",           "/lib64",
                                         "/bin",       "/etc/fonts",     "/etc/alternatives"};
    static const char *const file[] = {"/etc/ld.so.cache", "/etc/localtime"};
    static const char *const of_office[] = {"/etc/libreoffice", "/var/lib/libreoffice", "/var/spool/libreoffice"};
    struct landlock_ruleset_attr all = {.handled_access_fs = READS | WRITES | MAKES};
    int rules = (int)syscall(SYS_landlock_create_ruleset, &all, sizeof all, 0);
    if (rules < 0) /* a kernel without it: user, filter and limits are left */
        return errno == ENOSYS || errno == EOPNOTSUPP || errno == EPERM;
    bool good = let(rules, ".", READS | WRITES | (office ? LANDLOCK_ACCESS_FS_MAKE_SOCK : 0)) &&
                let(rules, program, LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_READ_FILE) &&
                let(rules, "/dev/null", LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE) &&
                let(rules, "/dev/urandom", LANDLOCK_ACCESS_FS_READ_FILE);
    for (size_t i = 0; good && i < MS_ARRAY_LEN(system); i++)
        good = let(rules, system[i], READS);
    for (size_t i = 0; good && i < MS_ARRAY_LEN(file); i++)
        good = let(rules, file[i], LANDLOCK_ACCESS_FS_READ_FILE);
    for (size_t i = 0; good && office && i < MS_ARRAY_LEN(of_office); i++)
        good = let(rules, of_office[i], READS);
    good = good && syscall(SYS_landlock_restrict_self, rules, 0) == 0;
    close(rules);
    return good;
}

/* ---- calls ----------------------------------------------------------------------------------- */

static const int refused[] = {
    SCMP_SYS(ptrace),       SCMP_SYS(process_vm_readv), SCMP_SYS(process_vm_writev),
    SCMP_SYS(kill),         SCMP_SYS(setsid),           SCMP_SYS(setpgid),
    SCMP_SYS(mount),        SCMP_SYS(umount2),          SCMP_SYS(pivot_root),
    SCMP_SYS(chroot),       SCMP_SYS(unshare),          SCMP_SYS(setns),
    SCMP_SYS(bpf),          SCMP_SYS(perf_event_open),  SCMP_SYS(userfaultfd),
    SCMP_SYS(io_uring_setup), SCMP_SYS(keyctl),         SCMP_SYS(add_key),
    SCMP_SYS(request_key),  SCMP_SYS(init_module),      SCMP_SYS(finit_module),
    SCMP_SYS(kexec_load),   SCMP_SYS(reboot),           SCMP_SYS(swapon),
    SCMP_SYS(swapoff),      SCMP_SYS(acct),             SCMP_SYS(pidfd_send_signal),
    SCMP_SYS(tkill),        SCMP_SYS(rt_sigqueueinfo),  SCMP_SYS(rt_tgsigqueueinfo)};

#define NEW_NAMESPACES                                                                             \
    (CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS |       \
     CLONE_NEWCGROUP)
/* A process may signal itself (abort) and set its own limits, nobody else's: where the gateway is not root, its
 * processes have the same user, and a limit can end them as a signal does. It may fork, but into no namespaces of
 * its own. What clone3 is asked for a filter cannot see: libc falls back to clone. A child's abort is refused with
 * the rest, and ends it all the same by what abort does next. */
static bool shut_some(scmp_filter_ctx ctx) {
    bool good = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(tgkill), 1,
                                 SCMP_A0(SCMP_CMP_NE, (scmp_datum_t)getpid())) == 0 &&
                seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(prlimit64), 1,
                                 SCMP_A0(SCMP_CMP_NE, 0)) == 0 &&
                seccomp_rule_add(ctx, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0) == 0;
    for (unsigned bit = 0; good && bit < 32; bit++)
        if ((unsigned long)NEW_NAMESPACES & 1UL << bit)
            good = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(clone), 1,
                                    SCMP_A0(SCMP_CMP_MASKED_EQ, 1UL << bit, 1UL << bit)) == 0;
    return good;
}

/* The kernel sends signals too, to whom a file says: SIGKILL on any data, if it is asked to. */
static bool shut_owners(scmp_filter_ctx ctx) {
    static const unsigned of_fcntl[] = {F_SETOWN, F_SETOWN_EX, F_SETSIG};
    static const unsigned of_ioctl[] = {FIOSETOWN, SIOCSPGRP};
    bool good = true;
    for (size_t i = 0; good && i < MS_ARRAY_LEN(of_fcntl); i++)
        good = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(fcntl), 1,
                                SCMP_A1(SCMP_CMP_MASKED_EQ, UINT32_MAX, of_fcntl[i])) == 0;
    for (size_t i = 0; good && i < MS_ARRAY_LEN(of_ioctl); i++)
        good = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(ioctl), 1,
                                SCMP_A1(SCMP_CMP_MASKED_EQ, UINT32_MAX, of_ioctl[i])) == 0;
    return good;
}

/* Sockets of other kinds than streams may be sent to an address without a connection. */
static bool shut_kinds(scmp_filter_ctx ctx, int call, scmp_datum_t family) {
    static const unsigned kinds[] = {SOCK_DGRAM, SOCK_RAW, SOCK_RDM, SOCK_SEQPACKET};
    bool good = true;
    for (size_t i = 0; good && i < MS_ARRAY_LEN(kinds); i++)
        good = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EACCES), call, 2, SCMP_A0(SCMP_CMP_EQ, family),
                                SCMP_A1(SCMP_CMP_MASKED_EQ, 0xf, kinds[i])) == 0;
    return good;
}

/* LibreOffice does nothing before it has bound a local stream in the folder for those who start it again; it may
 * connect to nobody. Whether it may write somewhere it asks with access(), which does not know Landlock: it must be
 * told no, or it wants /tmp. */
static bool shut_office(scmp_filter_ctx ctx) {
    return seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EACCES), SCMP_SYS(socket), 1, SCMP_A0(SCMP_CMP_NE, AF_UNIX)) == 0 &&
           shut_kinds(ctx, SCMP_SYS(socket), AF_UNIX) &&
           seccomp_rule_add(ctx, SCMP_ACT_ERRNO(ECONNREFUSED), SCMP_SYS(connect), 0) == 0 &&
           seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EACCES), SCMP_SYS(access), 1, SCMP_A1(SCMP_CMP_EQ, W_OK)) == 0;
}

static bool shut_sockets(scmp_filter_ctx ctx, bool office) {
    return shut_kinds(ctx, SCMP_SYS(socketpair), AF_UNIX) &&
           (office ? shut_office(ctx) : seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EACCES), SCMP_SYS(socket), 0) == 0);
}

static bool shut_calls(bool office) {
    scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_ALLOW);
    bool good = ctx && shut_sockets(ctx, office);
    for (size_t i = 0; good && i < MS_ARRAY_LEN(refused); i++)
        good = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EPERM), refused[i], 0) == 0;
    good = good && shut_some(ctx) && shut_owners(ctx) && seccomp_load(ctx) == 0;
    if (ctx)
        seccomp_release(ctx);
    return good;
}

/* ---- limits ---------------------------------------------------------------------------------- */

static bool limit(int what, const char *text) {
    char *end;
    errno = 0;
    unsigned long long most = strtoull(text, &end, 10);
    const struct rlimit r = {most, most};
    return errno == 0 && end > text && *end == '\0' && most > 0 &&
           setrlimit((__rlimit_resource_t)what, &r) == 0;
}

static bool enter(const char *folder) {
    if (chdir(folder) != 0)
        return false;
    return geteuid() != 0 || chown(".", MS_SHUT_NOBODY, MS_SHUT_NOBODY) == 0;
}

static int failed(const char *what) {
    fprintf(stderr, "msasset-probe: the converter cannot be shut in: %s: %s\n", what, strerror(errno));
    return MS_CONFINE_FAILED;
}

int ms_confine(int argc, char **argv, bool office) {
    char path[] = "PATH=/usr/bin:/bin", home[] = "HOME=.", locale[] = "LC_ALL=C.UTF-8";
    char temporary[] = "TMPDIR=/proc/self/cwd";
    char *const environment[] = {path, home, locale, temporary, NULL};
    if (argc <= ARG_PROGRAM || argv[ARG_PROGRAM][0] != '/') {
        errno = EINVAL;
        return failed("arguments");
    }
    
    if (!enter(argv[ARG_FOLDER]))
        return failed("folder");
    if (!ms_shut_give_up())
        return failed("user and capabilities");
    if (!shut_files(argv[ARG_PROGRAM], office))
        return failed("files");
    if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) != 0 || !shut_calls(office))
        return failed("calls of the system");
    if (!limit(RLIMIT_CPU, argv[ARG_CPU]) || !limit(RLIMIT_FSIZE, argv[ARG_FILE]) ||
        !limit(RLIMIT_AS, argv[ARG_MEMORY]))
        return failed("limits");
    (void)execve(argv[ARG_PROGRAM], argv + ARG_PROGRAM, environment);
    return failed(argv[ARG_PROGRAM]);
}
