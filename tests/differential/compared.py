"""All cases compared, and counted."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from tests.differential import our_side
from tests.differential.adjudication import Difference, Rule, adjudicate, differences, load_rules
from tests.differential.answers import Kept
from tests.differential.generator import COUNT, generated


@dataclass
class Report:
    rules: list[Rule]
    statuses: Counter[str] = field(default_factory=Counter)
    agree: int = 0
    decided: Counter[str] = field(default_factory=Counter)
    undecided: list[tuple[int, Difference]] = field(default_factory=list)

    @property
    def unused(self) -> list[str]:
        return [rule.id for rule in self.rules if rule.id not in self.decided]

    def table(self) -> str:
        ends = ", ".join(f"{count} {status.lower()}" for status, count in self.statuses.most_common())
        count = self.statuses.total()
        lines = [f"{count} cases ({ends} here): {self.agree} agree, {count - self.agree} differ"]
        right = {rule.id: rule.right for rule in self.rules}
        lines += [f"{count:5}  {right[id]:7}  {id}" for id, count in self.decided.most_common()]
        return "\n".join([*lines, f"{len(self.undecided):5}  undecided"])


def compare_all(kept: Kept, *, count: int = COUNT) -> Report:
    """Compare the first `count` cases."""
    report = Report(load_rules())
    for case in generated(count=count):
        ours, moto = our_side.answer(case), kept.of(case)
        report.statuses[ours.status] += 1
        found = differences(case.definition, ours, moto)
        report.agree += not found
        for difference in found:
            rule = adjudicate(difference, report.rules)
            if rule is None:
                report.undecided.append((case.number, difference))
            else:
                report.decided[rule.id] += 1
    return report
