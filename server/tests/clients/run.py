#!/usr/bin/env python3
"""Tries clients of S3 on `artifact-store serve`, each on a bucket of its own.

    run.py BINARY [--tools VENV] [--data VENV] [--increments N] [NAME...]

BINARY is `artifact-store`. VENV are environments of Python with `tools.txt` and with `data.txt`, whose
packages do not agree on a version of botocore. rclone, restic, s3cmd, docker-registry and skopeo are
those of the system. The variable `WEED` names a SeaweedFS, for a counter in its bucket, and
`ARTIFACT_STORE_LANGUAGE_BACKENDS` a folder with backends in other languages. Only the clients NAME
are tried if there are any.

Writes a line for each client: its version, and whether it `passed`, `failed`, or is `absent`. The exit
code is 1 if one failed.
"""

import argparse
import contextlib
import os
import pathlib
import sys
import tempfile
import time
import traceback

import programs
import registry
from programs import Trial
from serving import Absent, Server, Weed, store

HERE = pathlib.Path(__file__).resolve().parent
COUNTING = 8


def python(venv: pathlib.Path) -> pathlib.Path:
    file = venv / "bin" / "python"
    if not file.exists():
        raise Absent(f"there is no {file}")
    return file


class Library:
    """A client that is a library of Python, in a process of its own."""

    def __init__(self, venv: pathlib.Path, *script: str):
        self.venv, self.script = venv, script

    def __call__(self, it: Trial) -> str:
        name, *rest = self.script
        return it.run(python(self.venv), HERE / name, *rest, it.bucket).strip().splitlines()[-1]


class Counter:
    """A counter under `If-Match`, through two servers on one store."""

    def __init__(self, venv: pathlib.Path, other: Server, increments: int):
        self.venv, self.other, self.increments = venv, other, increments

    def __call__(self, it: Trial) -> str:
        endpoints = [it.server.endpoint, self.other.endpoint]
        counting = [HERE / "counting.py", it.bucket, COUNTING, self.increments, *endpoints]
        return it.run(python(self.venv), *counting).strip()


def trials(given: argparse.Namespace) -> dict:
    data = "s3fs pandas zarr pyarrow obstore deltalake icechunk".split()
    return {
        "aws": programs.aws,
        "boto3": Library(given.tools, "sdk.py", "all"),
        "rclone": programs.rclone,
        "restic": programs.restic,
        "s3cmd": programs.s3cmd,
        "s5cmd": programs.s5cmd,
        **{name: Library(given.data, "data.py", name) for name in data},
        "docker-registry": registry.docker_registry,
        "skopeo": registry.skopeo,
    }


class Results:
    def __init__(self):
        self.counts = {"passed": 0, "failed": 0, "absent": 0}

    def of(self, name: str, trial) -> None:
        """Runs one trial, which returns its version or what it measured."""
        begun = time.monotonic()
        try:
            result, text = "passed", trial()
        except Absent as absent:
            result, text = "absent", str(absent)
        except Exception as error:
            result, text = "failed", f"{type(error).__name__}: {error}"
            if not isinstance(error, AssertionError) or not str(error):
                traceback.print_exc()
        self.counts[result] += 1
        print(f"{name:24} {result}  {text}  ({time.monotonic() - begun:.0f} s)", flush=True)


def languages() -> dict[str, pathlib.Path]:
    """The backends in other languages that were built."""
    folder = os.environ.get("ARTIFACT_STORE_LANGUAGE_BACKENDS")
    files = sorted(pathlib.Path(folder).glob("*.wasm")) if folder else []
    return {file.stem: file for file in files}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("binary", type=pathlib.Path)
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.add_argument("--tools", type=pathlib.Path, default=pathlib.Path("target/venv-tools"))
    parser.add_argument("--data", type=pathlib.Path, default=pathlib.Path("target/venv-data"))
    parser.add_argument("--increments", type=int, default=10, help="of each of the 8 clients of a counter")
    given = parser.parse_args()
    binary, results = given.binary.resolve(), Results()
    given.tools, given.data = given.tools.absolute(), given.data.absolute()
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        place = pathlib.Path(folder)
        clients = trials(given)
        buckets = {name: store(name, place) for name in [*clients, "counter-fs"]}
        for name, file in languages().items():
            # The one in C does not list.
            only = Library(given.tools, "sdk.py", "plain") if name == "c" else programs.rclone_files
            clients[f"on-{name}"] = only
            buckets[f"on-{name}"] = store(f"on-{name}", place, str(file.resolve()))
        if os.environ.get("WEED"):
            weed = stack.enter_context(Weed(place))
            buckets["counter-s3"] = weed.store("counter-s3", place)
        servers = [Server(binary, place, [*buckets.values()], name) for name in ("one", "two")]
        for server in servers:
            stack.enter_context(server)
        for name in ("counter-fs", "counter-s3"):
            # The second one has no bucket without a SeaweedFS.
            clients[name] = Counter(given.tools, servers[1], given.increments)
        unknown = set(given.names) - set(clients)
        if unknown:
            sys.exit(f"there is no trial {', '.join(sorted(unknown))}")
        for name in given.names or clients:
            own = place / "trials" / name
            own.mkdir(parents=True)
            it = Trial(servers[0], name, own, given.tools / "bin")
            results.of(name, lambda: attempt(clients[name], it, name in buckets))
        if results.counts["failed"]:
            for server in servers:
                print(f"-- {server.log.name}\n{server.log.read_text()[-4000:]}")
    print("clients: {passed} passed, {failed} failed, {absent} absent".format(**results.counts))
    sys.exit(results.counts["failed"] > 0)


def attempt(trial, it: Trial, has_bucket: bool) -> str:
    if not has_bucket:
        raise Absent("WEED names no SeaweedFS")
    return trial(it)


if __name__ == "__main__":
    main()
