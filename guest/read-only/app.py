"""A layer of the artifact store in Python: what is below it can be read, but not changed.

componentize-py looks here for a subclass of each exported interface. What a call below returns or
raises is the answer of this layer, too.
"""

import unicodedata

from componentize_py_async_support.futures import FutureReader
from componentize_py_async_support.streams import ByteStreamReader
from componentize_py_types import Err, Result
from wit_world import exports
from wit_world.imports import artifact_store, inventory, streams
from wit_world.imports.inventory import Page
from wit_world.imports.streams import Contents, WriteOptions
from wit_world.imports.types import (
    Error,
    Error_AccessDenied,
    Error_InvalidKey,
    Info,
    Seal,
)


def refusal(key: str) -> Err[Error]:
    """The answer to every change. That a key is none takes precedence over all else."""
    is_key = 1 <= len(key.encode()) <= 1024
    if not is_key or any(unicodedata.category(character) == "Cc" for character in key):
        return Err(Error_InvalidKey("1 to 1024 bytes without control characters"))
    return Err(Error_AccessDenied("this store is read-only"))


class ArtifactStore(exports.ArtifactStore):
    async def put(self, key: str, data: bytes) -> None:
        raise refusal(key)

    async def get(self, key: str) -> bytes:
        return await artifact_store.get(key)

    async def delete(self, key: str) -> None:
        raise refusal(key)


class Streams(exports.Streams):
    async def write(
        self,
        key: str,
        data: ByteStreamReader,
        end: FutureReader[Result[Seal, str]],
        options: WriteOptions,
    ) -> Info:
        with data, end:
            raise refusal(key)

    async def read(
        self, key: str, offset: int, length: int | None
    ) -> tuple[Info, Contents]:
        # A stream is handed on unread, so a host moves its bytes without this component.
        return await streams.read(key, offset, length)


class Inventory(exports.Inventory):
    async def stat(self, key: str) -> Info:
        return await inventory.stat(key)

    async def list_artifacts(self, prefix: str, cursor: str | None, limit: int) -> Page:
        return await inventory.list_artifacts(prefix, cursor, limit)
