#!/usr/bin/env python3
"""Judges of the tree's form, one per rule: judge.py RULE. They read the source in MS_SOURCE_DIR, and
what the build in MS_BINARY_DIR (default: build/debug) compiles.

layers     direction of #include, by layers.txt
banned     calls and words that have a better one, by banned.txt
headers    every header compiles alone, twice in a row, and has its own guard
built      every .c is compiled by some target of the build
words      no unfinished work by its own words
functions  length of functions
columns    length of lines
scenarios  each row of tests/scenario/rows.txt has a script, or is said to be open; each script has a row
self       the judges themselves: each must find what was planted

Each prints "path:line: what is wrong: what to do" and exits 1 if there is any.
"""

import json
import os
import re
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
SOURCE = os.environ.get("MS_SOURCE_DIR", os.path.dirname(os.path.dirname(HERE)))
BINARY = os.environ.get("MS_BINARY_DIR", os.path.join(SOURCE, "build", "debug"))
CODE = ("gateway/", "lifecycle/", "quota/", "fuse/")
COLUMNS_MAX = 120  # the form is 100; the ratchet turns when the tree is formatted as one
LINES_MAX = {"tests/": 120, "bench/": 120, "": 70}


def read(path):
    with open(os.path.join(SOURCE, path), encoding="utf-8") as file:
        return file.read()


def all_files():
    """What git would track; without git, what stands there, less builds and hidden folders."""
    try:
        out = subprocess.run(["git", "-C", SOURCE, "ls-files", "-co", "--exclude-standard"],
                             capture_output=True, check=True, text=True).stdout
        return sorted(p for p in out.splitlines() if os.path.isfile(os.path.join(SOURCE, p)))
    except (OSError, subprocess.CalledProcessError):
        found = []
        for top, dirs, names in os.walk(SOURCE):
            dirs[:] = [d for d in dirs if not d.startswith(".") and not d.startswith("build")]
            found += [os.path.relpath(os.path.join(top, name), SOURCE) for name in names]
        return sorted(found)


def files(*endings, below=("",)):
    return [p for p in all_files() if p.endswith(endings) and p.startswith(tuple(below))]


def without_comments(text):
    """Comments and what stands in quotes become blanks; lines stay where they are. Includes keep their names."""
    pattern = re.compile(r'^[ \t]*#\s*include[^\n]*|/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'',
                         re.S | re.M)

    def blank(match):
        found = match.group(0)
        if found.lstrip().startswith("#"):
            return found
        if found[0] in "\"'":
            return found[0] + " " * (len(found) - 2) + found[0]
        return re.sub(r"[^\n]", " ", found)

    return pattern.sub(blank, text)


def table(name):
    """Lines of a file beside this one, less comments and empty ones."""
    with open(os.path.join(HERE, name), encoding="utf-8") as file:
        return [line.rstrip("\n") for line in file if line.strip() and not line.startswith("#")]


def ratchet(rule, path):
    for line in table("ratchet.txt"):
        kind, where, number = line.split()
        if (kind, where) == (rule, path):
            return int(number)
    return 0


def database():
    """What the build in MS_BINARY_DIR compiles: its compile commands."""
    with open(os.path.join(BINARY, "compile_commands.json"), encoding="utf-8") as file:
        return json.load(file)


def include_dirs():
    """Every folder that some target searches for headers, the generated ones too."""
    found = {}
    for entry in database():
        for match in re.finditer(r"(?<=\s)-(?:I|isystem)\s*(\S+)", entry["command"]):
            found[match.group(1)] = True
    return list(found)


# --- layers ---------------------------------------------------------------------------------------


def layers_law():
    allowed, only = {}, {}
    for line in table("layers.txt"):
        left, right = line.split(":")
        if left.startswith("only "):
            for header in right.split():
                only[header] = left.split()[1:]
        else:
            allowed[left] = right.split()
    return allowed, only


def judge_layers(paths, get=read):
    allowed, only = layers_law()
    layer_of = {folder.split("/")[-1]: folder for folder in allowed}
    dirs = include_dirs()
    for path in paths:
        folder = next((f for f in allowed if path.startswith(f + "/")), None)
        if folder is None:
            yield f"{path}:1: no layer of layers.txt: add its folder there"
            continue
        own = folder.split("/")[-1]
        for number, line in enumerate(without_comments(get(path)).split("\n"), 1):
            match = re.match(r'\s*#\s*include\s*(["<])([^">]+)[">]', line)
            if not match:
                continue
            kind, name = match.groups()
            layer = name.split("/")[0]
            where = f"{path}:{number}: includes {name}: "
            if kind == "<":
                for header, owners in only.items():
                    if name.startswith(header) and own not in owners:
                        yield where + f"only {' and '.join(owners)} may: go through its functions"
            elif layer not in layer_of or "/" not in name:
                yield where + 'not a header of ours by its layer: write "layer/name.h"'
            elif layer != own and layer not in allowed[folder]:
                yield where + f"{own} may include {' '.join(allowed[folder]) or 'nothing'} only"
            elif not any(os.path.isfile(os.path.join(d, name)) for d in dirs):
                yield where + "there is no such file"


# --- banned ---------------------------------------------------------------------------------------


def banned_law():
    for line in table("banned.txt"):
        # Blanks around the bars, so that a bar inside a pattern stays one.
        pattern, where, but, remedy = (part.strip() for part in re.split(r"\s+\|(?=\s|$)", line, maxsplit=3))
        if pattern.startswith("~"):
            pattern = r"(?<![\w.>])" + pattern[1:].join(("(?:", ")")) + r"\s*\("
        places = ("",) if where == "*" else tuple(where.split())
        yield re.compile(pattern), places, tuple(but.split()), remedy


def judge_banned(paths, get=read):
    law = list(banned_law())
    for path in paths:
        lines = without_comments(get(path)).split("\n")
        for pattern, places, but, remedy in law:
            if not path.startswith(places) or (but and path.startswith(but)):
                continue
            for number, line in enumerate(lines, 1):
                match = pattern.search(line)
                if match:
                    yield f"{path}:{number}: '{match.group(0).strip()[:60]}' is banned: {remedy}"


# --- headers --------------------------------------------------------------------------------------


def judge_headers(paths, get=read):
    flags = ["-std=gnu11", "-D_GNU_SOURCE", "-D_FILE_OFFSET_BITS=64", "-Wall", "-Wextra", "-Werror",
             "-Wno-unused-function"]
    for folder in include_dirs() + [os.path.join(SOURCE, "tests")]:
        flags += ["-isystem" if folder.startswith("/usr/") else "-I", folder]
    compiler = os.environ.get("CC", "cc")
    guards = {}
    for path in paths:
        match = re.search(r"^#ifndef (MS_\w+_H)\n#define (\w+)$", get(path), re.M)
        guard = match.group(1) if match and match.group(1) == match.group(2) else None
        if guard is None or guard in guards:
            yield (f"{path}:1: its guard is {guards.get(guard, 'missing')}{' too' if guard else ''}: write "
                   f"#ifndef MS_..._H and #define of the same, a name of its own")
        guards[guard] = f"that of {path}"
        full = os.path.join(SOURCE, path)
        run = subprocess.run([compiler, *flags, "-fsyntax-only", "-x", "c", "-"], text=True, capture_output=True,
                             input=f'#include "{full}"\n#include "{full}"\n')
        if run.returncode != 0:
            yield f"{path}:1: does not compile alone: include what it uses\n{run.stderr}"


# --- built ----------------------------------------------------------------------------------------


def judge_built(paths, get=None):
    built = {os.path.realpath(os.path.join(e["directory"], e["file"])) for e in database()}
    for path in paths:
        if os.path.realpath(os.path.join(SOURCE, path)) not in built and not ratchet("built", path):
            yield f"{path}:1: no target builds it: add it to a CMakeLists.txt or remove it"


# --- words ----------------------------------------------------------------------------------------


def judge_words(paths, get=read):
    # Put together from halves, so that this file does not accuse itself.
    shouted = "|".join(a + b for a, b in (("TO", "DO"), ("FIX", "ME"), ("XX", "X"), ("HA", "CK")))
    spoken = "|".join(a + b for a, b in (("not implemen", "ted"), ("place", "holder"), ("un", "implemented")))
    pattern = re.compile(rf"\b(?:{shouted})\b|\b(?i:{spoken})\b|\b(?i:{'stu' + 'b'}s?)\b")
    for path in paths:
        for number, line in enumerate(get(path).split("\n"), 1):
            match = pattern.search(line)
            if match:
                yield f"{path}:{number}: '{match.group(0)}' says that work is unfinished: finish it"


# --- functions and columns ------------------------------------------------------------------------


def judge_functions(paths, get=read):
    """A function begins at a line that starts in column 0 and ends in {, and ends at a } in column 0."""
    for path in paths:
        most = next(n for place, n in LINES_MAX.items() if path.startswith(place))
        most = max(most, ratchet("functions", path))
        start, lines = 0, without_comments(get(path)).split("\n")
        for number, line in enumerate(lines, 1):
            if re.match(r"[A-Za-z_].*\)\s*\{$|\s{4,}.*\)\s*\{$", line) and not start and "=" not in line:
                start = number
                while start > 1 and re.match(r"\s", lines[start - 1]):
                    start -= 1
                if not re.match(r"[A-Za-z_]", lines[start - 1]):
                    start = 0
            elif line.startswith("}") and start:
                if number - start + 1 > most:
                    yield f"{path}:{start}: {number - start + 1} lines in one function, {most} allowed: split it"
                start = 0


def judge_columns(paths, get=read):
    for path in paths:
        long_lines = [(number, len(line)) for number, line in enumerate(get(path).split("\n"), 1)
                      if len(line) > COLUMNS_MAX]
        if len(long_lines) > ratchet("columns", path):
            for number, length in long_lines:
                yield f"{path}:{number}: {length} columns, {COLUMNS_MAX} allowed: clang-format -i wraps it"


# --- scenarios --------------------------------------------------------------------------------------

SCENARIO = "tests/scenario/"


def scenario_rows(text):
    rows = {}
    for line in text.splitlines():
        if line and not line.startswith("#"):
            name, due, _ = (part.strip() for part in line.split("|", 2))
            rows[name] = due == "due"
    return rows


def scenario_table(text):
    """Row -> scripts of the README; None for one that is open."""
    table_of = {}
    for name, cell in re.findall(r"^\| (\d[^|]*?) \| ([^|]+?) \|$", text, re.M):
        table_of.setdefault(name, []).append(None if cell.startswith("*open*") else cell.split(", "))
    return table_of


def goes_around_an_instant(script):
    """until X-1ms, then X, then one millisecond more."""
    at, stage = None, 0
    for line in script.splitlines():
        match = re.match(r"until (\S+)-1ms$", line)
        if match:
            at, stage = match.group(1), 1
        elif stage and (line == "tick 1ms" or line == f"until {at}" or line == f"until {at}+1ms"):
            stage += 1
            if stage == 3:
                return True
    return False


def judge_scenarios(paths, get=read):
    rows, shown = scenario_rows(get(SCENARIO + "rows.txt")), scenario_table(get(SCENARIO + "README.md"))
    scripts = {os.path.basename(p)[:-3]: p for p in paths}
    where = SCENARIO + "README.md:1: row "
    for name, due in rows.items():
        cells = shown.get(name, [])
        if len(cells) != 1:
            yield f"{where}{name}: stands {len(cells)} times in the table: give it one line"
            continue
        if cells[0] is None:
            continue
        for script in cells[0]:
            if script not in scripts:
                yield f"{where}{name}: there is no script {script}.ms"
        if due and not any(goes_around_an_instant(get(scripts[s])) for s in cells[0] if s in scripts):
            yield f"{where}{name}: no script of it goes to X-1ms, X and X+1ms: let one do that"
    for name in sorted(set(shown) - set(rows)):
        yield f"{where}{name}: rows.txt has no such row"
    named = {s for cells in shown.values() for cell in cells if cell for s in cell}
    for script in sorted(set(scripts) - named):
        if not script.startswith(("5-", "6-")):
            yield f"{scripts[script]}:1: it is in no row of the table: add it there"


# --- the judges judged ----------------------------------------------------------------------------

PLANTED = [
    (judge_layers, "gateway/model/x.c", '#include "store/store.h"\n', "model may include base only"),
    (judge_layers, "quota/x.c", '#include "lifecycle/lifecycle.h"\n', "quota may include"),
    (judge_layers, "gateway/service/x.c", "#include <lmdb.h>\n", "only store may"),
    (judge_layers, "gateway/cli/x.c", "#include <fuse3/fuse_lowlevel.h>\n", "only fuse may"),
    (judge_layers, "gateway/base/x.c", '#include "id.h"\n', "layer/name.h"),
    (judge_layers, "gateway/base/x.c", '#include "base/nothing.h"\n', "no such file"),
    (judge_layers, "gateway/other/x.c", "", "no layer"),
    (judge_layers, "gateway/store/x.c", '/* #include "cli/x.h" */\n#include <lmdb.h>\n#include "base/id.h"\n', None),
    (judge_banned, "fuse/x.c", "    strcpy(a, b);\n", "snprintf"),
    (judge_banned, "quota/x.c", "static double price;\n", "integers"),
    (judge_banned, "gateway/store/x.c", "    t = time(NULL);\n", "ms_clock"),
    (judge_banned, "gateway/store/x.c", "static int count;\n", "no state at file scope"),
    (judge_banned, "gateway/store/x.c", "struct a *list = NULL;\nint count = 0;\n", "no state at file scope"),
    (judge_banned, "gateway/store/x.c", "    mdb_env_open(e, p, MDB_NOSYNC, 0);\n", "durability"),
    (judge_banned, "tests/x.c", "    srand(7);\n", "ms_random"),
    (judge_banned, "gateway/base/x.h", "typedef struct a b;\n", "written out"),
    (judge_banned, "gateway/base/clock.c", "    clock_gettime(id, &ts);\n", None),
    (judge_banned, "gateway/store/x.c",
     '/* strcpy(a, b) */\nstatic const char *const s = "strcpy(a, b)";\nstatic int f(int a);\n'
     "    x.time(1); x->exit(2); ms_time(3);\n    int count = 0;\nout:\n    return;\n"
     "struct a {\n    int b;\n};\nenum ms_code f(int a);\nconst int n = 1;\nms_job_fn ms_dir_list;\n"
     "typedef enum ms_code ms_job_fn(int a);\n", None),
    (judge_words, "gateway/x.c", "/* TO" "DO: later */\n", "unfinished"),
    (judge_words, "gateway/x.c", "/* a place" "holder */\n", "unfinished"),
    (judge_words, "gateway/x.c", "int stubborn;\n", None),
    (judge_functions, "gateway/x.c", "static int f(int a) {\n" + "    a++;\n" * 69 + "}\n", "71 lines"),
    (judge_functions, "gateway/x.c", "static int f(int a,\n             int b) {\n" + "    a++;\n" * 68 + "}\n",
     "71 lines"),
    (judge_functions, "gateway/x.c", "static int f(int a) {\n" + "    a++;\n" * 68 + "}\n", None),
    (judge_functions, "gateway/x.c", "static const int t[] = {\n" + "    1,\n" * 200 + "};\n", None),
    (judge_columns, "gateway/x.c", "x" * (COLUMNS_MAX + 1) + "\n", f"{COLUMNS_MAX + 1} columns"),
    (judge_columns, "gateway/x.c", "\u00e4" * COLUMNS_MAX + "\n", None),
]


def judge_self(paths, get=None):
    for judge, path, text, want in PLANTED:
        found = list(judge([path], lambda _, text=text: text))
        name = f"{judge.__name__} on {text[:60]!r} in {path}"
        if want is None and found:
            yield f"{name}: found {found}"
        elif want is not None and not any(want in line for line in found):
            yield f"{name}: found {found} instead of '{want}'"
    with tempfile.TemporaryDirectory() as folder:
        headers = [os.path.join(folder, name) for name in ("a.h", "b.h", "c.h")]
        for header, text in zip(headers, ("#ifndef MS_A_H\n#define MS_A_H\nint f(int a);\n#endif\n",
                                          "#ifndef MS_A_H\n#define MS_A_H\n#endif\n", "size_t x;\n")):
            with open(header, "w", encoding="utf-8") as file:
                file.write(text)
        found = "\n".join(judge_headers(headers))
        for want in (f"b.h:1: its guard is that of {headers[0]} too", "c.h:1: its guard is missing",
                     "c.h:1: does not compile alone"):
            if want not in found:
                yield f"judge_headers does not say '{want}': {found}"
        if "a.h:1:" in found:
            yield f"judge_headers refuses a good header: {found}"
    planted = {SCENARIO + "rows.txt": "3.9 a | due | x\n3.9 b | - | x\n3.9 c | - | x\n3.9 d | due | x\n",
               SCENARIO + "README.md": "| 3.9 a | x |\n| 3.9 b | z |\n| 3.9 d | *open* |\n| 3.9 e | y |\n",
               "s/x.ms": "until m-1ms\ntick 1ms\nexpect a\n", "s/y.ms": "", "s/w.ms": ""}
    found = "\n".join(judge_scenarios(["s/x.ms", "s/y.ms", "s/w.ms"], planted.get))
    for want in ("3.9 a: no script of it goes", "no script z.ms", "3.9 c: stands 0 times", "3.9 e: rows.txt",
                 "s/w.ms:1: it is in no row"):
        if want not in found:
            yield f"judge_scenarios does not say '{want}': {found}"
    if "3.9 d" in found or "y.ms" in found or not goes_around_an_instant("until m-1ms\nrm a\nuntil m\ntick 1ms\n"):
        yield f"judge_scenarios refuses what is right: {found}"
    if len(list(judge_built(["gateway/base/none.c"]))) != 1:
        yield "judge_built does not see a file that nobody builds"


def main():
    code = CODE + ("tests/", "bench/")
    rules = {
        "layers": lambda: judge_layers(files(".c", ".h", below=CODE)),
        "banned": lambda: judge_banned(files(".c", ".h", below=code)),
        "headers": lambda: judge_headers(files(".h", below=code)),
        "built": lambda: judge_built(files(".c", below=code)),
        "words": lambda: judge_words(files(".c", ".h", ".def", ".sh", ".py", "CMakeLists.txt", ".cmake", ".md")),
        "functions": lambda: judge_functions(files(".c", ".h", below=code)),
        "columns": lambda: judge_columns(files(".c", ".h", ".def", below=code)),
        "scenarios": lambda: judge_scenarios(files(".ms", below=(SCENARIO + "scripts/",))),
        "self": lambda: judge_self([]),
    }
    if len(sys.argv) != 2 or sys.argv[1] not in rules:
        sys.exit(f"usage: judge.py {'|'.join(rules)}")
    found = list(rules[sys.argv[1]]())
    for line in found:
        print(line)
    print(f"{sys.argv[1]}: {len(found)} findings")
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
