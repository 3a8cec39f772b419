#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# Copyright the Atoll authors
"""Checks that the C++ in README.md and docs/*.md is code that is compiled and run.

    tools/snippets.py [ROOT]

Each block that begins with ```cpp has to stand in a source of tests/docs/ or examples/: the same lines, one after the
other, wherever they are indented to. A line `...` or `// ...` stands for any lines that are left out. A block that
begins with ```cpp refused shows what does not compile, and is looked for in tests/compile_fail/. One that begins with
```cpp wrong compiles and misbehaves; nothing can be checked of it. Other languages are not looked at. Prints a line
for each block that is not found, and then ends with 1.
"""
import pathlib
import sys

WHERE = {"cpp": ("tests/docs", "examples"), "cpp refused": ("tests/compile_fail",)}
UNCHECKED = ("cpp wrong",)
ANYTHING = ("...", "// ...")


def without_indentation(lines):
    """The lines without the blanks that all of them begin with, and without those at their ends."""
    lines = [line.rstrip() for line in lines]
    common = min((len(line) - len(line.lstrip()) for line in lines if line), default=0)
    return [line[common:] for line in lines]


def parts_of(block):
    """The runs of lines between those that stand for anything."""
    parts = [[]]
    for line in block:
        if line.strip() in ANYTHING:
            parts.append([])
        else:
            parts[-1].append(line)
    return [part for part in parts if any(line.strip() for line in part)]


def find(part, lines, begin):
    """The index behind the first place at or after `begin` where the part stands; None if there is none."""
    wanted = without_indentation(part)
    while wanted and not wanted[0]:
        wanted = wanted[1:]
    while wanted and not wanted[-1]:
        wanted = wanted[:-1]
    for at in range(begin, len(lines) - len(wanted) + 1):
        if wanted[0] not in lines[at]:  # soon most of them
            continue
        if without_indentation(lines[at : at + len(wanted)]) == wanted:
            return at + len(wanted)
    return None


def is_in(block, lines):
    at = 0
    for part in parts_of(block):
        at = find(part, lines, at)
        if at is None:
            return False
    return True


def blocks_of(page):
    """(line number, what stands behind the fence, lines) of each block of code."""
    found, language, begin, block = [], None, 0, []
    for number, line in enumerate(page.read_text(encoding="utf-8").splitlines(), 1):
        fence = line.strip()
        if language is None and fence.startswith("```"):
            language, begin, block = fence[3:].strip(), number, []
        elif language is not None and fence == "```":
            found.append((begin, language, block))
            language = None
        elif language is not None:
            block.append(line)
    if language is not None:
        found.append((begin, "never closed", block))
    return found


def main():
    root = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).resolve().parent.parent)
    sources = {
        language: [
            source.read_text(encoding="utf-8").splitlines()
            for folder in folders
            for source in sorted((root / folder).rglob("*"))
            if source.suffix in (".cc", ".hh")
        ]
        for language, folders in WHERE.items()
    }
    complaints, checked = [], 0
    for page in [root / "README.md", *sorted((root / "docs").glob("*.md"))]:
        for number, language, block in blocks_of(page):
            where = f"{page.relative_to(root)}:{number}"
            if language == "never closed":
                complaints.append(f"{where}: this block has no end")
            elif language in WHERE:
                checked += 1
                if not parts_of(block):
                    complaints.append(f"{where}: this block is empty")
                elif not any(is_in(block, lines) for lines in sources[language]):
                    folders = " or ".join(WHERE[language])
                    complaints.append(f"{where}: no source of {folders} has this block: {parts_of(block)[0][0].strip()}")
            elif language.startswith(("cpp", "c++", "cc")) and language not in UNCHECKED:
                complaints.append(f"{where}: C++ begins with ```cpp, ```cpp refused or ```cpp wrong")
    for complaint in complaints:
        print(f"snippets: {complaint}")
    if checked == 0:
        print("snippets: there are no blocks of C++ at all")
        return 1
    print(f"snippets: {checked} blocks, {len(complaints)} complaints")
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
