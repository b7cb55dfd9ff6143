"""What the trials of clients have in common: programs that run, and files to compare."""

import filecmp
import hashlib
import os
import pathlib
import random
import shutil
import subprocess
import urllib.request

from serving import KEY, REGION, SECRET, Absent, Server

MEGABYTE = 1_000_000


def found(program: str, *folders: pathlib.Path) -> str:
    """The path of a program, among the folders' before those of the system."""
    path = os.pathsep.join([*map(str, folders), os.environ.get("PATH", os.defpath)])
    file = shutil.which(program, path=path)
    if file is None:
        raise Absent(f"there is no `{program}`")
    return file


def bytes_of(seed: int, size: int) -> bytes:
    """Bytes that do not compress, the same for each run."""
    return random.Random(seed).randbytes(size)


def tree(place: pathlib.Path) -> pathlib.Path:
    """A folder of files of several sizes, some below others and some with unusual names."""
    sizes = {
        "empty": 0,
        "small": 11,
        "below/a": 70_000,
        "below/further/b": 1_300_000,
        "with space + %": 5_000,
        "ünï": 3_000,
    }
    for number, (name, size) in enumerate(sizes.items()):
        file = place / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(bytes_of(number, size))
    return place


def assert_same(one: pathlib.Path, other: pathlib.Path) -> None:
    """Compares two files, or two folders with all that is in them."""
    if one.is_file():
        assert filecmp.cmp(one, other, shallow=False), f"{other} differs from {one}"
        return
    names = [sorted(file.relative_to(at) for file in at.rglob("*") if file.is_file()) for at in (one, other)]
    assert names[0] == names[1], f"{names[0]} became {names[1]}"
    for name in names[0]:
        assert_same(one / name, other / name)


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def fetch(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=60) as answer:
        return answer.read()


def output(*command, environment: dict[str, str] | None = None, folder=None) -> str:
    """What a program writes; an error with it if it fails."""
    done = subprocess.run(
        [str(part) for part in command],
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=600,
        text=True,
        errors="replace",
    )
    assert done.returncode == 0, f"{command[0]} ended with {done.returncode}:\n{done.stdout[-4000:]}"
    return done.stdout


def environment(server: Server, home: pathlib.Path) -> dict[str, str]:
    """That of clients: without settings of the machine's user, and with where the server is."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("AWS_", "S3_", "RCLONE_", "RESTIC_"))
    }
    return kept | {
        "HOME": str(home),
        "AWS_ACCESS_KEY_ID": KEY,
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_ENDPOINT_URL": server.endpoint,
        "AWS_EC2_METADATA_DISABLED": "true",
    }
