#!/usr/bin/env python3
"""Sees that the program given can panic for no other reason than that a future is polled after its end."""
import re
import subprocess
import sys

listing = subprocess.run(
    ["arm-none-eabi-objdump", "-d", "--demangle", "--no-show-raw-insn", sys.argv[1]],
    check=True,
    capture_output=True,
    text=True,
).stdout
function, called = "", set()
for line in listing.splitlines():
    if head := re.match(r"[0-9a-f]{8} <(.+)>:", line):
        function = head[1]
    elif "core::panicking" not in function and (target := re.search(r"\tb\S*\t.*<(core::panicking::[^+>]*)", line)):
        called.add((target[1], function))
resumed = {call for call in called if call[0].endswith("::panic_const_async_fn_resumed")}
for panic, function in sorted(called - resumed):
    print(f"proof: {function} can panic: {panic}")
assert resumed, "no future is polled, or panics are not found"
sys.exit(called != resumed)
