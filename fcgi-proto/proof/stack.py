#!/usr/bin/env python3
"""Prints how many bytes of stack each part of the proof takes at most: for every function of the program given,
what it pushes and reserves, and the deepest of those that it calls. Of a function named after the program, and in
any other program, it prints the bytes alone.

What is called through a pointer is taken for the deepest of the functions whose addresses the caller has among its
constants; of core::fmt, which has others, for the deepest of core::fmt."""
import collections
import functools
import re
import subprocess
import sys

INSTRUCTION = re.compile(r" +[0-9a-f]+:\t(\S+)\t?(.*)")
listing = subprocess.run(
    ["arm-none-eabi-objdump", "-d", "--no-show-raw-insn", sys.argv[1]], check=True, capture_output=True, text=True
).stdout

frames, calls, indirect, addresses, constants = {}, {}, set(), {}, {}
for line in listing.splitlines():
    if head := re.match(r"([0-9a-f]{8}) <(.+)>:", line):
        name = head[2]
        frames[name], calls[name], constants[name] = 0, set(), set()
        addresses[int(head[1], 16)] = name
    elif instruction := INSTRUCTION.match(line):
        what, operands = instruction.groups()
        if registers := re.match(r"(?:sp!, )?\{(.*)\}", operands):
            if what.startswith(("push", "stmdb")):
                frames[name] += 4 * len(registers[1].split(","))
        elif what.startswith("sub") and (size := re.match(r"sp, (?:sp, )?#(\d+)", operands)):
            frames[name] += int(size[1])
        elif what.startswith("str") and (size := re.search(r"\[sp, #-(\d+)\]!", operands)):
            frames[name] += int(size[1])
        elif what.startswith("b") and (target := re.search(r"<([^+>]+)>", operands)):
            # A loop may go back to the first instruction.
            calls[name] |= {target[1]} - ({name} if what != "bl" else set())
        elif what == ".word":
            constants[name].add(int(operands, 16) & ~1)
        elif what.startswith(("blx", "bx")) and operands != "lr":
            indirect.add(name)

called_by_pointer = {name for name in frames if re.search(r"core(3|\.\.)fmt", name)}
for name in indirect - called_by_pointer:
    known = {addresses[constant] for constant in constants[name] if constant in addresses}
    assert known, f"{name} calls through pointers"
    calls[name] |= known
indirect &= called_by_pointer
# What texts take is a figure of its own.
texts = {name for name in frames if name.startswith("_ZN10fcgi_proof4text17h")}
for name in calls:
    calls[name] -= texts


@functools.cache
def depth(name, pointers=3):
    """A text that is made of a number, which goes to a writer, is three calls through pointers within each other."""
    callees = [(callee, pointers) for callee in calls[name]]
    if name in indirect and pointers > 0:
        callees += [(callee, pointers - 1) for callee in called_by_pointer]
    return frames[name] + max((depth(*callee) for callee in callees), default=0)


if sys.argv[2:]:
    print(depth(sys.argv[2]))
    sys.exit()
parts = collections.defaultdict(int)
for name in frames:
    if part := re.match(r"_ZN10fcgi_proof((?:\d+[a-z_]+)+)17h", name):
        path = "::".join(re.findall("[a-z_]+", part[1]))
        parts[path] = max(parts[path], depth(name))
for path, size in sorted(parts.items()):
    print(f"{size:5} bytes  {path}")
