#!/usr/bin/env python3
"""Lists the public functions of fcgi-proto by their paths, and fails if the proof does not name one of them.

A call in the proof is written with its path, `pair::Packer::push(…)`, a text as `text::<pair::CapacityError>(…)`:
so each is found by its name. What derives make is not counted."""
import pathlib
import re
import sys

HERE = pathlib.Path(__file__).resolve().parent
SOURCES = HERE.parent / "src"

# What is not in the proof, whole types and modules among it: all of it keeps what it makes in memory that grows, and
# memory that cannot be had ends a program.
EXCEPTIONS = [
    "cgi::Answer",
    "client::Connection::begin_with",
    "client::session::Session::begin_with",
    "client::session::Stderr",
    "http",
    "pair::ParamsBuf",
    "server::session::Account",
    "server::session::Batch",
    "server::session::Exchange",
    "server::session::Exchanges",
    "server::session::Name",
    "server::session::Outcome",
    "server::session::WriteError",
    *[
        f"server::session::Session::{name}"
        for name in [
            "account",
            "complete",
            "end_answer",
            "end_exchange",
            "end_into",
            "finish_answer",
            "flush",
            "growing",
            "keep_into",
            "output",
            "output_into",
            "read_from",
            "shrink",
            "take_in",
            "write",
            "write_into",
            "write_stderr",
        ]
    ],
]
# The functions of traits that fcgi-proto implements itself.
TRAITS = {
    "Default": "default",
    "Deref": "deref",
    "Display": "Display",
    "IntoIterator": "into_iter",
    "Iterator": "next",
}


class Crate:
    def __init__(self):
        # What each public module exposes, and functions by the module and the type that they are written for.
        self.exposed, self.functions = {}, []
        self.read(SOURCES / "lib.rs", (), SOURCES, True)

    def read(self, file, module, folder, is_public):
        """Reads a module's file, and those of the modules in it."""
        exposed = self.exposed.setdefault(module, set()) if is_public else set()
        attributes, left_out, block = "", None, None
        lines = iter(file.read_text().splitlines())
        for line in lines:
            text = line.strip()
            indent = line[: len(line) - len(line.lstrip())]
            if left_out is not None:
                left_out = None if line == left_out + "}" else left_out
                continue
            if text.startswith(("//", "#[")) or not text:
                attributes += text if text.startswith("#[") else ""
                continue
            if "doc(hidden)" in attributes:
                pass
            elif "cfg(test)" in attributes:
                left_out = indent if text.endswith("{") else None
            elif made := re.match(r"(pub )?mod (\w+);", line):
                inner = folder / made[2]
                found = inner / "mod.rs" if (inner / "mod.rs").exists() else folder / f"{made[2]}.rs"
                self.read(found, (*module, made[2]), inner, is_public and bool(made[1]))
            elif line.startswith("pub use "):
                while not text.endswith(";"):
                    text += next(lines).strip()
                exposed |= set(re.findall(r"\w+(?=[,;}])", text))
            elif made := re.match(r"pub (?:const )?(?:struct|enum|trait|fn) (\w+)", line):
                exposed.add(made[1])
                if " fn " in line:
                    self.functions.append((module, made[1], None))
                block = (indent, made[1], "pub trait") if " trait " in line else block
            elif made := re.match(r"\s*impl(?:<.*?>)? (?:(?:\w+::)*(\w+)(?:<.*>)? for )?&?(?:'\w+ )?(\w+)", line):
                block = (indent, made[2], made[1])
                if made[1] in TRAITS:
                    self.functions.append((module, made[2], TRAITS[made[1]]))
            elif block and (made := re.match(r"\s*(pub )?(?:const )?fn (\w+)", line)):
                if made[1] or block[2] == "pub trait":
                    self.functions.append((module, block[1], made[2]))
            elif block and line == block[0] + "}":
                block = None
            attributes = ""

    def paths(self):
        """The paths of all public functions."""
        for module, item, function in self.functions:
            homes = [module[:count] for count in range(len(module), -1, -1)]
            home = next((home for home in homes if item in self.exposed.get(home, ())), None)
            if home is not None:
                yield "::".join((*home, item, *([function] if function else [])))


proof = "".join(file.read_text() for file in sorted((HERE / "src").glob("*.rs")))
proof = re.sub(r"//.*", "", proof)
# Without the arguments of generics, and `<&Type>::function` as `Type::function`.
plain = re.sub(r"<&([\w:]+)>::", r"\1::", re.sub(r"(?:::|(?<=\w))<[^<>]*>", "", proof))
called = set(re.findall(r"\w+(?:::\w+)+", plain))
called |= {f"{path}::Display" for path in re.findall(r"text::<([\w:]+)[<>]", proof)}
public = set(Crate().paths())
excepted = {name: {path for path in public if f"{path}::".startswith(f"{name}::")} for name in EXCEPTIONS}
missing = public.difference(called, *excepted.values())
unused = [name for name, paths in excepted.items() if not paths]
for path in sorted(missing):
    print(f"proof: {path} is public and not called")
for name in unused:
    print(f"proof: {name} is an exception and not public")
assert len(public) > 100, f"{len(public)} functions found"
sys.exit(bool(missing or unused))
