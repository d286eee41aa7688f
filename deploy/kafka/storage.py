"""Formatted storage for a node without a Java start for each: Kafka's own tool runs once per set of jars.

What the tool writes beside the node's names (the feature levels) is the same for every node.
"""

import base64
import os
import secrets
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Final

from deploy.kafka.jars import Kafka, KafkaUnusable

_CHECKPOINT: Final = "bootstrap.checkpoint"


def format_storage(kafka: Kafka, data: Path, *, cluster_id: str, node: int) -> None:
    """Makes `data` what `kafka-storage format` would make of it; leaves a formatted one as it is."""
    if (data / "meta.properties").exists():
        return
    data.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(_checkpoint(kafka), data / _CHECKPOINT)
    names = {"version": "1", "cluster.id": cluster_id, "node.id": str(node), "directory.id": new_uuid()}
    (data / "meta.properties").write_text("".join(f"{name}={value}\n" for name, value in names.items()))


def new_uuid() -> str:
    """16 random bytes as Kafka writes them."""
    return base64.urlsafe_b64encode(b"\1" + secrets.token_bytes(15)).decode().rstrip("=")


def _checkpoint(kafka: Kafka) -> Path:
    path = kafka.folder / _CHECKPOINT
    if not path.exists():
        with tempfile.TemporaryDirectory(dir=kafka.folder) as folder:
            _run_tool(kafka, Path(folder))
            os.replace(Path(folder, "data", _CHECKPOINT), path)
    return path


def _run_tool(kafka: Kafka, folder: Path) -> None:
    configuration = folder / "server.properties"
    configuration.write_text(
        "process.roles=broker,controller\nnode.id=1\nlisteners=PLAINTEXT://:1,CONTROLLER://:2\n"
        f"controller.listener.names=CONTROLLER\ncontroller.quorum.voters=1@127.0.0.1:2\nlog.dirs={folder / 'data'}\n"
    )
    command = [*kafka.command("-Xmx128m"), "kafka.tools.StorageTool", "format", "-t", new_uuid()]
    ended = subprocess.run([*command, "-c", str(configuration)], capture_output=True, text=True, check=False)
    if ended.returncode != 0:
        raise KafkaUnusable(f"Kafka's storage could not be formatted: {ended.stdout}{ended.stderr}")
