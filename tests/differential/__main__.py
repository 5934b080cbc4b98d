"""Run every generated definition by both interpreters: python -m tests.differential (make differential)

Asks moto anew and keeps its answers, then prints how many cases agree, and of the others how many each rule decides;
differences without a rule are told in full, and are what it fails with.
"""

from __future__ import annotations

import sys

from tests.differential import moto_side
from tests.differential.answers import load, store
from tests.differential.compared import compare_all
from tests.differential.generator import generated


def main() -> int:
    if "--kept" not in sys.argv:
        store(moto_side.VERSION, [(case, moto_side.answer(case.definition, case.input)) for case in generated()])
    report = compare_all(load())
    print(report.table())
    for number, difference in report.undecided:
        print(number, difference.told()[:1_500])
    return 1 if report.undecided else 0


if __name__ == "__main__":
    sys.exit(main())
