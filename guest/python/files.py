"""Artifacts as files: names, the format of one file, and how a file gets into its place.

The format is on one page, ../FORMAT.md.
"""

import errno
import hashlib
import os
import secrets
import stat
import struct
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import BinaryIO

from wit_world.imports import types

import attributes

ROOT = "/"
MAGIC = b"artifac1"
# Magic, size and checksum of the payload, version, lengths of the key and of the attributes; these
# two and the payload follow.
HEADER = struct.Struct("<8sQQ16sII")
MAX_KEY = 1024


class Failure(Exception):
    """A call failed; `case` says why, in the words of the contract."""

    def __init__(self, case: types.Error):
        super().__init__(case)
        self.case = case


def check_key(key: str) -> None:
    length = len(key.encode())
    if not 1 <= length <= MAX_KEY:
        raise Failure(types.Error_InvalidKey(f"a key has 1 to {MAX_KEY} bytes, not {length}"))
    if any(unicodedata.category(char) == "Cc" for char in key):
        raise Failure(types.Error_InvalidKey("a key has no control characters"))


def name_of(key: str) -> str:
    """The file name: of one length and one letter case, and another one for every key."""
    return hashlib.sha256(key.encode()).hexdigest()


def is_name(name: str) -> bool:
    return len(name) == 64 and set(name) <= set("0123456789abcdef")


def directory_of(name: str) -> str:
    """One of 256 directories, so that none becomes very large."""
    return os.path.join(ROOT, name[:2])


def path_of(name: str) -> str:
    return os.path.join(directory_of(name), name)


@dataclass
class Artifact:
    """An open artifact. Info and bytes come from one file, whatever is put meanwhile."""

    file: BinaryIO
    key: str
    info: types.Info
    start: int  # where the payload begins


@contextmanager
def opened(name: str) -> Iterator[Artifact]:
    """The artifact in the file `name`, closed at the end."""
    artifact = open_artifact(name)
    with artifact.file:
        yield artifact


def open_artifact(name: str) -> Artifact:
    path = path_of(name)
    with meaning(path):
        try:
            # A link is not followed.
            handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
        except FileNotFoundError:
            check_root()
            raise Failure(types.Error_NotFound()) from None
        # Unbuffered, so that a read asks for no more than is due.
        file = os.fdopen(handle, "rb", buffering=0)
    try:
        with meaning(path):
            status = os.fstat(handle)
            if not stat.S_ISREG(status.st_mode):
                raise Failure(types.Error_Corrupt(f"`{path}` is no regular file"))
            head = file.read(HEADER.size + MAX_KEY + attributes.PACKED)
        key, info, start = parse(head, status, path)
        if status.st_size != start + info.size:
            raise Failure(types.Error_Corrupt(f"`{path}` has another size than it states"))
        if name_of(key) != name:
            raise Failure(types.Error_Corrupt(f"`{path}` holds another key"))
    except BaseException:
        file.close()
        raise
    return Artifact(file, key, info, start)


def parse(head: bytes, status: os.stat_result, path: str) -> tuple[str, types.Info, int]:
    """Key, info and start of the payload, as the first bytes of a file state them."""
    try:
        magic, size, checksum, version, key_length, packed_length = HEADER.unpack_from(head)
        key_end = HEADER.size + key_length
        start = key_end + packed_length
        if magic != MAGIC or start > len(head):
            raise ValueError
        key = head[HEADER.size : key_end].decode()
        kept = attributes.unpack(head[key_end:start])
    except (struct.error, ValueError):
        raise Failure(types.Error_Corrupt(f"`{path}` does not begin like an artifact")) from None
    return key, types.Info(size, checksum, modified(status), version.hex(), kept), start


class Pending:
    """An artifact that is being written, where nobody looks; `commit` makes it visible.

    The end of the `with` statement removes what was not committed.
    """

    def __init__(self, key: str, kept: list[types.Attribute]):
        self.key = key.encode()
        self.attributes = kept
        self.packed = attributes.pack(kept)
        self.name = name_of(key)
        self.directory = directory_of(self.name)
        self.size = 0
        # Random, since other instances and processes are at work beside this one. Only the
        # system's random numbers will do: those of `random` were seeded when this was built.
        self.version = secrets.token_bytes(16)
        self.path = os.path.join(self.directory, f"tmp-{self.version.hex()}")

    def __enter__(self) -> "Pending":
        check_root()
        with meaning(self.directory):
            os.makedirs(self.directory, exist_ok=True)
        with meaning(self.path):
            self.file = open(self.path, "xb", buffering=0)
            self.file.seek(HEADER.size + len(self.key) + len(self.packed))
        return self

    def __exit__(self, *_: object) -> None:
        self.file.close()
        try:
            os.unlink(self.path)
        except OSError:
            pass  # Renamed by `commit`; or it stays as litter, which nobody sees.

    def write(self, data: bytes) -> None:
        with meaning(self.path):
            write_all(self.file, data)
        self.size += len(data)

    def commit(self, checksum: int, *, create: bool) -> types.Info:
        """Durable first, then visible in one step, then the step itself durable."""
        with meaning(self.path):
            self.file.seek(0)
            lengths = len(self.key), len(self.packed)
            head = HEADER.pack(MAGIC, self.size, checksum, self.version, *lengths)
            write_all(self.file, head + self.key + self.packed)
            os.fsync(self.file.fileno())
            status = os.fstat(self.file.fileno())
            try:
                if create:
                    # Unlike a rename, a link cannot replace: of many creators one wins.
                    os.link(self.path, path_of(self.name))
                else:
                    os.replace(self.path, path_of(self.name))
            except FileExistsError:
                raise Failure(types.Error_AlreadyExists()) from None
        sync_change(self.directory)
        version = self.version.hex()
        return types.Info(self.size, checksum, modified(status), version, self.attributes)


def remove(key: str) -> None:
    name = name_of(key)
    with meaning(path_of(name)):
        try:
            os.unlink(path_of(name))
        except FileNotFoundError:
            check_root()
            if not os.path.exists(directory_of(name)):
                return
    # Also where there was none: an earlier removal may not be durable yet.
    sync_change(directory_of(name))


def names_after(cursor: str | None) -> Iterator[str]:
    """The names of all artifacts behind `cursor`, in order, one directory at a time."""
    check_root()
    for number in range(int(cursor[:2], 16) if cursor else 0, 256):
        directory = os.path.join(ROOT, f"{number:02x}")
        with meaning(directory):
            try:
                names = os.listdir(directory)
            except FileNotFoundError:
                continue
        for name in sorted(filter(is_name, names)):
            if cursor is None or name > cursor:
                yield name


def check_root() -> None:
    """Tells a store in which something is absent from one that cannot be looked at."""
    try:
        os.stat(ROOT)
    except OSError as error:
        text = f"no directory is granted as `{ROOT}`: {error.strerror}"
        raise Failure(types.Error_AccessDenied(text)) from error


def modified(status: os.stat_result) -> types.Instant:
    return types.Instant(*divmod(status.st_mtime_ns, 1_000_000_000))


def write_all(file: BinaryIO, data: bytes) -> None:
    """An unbuffered file may take less than it is given."""
    view = memoryview(data)
    while view:
        view = view[file.write(view) :]


def sync_change(directory: str) -> None:
    """Makes a change durable that can be seen already.

    The root as well, since `directory` may be new, whoever made it. Where this fails the outcome
    is open: a crash may still undo the change.
    """
    try:
        for path in (directory, ROOT):
            handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
            try:
                os.fsync(handle)
            finally:
                os.close(handle)
    except OSError as error:
        text = f"the change may not be durable: `{directory}`: {error.strerror}"
        raise Failure(types.Error_Unavailable(text)) from error


@contextmanager
def meaning(path: str) -> Iterator[None]:
    """The one place where an error of the system becomes a case of the contract."""
    try:
        yield
    except OSError as error:
        text = f"`{path}`: {error.strerror}"
        match error.errno:
            case errno.EACCES | errno.EPERM | errno.EROFS | errno.ENOTCAPABLE:
                case = types.Error_AccessDenied(text)
            case errno.ENOSPC | errno.EDQUOT | errno.EMFILE | errno.ENFILE:
                case = types.Error_NoSpace(text)
            case errno.ELOOP | errno.EISDIR | errno.ENOTDIR | errno.EEXIST:
                case = types.Error_Corrupt(f"something else is in the place of `{path}`")
            # ENOENT: somebody took away what was just made.
            case errno.ENOENT | errno.EBUSY | errno.EAGAIN | errno.EINTR | errno.ETXTBSY:
                case = types.Error_Unavailable(text)
            case _:
                case = types.Error_Other(text)
        raise Failure(case) from error
