# How long until one mount shows what the other has changed. The kernel's caches of the second mount are warm and have
# timeouts of an hour, so every change is seen by invalidation only.
#
#   delay.sh [CHANGES]     default 250
. "$(dirname "$0")/lib.sh"

new_store 20G
a=$work/a b=$work/b
mount_on "$a"
mount_on "$b"
check "every change is seen" python3 - "$a/files" "$b/files" "${1:-250}" <<'PY'
import os, sys, time

a, b, n = sys.argv[1], sys.argv[2], int(sys.argv[3])
LIMIT = 20.0                    # s: a loaded machine gets its time; the figures are printed


def write(path, text):
    with open(path, "w") as f:
        f.write(text)


def read(path):
    with open(path) as f:
        return f.read()


def wait(seen):
    """Seconds from now until seen() is true."""
    begin = time.monotonic()
    while not seen():
        if time.monotonic() - begin > LIMIT:
            raise SystemExit("not seen within %s s" % LIMIT)
    return time.monotonic() - begin


def size_is(path, size):
    return os.stat(path).st_size == size


kinds = {
    # what is warmed on b, what is changed on a, what b must show
    "new name": (lambda i: os.path.exists(f"{b}/n{i}"), lambda i: write(f"{a}/n{i}", "x"),
                 lambda i: os.path.exists(f"{b}/n{i}")),
    "size": (lambda i: os.stat(f"{b}/n{i}"), lambda i: write(f"{a}/n{i}", "y" * (i + 2)),
             lambda i: size_is(f"{b}/n{i}", i + 2)),
    "bytes": (lambda i: read(f"{b}/n{i}"), lambda i: write(f"{a}/n{i}", "z" * (i + 2)),
              lambda i: read(f"{b}/n{i}") == "z" * (i + 2)),
    "mode": (lambda i: os.stat(f"{b}/n{i}"), lambda i: os.chmod(f"{a}/n{i}", 0o600),
             lambda i: os.stat(f"{b}/n{i}").st_mode & 0o777 == 0o600),
    "rename": (lambda i: os.path.exists(f"{b}/m{i}"), lambda i: os.rename(f"{a}/n{i}", f"{a}/m{i}"),
               lambda i: os.path.exists(f"{b}/m{i}") and not os.path.exists(f"{b}/n{i}")),
    "removal": (lambda i: os.stat(f"{b}/m{i}"), lambda i: os.unlink(f"{a}/m{i}"),
                lambda i: not os.path.exists(f"{b}/m{i}")),
}
delays = {k: [] for k in kinds}
for i in range((n + len(kinds) - 1) // len(kinds)):
    for kind, (warm, change, seen) in kinds.items():
        warm(i)
        change(i)
        delays[kind].append(wait(lambda: seen(i)))


def show(name, d):
    d = sorted(d)
    print("%-9s %4d changes: p50 %.2f ms, p99 %.2f ms, max %.2f ms" % (
        name, len(d), d[len(d) // 2] * 1e3, d[len(d) * 99 // 100] * 1e3, d[-1] * 1e3))


for kind, d in delays.items():
    show(kind, d)
show("all", sum(delays.values(), []))
PY
cat "$work/check.out"
umount_from "$a"
umount_from "$b"
store_is_settled
