#!/usr/bin/env python3
"""Makes schema.txt: which field of which Kubernetes message has which number, JSON name and type.

    schema.py APIMACHINERY API [OLDER_API...] > schema.txt

Each argument is a checkout of k8s.io/apimachinery or k8s.io/api at a release. Numbers and types are read from
generated.proto, JSON names and what is left out when empty from the struct tags of the Go types, as Kubernetes' JSON
follows these. Messages and fields that the first API no longer has are taken from the older ones: their numbers are never
used again. Needs nothing but Python.
"""

import re
import sys
from pathlib import Path

MESSAGE = re.compile(r"^message (\w+) \{(.*?)^\}", re.S | re.M)
FIELD = re.compile(r"^\s*(?:(optional|required|repeated) ([\w.]+)|map<(\w+), ([\w.]+)>) (\w+) = (\d+);", re.M)
STRUCT = re.compile(r"^type (\w+) struct \{(.*?)^\}", re.S | re.M)
SLICE = re.compile(r"^type (\w+) \[\]", re.M)
TAGGED = re.compile(r"^\s*(?:\w+\s+)?(\S+)\s+`([^`]*)`", re.M)
GROUP = re.compile(r'const GroupName = "([^"]*)"')
SCALARS = {"string": "s", "bool": "b", "int32": "i", "int64": "i", "uint32": "i", "uint64": "i", "double": "f", "bytes": "y"}
# what is no plain message in JSON
SPECIAL = {
    "meta/v1.Time": "time", "meta/v1.MicroTime": "microtime", "meta/v1.Duration": "duration",
    "meta/v1.FieldsV1": "rawjson", "runtime.RawExtension": "rawjson", "api/resource.Quantity": "unwrap",
    "util/intstr.IntOrString": "intorstring",
}


def short(name):
    """`k8s.io.api.core.v1.Pod` is `core/v1.Pod`."""
    for head in ("k8s.io.apimachinery.pkg.apis.", "k8s.io.apimachinery.pkg.", "k8s.io.api."):
        name = name.removeprefix(head)
    package, _, message = name.rpartition(".")
    return package.replace(".", "/") + "." + message


def without_comments(text):
    return re.sub(r"//[^\n]*", "", text)


def read(root):
    messages, groups = {}, {}
    for proto in sorted(root.rglob("generated.proto")):
        text = without_comments(proto.read_text())
        package = re.search(r"^package ([\w.]+);", text, re.M)[1]
        go = "".join(without_comments(path.read_text()) for path in sorted(proto.parent.glob("*.go"))
                     if not path.name.endswith(("_test.go", ".pb.go", "generated.deepcopy.go")))
        if group := GROUP.search(go):
            groups[short(package + ".X").removesuffix(".X")] = group[1]
        structs, slices = dict(STRUCT.findall(go)), set(SLICE.findall(go))
        for name, body in MESSAGE.findall(text):
            tags = {}
            for go_type, tag in TAGGED.findall(structs.get(name, "")):
                number = re.search(r'protobuf:"\w+,(\d+)', tag)
                json = re.search(r'json:"([^"]*)"', tag)
                if number and json:
                    tags[int(number[1])] = (go_type, json[1].split(","))
            fields = {}
            for label, plain, _, mapped, field, number in FIELD.findall(body):
                kind = plain or mapped
                if kind not in SCALARS:
                    kind = short(kind.lstrip(".") if "." in kind else f"{package}.{kind}")
                go_type, json = tags.get(int(number), ("*", [field, "omitempty"]))
                flags = "m" if mapped else "r" if label == "repeated" else "p" if go_type.startswith("*") else ""
                flags += "".join(letter for letter, option in (("o", "omitempty"), ("z", "omitzero"), ("n", "inline")) if option in json[1:])
                fields[int(number)] = (json[0] or field, SCALARS.get(kind, kind), flags)
            # a Go slice with a name of its own, which protobuf can't leave out: in JSON the list alone
            wrapper = name in slices and list(fields) == [1] and fields[1][0] == "items"
            messages[short(f"{package}.{name}")] = ("unwrap" if wrapper else None, fields)
    return messages, groups


machinery, *apis = [read(Path(root)) for root in sys.argv[1:]]
messages, groups = machinery
for more, more_groups in apis:
    groups = more_groups | groups
    for name, (wrapper, fields) in more.items():
        known = messages.setdefault(name, (wrapper, {}))
        for number, field in fields.items():
            known[1].setdefault(number, field)

# what objects can hold, from those that have metadata down
used, todo = set(), [name for name, (_, fields) in messages.items() if fields.get(1, ("",) * 3)[1] == "meta/v1.ObjectMeta"]
roots = set(todo)
while todo:
    name = todo.pop()
    if name not in used:
        used.add(name)
        if name not in SPECIAL or SPECIAL[name] == "unwrap":
            todo += [kind for _, kind, _ in messages[name][1].values() if "." in kind]

for package, group in sorted(groups.items()):
    if any(name.startswith(package + ".") for name in roots):
        print(f"package {package} {group}".rstrip())
for name in sorted(used):
    wrapper, fields = messages[name]
    print(f"message {name} {SPECIAL.get(name) or wrapper or ''}".rstrip())
    if name not in SPECIAL or SPECIAL[name] == "unwrap":
        for number, (json, kind, flags) in sorted(fields.items()):
            print(f"{number} {json} {kind} {flags}".rstrip())
