"""CRC-64/NVME, the checksum of the contract (`info.checksum` in wit/types.wit).

A step for each byte is slow in Python. Here all bits are one polynomial over GF(2) in one large
integer, where addition is `^` and multiplication by x is `<< 1`. Its upper part is folded into the
lower one until little is left, with a few operations on all bits at once.
"""

_POLYNOMIAL = 1 << 64 | 0xAD93D23594C93659
_ONES = 0xFFFF_FFFF_FFFF_FFFF
# The checksum takes the lowest bit of each byte first.
_MIRRORED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


def _mirror(crc: int) -> int:
    return int(f"{crc:064b}"[::-1], 2)


def _times(a: int, b: int) -> int:
    product = 0
    for shift in range(b.bit_length()):
        if b >> shift & 1:
            product ^= a << shift
    return product


def _remainder(value: int) -> int:
    """For a short polynomial: it takes a step for each bit."""
    while value > _ONES:
        value ^= _POLYNOMIAL << value.bit_length() - 65
    return value


# The remainders of x, x^2, x^4, x^8, …
_POWERS = [0b10]
for _ in range(40):
    _POWERS.append(_remainder(_times(_POWERS[-1], _POWERS[-1])))


def crc64(data: bytes, crc: int = 0) -> int:
    """The checksum of what `crc` is the checksum of, followed by `data`."""
    value = int.from_bytes(data.translate(_MIRRORED)) << 64
    value ^= _mirror(crc ^ _ONES) << 8 * len(data)
    while (bits := value.bit_length()) > 128:
        # The greatest power of two below `bits`.
        half = (bits - 1).bit_length() - 1
        upper, lower = value >> (1 << half), value & (1 << (1 << half)) - 1
        value = lower ^ _times(upper, _POWERS[half])
    return _mirror(_remainder(value)) ^ _ONES


# Once, when the component is built: what is computed here is part of its snapshot.
assert crc64(b"123456789") == 0xAE8B14860A799888
