"""Two mounts on one folder at once: writers, appenders, truncations and renames that meet.

storms.py A B: A and B are the same folder through two mounts. What must hold in the end: nothing that a close()
acknowledged is lost, both mounts show the same, and no error but those that a race explains.
"""

import errno
import os
import random
import sys
import time

LIMIT_S = 20  # a loaded machine gets its time
A, B = sys.argv[1], sys.argv[2]


def check(what, ok):
    if not ok:
        raise SystemExit("storms: " + what)


def at_once(jobs):
    """Each job in a process of its own; all must end well."""
    pids = []
    for job in jobs:
        pid = os.fork()
        if pid == 0:
            status = 1
            try:
                job()
                status = 0
            except BaseException as e:
                print("storms: a process ended with", repr(e), flush=True)
            finally:
                os._exit(status)
        pids.append(pid)
    check("a process failed", all([os.waitpid(pid, 0)[1] == 0 for pid in pids]))


def read(path):
    with open(path, "rb") as f:
        return f.read()


def write(path, data):
    with open(path, "wb") as f:
        f.write(data)


def comes(what, condition):
    end = time.monotonic() + LIMIT_S
    while not condition():
        check(what, time.monotonic() < end)
        time.sleep(0.01)


def disjoint():
    """Ranges of one file that do not overlap: every one of them is there."""
    for turn in range(8):
        n, size = 200, (100, 4096, 5000, 70000)[turn % 4]
        name = f"/disjoint{turn}"
        write(A + name, b"-" * (n * size))

        def ranges(root, first, letter):
            fd = os.open(root + name, os.O_RDWR)
            for i in range(first, n, 2):
                os.pwrite(fd, letter * size, i * size)
            os.close(fd)

        at_once([lambda: ranges(A, 0, b"A"), lambda: ranges(B, 1, b"B")])
        want = b"".join((b"B" if i % 2 else b"A") * size for i in range(n))
        check("ranges by A are not on A", read(A + name) == want)
        check("ranges by B are not on B", read(B + name) == want)


def append():
    """Lines of four appenders: each is there once, whole, and at once after the last close."""
    for turn in range(2):
        name, lines = f"/append{turn}", 50
        write(A + name, b"")

        def appender(root, k):
            for i in range(lines):
                with open(root + name, "a") as f:
                    f.write(f"{k} {i} " + "x" * (i * 7 % 60) + "\n")

        at_once([lambda k=k, root=root: appender(root, k) for k, root in enumerate((A, B, A, B))])
        want = sorted(f"{k} {i} " + "x" * (i * 7 % 60) for k in range(4) for i in range(lines))
        for root in (A, B):
            found = sorted(read(root + name).decode().splitlines())
            check(f"{root} has {len(found)} lines of {len(want)}", found == want)


def truncate():
    """Everything at once: what comes out is anybody's guess, but both mounts make the same one."""
    name = "/truncate"
    write(A + name, b"")

    def changes(root, seed):
        r = random.Random(seed)
        for _ in range(50):
            what = r.randrange(4)
            if what == 0:
                os.truncate(root + name, r.randrange(50000))
            elif what == 1:
                with open(root + name, "ab") as f:
                    f.write(b"z" * r.randrange(30000))
            elif what == 2:
                read(root + name)
            else:
                with open(root + name, "r+b") as f:
                    f.seek(r.randrange(40000))
                    f.write(b"y" * 100)

    at_once([lambda k=k, root=root: changes(root, k) for k, root in enumerate((A, B, A, B))])
    check("the mounts show different bytes", read(A + name) == read(B + name))
    size = len(read(A + name))
    comes("the mounts show different sizes",
          lambda: os.stat(A + name).st_size == size and os.stat(B + name).st_size == size)


def renames():
    """Renames over each other, links, removals, and new bytes under names that move."""
    for root in (A, B):
        os.makedirs(root + "/renames", exist_ok=True)
    for i in range(20):
        write(f"{A}/renames/{i}", str(i).encode())

    def changes(root, seed):
        r = random.Random(seed)
        for i in range(250):
            one, other = (f"{root}/renames/{r.randrange(20)}" for _ in range(2))
            what = r.randrange(6)
            try:
                if what < 3:
                    os.rename(one, other)
                elif what == 3:
                    os.link(one, other)
                elif what == 4:
                    write(one, str(i).encode())
                else:
                    os.unlink(one)
            except OSError as e:
                if e.errno not in (errno.ENOENT, errno.EEXIST):
                    raise

    def seen(root):
        return {(e.name, e.inode(), os.stat(e.path).st_nlink, read(e.path)) for e in os.scandir(root + "/renames")}

    at_once([lambda k=k, root=root: changes(root, k) for k, root in enumerate((A, B, A, B))])
    comes("the mounts show different folders", lambda: seen(A) == seen(B))


for storm in (disjoint, append, truncate, renames):
    storm()
