#!/usr/bin/env python3
"""Writes `host/guide.rs`: each page of `docs` as a module of the library's documentation.

docs.rs shows no other files, so a link to another page becomes one to its module, which rustdoc
looks for, and of a link to a file that is only in the repository the text remains.
"""
import pathlib
import re

# In a block of code nothing is a link.
CODE_OR_LINK = re.compile(r"```.*?```|\[([^][]*)\]\(([^)]*)\)", re.DOTALL)
PAGE = re.compile(r"([a-z0-9-]+)\.md(#.*)?")


def module(name):
    return name.replace("-", "_")


def as_documentation(found):
    text, target = found.groups()
    if text is None or target.startswith(("#", "https://")):
        return found[0]
    page = PAGE.fullmatch(target)
    return f"[{text}](crate::guide::{module(page[1])}{page[2] or ''})" if page else text


root = pathlib.Path(__file__).parent.parent
with open(root / "host/guide.rs", "w") as out:
    for file in sorted((root / "docs").glob("*.md")):
        page = CODE_OR_LINK.sub(as_documentation, file.read_text())
        out.write(f'#[doc = r####"{page}"####]\npub mod {module(file.stem)} {{}}\n')
