"""What the style checks share: the files of the tree, the build's compiler commands, reporting."""

import argparse
import concurrent.futures
import hashlib
import json
import os
import re
import shlex
import subprocess
from pathlib import Path

SOURCE_FOLDERS = ("ctrl", "dataplane", "nic", "perf", "tests")
SOURCE_SUFFIXES = (".h", ".cc")
INCLUDE = re.compile(r'^\s*#\s*include\s+(?:"([^"]+)"|<([^>]+)>)')


class Report:
    """Collects findings and prints them as `file:line: what is wrong: what to do`."""

    def __init__(self):
        self.findings = []

    def add(self, path, line, text):
        self.findings.append((str(path), line, text))

    def finish(self, name, checked):
        for path, line, text in sorted(self.findings):
            print(f"{path}:{line}: {text}")
        print(f"{name}: {checked} checked, {len(self.findings)} findings")
        return 1 if self.findings else 0


def arguments(description, *, build=False):
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--root", type=Path, default=Path(__file__).resolve().parents[2],
                        help="the source tree")
    if build:
        parser.add_argument("--build", type=Path, required=True,
                            help="a build directory with compile_commands.json")
    return parser


def files(root, folders=None, suffixes=SOURCE_SUFFIXES):
    """Paths relative to `root`, sorted; without build directories and hidden ones."""
    found = []
    for folder in folders if folders is not None else SOURCE_FOLDERS:
        for directory, subfolders, names in os.walk(root / folder):
            subfolders[:] = [s for s in subfolders if not s.startswith((".", "build", "__"))]
            found += [Path(directory, name).relative_to(root) for name in names
                      if name.endswith(tuple(suffixes))]
    return sorted(found)


def lines(root, path):
    return (root / path).read_text(errors="replace").split("\n")


def includes(root, path):
    """(line number, text, is system) of each #include."""
    for number, line in enumerate(lines(root, path), 1):
        if match := INCLUDE.match(line):
            yield number, match[1] or match[2], match[2] is not None


def include_closure(root, path, seen=None):
    """`path` and every file of the tree that it includes, directly or not."""
    seen = seen if seen is not None else set()
    if path not in seen and (root / path).is_file():
        seen.add(path)
        for _, text, is_system in includes(root, path):
            if not is_system:
                include_closure(root, Path(text), seen)
    return seen


class CompileCommands:
    """The compiler flags of each source, from the build's compile_commands.json."""

    def __init__(self, root, build):
        self.root, self._users = root, {}
        self.flags = {}  # path relative to root → arguments without compiler, input and output
        for entry in json.loads((build / "compile_commands.json").read_text()):
            path = Path(os.path.normpath(Path(entry["directory"], entry["file"])))
            if path.is_relative_to(root) and path.is_file():
                self.flags[path.relative_to(root)] = self._strip(shlex.split(entry["command"]))

    @staticmethod
    def _strip(command):
        kept, skip = [], False
        for word in command[1:]:
            if skip:
                skip = False
            elif word in ("-o", "-MQ", "-MF", "-c"):
                skip = True
            elif word.startswith("-") or kept and kept[-1] in ("-include", "-isystem", "-I"):
                if word != "-MD":
                    kept.append(word)
        return kept

    def for_header(self, path):
        """The flags of a source that includes the header, or of any when none does."""
        if not self._users:
            for source in sorted(self.flags):
                for part in include_closure(self.root, source):
                    self._users.setdefault(part, []).append(source)
        users = self._users.get(path, [])
        near = [user for user in users if user.parent == path.parent]
        return self.flags[(near or users or list(self.flags))[0]]


class Stamps:
    """Remembers what passed, so that only what changed is looked at again."""

    def __init__(self, folder, salt):
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.salt = folder, salt

    def key(self, root, path, extra):
        digest = hashlib.sha256(f"{self.salt}\n{path}\n{extra}".encode())
        for part in sorted(include_closure(root, path)):
            digest.update((root / part).read_bytes())
        return self.folder / digest.hexdigest()

    @staticmethod
    def passed(key):
        return key.exists()

    @staticmethod
    def store(key):
        key.touch()


def run(command, **options):
    return subprocess.run(command, capture_output=True, text=True, check=False, **options)


def in_parallel(work, items, jobs=2):
    """Results of work(item), in the order of `items`."""
    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        return list(pool.map(work, items))


