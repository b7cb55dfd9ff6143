"""Attributes: what the contract allows, and how they are kept in a file (../FORMAT.md)."""

import re
import unicodedata

from wit_world.imports.types import Attribute

# The most bytes of all names and values, and of what `pack` makes of them.
MOST = 2048
PACKED = 2 * MOST

NAME = re.compile("[a-z][a-z0-9-]{0,127}")
# These have the meaning of the HTTP headers, and a value that fits into one.
STANDARD = {
    "content-type",
    "content-encoding",
    "content-disposition",
    "content-language",
    "cache-control",
}


def problem(attributes: list[Attribute]) -> str | None:
    """Why these are not allowed; nothing where they are."""
    names = [attribute.name for attribute in attributes]
    if len(set(names)) != len(names):
        return "two attributes have the same name"
    if sum(len((each.name + each.value).encode()) for each in attributes) > MOST:
        return f"all attributes together have at most {MOST} bytes"
    for attribute in attributes:
        name, value = attribute.name, attribute.value
        if not NAME.fullmatch(name):
            return "a name has 1 to 128 lower-case letters, digits and `-`, and begins with a letter"
        if any(unicodedata.category(char) == "Cc" for char in value):
            return f"the value of `{name}` has a control character"
        if value != value.strip():
            return f"the value of `{name}` begins or ends with white space"
        if name in STANDARD and not value.isascii():
            return f"the value of `{name}` is not ASCII"
    return None


def pack(attributes: list[Attribute]) -> bytes:
    return "".join(f"{each.name}={each.value}\n" for each in attributes).encode()


def unpack(packed: bytes) -> list[Attribute]:
    """Raises `ValueError` for what `pack` does not make."""
    *lines, rest = packed.decode().split("\n")
    attributes = [Attribute(*line.split("=", 1)) for line in lines if "=" in line]
    if rest or len(attributes) != len(lines) or problem(attributes):
        raise ValueError
    return attributes
