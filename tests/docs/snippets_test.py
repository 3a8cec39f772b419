# SPDX-License-Identifier: Apache-2.0
# Copyright the Atoll authors
"""tools/snippets.py on small made-up projects: what it takes and what it complains about."""
import pathlib
import subprocess
import sys
import tempfile

TOOL = pathlib.Path(__file__).resolve().parent.parent.parent / "tools" / "snippets.py"
SOURCE = """
class a {
  int f() {
    int x = 1;

    return x;
  }
  int g() { return 2; }
};
"""
REFUSED = "void f(int&&) {}\n"


def run(page):
    """The exit code, and what it said, of a project with this page."""
    with tempfile.TemporaryDirectory() as folder:
        root = pathlib.Path(folder)
        for name, text in {"tests/docs/a_test.cc": SOURCE, "tests/compile_fail/f.cc": REFUSED, "README.md": "", "docs/a.md": page}.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(text, encoding="utf-8")
        done = subprocess.run([sys.executable, "-B", TOOL, root], capture_output=True, text=True, check=False)
        return done.returncode, done.stdout


def block(text, language="cpp"):
    return f"words\n```{language}\n{text}\n```\nwords\n"


GOOD = {
    "a whole class": block(SOURCE.strip()),
    "lines of it, indented otherwise": block("int x = 1;\n\nreturn x;"),
    "an omission": block("int f() {\n  // ...\n}\nint g() { return 2; }"),
    "an omission at the end": block("class a {\n..."),
    "a case that is refused": block("void f(int&&) {}", "cpp refused"),
    "what is not C++": block("class a {") + block("nonsense", "sh"),
    "what is wrong by design": block("class a {") + block("nonsense", "cpp wrong"),
}
BAD = {
    "a line that is not there": (block("int h();"), "docs/a.md:2: no source"),
    "lines that don't follow each other": (block("int x = 1;\nreturn x;"), "docs/a.md:2: no source"),
    "another order": (block("int g() { return 2; }\n// ...\nint f() {"), "docs/a.md:2: no source"),
    "another indentation within": (block("int f() {\nint x = 1;"), "docs/a.md:2: no source"),
    "a case that is not refused": (block("class a {", "cpp refused"), "docs/a.md:2: no source"),
    "an omission alone": (block("// ..."), "docs/a.md:2: this block is empty"),
    "C++ under another name": (block("class a {", "c++"), "docs/a.md:2: C++ begins"),
    "a block without an end": (block("class a {") + "```cpp\nclass a {\n", "docs/a.md:6: this block has no end"),
    "no block at all": ("words\n", "no blocks of C++ at all"),
}

failed = 0
for claim, page in GOOD.items():
    code, said = run(page)
    if code != 0:
        failed += 1
        print(f"{claim}: was refused: {said}")
for claim, (page, complaint) in BAD.items():
    code, said = run(page)
    if code != 1 or complaint not in said:
        failed += 1
        print(f"{claim}: ended with {code} and said: {said}")
print(f"{len(GOOD) + len(BAD)} cases, {failed} failed")
sys.exit(1 if failed else 0)
