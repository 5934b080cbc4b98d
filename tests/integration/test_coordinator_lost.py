"""The group's coordinator dies while it is asked for the group's members, and comes back (docs/decisions/0039)."""

import subprocess
import sys
from pathlib import Path
from typing import IO, cast

import pytest

from tests.broker import OrSkipped, start_kafka

pytestmark = pytest.mark.kafka

ASKED_AT_MOST = 60


@pytest.mark.timeout(180)
def test_who_asks_for_members_outlives_their_coordinators_death_and_is_answered_after_it(
    or_skipped: OrSkipped, tmp_path: Path
) -> None:
    with or_skipped(), start_kafka(tmp_path) as broker:
        command = [sys.executable, "-m", "tests.integration.asking_members", broker.bootstrap_servers, "g"]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1) as asking:
            questions, answers = cast(IO[str], asking.stdin), cast(IO[str], asking.stdout)

            def ask() -> str:
                questions.write("\n")
                return answers.readline().strip()

            def ask_until_answered() -> None:
                assert any(ask() == "answered" for _ in range(ASKED_AT_MOST)), asking.poll()

            ask_until_answered()  # now it knows the coordinator
            assert broker.cluster is not None
            (number,) = broker.cluster.numbers
            broker.cluster.kill(number)
            while_away = [ask(), ask()]
            broker.cluster.start(number)
            ask_until_answered()
            questions.close()

    # Which of them comes depends on how far the client is with the end of its connection.
    assert set(while_away) <= {"_TIMED_OUT", "_TRANSPORT", "_DESTROY_BROKER"}
    assert asking.returncode == 0
