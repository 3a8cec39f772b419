# SPDX-License-Identifier: Apache-2.0
# Copyright the Atoll authors
"""gdb commands for programs built on Atoll: what each coroutine waits for, of a live process or a core file.

    gdb -p PID -x tools/gdb/atoll.py              (or: gdb PROGRAM CORE -x tools/gdb/atoll.py)
    (gdb) atoll shards                            the shards, their threads, and how many coroutines each has
    (gdb) atoll tasks [SHARD]                     the table of atoll::dump_tasks(), of one shard or of all

Needs no debug information of the program: the library carries that of the few types read here. The ages in a core file
are those at the last time the shard's loop looked at the clock, so they are too small where it slept.
"""
import time

import gdb

NAMESPACE = "atoll_root::atoll::"
NEVER = 2**63 - 1
TASKS_MAX = 100_000  # coroutines looked at in a shard
LINES_MAX = 1_000  # printed of a shard
NAME_BYTES_MAX = 4_096


def short_function_name(whole):
    """The qualified name alone; the same as atoll::short_function_name()."""

    def opening_of_last(text, opens, closes):
        depth = 0
        for i in range(len(text) - 1, -1, -1):
            if text[i] == closes:
                depth += 1
            if text[i] == opens:
                depth -= 1
                if depth == 0:
                    return i
        return -1

    name = whole
    if name.endswith("]"):
        at = opening_of_last(name, "[", "]")
        if at <= 0:
            return whole
        name = name[: at - 1]
    for qualifier in (" noexcept", " &&", " &", " volatile", " const"):
        name = name[: -len(qualifier)] if name.endswith(qualifier) else name
    parameters = opening_of_last(name, "(", ")") if name.endswith(")") else -1
    if parameters < 0:
        return whole
    name = name[:parameters]
    at = name.rfind("operator")
    begin = at if at == 0 or (at > 0 and name[at - 1] in " :") else len(name)
    depth = 0
    while begin > 0:
        c = name[begin - 1]
        if c == " " and depth == 0:
            break
        if c in ")>}":
            depth += 1
        if c in "(<{":
            if depth == 0:
                break
            depth -= 1
        begin -= 1
    name = name[begin:]
    return (name[len("atoll_root::"):] if name.startswith("atoll_root::") else name) or whole


def lambda_given_to(name):
    """Whose code a function of the library runs; the same as atoll::lambda_given_to()."""
    at = name.rfind("(lambda at ")
    if at >= 0:
        end = name.find(")", at)
        found = name[at + 1: end if end >= 0 else len(name)]
        return "" if "include/atoll/" in found else found
    at = name.rfind("<lambda(")
    while at > 0:
        begin, depth = at, 0
        while begin > 0:
            c = name[begin - 1]
            if c in ")>":
                depth += 1
            if depth == 0 and c in "(< ,":
                break
            if c in "(<":
                depth -= 1
            begin -= 1
        end = name.find(")>", at)
        found = name[begin: end + 2 if end >= 0 else len(name)]
        if not found.startswith("atoll_root::"):
            return found
        at = name.rfind("<lambda(", 0, at)
    return ""


def about(ns):
    if ns < 1_000_000:
        return f"{ns // 1_000}us"
    if ns < 1_000_000_000:
        return f"{ns // 1_000_000}ms"
    return f"{ns / 1e9:.1f}s" if ns < 3_600_000_000_000 else f"{ns / 3.6e12:.1f}h"


def type_of(name):
    return gdb.lookup_type(NAMESPACE + name)


def nanoseconds(time_point):
    return int(time_point["__d"]["__r"])


def pointer_of(unique_ptr):
    """What a unique_ptr holds: with a deleter that has no members it is as large as its pointer."""
    element = unique_ptr.type.strip_typedefs().template_argument(0)
    return unique_ptr.address.cast(element.pointer().pointer()).dereference()


def text_of(string):
    """The contents of a libstdc++ std::string."""
    length = min(int(string["_M_string_length"]), NAME_BYTES_MAX)
    return string["_M_dataplus"]["_M_p"].string("utf-8", "replace", length=length)


class Task:
    """A coroutine, of the coroutine_base in its frame."""

    def __init__(self, base, shard):
        self.base = int(base.address)
        self.id = self.base
        impl = base["site"]["_M_impl"]
        self.function, self.file, self.line = "?", "?", 0
        if int(impl) != 0:
            whole = impl["_M_function_name"].string("utf-8", "replace")
            self.function = short_function_name(whole)
            runs = lambda_given_to(whole) if self.function.startswith("atoll::") else ""
            self.function += f" of {runs}" if runs else ""
            self.file = impl["_M_file_name"].string("utf-8", "replace")
            self.line = int(impl["_M_line"])
        self.age = max(shard.now - nanoseconds(base["since"]), 0)
        self.group = shard.group_name(int(base["group"]))
        result = base["result"]
        self.waiter, self.dropped = 0, False
        if int(result) != 0:
            self.waiter = int(result["waiter_"])
            self.dropped = not bool(result["consumer_"])
        running = self.base == shard.running
        self.state = "running" if running else "waiting"
        self.cancelled, self.deadline = False, None
        context = base["context"]["context_"]
        if int(context) != 0:
            self.cancelled = bool(context["reason_"]["_M_payload"]["_M_engaged"])
            deadline = nanoseconds(context["values_"]["deadline"])
            if deadline != NEVER:
                self.deadline = deadline - shard.now

    def key(self):
        return self.function, self.file, self.line, self.group, self.state, self.dropped


class Shard:
    def __init__(self, value, thread, live_now):
        self.value = value
        self.thread = thread
        self.id = int(value["id"])
        self.now = live_now if live_now is not None else nanoseconds(value["coarse_now"])
        self.running = int(value["running"])
        self.groups = {}

    def group_name(self, number):
        if number not in self.groups:
            try:
                pointer = self.value["tasks"]["groups_"]["_M_elems"][number]
                self.groups[number] = text_of(pointer["name"])
            except gdb.error:
                self.groups[number] = str(number)
        return self.groups[number]

    def hooks(self):
        """The addresses of the list's elements; a list that was overwritten ends where it leads nowhere."""
        root = self.value["coroutines"]["root_"]
        end = int(root.address)
        at = root["next"]
        while int(at) != end and int(at) != 0:
            yield at
            at = at.dereference()["next"]

    def tasks(self):
        """The first coroutines and how many there are."""
        base = type_of("detail::coroutine_base")
        hook = next(f.bitpos // 8 for f in base.fields() if f.is_base_class and f.name.endswith("coroutine_hook"))
        char, base = gdb.lookup_type("char").pointer(), base.pointer()
        tasks, count = [], 0
        try:
            for each in self.hooks():
                count += 1
                if count <= TASKS_MAX:
                    tasks.append(Task((each.cast(char) - hook).cast(base).dereference(), self))
        except gdb.MemoryError as error:
            print(f"shard {self.id}: the list of coroutines breaks off after {len(tasks)}: {error}")
        return tasks, max(count, len(tasks))


def monotonic_now():
    """The clock of a live process on this machine; None for a core file."""
    for line in gdb.execute("info inferiors", to_string=True).splitlines():
        if line.startswith("*") and "process" not in line:
            return None
    connection = getattr(gdb.selected_inferior(), "connection", None)
    if connection is None or connection.type != "native":
        return None
    return time.clock_gettime_ns(time.CLOCK_MONOTONIC)


def find_shards():
    """The shard of each thread that has one."""
    before = gdb.selected_thread()
    if before is None:
        raise gdb.GdbError("atoll: no process and no core file")
    now = monotonic_now()
    pointer = type_of("shard").pointer()
    found, failure = [], None
    try:
        for thread in gdb.selected_inferior().threads():
            thread.switch()
            try:
                place = gdb.parse_and_eval(f"&'{NAMESPACE}detail::current_shard'")
                value = place.cast(pointer.pointer()).dereference()
                if int(value) != 0:
                    found.append(Shard(value.dereference(), thread, now))
            except gdb.error as error:
                failure = error
    finally:
        before.switch()
    if not found:
        raise gdb.GdbError(f"atoll: no thread has a shard{f' ({failure})' if failure else ''}")
    return sorted(found, key=lambda shard: shard.id)


class Line:
    def __init__(self, task):
        self.task, self.count, self.cancelled = task, 0, 0
        self.oldest, self.deadline = 0, None
        self.lines = {}

    def add(self, task):
        self.count += 1
        self.cancelled += task.cancelled
        self.oldest = max(self.oldest, task.age)
        if task.deadline is not None:
            self.deadline = task.deadline if self.deadline is None else min(self.deadline, task.deadline)

    def __str__(self):
        task, many = self.task, self.count > 1
        text = f"x {self.count}  " if many else ""
        text += f"{task.function}  {task.file}:{task.line}  "
        text += f"{'oldest ' if many else ''}{about(self.oldest)}  {task.group}"
        text += "" if task.state == "waiting" else f"  {task.state}"
        text += "  dropped" if task.dropped else ""
        if self.deadline is not None:
            late = self.deadline < 0
            text += f"  deadline {about(-self.deadline)} ago" if late else f"  deadline in {about(self.deadline)}"
        if many:
            return text + (f"  {self.cancelled} cancelled" if self.cancelled else "")
        return text + ("  cancelled" if self.cancelled else "") + f"  {task.id:#x}"


def print_tasks(shard):
    tasks, count = shard.tasks()
    print(f"shard {shard.id}: {count} coroutine{'' if count == 1 else 's'}")
    by_base = {task.base: task for task in tasks}
    top = Line(None)
    lines = {}
    for first in tasks:
        chain, seen = [], set()
        at = first
        while at is not None and at.id not in lines and at.id not in seen:
            seen.add(at.id)
            chain.append(at)
            # A waiter is a task: the first base of a coroutine, where it is one.
            at = None if at.dropped else by_base.get(at.waiter)
        line = lines[at.id] if at is not None and at.id in lines else top
        for task in reversed(chain):
            line = line.lines.setdefault(task.key(), Line(task))
            line.add(task)
            lines[task.id] = line
    to_do = [(line, 1) for line in reversed(top.lines.values())]
    told = printed = 0
    while to_do and printed < LINES_MAX:
        line, depth = to_do.pop()
        print("  " * min(depth, 40) + str(line))
        told += line.count
        printed += 1
        to_do += [(each, depth + 1) for each in reversed(line.lines.values())]
    if told < count:
        print(f"  ... and {count - told} more")


class Atoll(gdb.Command):
    """Atoll: `atoll shards`, `atoll tasks [SHARD]`."""

    def __init__(self):
        super().__init__("atoll", gdb.COMMAND_STATUS, prefix=True)


class Shards(gdb.Command):
    """The shards of the process: their threads, and how many coroutines each has."""

    def __init__(self):
        super().__init__("atoll shards", gdb.COMMAND_STATUS)

    def invoke(self, argument, from_tty):
        if argument.strip():
            raise gdb.GdbError("atoll shards: takes no argument")
        for shard in find_shards():
            count = sum(1 for _ in shard.hooks())
            print(f"shard {shard.id}: thread {shard.thread.num}, {count} coroutine{'' if count == 1 else 's'}")


class Tasks(gdb.Command):
    """What each coroutine waits for and who awaits it: atoll tasks [SHARD]."""

    def __init__(self):
        super().__init__("atoll tasks", gdb.COMMAND_STATUS)

    def invoke(self, argument, from_tty):
        wanted = argument.strip()
        if wanted and not wanted.isdecimal():
            raise gdb.GdbError(f"atoll tasks: takes the number of a shard, not '{wanted}'")
        shards = [shard for shard in find_shards() if not wanted or shard.id == int(wanted)]
        if not shards:
            raise gdb.GdbError(f"atoll tasks: there is no shard {wanted}")
        for shard in shards:
            print_tasks(shard)


Atoll()
Shards()
Tasks()
# The shards' ticks would stop the debugger all the time.
gdb.execute("handle SIG36 nostop noprint pass", to_string=True)
