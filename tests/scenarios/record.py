"""Writes the histories of scenarios: `python -m tests.scenarios.record [FILE …]`. Read what it changed.

A scenario whose end is not the one it says is named and left out: its history would be that of a fault.
"""

from __future__ import annotations

import sys

import yaml

from tests.scenarios.scenario import FOLDER, definition_of, load_tables
from tests.scenarios.world import World, compact, orders


def main() -> int:
    wrong = 0
    for stem, table in load_tables():
        if sys.argv[1:] and stem not in sys.argv[1:]:
            continue
        histories: dict[str, list[str]] = {}
        for scenario in table.scenarios:
            expected = {
                "status": scenario.status,
                "output": scenario.output,
                "error": scenario.error,
                "cause": scenario.cause,
            }
            try:
                world = World(scenario, definition_of(table, scenario)).run(orders(scenario)[0])
            except Exception as fault:
                print(f"{stem}: {scenario.name}: {type(fault).__name__} {str(fault)[:600]}", file=sys.stderr)
                wrong += 1
                continue
            if world.answer() != expected:
                print(f"{stem}: {scenario.name}: {str(world.answer())[:600]}", file=sys.stderr)
                wrong += 1
                continue
            histories[scenario.name] = compact(world.commands)
        text = yaml.safe_dump(histories, width=116, sort_keys=False, allow_unicode=True)
        (FOLDER / "histories" / f"{stem}.yaml").write_text(text)
        print(f"{stem}: {len(histories)}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
