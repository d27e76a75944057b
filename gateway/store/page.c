/* page.c — one page of memory that all processes of a store share: wake-ups and politeness.
 *
 * LMDB has no wake-up and its write lock is not fair. Nothing here is true, only likely: a lost wake-up costs a
 * follower half a second, a stale waiter costs writers a pause until the next sweep. */
#include "store/internal.h"

#include "base/assert.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/futex.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

void ms_futex_wait(const _Atomic uint32_t *word, uint32_t value, int64_t ns) {
    struct timespec ts = {ns / 1000000000, ns % 1000000000};

    syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, value, ns < 0 ? NULL : &ts,
            NULL, 0);
}

void ms_futex_wake(_Atomic uint32_t *word, bool shared) {
    syscall(SYS_futex, word, shared ? FUTEX_WAKE : FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
}

static uint64_t tag_of(const uint8_t id[MS_ID_BYTES]) {
    uint64_t tag;

    memcpy(&tag, id, sizeof tag);
    return tag ? tag : 1;
}

/* A process does not follow its own changes, so its commits wake all followers but its own: their waits have the bit
 * of the process's place in the page. Who has none, or a late one, shares the last bit, which always wakes. */
#define SHARED_BIT 31u

static unsigned bit_of(const struct ms_store *store) {
    size_t place = store->waiter ? (size_t)(store->waiter - store->page->waiters) : SHARED_BIT;

    if (place >= SHARED_BIT || atomic_load(&store->waiter->tag) != tag_of(store->instance.id.b))
        return SHARED_BIT; /* a sweep may have taken the place for a dead process's */
    return (unsigned)place;
}

void ms_page_wait_change(const struct ms_store *store, uint32_t seen, int64_t ns) {
    int64_t until = ms_clock_mono_ns(ms_clock_system()) + ns; /* such a wait takes an instant */
    struct timespec ts = {until / 1000000000, until % 1000000000};

    syscall(SYS_futex, &store->page->changes, FUTEX_WAIT_BITSET, seen, &ts, NULL,
            UINT32_C(1) << bit_of(store));
}

void ms_page_tell_others(struct ms_store *store) {
    unsigned bit = bit_of(store);
    uint32_t others = bit == SHARED_BIT ? FUTEX_BITSET_MATCH_ANY : ~(UINT32_C(1) << bit);

    atomic_fetch_add(&store->page->changes, 1);
    syscall(SYS_futex, &store->page->changes, FUTEX_WAKE_BITSET, INT_MAX, NULL, NULL, others);
}

enum ms_code ms_page_open(struct ms_store *store, struct ms_error *reterr) {
    int fd = openat(store->dir_fd, "meta/feed.page", O_RDWR | O_CREAT | O_CLOEXEC, 0660);
    void *p = MAP_FAILED;
    int err = fd >= 0 ? posix_fallocate(fd, 0, sizeof *store->page) : errno;

    /* Storing into a page that has no block on the disk is SIGBUS when the disk is full. Then we do without. */
    if (err == 0)
        p = mmap(NULL, sizeof *store->page, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    else if (err == ENOSPC || err == EDQUOT)
        p = mmap(NULL, sizeof *store->page, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
                 0);
    if (p == MAP_FAILED && err == 0)
        err = errno;
    if (fd >= 0)
        close(fd);
    if (p == MAP_FAILED)
        return ms_fail_errno(reterr, err, "cannot share %s/meta/feed.page", store->dir);
    store->page = p;
    return MS_OK;
}

void ms_page_close(struct ms_store *store) {
    uint64_t own = tag_of(store->instance.id.b);

    if (store->waiter) /* a sweep may have given the place to somebody else */
        atomic_compare_exchange_strong(&store->waiter->tag, &own, 0);
    if (store->page)
        munmap(store->page, sizeof *store->page);
    store->page = NULL;
    store->waiter = NULL;
}

void ms_page_claim(struct ms_store *store) {
    for (unsigned i = 0; i < MS_STORE_WAITERS && !store->waiter; i++) {
        struct ms_store_waiter *w = &store->page->waiters[i];
        uint64_t none = 0;

        if (atomic_compare_exchange_strong(&w->tag, &none, tag_of(store->instance.id.b))) {
            atomic_store(&w->waiting, 0);
            store->waiter = w;
        }
    }
}

bool ms_page_others_wait(struct ms_store *store) {
    for (unsigned i = 0; i < MS_STORE_WAITERS; i++) {
        struct ms_store_waiter *w = &store->page->waiters[i];

        if (atomic_load_explicit(&w->waiting, memory_order_relaxed) && w != store->waiter &&
            atomic_load_explicit(&w->tag, memory_order_relaxed))
            return true;
    }
    return false;
}

/* The slots whose owner has no locked run file. Slots first: who comes meanwhile is not in the copy. */
void ms_page_sweep(struct ms_store *store) {
    uint64_t tags[MS_STORE_WAITERS];
    int fd = openat(store->run_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *d = fd >= 0 ? fdopendir(fd) : NULL;
    struct dirent *e;

    if (!d) {
        if (fd >= 0)
            close(fd);
        return;
    }
    for (unsigned i = 0; i < MS_STORE_WAITERS; i++)
        tags[i] = atomic_load(&store->page->waiters[i].tag);
    while ((e = readdir(d))) {
        struct ms_instance_id id;

        if (strlen(e->d_name) != MS_ID_TEXT_LEN || ms_id_parse(e->d_name, &id.id, NULL) != MS_OK)
            continue;
        for (unsigned i = 0; i < MS_STORE_WAITERS; i++)
            if (tags[i] == tag_of(id.id.b) && ms_store_instance_alive(store, id))
                tags[i] = 0;
    }
    closedir(d);
    for (unsigned i = 0; i < MS_STORE_WAITERS; i++)
        if (tags[i])
            atomic_compare_exchange_strong(&store->page->waiters[i].tag, &tags[i], 0);
}
