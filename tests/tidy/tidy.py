#!/usr/bin/env python3
"""Reads the tracked files and reports every breach of the house's rules, one a line: FILE:LINE: what is wrong.

tidy.py [TREE]   exit status 1 if there is a breach
"""

import py_compile
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

# Which headers a module's files may include, after the picture in CMakeLists.txt; the longest matching directory counts.
LAYERS = {
    "daemon/base": ["base/"],
    "daemon/core": ["base/", "core/"],
    "daemon/meta": ["base/", "core/", "meta/"],
    "daemon/wire": ["base/", "core/", "wire/"],
    "nbd": ["base/", "nbd/"],
    "daemon/shell/loop": ["base/", "shell/loop/", "shell/event_loop.h", "shell/block_device.h"],
    "daemon/shell/tls": ["base/", "shell/loop/", "shell/tls/"],
    "daemon/flight": ["base/", "core/", "wire/", "flight/"],
    "daemon/shell": ["base/", "core/", "meta/", "wire/", "nbd/", "flight/", "shell/"],
    "daemon/control/config": ["base/", "control/config/"],
    "daemon/control": ["base/", "core/", "meta/", "wire/", "nbd/", "flight/", "shell/", "control/"],
}
MODULES = {"base", "core", "meta", "wire", "flight", "nbd", "shell", "control"}

# Pure modules compute: no clock, randomness, file, socket or thread, hence only these headers of the standard library.
STANDARD = set(
    "algorithm array bit bitset charconv cinttypes climits compare concepts cstddef cstdint cstdlib cstring deque "
    "functional initializer_list iterator limits map memory numeric optional queue ranges set span string string_view "
    "tuple type_traits unordered_map unordered_set utility variant vector version".split()
)
PURE = {
    "daemon/core": STANDARD,
    "daemon/meta": STANDARD,
    "daemon/wire": STANDARD | {"sodium.h"},
    "daemon/flight": STANDARD | {"atomic", "fmt/format.h", "ostream"},
}

SOURCE = {".cc", ".h", ".c", ".py", ".sh"}
MAX_LINES, MAX_TEST_LINES = 600, 900

# Written so that this file doesn't contain what it looks for.
MACHINE_PATHS = re.compile("|".join(["/wo" + "rk/", "/fa" + "rm/", "/ro" + "ot/" + r"\.", r"\.libr" + "ary/"]))
TASK_WITHOUT_OWNER = re.compile(r"\b(TO" + r"DO|FIX" + r"ME|X" + r"XX)\b(?!\([\w.-]+\))")
INCLUDE = re.compile(r'^\s*#\s*include\s*(?:"([^"]+)"|<([^>]+)>)')
NAMESPACE = re.compile(r"^(?:inline )?namespace\b ?([\w:]*) ?{$")
TYPE = re.compile(r"^(?:struct|class|union|enum|enum class|enum struct)\s+(?:alignas\([^)]*\)\s*)?(\w+)(?: final)?(?: : [^;]*| :)?(?: {.*)?$")
DEFAULT_LABEL = re.compile(r"^\s*default\s*:")


def module_of(path):
    found = [directory for directory in LAYERS if path.startswith(directory + "/")]
    return max(found, key=len) if found else None


def check_includes(path, lines):
    module = module_of(path)
    if module is None:
        return
    for number, line in enumerate(lines, 1):
        match = INCLUDE.match(line)
        if not match:
            continue
        quoted, angled = match.groups()
        if quoted:
            header = quoted.removeprefix("daemon/")
            if header.split("/")[0] not in MODULES:
                yield number, f'"{quoted}": include headers by their module, as in "base/ids.h"'
            elif not header.startswith(tuple(LAYERS[module])):
                yield number, f'{module} must not include "{quoted}" ({module} may see {", ".join(LAYERS[module])})'
        elif module in PURE and angled not in PURE[module]:
            yield number, f"{module} is pure and must not include <{angled}>"


def check_length(path, lines):
    limit = MAX_TEST_LINES if path.startswith("tests/") else MAX_LINES
    if Path(path).suffix in SOURCE and len(lines) > limit:
        yield len(lines), f"{len(lines)} lines; at most {limit}"


def check_words(path, lines):
    for number, line in enumerate(lines, 1):
        if MACHINE_PATHS.search(line):
            yield number, "names a path of one machine"
        if TASK_WITHOUT_OWNER.search(line):
            yield number, "a task in a comment needs its owner: TO" + "DO(name)"
        if path.startswith("daemon/core/") and DEFAULT_LABEL.match(line):
            yield number, "no default in a switch over an enum: name every case"


def check_text(path, text):
    """Every breach in one file's text, as (line, message)."""
    lines = text.splitlines()
    yield from check_includes(path, lines)
    yield from check_length(path, lines)
    yield from check_words(path, lines)


def types_defined(text):
    """The types that a file defines at namespace level, outside unnamed namespaces, as (line, qualified name)."""
    spaces = []
    for number, line in enumerate(text.splitlines(), 1):
        opened = NAMESPACE.match(line)
        if opened:
            spaces.append(opened[1] or "")
        elif line.startswith("}") and "namespace" in line and spaces:
            spaces.pop()
        elif all(spaces):
            defined = TYPE.match(line)
            if defined:
                yield number, "::".join([*spaces, defined[1]])


def check_twins(files):
    """Two types of one name end up as one in the linker's eyes, and each part of a program believes in another layout."""
    seen = {}
    for path, text in files.items():
        if path.startswith(("daemon/", "nbd/", "tools/")) and path.endswith((".h", ".cc")):
            for number, name in types_defined(text):
                if name in seen:
                    yield f"{path}:{number}: {name} is defined in {seen[name]} too"
                seen[name] = f"{path}:{number}"


def interpreter(text):
    first = text.split("\n", 1)[0]
    return first[2:].strip() if first.startswith("#!") else ""


def check_scripts(root, files):
    shell = [path for path, text in files.items() if re.search(r"\b(ba)?sh$", interpreter(text)) or path.endswith(".sh")]
    python = [path for path, text in files.items() if "python3" in interpreter(text) or path.endswith(".py")]
    with tempfile.TemporaryDirectory() as scratch:
        for path in python:
            try:
                py_compile.compile(str(root / path), cfile=f"{scratch}/out", doraise=True)
            except py_compile.PyCompileError as error:
                yield f"{path}: {error.msg.strip()}"
    if shell and shutil.which("shellcheck"):
        run = subprocess.run(
            ["shellcheck", "--format=gcc", "--external-sources", "--source-path=SCRIPTDIR", *shell],
            cwd=root, capture_output=True, text=True, check=False)
        yield from run.stdout.splitlines()


def tracked_files(root):
    run = subprocess.run(["git", "-C", str(root), "ls-files", "-z"], capture_output=True, text=True, check=False)
    if run.returncode != 0:
        print(f"skipped: {root} is no git checkout, so what is tracked isn't known")
        sys.exit(77)
    files = {}
    for path in filter(None, run.stdout.split("\0")):
        try:
            files[path] = (root / path).read_text(encoding="utf-8")
        except (UnicodeDecodeError, FileNotFoundError, IsADirectoryError):
            continue  # binary, or removed and not yet committed
    return files


def main():
    root = Path(sys.argv[1] if len(sys.argv) > 1 else ".").resolve()
    files = tracked_files(root)
    breaches = [f"{path}:{line}: {message}" for path, text in files.items() for line, message in check_text(path, text)]
    breaches += check_twins(files)
    breaches += check_scripts(root, files)
    for breach in breaches:
        print(breach)
    print(f"{len(files)} files, {len(breaches)} breaches")
    return 1 if breaches else 0


if __name__ == "__main__":
    sys.exit(main())
