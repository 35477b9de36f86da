#!/usr/bin/env python3
"""Prints how many bytes of stack each part of the proof takes at most: for every function of the program given,
what it pushes and reserves, and the deepest of those that it calls.

What is called through a pointer is taken for the deepest of core::fmt, which alone does so."""
import collections
import functools
import re
import subprocess
import sys

INSTRUCTION = re.compile(r" +[0-9a-f]+:\t(\S+)\t?(.*)")
listing = subprocess.run(
    ["arm-none-eabi-objdump", "-d", "--no-show-raw-insn", sys.argv[1]], check=True, capture_output=True, text=True
).stdout

frames, calls, indirect = {}, {}, set()
for line in listing.splitlines():
    if head := re.match(r"[0-9a-f]{8} <(.+)>:", line):
        name = head[1]
        frames[name], calls[name] = 0, set()
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
            calls[name].add(target[1])
        elif what.startswith(("blx", "bx")) and operands != "lr":
            indirect.add(name)

called_by_pointer = {name for name in frames if re.search(r"core(3|\.\.)fmt", name)}
assert indirect <= called_by_pointer, f"calls through pointers: {indirect - called_by_pointer}"
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


parts = collections.defaultdict(int)
for name in frames:
    if part := re.match(r"_ZN10fcgi_proof((?:\d+[a-z_]+)+)17h", name):
        path = "::".join(re.findall("[a-z_]+", part[1]))
        parts[path] = max(parts[path], depth(name))
for path, size in sorted(parts.items()):
    print(f"{size:5} bytes  {path}")
