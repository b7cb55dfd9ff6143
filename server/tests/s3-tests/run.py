#!/usr/bin/env python3
"""Runs the core of ceph/s3-tests on `artifact-store serve`, and compares with `results.txt`.

    run.py CHECKOUT [--update] [-k NAME]

CHECKOUT is a folder with that suite (https://github.com/ceph/s3-tests). Its requirements, and pytest,
have to be there for this Python. `ARTIFACT_STORE` names the binary; by default it is that of a
development build. Core is what `results.txt` names: writing, reading, listing, uploads in parts,
conditions, copies and metadata of objects that belong to one user. Left out are versions, locks,
policies, access lists that share something, encryption, tags, websites and browser forms, which the
server does not have.

Each test makes buckets of its own. Here buckets are stores of the configuration, so that this makes
many beforehand, and answers itself where a test creates or deletes one. What a test asks of a bucket
that it has not created goes to one that the server does not have.
"""

import argparse
import os
import pathlib
import re
import socket
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
RESULTS = HERE / "results.txt"
BUCKETS = 300
PREFIX = "s3t-"
KEYS = {"main": "main-key", "alt": "alt-key", "tenant": "tenant-key", "iam": "iam-key"}


def configuration(place: pathlib.Path) -> str:
    stores = []
    for number in range(1, BUCKETS + 1):
        directory = place / f"{PREFIX}{number}"
        directory.mkdir()
        stores.append(
            f"[stores.{PREFIX}{number}]\nbackend = 'fs'\n"
            f"directories = [{{ host = '{directory}', guest = '/' }}]\n"
        )
    for name, key in KEYS.items():
        # The suite's other users own nothing of the first one's.
        buckets = "" if name == "main" else f"buckets = ['{PREFIX}{BUCKETS}']\n"
        stores.append(
            f"[serve.keys.{name}]\nid = '{key}'\nsecret-from = 'SECRET'\naccess = 'write'\n{buckets}"
        )
    return "\n".join(stores)


def suite_configuration(port: int) -> str:
    users = []
    for name, key in KEYS.items():
        section = name if name == "iam" else f"s3 {name}"
        users.append(
            f"[{section}]\ndisplay_name = {name}\nuser_id = {key}\nemail = {name}@example.com\n"
            f"access_key = {key}\nsecret_key = secret\ntenant = {name}\n"
        )
    # Those of the suite's accounts are read, and not used by what runs here.
    for name in ("iam root", "iam alt root"):
        users.append(
            f"[{name}]\nuser_id = none\nemail = none@example.com\naccess_key = none\nsecret_key = none\n"
        )
    return (
        f"[DEFAULT]\nhost = 127.0.0.1\nport = {port}\nis_secure = False\nssl_verify = False\n"
        f"[fixtures]\nbucket prefix = {PREFIX}\niam name prefix = s3t-\niam path prefix = /s3t/\n"
        + "".join(users)
    )


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def wait_for(port: int, server: subprocess.Popen) -> None:
    for _ in range(600):
        if server.poll() is not None:
            sys.exit(f"the server ended with {server.returncode}")
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            time.sleep(0.1)
    sys.exit("the server does not listen")


def expected() -> dict[str, str]:
    """Each test with `passed`, or with why it fails."""
    lines = (line.split(maxsplit=1) for line in RESULTS.read_text().splitlines())
    return {name: rest for name, rest in lines if name != "#"}


def outcomes(output: str) -> dict[str, bool]:
    found = re.findall(r"::(test_\w+) (PASSED|FAILED|ERROR)", output)
    result: dict[str, bool] = {}
    for name, outcome in found:
        result[name] = outcome == "PASSED" and result.get(name, True)
    return result


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("checkout", type=pathlib.Path)
    arguments.add_argument("-k", dest="only", help="only the tests whose name contains this")
    arguments.add_argument("--update", action="store_true", help="write what came out")
    given = arguments.parse_args()
    binary = os.environ.get("ARTIFACT_STORE", HERE.parents[2] / "target/debug/artifact-store")
    expects = expected()
    names = [name for name in expects if given.only is None or given.only in name]
    with tempfile.TemporaryDirectory() as folder:
        place, port = pathlib.Path(folder), free_port()
        (place / "stores.toml").write_text(configuration(place))
        (place / "suite.conf").write_text(suite_configuration(port))
        command = [binary, "--config", place / "stores.toml", "serve", "--s3", f"127.0.0.1:{port}"]
        with (place / "server.log").open("w") as log:
            server = subprocess.Popen(command, env=os.environ | {"SECRET": "secret"}, stderr=log)
        try:
            wait_for(port, server)
            tests = [f"s3tests/functional/test_s3.py::{name}" for name in names]
            environment = os.environ | {
                "S3TEST_CONF": str(place / "suite.conf"),
                "PYTHONPATH": str(HERE),
                "PYTHONDONTWRITEBYTECODE": "1",
            }
            pytest = [sys.executable, "-m", "pytest", "-v", "--tb=short", "-p", "buckets"]
            pytest += ["-p", "no:cacheprovider", "--color=no", *tests]
            run = subprocess.run(
                pytest, cwd=given.checkout, env=environment, stdout=subprocess.PIPE, text=True
            )
        finally:
            server.terminate()
            server.wait()
        print(run.stdout)
        print((place / "server.log").read_text()[-4000:], file=sys.stderr)
    found = outcomes(run.stdout)
    missing = [name for name in names if name not in found]
    passed = sum(found.values())
    print(f"{passed} of {len(names)} passed; not run: {missing}")
    if given.update:
        update(expects, found)
    wrong = [name for name in found if found[name] != (expects[name] == "passed")]
    for name in wrong:
        print(f"{name}: {'passed' if found[name] else 'failed'}, expected: {expects[name]}")
    sys.exit(bool(wrong or missing))


def update(expects: dict[str, str], found: dict[str, bool]) -> None:
    lines = [line for line in RESULTS.read_text().splitlines() if line.startswith("#")]
    for name, was in expects.items():
        if found.get(name, was == "passed"):
            lines.append(f"{name} passed")
        else:
            lines.append(f"{name} {'failed: ?' if was == 'passed' else was}")
    RESULTS.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
