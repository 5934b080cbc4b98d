"""Makes Python source out of an Avro schema: for each record a writer and a reader, compiled once.

Interpreting the schema for every value is what makes a general Avro library slow; here that is done beforehand, and
what is left is straight code that looks like this:

    def write_WaitStarted(v):
        return b"".join((<scope>, <state>, b"\\x1a", write_long(v.due)))

    def read_WaitStarted(b, p, f_execution_id, …):
        n = b[p]
        if n < 128: f_due = n >> 1 ^ -(n & 1); p += 1
        else: f_due, p = read_long(b, p)
        return WaitStarted(execution_id=f_execution_id, …, due=f_due), p

Two shapes of record are told apart. A *plain* one stands for the Struct of its name. An *envelope* ends in a union of
records (`Command`), or in an array of envelopes (`EventBatch`): its fields belong to each Struct within.

Readers are made from the *writer's* schema and build today's Structs: a field that the writer did not know keeps the
Struct's default. The versioning rules (schemas/README.md) leave nothing else to resolve. Writers of an earlier schema
refuse a Struct in which such a field says something: Lacking.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import count
from typing import cast

from msgspec import Struct, structs

from processor.engine.encoding import wire
from processor.engine.encoding.differences import ATTRIBUTES, NAMES, PRESENCE, Place
from processor.engine.encoding.schemas import Record, SchemaTree
from processor.model.json import parse_json

Lines = Iterator[str]


def compile_codec(root: Record, structs_by_name: Mapping[str, type[Struct]]) -> dict[str, Callable[..., object]]:
    """Return `write_<record>` and `read_<record>` for every record in `root`, and of an envelope of an array
    `skim_<record>`, which reads what stands before the items, and how many the first block has."""
    generator = _Generator(structs_by_name)
    generator.add_record(root, envelope=())
    source = "\n".join(generator.source)
    namespace: dict[str, object] = generator.constants
    exec(compile(source, f"<codec of {root['name']}>", "exec"), namespace)
    namespace["source"] = source  # for whoever debugs
    return cast("dict[str, Callable[..., object]]", namespace)


class _Generator:
    def __init__(self, structs_by_name: Mapping[str, type[Struct]]) -> None:
        self._structs = structs_by_name
        self._named: dict[str, Record] = {}
        self._numbers = count()
        self.source: list[str] = []
        self.constants: dict[str, object] = {name: value for name, value in vars(wire).items() if name[0] != "_"}
        self.constants.update(structs_by_name, parse_json=parse_json)

    def add_record(self, record: Record, *, envelope: Sequence[str], before: Sequence[str] = ()) -> None:
        """Define the record's two functions. `envelope`: the attributes that the records around it give to the reader;
        `before`: the expressions of what stands before it in its envelope, which its own writer writes too, for a
        call less per event."""
        name = cast(str, record["name"])
        self._named[name] = record
        fields = cast("list[Record]", record["fields"])
        own = [ATTRIBUTES.get((name, cast(str, field["name"])), cast(str, field["name"])) for field in fields]
        parts = list(before)
        reading: list[str] = []
        inner: str | None = None
        given = (*envelope, *own[:-1])
        for attribute, field in zip(own, fields, strict=True):
            branches, item = _records_in_union(field["type"]), _envelope_in_array(field["type"])
            if (branches or item) and attribute != own[-1]:
                raise TypeError(f"{name}: {own[-1]} must stand before {attribute}, whose envelope it is part of")
            if branches:
                inner = self._add_union(name, branches, envelope=given, before=parts)
                parts = [f"{inner}_writers[type(v)](v)"]
                reading += [*_read_branch(inner, len(branches)), f"return {inner}_readers[n >> 1](b, p{_pass(given)})"]
            elif item:
                # Its writer is the caller's: that is where records are closed at their size.
                self.add_record(item, envelope=given)
                inner = cast(str, item["name"])
                self._define(f"skim_{name}(b, p)", [*reading, *_COUNT, f"return ({_pass(given)[2:]}, count)"])
                reading += [*_read_numbered(f"read_{inner}(b, p{_pass(given)})")]
            else:
                place = (name, attribute)
                parts.append(self._write(field["type"], f"v.{attribute}", place))
                reading += self._read(field["type"], f"f_{attribute}", place)
        refusing: list[str] = []
        if inner is None:
            reading.append(f"return {self._construct(name, (*envelope, *own))}, p")
            refusing = [*self._refuse_unknown(name, (*envelope, *own))]
        self._define(f"write_{name}(v)", [*refusing, f"return {_join(parts)}"])
        self._define(f"read_{name}(b, p{_pass(envelope)})", reading)

    def _define(self, head: str, body: list[str]) -> None:
        self.source += [f"def {head}:", *("    " + line for line in body)]

    def _add_union(self, name: str, branches: list[Record], *, envelope: Sequence[str], before: Sequence[str]) -> str:
        for number, branch in enumerate(branches):
            self.add_record(branch, envelope=envelope, before=[*before, repr(wire.write_long(number))])
        names = [cast(str, branch["name"]) for branch in branches]
        self.source.append(f"{name}_writers = {{{', '.join(f'{n}: write_{n}' for n in names)}}}")
        self.source.append(f"{name}_readers = ({', '.join(f'read_{n}' for n in names)},)")
        return name

    def _construct(self, name: str, attributes: Sequence[str]) -> str:
        """The call of the Struct's class. The flags of PRESENCE are set where their payload is read."""
        known = {field.name: field for field in structs.fields(self._structs[name])}
        flags = [f"has_{a}" for a in attributes if f"has_{a}" in known]
        passed = [*attributes, *flags]
        missing = [field.name for field in known.values() if field.required and field.name not in passed]
        if missing or not known.keys() >= set(passed):
            raise TypeError(f"{name}: schema gives {sorted(passed)}, Struct has {sorted(known)} and needs {missing}")
        return f"{name}({', '.join(f'{a}=f_{a}' for a in passed)})"

    def _refuse_unknown(self, name: str, attributes: Sequence[str]) -> Lines:
        """Nothing is left out in the writing: what the schema does not know must be as it was before, the default."""
        for field in structs.fields(self._structs[name]):
            if field.name not in attributes and not _is_flag(field.name, attributes):
                default = self._constant(field.default)
                yield f"if v.{field.name} != {default}: raise Lacking({f'{name}.{field.name}'!r})"

    # ---- write: an expression per type

    def _write(self, schema: SchemaTree, value: str, place: Place) -> str:
        match self._resolve(schema):
            case ["null", inner]:
                test = PRESENCE.get(place, f"(x := {value}) is not None")
                inner_value = value if place in PRESENCE else "x"
                return f'(b"\\x02" + {self._write(inner, inner_value, place)} if {test} else b"\\x00")'
            case {"type": "string", "contentType": "application/json"}:
                return f"write_json({value})"
            case {"type": "string"}:
                return f"names[{value}]" if place in NAMES else f"write_string({value})"
            case {"type": "bytes"}:
                return f"write_bytes({value})"
            case {"type": "boolean"}:
                return f'(b"\\x01" if {value} else b"\\x00")'
            case {"type": "int" | "long" | "double" as primitive}:
                return f"write_{primitive}({value})"
            case {"type": "fixed", "size": size}:
                return f"write_fixed({value}, {size})"
            case {"type": "enum", "symbols": list() as symbols}:
                numbers = {symbol: wire.write_long(number) for number, symbol in enumerate(cast("list[str]", symbols))}
                return f"{self._constant(numbers)}[{value}]"
            case {"type": "array", "items": inner}:
                return f'(write_array({value}, {self._writer(inner, place)}) if {value} else b"\\x00")'
            case {"type": "map", "values": inner}:
                return f"write_map({value}, {self._writer(inner, place)})"
            case {"type": "record", "name": name}:
                return f"write_{name}({value})"
            case other:
                raise TypeError(f"no rule for {other}")

    def _writer(self, schema: SchemaTree, place: Place) -> str:
        expression = self._write(schema, "x", place)
        return expression[:-3] if expression.endswith("(x)") and expression[0] != "(" else f"lambda x: {expression}"

    # ---- read: lines per type. b is the buffer, p the position, n and e scratch.
    #
    # A slice past the end is shorter than asked for and raises nothing. It needs no test of its own: p is then beyond
    # the buffer for good, so the next b[p] raises IndexError or the caller finds p != len(b).

    def _read(self, schema: SchemaTree, target: str, place: Place) -> Lines:
        where = ".".join(place)
        match self._resolve(schema):
            case ["null", inner]:
                test = PRESENCE.get(place, "")
                flag = f"f_{test[2:]} = " if test.startswith("v.has_") else ""
                yield "n = b[p]; p += 1"
                yield f"if n == 0: {target} = None" + (f"; {flag}False" if flag else "")
                yield "elif n == 2:"
                yield from _indent([*self._read(inner, target, place), *([f"{flag}True"] if flag else [])])
                yield from ("else:", f"    raise Malformed({f'{where}: no branch of that number'!r})")
            case {"type": "string", "contentType": "application/json"}:
                yield from (*_READ_SLICE, f"{target} = parse_json(b[p:e], what={where!r}); p = e")
            case {"type": "string"}:
                yield from (*_READ_SLICE, f"{target} = b[p:e].decode(); p = e")
            case {"type": "bytes"}:
                yield from (*_READ_SLICE, f"{target} = b[p:e]; p = e")
            case {"type": "boolean"}:
                yield f"{target} = {self._constant({0: False, 1: True})}[b[p]]; p += 1"
            case {"type": "int" | "long" as primitive}:
                yield from ("n = b[p]", f"if n < 128: {target} = n >> 1 ^ -(n & 1); p += 1")
                yield f"else: {target}, p = read_{primitive}(b, p)"
            case {"type": "double"}:
                yield f"{target}, = read_double(b, p); p += 8"
            case {"type": "fixed", "size": size}:
                yield f"e = p + {size}; {target} = b[p:e]; p = e"
            case {"type": "enum", "symbols": list() as symbols}:
                yield f"{target} = {self._constant({2 * n: symbol for n, symbol in enumerate(symbols)})}[b[p]]; p += 1"
            case {"type": "array", "items": inner}:
                yield f"{target} = []"
                yield from _blocks([*self._read(inner, "item", place), f"{target}.append(item)"])
                yield f"{target} = tuple({target})"
            case {"type": "map", "values": inner}:
                yield f"{target} = {{}}"
                key = self._read("string", "key", place)
                yield from _blocks([*key, *self._read(inner, "item", place), f"{target}[key] = item"])
            case {"type": "record", "name": name}:
                yield f"{target}, p = read_{name}(b, p)"
            case other:  # pragma: no cover — the writer, made first, has no rule for it either
                raise TypeError(f"no rule for {other}")

    def _resolve(self, schema: SchemaTree) -> SchemaTree:
        """Return the type as an object, or a union; a record met for the first time gets its functions."""
        if isinstance(schema, str):
            return self._named.get(schema, {"type": schema})
        if isinstance(schema, dict) and isinstance(name := schema.get("name"), str) and name not in self._named:
            self._named[name] = schema
            if schema["type"] == "record":
                self.add_record(schema, envelope=())
        return schema

    def _constant(self, value: object) -> str:
        name = f"_constant_{next(self._numbers)}"
        self.constants[name] = value
        return name


_COUNT = ("if b[p] == 0: count = 0; p += 1", "else: count, p = read_count(b, p)")
_READ_SLICE = ("n = b[p]", "if n & 129: n, p = read_length(b, p)", "else: n >>= 1; p += 1", "e = p + n")
"""129: the low bit says negative, the high bit that more bytes follow; neither is the usual case."""


def _is_flag(name: str, attributes: Sequence[str]) -> bool:
    return name.startswith("has_") and name.removeprefix("has_") in attributes


def _read_branch(name: str, number: int) -> Lines:
    yield from ("n = b[p]; p += 1", f"if n & 1 or n >= {2 * number}:")
    yield f"    raise Malformed('{name}: no branch of that number')"


def _read_numbered(read: str) -> Lines:
    """The events of a batch: the first has the batch's sequence, each further one the next."""
    yield "events = []"
    yield from _blocks([f"item, p = {read}", "events.append(item)", "f_sequence += 1"])
    yield "return tuple(events), p"


def _blocks(body: Sequence[str]) -> Lines:
    """Arrays and maps: blocks of counted items, a count of 0 ends them."""
    yield from (*_COUNT, "while count:")
    yield from _indent(["for _ in range(count):", *_indent(body), "count, p = read_count(b, p)"])


def _indent(lines: Sequence[str]) -> Lines:
    return ("    " + line for line in lines)


def _pass(attributes: Sequence[str]) -> str:
    return "".join(f", f_{attribute}" for attribute in attributes)


def _join(parts: Sequence[str]) -> str:
    # A join's tuple and call cost more than two additions.
    return " + ".join(parts) or 'b""' if len(parts) <= 3 else f'b"".join(({", ".join(parts)}))'


def _records_in_union(schema: SchemaTree) -> list[Record] | None:
    return cast("list[Record]", schema) if isinstance(schema, list) and "null" not in schema else None


def _envelope_in_array(schema: SchemaTree) -> Record | None:
    item = schema.get("items") if isinstance(schema, dict) else None
    return item if isinstance(item, dict) and item["type"] == "record" else None
