"""What every test may ask for: `kafka`, a real broker started once per run, and `topic_prefix`, names of its own."""

import contextlib
import re
import secrets
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from tests.broker import Broker, NoKafka, OrSkipped, find_kafka
from tests.properties.budget import ELSEWHERE

settings.load_profile(ELSEWHERE)

MISSING = pytest.StashKey[str]()
LOG_FOLDER = pytest.StashKey[Path]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--require-kafka",
        action="store_true",
        help="tests that need a Kafka fail, rather than skip, where none can be had",
    )


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Whatever uses the broker is an integration test; nobody has to remember the marker."""
    for item in items:
        if "kafka" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.kafka)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Give every test skipped for want of a Kafka one location: the summary folds them into one line."""
    report = yield
    missing = item.config.stash.get(MISSING, None)
    if missing is not None and report.skipped and isinstance(report.longrepr, tuple) and missing in report.longrepr[2]:
        report.longrepr = ("integration tests", 0, missing)
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    folder = config.stash.get(LOG_FOLDER, None)
    if folder is not None and folder.exists():
        terminalreporter.write_line(f"The broker's log is kept in {folder}")


@pytest.fixture(scope="session")
def kafka(request: pytest.FixtureRequest) -> Iterator[Broker]:
    """A real Apache Kafka, shared by the run: name topics, groups and transactional ids after `topic_prefix`."""
    with contextlib.ExitStack() as running:
        try:
            broker = running.enter_context(find_kafka(keep_log=lambda: request.session.testsfailed > 0))
        except NoKafka as missing:
            reason = str(missing)
        else:
            if broker.folder is not None:
                request.config.stash[LOG_FOLDER] = broker.folder
            yield broker
            return
    if request.config.getoption("--require-kafka"):
        pytest.fail(reason, pytrace=False)
    request.config.stash[MISSING] = reason
    pytest.skip(reason)


@pytest.fixture(scope="session")
def or_skipped(request: pytest.FixtureRequest) -> OrSkipped:
    """For tests with a Kafka of their own: around what needs it, skips or fails like `kafka` where none can be had."""

    @contextlib.contextmanager
    def skipping() -> Iterator[None]:
        try:
            yield
        except NoKafka as missing:
            if request.config.getoption("--require-kafka"):
                pytest.fail(str(missing), pytrace=False)
            pytest.skip(str(missing))

    return skipping


@pytest.fixture
def topic_prefix(request: pytest.FixtureRequest) -> str:
    """A prefix no other test, nor an earlier run on the same broker, has used: `history-is-contiguous-5f0c.`."""
    name = re.sub(r"[^a-zA-Z0-9]+", "-", request.node.name.removeprefix("test_")).strip("-")
    return f"{name[:60]}-{secrets.token_hex(4)}."
