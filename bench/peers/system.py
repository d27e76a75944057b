"""Processes, their CPU and memory, and everything that must be undone at the end."""

import contextlib
import os
import shutil
import signal
import subprocess
import time

TICK = os.sysconf("SC_CLK_TCK")


class Failed(Exception):
    """A contestant, or one figure of it, could not be had: the text says why, in its row."""


def process_table():
    """pid -> (parent, CPU-seconds of it and of the children that it has waited for)."""
    found = {}
    for pid in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError, IndexError):
            with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
                fields = file.read().rpartition(")")[2].split()
            found[int(pid)] = (int(fields[1]), sum(map(int, fields[11:15])) / TICK)
    return found


def tree(root, table=None):
    """root and all below it that live."""
    table = table or process_table()
    children = {}
    for pid, (parent, _) in table.items():
        children.setdefault(parent, []).append(pid)
    found, todo = [], [root]
    while todo:
        pid = todo.pop()
        if pid in table:
            found.append(pid)
            todo += children.get(pid, [])
    return found


def cpu_of(root):
    """User and system time of a process and all below it, dead ones too."""
    if not root:
        return 0.0
    table = process_table()
    return sum(table[pid][1] for pid in tree(root, table))


def forget_peak(root):
    for pid in tree(root):
        with contextlib.suppress(OSError):
            with open(f"/proc/{pid}/clear_refs", "w", encoding="utf-8") as file:
                file.write("5")


def peak_mib(root):
    """Sum of the peaks of resident memory (VmHWM) since forget_peak."""
    total = 0
    for pid in tree(root):
        with contextlib.suppress(OSError):
            with open(f"/proc/{pid}/status", encoding="utf-8") as file:
                total += sum(int(line.split()[1]) for line in file if line.startswith("VmHWM"))
    return total / 1024


def drop_caches():
    os.sync()
    with open("/proc/sys/vm/drop_caches", "w", encoding="utf-8") as file:
        file.write("3")


def run(argv, timeout=300, env=None, quiet=True):
    """stdout of a command that must succeed."""
    try:
        done = subprocess.run([str(a) for a in argv], capture_output=True, text=True, timeout=timeout,
                              env=env and {**os.environ, **env}, stdin=subprocess.DEVNULL, check=False)
    except subprocess.TimeoutExpired as e:
        raise Failed(f"{os.path.basename(str(argv[0]))}: no end after {timeout:.0f} s") from e
    except OSError as e:
        raise Failed(f"{argv[0]}: {e.strerror}") from e
    if done.returncode != 0 and quiet:
        said = (done.stderr.strip() or done.stdout.strip() or "no word").splitlines()
        raise Failed(f"{os.path.basename(str(argv[0]))}: {said[-1][:160]}")
    return done.stdout


def spawn(argv, log, env=None):
    """A process of its own session, which dies with us whatever happens."""
    with open(log, "ab") as out:
        return subprocess.Popen(["setpriv", "--pdeathsig", "KILL", "--", *map(str, argv)], stdin=subprocess.DEVNULL,
                                stdout=out, stderr=out, env={**os.environ, **(env or {})}, start_new_session=True)


def end(process, seconds=20):
    """Asks it to end, waits, and then makes it."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            pass
    for pid in tree(process.pid):
        with contextlib.suppress(OSError):
            os.kill(pid, signal.SIGKILL)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(10)


def wait_for(what, seconds, true, still=lambda: True):
    until = time.monotonic() + seconds
    while not true():
        if time.monotonic() > until or not still():
            raise Failed(f"{what}: not after {seconds} s" if still() else f"{what}: its process has ended")
        time.sleep(0.01)


def is_mounted(folder):
    with open("/proc/self/mounts", encoding="utf-8") as file:
        return any(line.split()[1] == folder for line in file)


def unmount(folder):
    for tool in (["fusermount3", "-u", folder], ["fusermount3", "-uz", folder], ["umount", "-l", folder]):
        for _ in range(20 if tool[1] == "-u" else 1):
            if not is_mounted(folder):
                return
            subprocess.run(tool, capture_output=True, check=False)
            if is_mounted(folder):
                time.sleep(0.1)


def log_tail(log):
    with contextlib.suppress(OSError):
        with open(log, encoding="utf-8", errors="replace") as file:
            lines = [line.strip() for line in file if line.strip()]
        return lines[-1][:160] if lines else ""
    return ""


def empty(folder):
    for entry in os.scandir(folder) if os.path.isdir(folder) else ():
        if entry.is_dir(follow_symlinks=False):
            shutil.rmtree(entry.path, ignore_errors=True)
        else:
            os.unlink(entry.path)
