"""Where Structs and records differ: all else the generator takes from the schema, name by name."""

from __future__ import annotations

from typing import TypeAlias

Place: TypeAlias = tuple[str, str]
"""A record and a Struct's attribute in it."""

# (record, field of the schema): the Struct's attribute.
ATTRIBUTES: dict[tuple[str, str], str] = {("EventBatch", "cause"): "caused_by"}

# When an optional payload is there, v being the Struct; elsewhere: when it is not None. JSON's null is a value, Avro's
# means absent. A flag `has_…` is set when the payload is read.
PRESENCE: dict[Place, str] = {
    ("StateExited", "output"): 'v.output_of == "VALUE"',
    ("ParallelStarted", "input"): "v.has_input",
    ("MapIterationStarted", "input"): "v.has_input",
    ("MapIterationSucceeded", "output"): "v.has_output",
    ("MapSucceeded", "output"): "v.has_output",
    ("Reply", "output"): 'v.status == "SUCCEEDED"',
}

# Names of states: written from a table. Few strings are as frequent, none as often the same.
NAMES: frozenset[Place] = frozenset({("Event", "state"), ("StateExited", "next")})
