"""CRC-64/NVME, the checksum of the contract (`info.checksum` in wit/types.wit)."""

_POLYNOMIAL = 0x9A6C9329AC4BC9B5  # bit-reversed
_ONES = 0xFFFF_FFFF_FFFF_FFFF


def _entry(crc: int) -> int:
    for _ in range(8):
        crc = (crc >> 1) ^ (_POLYNOMIAL if crc & 1 else 0)
    return crc


_TABLE = tuple(map(_entry, range(256)))


def crc64(data: bytes, crc: int = 0) -> int:
    """The checksum of what `crc` is the checksum of, followed by `data`."""
    table = _TABLE
    crc ^= _ONES
    for byte in data:
        crc = table[(crc ^ byte) & 0xFF] ^ (crc >> 8)
    return crc ^ _ONES


# Once, when the component is built: what is computed here is part of its snapshot.
assert crc64(b"123456789") == 0xAE8B14860A799888
