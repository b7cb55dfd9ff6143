"""A backend of the artifact store in Python: the contract in terms of `files`.

componentize-py looks here for a subclass of each exported interface.
"""

import asyncio
import functools
from collections.abc import Awaitable, Callable

from componentize_py_async_support import spawn
from componentize_py_async_support.futures import FutureReader, FutureWriter
from componentize_py_async_support.streams import ByteStreamReader, ByteStreamWriter
from componentize_py_types import Err, Ok, Result
from wit_world import byte_stream, exports, result_unit_types_error_future
from wit_world.exports.inventory import Entry, Page
from wit_world.exports.streams import (
    Contents,
    Contents_Bytes,
    Contents_Streamed,
    WriteOptions,
)
from wit_world.imports.types import (
    Error,
    Error_AlreadyExists,
    Error_Corrupt,
    Error_InvalidRange,
    Error_NotFound,
    Error_Other,
    Error_TooLarge,
    Error_Unsupported,
    Info,
    Mode_Create,
    Mode_Replace,
    Seal,
)

import attributes
import files
from checksum import crc64
from files import Failure

# The largest artifact for `put` and `get`, in bytes; `write` and `read` take any size.
IN_MEMORY = 32 << 20
# The most bytes that `read` brings without a stream.
AT_ONCE = 64 << 10
# The bytes that are moved at once.
CHUNK = 256 << 10
# The most files that are looked at for one page of a listing, found or not.
PAGE = 1000


def answer[**P, T](function: Callable[P, Awaitable[T]]) -> Callable[P, Awaitable[T]]:
    """Raises a failure as what componentize-py hands to the caller.

    Not before: its `Err` is immutable, and many parts of Python set an exception's traceback.
    """

    @functools.wraps(function)
    async def call(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return await function(*args, **kwargs)
        except Failure as failure:
            raise Err(failure.case) from None

    return call


class ArtifactStore(exports.ArtifactStore):
    @answer
    async def put(self, key: str, data: bytes) -> None:
        files.check_key(key)
        if len(data) > IN_MEMORY:
            raise Failure(Error_TooLarge(IN_MEMORY))
        with files.Pending(key, []) as pending:
            pending.write(data)
            pending.commit(crc64(data), create=False)

    @answer
    async def get(self, key: str) -> bytes:
        files.check_key(key)
        with files.opened(files.name_of(key)) as artifact:
            if artifact.info.size > IN_MEMORY:
                raise Failure(Error_TooLarge(IN_MEMORY))
            with files.meaning(key):
                artifact.file.seek(artifact.start)
                data = artifact.file.readall()
        if len(data) != artifact.info.size or crc64(data) != artifact.info.checksum:
            raise Failure(Error_Corrupt("the bytes do not match their checksum"))
        return data

    @answer
    async def delete(self, key: str) -> None:
        files.check_key(key)
        files.remove(key)


class Streams(exports.Streams):
    @answer
    async def write(
        self,
        key: str,
        data: ByteStreamReader,
        end: FutureReader[Result[Seal, str]],
        options: WriteOptions,
    ) -> Info:
        with data, end:
            files.check_key(key)
            check_options(options)
            create = isinstance(options.mode, Mode_Create)
            # This settles no race; it can save the transfer.
            if create and exists(key):
                raise Failure(Error_AlreadyExists())
            with files.Pending(key, options.attributes) as pending:
                # Both at once: the caller may wait for either to be taken.
                sealed = asyncio.create_task(end.read())
                checksum = await receive(data, sealed, options.size, pending)
                match await sealed:
                    case Ok(seal):
                        check_seal(seal, pending.size, checksum, options)
                        return pending.commit(checksum, create=create)
                    case Err(reason):
                        raise Failure(Error_Other(f"the write was given up: {reason}"))

    @answer
    async def read(
        self, key: str, offset: int, length: int | None
    ) -> tuple[Info, Contents]:
        files.check_key(key)
        artifact = files.open_artifact(files.name_of(key))
        available = artifact.info.size - offset
        if available < 0:
            artifact.file.close()
            raise Failure(Error_InvalidRange())
        due = available if length is None else min(length, available)
        artifact.file.seek(artifact.start + offset)
        if due <= AT_ONCE:
            data = b""
            with artifact.file:
                while len(data) < due:
                    data += next_chunk(artifact, due - len(data))
            return artifact.info, Contents_Bytes(data)
        writer, reader = byte_stream()
        outcome_writer, outcome = result_unit_types_error_future(
            lambda: Err(Error_Other("the read was given up"))
        )
        # This goes on after the return.
        spawn(send(artifact, due, writer, outcome_writer))
        return artifact.info, Contents_Streamed((reader, outcome))


class Inventory(exports.Inventory):
    @answer
    async def stat(self, key: str) -> Info:
        files.check_key(key)
        with files.opened(files.name_of(key)) as artifact:
            return artifact.info

    @answer
    async def list_artifacts(self, prefix: str, cursor: str | None, limit: int) -> Page:
        if cursor is not None and not files.is_name(cursor):
            raise Failure(Error_Other("this is no cursor of this backend"))
        entries = []
        for looked_at, name in enumerate(files.names_after(cursor), start=1):
            try:
                with files.opened(name) as artifact:
                    if artifact.key.startswith(prefix):
                        info = artifact.info
                        entries.append(Entry(artifact.key, info.size, info.modified, info.version))
            except Failure as failure:
                # Deleted meanwhile, or damaged.
                if not isinstance(failure.case, (Error_NotFound, Error_Corrupt)):
                    raise
            if looked_at == PAGE or len(entries) == limit:
                return Page(entries, name)
        return Page(entries, None)


def check_options(options: WriteOptions) -> None:
    """Says before the first byte what cannot be stored."""
    if isinstance(options.mode, Mode_Replace):
        # A rename replaces whatever is there, and WASI has no locks.
        raise Failure(Error_Unsupported("this backend cannot replace one version only"))
    if why := attributes.problem(options.attributes):
        raise Failure(Error_Other(why))


def exists(key: str) -> bool:
    try:
        with files.opened(files.name_of(key)):
            return True
    except Failure as failure:
        if isinstance(failure.case, Error_NotFound):
            return False
        if isinstance(failure.case, Error_Corrupt):
            return True
        raise


async def receive(
    data: ByteStreamReader,
    sealed: "asyncio.Task[Result[Seal, str]]",
    announced: int | None,
    pending: files.Pending,
) -> int:
    """Takes `data` to its end, or as long as it can become an artifact; returns the checksum."""
    checksum = 0
    while chunk := await data.read(CHUNK):
        pending.write(chunk)
        checksum = crc64(chunk, checksum)
        limit = announced
        if sealed.done():
            match sealed.result():
                case Ok(seal):
                    limit = seal.size
                case Err(_):
                    break
        if limit is not None and pending.size > limit:
            raise Failure(Error_Other(f"more than {limit} bytes arrived"))
    return checksum


def check_seal(seal: Seal, size: int, checksum: int, options: WriteOptions) -> None:
    if options.size not in (None, seal.size):
        text = f"{options.size} bytes were announced, but {seal.size} sealed"
    elif seal.size != size:
        text = f"{seal.size} bytes were sealed, but {size} arrived"
    elif seal.checksum != checksum:
        text = "the bytes that arrived have another checksum than those that were sealed"
    else:
        return
    raise Failure(Error_Other(text))


def next_chunk(artifact: files.Artifact, due: int) -> bytes:
    """Some of the `due` bytes that follow: one read of a file may bring fewer than it is asked."""
    with files.meaning("an open artifact"):
        chunk = artifact.file.read(min(due, CHUNK))
    if not chunk:
        raise Failure(Error_Corrupt("the file was cut while it was read"))
    return chunk


async def send(
    artifact: files.Artifact,
    due: int,
    writer: ByteStreamWriter,
    outcome: FutureWriter[Result[None, Error]],
) -> None:
    """Sends `due` bytes, unless the reader goes away; then tells how that went."""
    result: Result[None, Error] = Ok(None)
    with artifact.file, writer:
        try:
            while due > 0 and not writer.reader_dropped:
                due -= await writer.write_all(next_chunk(artifact, due))
        except Failure as failure:
            result = Err(failure.case)
    await outcome.write(result)
