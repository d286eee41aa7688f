"""A Kafka cluster of one or three nodes on loopback: `with Rig() as rig: rig.bootstrap`.

`python -m deploy.kafka.rig` (or `make kafka`) keeps one running until Ctrl-C.
"""

import argparse
import contextlib
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import FrameType, TracebackType
from typing import Final, Self

from deploy.kafka.jars import Kafka, KafkaUnusable, find_kafka, locked
from deploy.kafka.node import Node
from deploy.kafka.storage import new_uuid

# Quick to start and small; a benchmark gives options of its own.
SMALL: Final = ("-Xms64m", "-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")
_STARTS_MAX: Final = 3
_SIGNS_OF_STRANGERS: Final = ("BindException", "OutOfMemoryError", "InvalidReceiveException")

_SETTINGS: Final[Mapping[str, str]] = {
    "process.roles": "broker,controller",
    "controller.listener.names": "CONTROLLER",
    "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT",
    # A topic that nobody provisioned is a mistake to be seen.
    "auto.create.topics.enable": "false",
    # 50 partitions each would only cost files and time.
    "offsets.topic.num.partitions": "4",
    "transaction.state.log.num.partitions": "4",
    "share.coordinator.state.topic.num.partitions": "1",
    "group.initial.rebalance.delay.ms": "0",
    "group.min.session.timeout.ms": "1000",
    # 128 MiB by default, more than half of this heap.
    "log.cleaner.dedupe.buffer.size": "4194304",
    # A killed node may come back only once the controller has given it up (9 s by default).
    "broker.heartbeat.interval.ms": "300",
    "broker.session.timeout.ms": "3000",
}


class Rig:
    """`nodes` in a folder of their own (a temporary one, removed at the end, unless given). Three: RF 3, min ISR 2."""

    def __init__(
        self,
        nodes: int = 1,
        *,
        folder: Path | None = None,
        settings: Mapping[str, str] | None = None,
        java_options: Sequence[str] = SMALL,
        kafka: Kafka | None = None,
    ) -> None:
        self._kafka = kafka or find_kafka()
        self._count = nodes
        self._folder = folder
        self._settings = {**_SETTINGS, **_copies(nodes), **(settings or {})}
        self._java_options = (f"-XX:SharedArchiveFile={self._kafka.archive}", *java_options)
        self._made: Path | None = None
        self.nodes: tuple[Node, ...] = ()

    @property
    def bootstrap(self) -> str:
        """host:port,… of all nodes."""
        return ",".join(node.address for node in self.nodes)

    def start(self) -> str:
        """Returns the bootstrap address once every node answers and knows all others. Blocks for seconds."""
        _archive_classes(self._kafka)
        folder = self._folder or self._temporary()
        for started in range(1, _STARTS_MAX + 1):
            try:
                self._start_in(folder)
            except KafkaUnusable as unusable:
                self.kill()
                # A port was free when it was chosen and taken when it was used; or a stranger listens where a node is
                # sought, and his answers ("HTTP" is a length of 1.2 GB) end it. Others may do.
                if not any(sign in str(unusable) for sign in _SIGNS_OF_STRANGERS) or started == _STARTS_MAX:
                    raise
            else:
                break
        return self.bootstrap

    def stop(self) -> None:
        """Ends all nodes in good order; `start` again finds their data, at new ports."""
        for node in self.nodes:
            node.stop()

    def kill(self) -> None:
        """kill -9 for all nodes."""
        for node in self.nodes:
            node.kill()

    def close(self) -> None:
        """Ends everything at once and removes the temporary folder."""
        self.kill()
        if self._made is not None:
            shutil.rmtree(self._made, ignore_errors=True)
            self._made = None

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _start_in(self, folder: Path) -> None:
        numbers = range(1, self._count + 1)
        self.nodes = tuple(
            Node(self._kafka, number, folder / f"node-{number}", self._java_options) for number in numbers
        )
        voters = ",".join(node.voter for node in self.nodes)
        cluster_id = _cluster_id(folder)
        for node in self.nodes:
            node.prepare(cluster_id, {**self._settings, "controller.quorum.voters": voters})
        for node in self.nodes:
            node.spawn()
        for node in self.nodes:
            node.wait(self._count)

    def _temporary(self) -> Path:
        if self._made is None:
            self._made = Path(tempfile.mkdtemp(prefix="accord-kafka-"))
        return self._made


def _copies(nodes: int) -> dict[str, str]:
    """Every topic on as many nodes as there are, up to three, and one of three may be away."""
    copies, in_sync = str(min(nodes, 3)), str(max(min(nodes, 3) - 1, 1))
    return {
        "default.replication.factor": copies,
        "min.insync.replicas": in_sync,
        "offsets.topic.replication.factor": copies,
        "transaction.state.log.replication.factor": copies,
        "transaction.state.log.min.isr": in_sync,
        "share.coordinator.state.topic.replication.factor": copies,
        "share.coordinator.state.topic.min.isr": in_sync,
    }


def _archive_classes(kafka: Kafka) -> None:
    """Runs a broker once per set of jars to record the classes it loads: later starts take two thirds of the CPU."""
    if kafka.archive.exists():
        return
    with locked(kafka.folder), tempfile.TemporaryDirectory(dir=kafka.folder) as folder:
        if kafka.archive.exists():
            return
        recorded = Path(folder, "kafka.jsa")
        node = Node(kafka, 1, Path(folder), (*SMALL, f"-XX:ArchiveClassesAtExit={recorded}"))
        node.prepare(new_uuid(), {**_SETTINGS, **_copies(1), "controller.quorum.voters": node.voter})
        node.spawn()
        node.wait()
        node.stop()
        # A Java that can't record has no archive to read either, and is not asked again.
        recorded.touch()
        recorded.replace(kafka.archive)


def _cluster_id(folder: Path) -> str:
    """One for all nodes of the folder, and the same at each start."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "cluster-id"
    if not path.exists():
        path.write_text(new_uuid())
    return path.read_text()


def main() -> int:
    """Starts a cluster in the foreground and says where it is."""
    parser = argparse.ArgumentParser(prog="python -m deploy.kafka.rig", description=main.__doc__)
    parser.add_argument("--nodes", type=int, choices=(1, 3), default=1)
    parser.add_argument("--data", type=Path, help="keep the data in this folder (default: a temporary one)")
    chosen = parser.parse_args()
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        with Rig(chosen.nodes, folder=chosen.data) as rig:
            sys.stdout.write(f"ACCORD_KAFKA={rig.bootstrap}\n")
            sys.stdout.flush()
            with contextlib.suppress(KeyboardInterrupt):
                signal.pause()
            rig.stop()
    except KafkaUnusable as unusable:
        sys.stderr.write(f"{unusable}\n")
        return os.EX_UNAVAILABLE
    return os.EX_OK


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
