# SPDX-License-Identifier: Apache-2.0
# Copyright the Atoll authors
"""Runs a command on a kernel that refuses some system calls, as an old one or a container's filter does.

    without.py [--errno EPERM] io_uring_setup,membarrier COMMAND ...

The filter (seccomp) stays with the command and all it starts. Ends with 77 where no filter may be set.
"""
import argparse
import ctypes
import errno
import os
import struct
import sys

NOT_PERMITTED = 77
# audit's number of the architecture, and the calls' numbers there
X86_64 = (0xC000003E, {
    "io_uring_setup": 425, "membarrier": 324, "madvise": 28, "mbind": 237, "set_mempolicy": 238, "get_mempolicy": 239,
    "move_pages": 279, "sched_setaffinity": 203, "eventfd2": 290, "timer_create": 222, "perf_event_open": 298})
AARCH64 = (0xC00000B7, {
    "io_uring_setup": 425, "membarrier": 283, "madvise": 233, "mbind": 235, "set_mempolicy": 237, "get_mempolicy": 236,
    "move_pages": 239, "sched_setaffinity": 122, "eventfd2": 19, "timer_create": 107, "perf_event_open": 241})
ARCHITECTURES = {"x86_64": X86_64, "aarch64": AARCH64}

PR_SET_SECCOMP = 22
PR_SET_NO_NEW_PRIVS = 38
SECCOMP_MODE_FILTER = 2
SECCOMP_RET_ALLOW = 0x7FFF0000
SECCOMP_RET_ERRNO = 0x00050000
# Of struct seccomp_data.
OFFSET_NUMBER = 0
OFFSET_ARCHITECTURE = 4
# Codes of the kernel's packet filter.
LOAD_WORD = 0x20
JUMP_IF_EQUAL = 0x15
RETURN = 0x06


class Program(ctypes.Structure):
    """struct sock_fprog"""
    _fields_ = [("length", ctypes.c_ushort), ("instructions", ctypes.c_char_p)]


def filter_of(audit_number, refused, number):
    """The instructions that refuse these calls; what follows a jump is how many are left out: if equal, and if not."""
    calls = [(JUMP_IF_EQUAL, len(refused) - i, 0, call) for i, call in enumerate(refused)]
    lines = [(LOAD_WORD, 0, 0, OFFSET_ARCHITECTURE),
             (JUMP_IF_EQUAL, 0, len(refused) + 1, audit_number),
             (LOAD_WORD, 0, 0, OFFSET_NUMBER),
             *calls,
             (RETURN, 0, 0, SECCOMP_RET_ALLOW),
             (RETURN, 0, 0, SECCOMP_RET_ERRNO | number)]
    return b"".join(struct.pack("=HBBI", *line) for line in lines)


def refuse(names, number):
    """Whether the calls fail with that number of an error from now on."""
    machine = os.uname().machine
    if machine not in ARCHITECTURES:
        return False
    audit_number, numbers = ARCHITECTURES[machine]
    instructions = filter_of(audit_number, [numbers[name] for name in names], number)
    program = Program(len(instructions) // 8, instructions)
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    zero = ctypes.c_ulong(0)
    return (prctl(PR_SET_NO_NEW_PRIVS, ctypes.c_ulong(1), zero, zero, zero) == 0 and
            prctl(PR_SET_SECCOMP, ctypes.c_ulong(SECCOMP_MODE_FILTER), ctypes.byref(program), zero, zero) == 0)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--errno", default="ENOSYS", help="what the calls fail with. Default: ENOSYS")
    parser.add_argument("calls", help="names with commas between them")
    parser.add_argument("command", nargs=argparse.REMAINDER)
    settings = parser.parse_args()
    if not refuse(settings.calls.split(","), getattr(errno, settings.errno)):
        print("no filter of system calls may be set here", file=sys.stderr)
        sys.exit(NOT_PERMITTED)
    os.execvp(settings.command[0], settings.command)


if __name__ == "__main__":
    main()
