#include "probe/shut.h"

#include "base/scope.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/landlock.h>
#include <linux/seccomp.h>
#include <seccomp.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define IS_SANITIZED true
#else
#define IS_SANITIZED false
#endif

struct ms_shut {
    struct sock_fprog filter;
};

/* ---- the waiting program --------------------------------------------------------------------- */

/* Another user where we may; where we may not (no right, or a name space with one user), what is
 * left has no capability and no file. */
static void leave_user(void) {
    if (geteuid() != 0)
        return;
    (void)!setgroups(0, NULL);
    (void)!setresgid(MS_SHUT_NOBODY, MS_SHUT_NOBODY, MS_SHUT_NOBODY);
    (void)!setresuid(MS_SHUT_NOBODY, MS_SHUT_NOBODY, MS_SHUT_NOBODY);
}

static bool drop_capabilities(void) {
    struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct none[2] = {{0}};

    for (int cap = 0; cap <= CAP_LAST_CAP; cap++)
        (void)!prctl(PR_CAPBSET_DROP, cap, 0, 0, 0);
    return syscall(SYS_capset, &head, none) == 0;
}

/* A ruleset without a rule: no file may be opened, made or removed. Kernels without Landlock have the
 * examiner's filter only. */
static bool shut_files(void) {
    struct landlock_ruleset_attr all = {
        .handled_access_fs = LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_WRITE_FILE |
                             LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR |
                             LANDLOCK_ACCESS_FS_REMOVE_DIR | LANDLOCK_ACCESS_FS_REMOVE_FILE |
                             LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_MAKE_SOCK};
    int rules = (int)syscall(SYS_landlock_create_ruleset, &all, sizeof all, 0);
    bool good;

    if (rules < 0)
        return errno == ENOSYS || errno == EOPNOTSUPP || errno == EPERM;
    good = syscall(SYS_landlock_restrict_self, rules, 0) == 0;
    close(rules);
    return good;
}

static const int allowed[] = {SCMP_SYS(read),
                              SCMP_SYS(write),
                              SCMP_SYS(readv),
                              SCMP_SYS(writev),
                              SCMP_SYS(close),
                              SCMP_SYS(brk),
                              SCMP_SYS(mmap),
                              SCMP_SYS(munmap),
                              SCMP_SYS(mremap),
                              SCMP_SYS(mprotect),
                              SCMP_SYS(madvise),
                              SCMP_SYS(futex),
                              SCMP_SYS(exit),
                              SCMP_SYS(exit_group),
                              SCMP_SYS(rt_sigreturn),
                              SCMP_SYS(rt_sigprocmask),
                              SCMP_SYS(rt_sigaction),
                              SCMP_SYS(gettid),
                              SCMP_SYS(getpid),
                              SCMP_SYS(sched_yield),
                              SCMP_SYS(clock_gettime),
                              SCMP_SYS(gettimeofday),
                              SCMP_SYS(time),
                              SCMP_SYS(getrandom),
                              SCMP_SYS(sched_getaffinity),
                              SCMP_SYS(sysinfo),
                              SCMP_SYS(getrusage),
                              SCMP_SYS(getuid),
                              SCMP_SYS(geteuid),
                              SCMP_SYS(getgid),
                              SCMP_SYS(getegid),
                              SCMP_SYS(restart_syscall)};
/* Libraries look for fonts, tables and settings, and go on without. */
static const int refused[] = {
    SCMP_SYS(open),     SCMP_SYS(openat),     SCMP_SYS(access),     SCMP_SYS(faccessat),
    SCMP_SYS(stat),     SCMP_SYS(lstat),      SCMP_SYS(newfstatat), SCMP_SYS(fstat),
    SCMP_SYS(readlink), SCMP_SYS(readlinkat), SCMP_SYS(statx),      SCMP_SYS(getcwd),
    SCMP_SYS(lseek),    SCMP_SYS(ioctl),      SCMP_SYS(uname),      SCMP_SYS(faccessat2),
    SCMP_SYS(statfs),   SCMP_SYS(prlimit64),  SCMP_SYS(unlink),     SCMP_SYS(getdents64)};

static bool add_rules(scmp_filter_ctx ctx) {
    for (size_t i = 0; i < MS_ARRAY_LEN(allowed); i++)
        if (seccomp_rule_add(ctx, SCMP_ACT_ALLOW, allowed[i], 0) < 0)
            return false;
    for (size_t i = 0; i < MS_ARRAY_LEN(refused); i++)
        if (seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EACCES), refused[i], 0) < 0)
            return false;
    return true;
}

/* The filter as the kernel takes it, by way of a file in memory. */
static bool export_filter(scmp_filter_ctx ctx, struct sock_fprog *ret_filter) {
    int fd = memfd_create("filter", MFD_CLOEXEC);
    struct stat st;
    bool good = fd >= 0 && seccomp_export_bpf(ctx, fd) == 0 && fstat(fd, &st) == 0;
    struct sock_filter *code = good ? malloc((size_t)st.st_size) : NULL;

    good = code && pread(fd, code, (size_t)st.st_size, 0) == st.st_size;
    if (fd >= 0)
        close(fd);
    if (!good) {
        free(code);
        return false;
    }
    *ret_filter = (struct sock_fprog){.len = (unsigned short)((size_t)st.st_size / sizeof *code),
                                      .filter = code};
    return true;
}

static bool make_filter(struct sock_fprog *ret_filter) {
    scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_KILL_PROCESS);
    bool good = ctx && add_rules(ctx) && export_filter(ctx, ret_filter);

    if (ctx)
        seccomp_release(ctx);
    return good;
}

bool ms_shut_give_up(void) {
    const struct rlimit no_core = {0, 0};

    leave_user();
    return setrlimit(RLIMIT_CORE, &no_core) == 0 && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
           drop_capabilities();
}

struct ms_shut *ms_shut_in(void) {
    struct ms_shut *shut = calloc(1, sizeof *shut);

    if (!shut)
        return NULL;
    if (chdir("/") == 0 && ms_shut_give_up() && prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) == 0 &&
        make_filter(&shut->filter) && shut_files() &&
        prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) == 0)
        return shut;
    free(shut->filter.filter);
    free(shut);
    return NULL;
}

/* ---- an examiner ----------------------------------------------------------------------------- */

static bool limit(int what, rlim_t most) {
    const struct rlimit r = {most, most};

    return setrlimit((__rlimit_resource_t)what, &r) == 0;
}

bool ms_shut_in_examiner(const struct ms_shut *shut) {
    if (!limit(RLIMIT_CPU, MS_SHUT_CPU_SECONDS) || !limit(RLIMIT_FSIZE, 0) ||
        !limit(RLIMIT_NOFILE, 0))
        return false;
    if (IS_SANITIZED)
        return true;
    return limit(RLIMIT_DATA, MS_SHUT_MEMORY_BYTES) && limit(RLIMIT_AS, 2 * MS_SHUT_MEMORY_BYTES) &&
           prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &shut->filter, 0, 0) == 0;
}

bool ms_shut_holds(const struct ms_shut *shut) {
    int status = -1;
    pid_t pid = fork();

    if (pid == 0)
        _exit(ms_shut_in_examiner(shut) && open("/dev/null", O_RDONLY) < 0 ? 0 : 1);
    while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
        continue;
    return pid > 0 && status == 0;
}
