"""A Kafka cluster of Java processes on this machine: KRaft, combined roles, free ports on 127.0.0.1."""

import base64
import contextlib
import ctypes
import os
import signal
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from tests.broker.jars import find_java, load_jars

STARTS_WITHIN_SECONDS = 60.0
LOG_TAIL_LINES = 15
LOGGING = (
    "-Dorg.slf4j.simpleLogger.showDateTime=true",
    "-Dorg.slf4j.simpleLogger.dateTimeFormat=HH:mm:ss.SSS",
    "-Dorg.slf4j.simpleLogger.showShortLogName=true",
)


class KafkaDidNotStart(Exception):
    """A broker ended, or did not answer in time; carries the end of its log."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Broker:
    """A Kafka to talk to. `pids` and `folder` are known only where this process started it."""

    bootstrap_servers: str
    origin: str
    pids: tuple[int, ...] = ()
    folder: Path | None = None
    cluster: "Cluster | None" = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Node:
    number: int
    port: int
    controller_port: int
    inner_port: int
    outer_port: int
    folder: Path

    @property
    def log(self) -> Path:
        return self.folder / "broker.log"

    @property
    def properties(self) -> Path:
        return self.folder / "server.properties"


class Cluster:
    """The processes of a cluster: any may be killed, and started again where it was. A context manager."""

    def __init__(self, nodes: list[_Node], command: list[str]) -> None:
        self._command, self._nodes = command, {node.number: node for node in nodes}
        self._running: dict[int, tuple[subprocess.Popen[bytes], contextlib.ExitStack]] = {}

    def __enter__(self) -> "Cluster":
        for number in self._nodes:
            self.start(number)
        return self

    def __exit__(self, *_: object) -> None:
        for number in list(self._running):
            self.kill(number)

    @property
    def numbers(self) -> tuple[int, ...]:
        return tuple(self._nodes)

    @property
    def processes(self) -> list[tuple[_Node, "subprocess.Popen[bytes]"]]:
        return [(self._nodes[number], process) for number, (process, _) in self._running.items()]

    @property
    def proxied_ports(self) -> dict[int, tuple[int, int]]:
        """By number: `{inner_port}` and `{outer_port}`, for a listener of `extra` and what is to stand before it."""
        return {node.number: (node.inner_port, node.outer_port) for node in self._nodes.values()}

    def start(self, number: int) -> None:
        node, running = self._nodes[number], contextlib.ExitStack()
        self._running[number] = (
            running.enter_context(_run([*self._command, str(node.properties)], log=node.log)),
            running,
        )

    def kill(self, number: int) -> None:
        """SIGKILL it."""
        self._running.pop(number)[1].close()


@contextlib.contextmanager
def start_kafka(
    folder: Path, *, brokers: int = 1, extra: Mapping[str, str] | None = None, heap: str = "768m"
) -> Iterator[Broker]:
    """Run a cluster while the context lasts; its data and logs go to `folder` and stay there.

    `extra` are server properties that override or add to ours (`{node}`, `{port}`, `{controller_port}`, and two more
    free ones, `{inner_port}` and `{outer_port}`, are filled in). Listeners named by `extra` must keep PLAINTEXT among
    them, which is what `bootstrap_servers` names.
    Answers after about 4 s. Raises NoKafka (Java or jars missing), KafkaDidNotStart.
    """
    java, jars = find_java(), load_jars()
    nodes = _make_nodes(folder, brokers)
    # Kafka's own text form of a uuid.
    cluster_id = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
    classpath = ["-cp", f"{jars}/*"]
    for node in nodes:
        node.properties.write_text(_render_properties(node, nodes, extra or {}))
        # The first compiler only: formatting is all start-up, 0.57 s instead of 0.70 s.
        format_storage = [java, "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", *classpath, "kafka.tools.StorageTool"]
        with node.log.open("ab") as log:
            done = subprocess.run(
                # With =: one in 64 ids begins with a dash.
                [*format_storage, "format", f"--cluster-id={cluster_id}", "-c", str(node.properties)],
                stdout=log,
                stderr=subprocess.STDOUT,
                check=False,
            )
        if done.returncode != 0:
            raise KafkaDidNotStart(_render_failure("formatting its storage failed", node))
    with Cluster(nodes, [java, f"-Xmx{heap}", "-XX:+UseSerialGC", *LOGGING, *classpath, "kafka.Kafka"]) as cluster:
        bootstrap = ",".join(f"127.0.0.1:{node.port}" for node in nodes)
        _wait_until_it_answers(bootstrap, cluster.processes)
        yield Broker(
            bootstrap_servers=bootstrap,
            origin=f"Java, {brokers} broker{'s' if brokers > 1 else ''}",
            pids=tuple(process.pid for _, process in cluster.processes),
            folder=folder,
            cluster=cluster,
        )


def _make_nodes(folder: Path, brokers: int) -> list[_Node]:
    # All sockets are held until the last port is known, so that no port is given twice.
    with contextlib.ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(4 * brokers)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        ports = [one.getsockname()[1] for one in sockets]
    nodes = [
        _Node(
            number=n + 1,
            port=ports[4 * n],
            controller_port=ports[4 * n + 1],
            inner_port=ports[4 * n + 2],
            outer_port=ports[4 * n + 3],
            folder=folder / f"broker-{n + 1}",
        )
        for n in range(brokers)
    ]
    for node in nodes:
        node.folder.mkdir(parents=True)
    return nodes


def _render_properties(node: _Node, nodes: list[_Node], extra: Mapping[str, str]) -> str:
    replicas = str(len(nodes))
    in_sync = str(max(1, len(nodes) - 1))
    properties = {
        "process.roles": "broker,controller",
        "node.id": "{node}",
        "controller.quorum.voters": ",".join(f"{n.number}@127.0.0.1:{n.controller_port}" for n in nodes),
        "controller.listener.names": "CONTROLLER",
        "inter.broker.listener.name": "PLAINTEXT",
        "listeners": "PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller_port}",
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "log.dirs": str(node.folder / "data"),
        # A mistyped topic is an error, not a new topic.
        "auto.create.topics.enable": "false",
        "default.replication.factor": replicas,
        "min.insync.replicas": in_sync,
        # Rejoins are what many tests wait for; a production default of 3 s each would be most of their time.
        "group.initial.rebalance.delay.ms": "0",
        # The cleaner of a test broker has little to clean and is waited for.
        "log.cleaner.backoff.ms": "500",
        "log.cleaner.dedupe.buffer.size": "16777216",
    }
    for internal in ("offsets.topic", "transaction.state.log", "share.coordinator.state.topic"):
        properties[f"{internal}.replication.factor"] = replicas
        properties[f"{internal}.num.partitions"] = "4"
    for internal in ("transaction.state.log", "share.coordinator.state.topic"):
        properties[f"{internal}.min.isr"] = in_sync
    properties |= extra
    numbers = {
        "node": node.number,
        "port": node.port,
        "controller_port": node.controller_port,
        "inner_port": node.inner_port,
        "outer_port": node.outer_port,
    }
    values = {placeholder: str(number) for placeholder, number in numbers.items()}
    lines = []
    for name, value in properties.items():
        filled = value
        for placeholder, content in values.items():
            filled = filled.replace(f"{{{placeholder}}}", content)
        lines.append(f"{name}={filled}\n")
    return "".join(lines)


@contextlib.contextmanager
def _run(command: list[str], *, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run a process in a group of its own while the context lasts."""
    with log.open("ab") as output:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=log.parent,
            start_new_session=True,
            # Safe beside threads: what it calls was loaded before the fork and takes no lock.
            preexec_fn=_die_with_parent if sys.platform == "linux" else None,  # noqa: PLW1509
        )
    try:
        yield process
    finally:
        # Outright: nothing reads the data again, and of a cluster the last to be asked kindly has no quorum left
        # to sign off at (20 s).
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


_prctl = ctypes.CDLL(None).prctl if sys.platform == "linux" else None
_PR_SET_PDEATHSIG = 1


def _die_with_parent() -> None:
    # A test run that is killed outright runs no `finally`; the broker must not outlive it.
    if _prctl is not None:
        _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _wait_until_it_answers(bootstrap: str, running: list[tuple[_Node, subprocess.Popen[bytes]]]) -> None:
    deadline = time.monotonic() + STARTS_WITHIN_SECONDS
    # Without this the client reports each refused connection on stderr.
    client = AdminClient({"bootstrap.servers": bootstrap, "log_level": 0, "reconnect.backoff.max.ms": 200})
    answering = 0
    while answering < len(running):
        for node, process in running:
            if process.poll() is not None:
                raise KafkaDidNotStart(_render_failure(f"it ended with exit code {process.returncode}", node))
        if time.monotonic() > deadline:
            raise KafkaDidNotStart(_render_failure(f"no answer within {STARTS_WITHIN_SECONDS:.0f} s", running[0][0]))
        with contextlib.suppress(KafkaException):
            answering = len(client.list_topics(timeout=0.5).brokers)


def _render_failure(why: str, node: _Node) -> str:
    tail = node.log.read_text(errors="replace").splitlines()[-LOG_TAIL_LINES:]
    return "\n".join([f"Kafka did not start: {why}. The end of {node.log}:", *tail])
