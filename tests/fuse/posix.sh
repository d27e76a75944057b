# POSIX details that media tools and editors rely on.
. "$(dirname "$0")/lib.sh"

new_store
mnt=$work/mnt
mount_on "$mnt"
cd "$mnt/files"

# An unlinked file lives as long as it is open.
echo kept >open.txt
exec 7<>open.txt
rm open.txt
equals "read after unlink" kept "$(cat <&7)"
echo more >&7
exec 7>&-
check "it is gone" test ! -e open.txt

# Rename over an open file: the handle keeps the old bytes.
echo old >target && echo new >source
exec 7<target
mv source target
equals "the name has the new bytes" new "$(cat target)"
equals "the handle the old ones" old "$(cat <&7)"
exec 7<&-

# Duplicated descriptors: the close of one is not the end.
(exec 8>dup.txt 9>&8; echo one >&8; exec 8>&-; echo two >&9)
equals "both writes are there" "$(printf 'one\ntwo')" "$(cat dup.txt)"

# Append by several writers: no line is lost or torn.
for w in 1 2 3 4; do (for i in $(seq 50); do echo "writer $w line $i" >>append.txt; done) & done
wait
equals "appended lines" 200 "$(sort -u append.txt | grep -c '^writer [1-4] line [0-9]*$')"

check "memory maps, holes, truncation, patches, attributes" python3 - <<'PY'
import mmap, os, stat
f = "map.bin"
with open(f, "wb+") as h:
    h.truncate(3 << 20)
    m = mmap.mmap(h.fileno(), 3 << 20)
    m[0:5] = b"hello"
    m[2 << 20:(2 << 20) + 5] = b"world"
    m.flush()
    m.close()
data = open(f, "rb").read()
assert len(data) == 3 << 20 and data[:5] == b"hello" and data[2 << 20:(2 << 20) + 5] == b"world"
assert data[5:2 << 20].count(0) == (2 << 20) - 5

with open("patch.bin", "wb+") as h:              # as an MP4 muxer does
    h.write(b"\0" * 32)
    for i in range(300):
        h.write(bytes([i % 251]) * 40000)
    h.seek(0)
    h.write(b"HEAD" * 8)
    h.seek(0)
    assert h.read(4) == b"HEAD"
    h.flush()
    os.fsync(h.fileno())
    h.seek(5_000_000)
    h.write(b"MIDDLE")
d = open("patch.bin", "rb").read()
assert len(d) == 32 + 300 * 40000 and d[:32] == b"HEAD" * 8 and d[5_000_000:5_000_006] == b"MIDDLE"

os.truncate("patch.bin", 1_000_000)
assert os.path.getsize("patch.bin") == 1_000_000 and open("patch.bin", "rb").read() == d[:1_000_000]
os.truncate("patch.bin", 1_500_000)
assert open("patch.bin", "rb").read() == d[:1_000_000] + b"\0" * 500_000

with open("attr.bin", "wb") as h:                # attributes of a file that is still open
    h.write(b"x")
    os.fchmod(h.fileno(), 0o640)
    os.utime(h.fileno(), ns=(1_000_000_000_123_456_789, 1_100_000_000_987_654_321))
    h.write(b"y")
os.utime("attr.bin", ns=(1_000_000_000_123_456_789, 1_100_000_000_987_654_321))
s = os.stat("attr.bin")
assert stat.S_IMODE(s.st_mode) == 0o640 and s.st_size == 2
assert s.st_atime_ns == 1_000_000_000_123_456_789 and s.st_mtime_ns == 1_100_000_000_987_654_321

os.link("attr.bin", "hard.bin")
assert os.stat("hard.bin").st_nlink == 2 and os.getxattr("hard.bin", "user.msasset.id") == os.getxattr(
    "attr.bin", "user.msasset.id")
os.unlink("attr.bin")
assert os.stat("hard.bin").st_nlink == 1 and open("hard.bin", "rb").read() == b"xy"
os.symlink("hard.bin", "soft")
assert os.readlink("soft") == "hard.bin" and open("soft", "rb").read() == b"xy"
os.mkfifo("pipe")
assert stat.S_ISFIFO(os.stat("pipe").st_mode)
os.setxattr("hard.bin", "user.colour", b"blue")
assert os.getxattr("hard.bin", "user.colour") == b"blue" and "user.colour" in os.listxattr("hard.bin")
os.setxattr("hard.bin", "user.msasset.tags", b"red,round")
assert os.getxattr("hard.bin", "user.msasset.tags") == b"red,round"
try:
    os.setxattr("hard.bin", "user.msasset.state", b"ACTIVED")
    raise SystemExit("a computed attribute could be set")
except PermissionError:
    pass
try:
    open("hard.bin", "xb")
    raise SystemExit("O_EXCL made an existing file")
except FileExistsError:
    pass
PY

# Reading a folder while it changes: what stays is seen exactly once.
check "folders with stable offsets" python3 - <<'PY'
import os, threading
os.mkdir("big")
stay = {f"stay{i}" for i in range(1500)}
for n in stay:
    os.close(os.open("big/" + n, os.O_CREAT | os.O_WRONLY))
stop = False
def churn():
    i = 0
    while not stop:
        open(f"big/come{i % 50}", "w").close()
        os.unlink(f"big/come{i % 50}")
        i += 1
t = threading.Thread(target=churn)
t.start()
try:
    for _ in range(5):
        seen = [e for e in os.listdir("big") if e.startswith("stay")]
        assert len(seen) == len(set(seen)) and set(seen) == stay, (len(seen), len(set(seen)))
finally:
    stop = True
    t.join()
PY
cd "$work"

# fsynced and never closed: a kill keeps it.
pid=$(pid_of "$mnt")
python3 - "$mnt/files/synced.bin" "$mnt/files/never.bin" "$pid" <<'PY' || true
import os, signal, sys
a = os.open(sys.argv[1], os.O_CREAT | os.O_RDWR)
os.write(a, b"s" * 20_000_000)
os.fsync(a)
b = os.open(sys.argv[2], os.O_CREAT | os.O_RDWR)
os.write(b, b"n" * 1000)
os.kill(int(sys.argv[3]), signal.SIGKILL)
PY
fusermount3 -uz "$mnt" 2>/dev/null || true
wait_gone "$pid"
store_is_whole
"$MSASSET" recover -q
mount_on "$mnt"
equals "the fsynced bytes are there" 20000000 "$(tr -d -c s <"$mnt/files/synced.bin" | wc -c)"
check "the other one is not" test ! -e "$mnt/files/never.bin"
umount_from "$mnt"
store_is_settled
