# SPDX-License-Identifier: Apache-2.0
# Copyright the Atoll authors
"""Claims about examples/wordcount/demo.sh: whatever the text, the cluster counts what an independent count finds."""
import collections
import pathlib
import random
import re
import subprocess

import processes

SOURCE = pathlib.Path(__file__).resolve().parents[2]
DEMO = SOURCE / "examples" / "wordcount" / "demo.sh"
DEFAULT_TEXT = pathlib.Path("/usr/share/common-licenses/GPL-3")
DEMO_SECONDS = 120


def count(text):
    return collections.Counter(word.lower() for word in re.findall(rb"[A-Za-z]+", text))


def demo(run, *arguments):
    """Runs the demo to its end, and sees that it leaves nothing behind."""
    process = run.start(["bash", DEMO, run.programs, *arguments])
    process.wait(DEMO_SECONDS)
    assert not run.left(), f"left behind: {run.left()} by {process}"
    files = list(run.temporary.iterdir())
    assert not files, f"left behind: {files} by {process}"
    return process


def expect_match(process, text):
    assert process.wait() == 0, process
    counts = count(text)
    verdict = f"verdict: match words={sum(counts.values())} distinct={len(counts)}"
    last = process.out.splitlines()[-1]
    assert last == verdict, f"wanted '{verdict}' from {process}"
    assert "both nodes drained" in process.out, process


def counts_text(run, text, name="text"):
    """The demo over a text: verdict, and every count, those of the words that no message holds too."""
    file = run.folder / name
    file.write_bytes(text)
    counts_file = run.folder / "counts"
    expect_match(demo(run, "--text", file, "--counts", counts_file), text)
    expected = b"".join(b"%s %d\n" % entry for entry in sorted(count(text).items()))
    assert counts_file.read_bytes() == expected, "the verdict is a match, and the counts are not"


def letters(seed, length):
    chance = random.Random(seed)
    return bytes(chance.choices(b"abcdefghijklmnopqrstuvwxyz", k=length))


def test_counts_its_default_text(run):
    if not DEFAULT_TEXT.exists():
        raise processes.Skip(f"there is no {DEFAULT_TEXT}")
    expect_match(demo(run), DEFAULT_TEXT.read_bytes())


def test_writes_the_counts_that_coreutils_find(run):
    if not DEFAULT_TEXT.exists():
        raise processes.Skip(f"there is no {DEFAULT_TEXT}")
    written = run.folder / "counts of the demo"
    expect_match(demo(run, "--text", DEFAULT_TEXT, "--counts", written), DEFAULT_TEXT.read_bytes())
    pipeline = "set -o pipefail; tr -cs 'A-Za-z' '\\n' | tr 'A-Z' 'a-z' | sort | uniq -c"
    with DEFAULT_TEXT.open("rb") as text:
        lines = subprocess.run(["bash", "-c", pipeline], stdin=text, stdout=subprocess.PIPE, check=True, timeout=60,
                               env={**run.environment, "LC_ALL": "C"}).stdout.splitlines()
    counted = [line.split() for line in lines]
    # Text that begins with something else than a letter gives one empty "word".
    expected = b"".join(b"%s %s\n" % (entry[1], entry[0]) for entry in counted if len(entry) == 2)
    assert written.read_bytes() == expected


def test_counts_an_empty_file(run):
    counts_text(run, b"")


def test_counts_a_file_of_newlines_only(run):
    counts_text(run, b"\n" * 5000)


def test_counts_a_file_without_a_newline_at_its_end(run):
    counts_text(run, b"one two\nthree two")


def test_counts_a_file_of_one_letter(run):
    counts_text(run, b"Q")


def test_counts_random_bytes(run):
    text = random.Random(20240607).randbytes(500_000)
    assert b"\0" in text
    counts_text(run, text)


def test_counts_a_line_of_3_MB(run):
    chance = random.Random(3)
    words = [letters(i, chance.randrange(1, 12)) for i in range(2000)]
    text = b" ".join(chance.choice(words) for _ in range(600_000))[:3_000_000]
    assert b"\n" not in text and len(text) == 3_000_000
    counts_text(run, text)


def test_counts_a_word_of_1_MB(run):
    counts_text(run, letters(4, 1_000_000))


def test_counts_two_words_of_300_KB(run):
    first, second = letters(5, 300_000), letters(6, 300_000)
    counts_text(run, first + b" " + second + b"\nshort " + first.upper() + b"\n")


def test_counts_long_words_with_a_common_beginning(run):
    word = letters(7, 200_000)
    counts_text(run, b"\n".join([word, word + b"a", word + b"b", word[:-1], word, b"z" + word, b"-" + word + b"-"]))


def test_counts_words_about_64_KiB(run):
    words = [letters(8 + n, n) for n in (65_535, 65_536, 65_537)]
    # Each alone on a line, at the beginning, the middle and the end of one, and once more in capitals.
    lines = words + [b" ".join(words), b" ".join(reversed(words)), b"a-" + b"-b-".join(words) + b"-c"]
    counts_text(run, b"\n".join(lines + [word.upper() for word in words]) + b"\n")


def test_counts_long_lines_cut_near_a_long_word(run):
    # Lines are sent whole up to 256 KiB and cut above: words that begin, end and cross there.
    limit = 256 << 10
    lines = []
    for length in (1, 100, 65_535, 65_536, 65_537, 70_000):
        for offset in (-1, 0, 1):
            blanks = limit - length + offset
            lines.append(b" " * blanks + letters(length, length))
            lines.append(b" " * (blanks + length // 2) + letters(length, length) + b".x")
    counts_text(run, b"\n".join(lines))


def test_counts_dos_line_ends(run):
    counts_text(run, b"one\r\ntwo one\r\n\r\nthree\rfour\r\n")


def test_counts_text_beyond_ascii(run):
    text = "Grüße, naïve Œuvre — ΑΒΓ 漢字 ﬁn \u212a x\u0301y\n" * 50
    counts_text(run, text.encode() + b"latin \xe9t\xe9 \xff\xfe \x80a\xc0b\xed\xa0\x80c\n" + bytes(range(256)) * 4)


def test_counts_a_file_with_a_difficult_name(run):
    counts_text(run, b"a name is a name\n", name="it's a \"$(text)\"; file\\name")


def test_refuses_a_missing_text(run):
    for file in (run.folder / "no such text", run.folder):  # a folder is no text either
        process = demo(run, "--text", file)
        assert process.wait() == 2, process
        lines = process.err.splitlines()
        assert len(lines) == 1 and str(file) in lines[0], f"wanted one line that names {file}: {process}"
        assert "verdict" not in process.out, process


if __name__ == "__main__":
    processes.main()
