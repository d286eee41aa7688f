"""Kafka's jars, resolved once by Maven into `.kafka/` of the checkout, and the Java that runs them.

`python -m deploy.kafka.jars` resolves them ahead of time.
"""

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple

JAVA_MIN: Final = 17  # what Kafka 4 asks of a broker
_HERE: Final = Path(__file__).parent
_INSTALLED: Final = _HERE.parents[1] / ".kafka"
_RESOLVE_SECONDS: Final = 600.0


class KafkaUnusable(Exception):
    """No broker can be started here; the message says what is missing and how to get it."""


class Kafka(NamedTuple):
    """What starts a broker: a Java, and the folder with the jars."""

    java: str
    folder: Path

    @property
    def archive(self) -> Path:
        """The broker's classes as Java keeps them for a quick start. Java does without it where it doesn't fit."""
        return self.folder / "kafka.jsa"

    def command(self, *options: str) -> list[str]:
        """Java with the jars and their logging; a main class and its arguments follow."""
        logging = f"-Dlog4j2.configurationFile={_HERE / 'log4j2.properties'}"
        return [self.java, *options, logging, "-cp", f"{self.folder / 'lib'}/*"]


def find_kafka() -> Kafka:
    """Jars and Java; resolves the jars first if that was not done yet (half a minute, then never again)."""
    java = _find_java()
    # A changed pom gets a folder of its own.
    folder = _INSTALLED / hashlib.sha256((_HERE / "pom.xml").read_bytes()).hexdigest()[:12]
    if not (folder / "complete").exists():
        with locked(_INSTALLED):
            if not (folder / "complete").exists():
                _resolve(folder)
    return Kafka(java, folder)


def _find_java() -> str:
    home = os.environ.get("JAVA_HOME")
    java = shutil.which(str(Path(home) / "bin" / "java")) if home else None
    java = java or shutil.which("java")
    wanted = f"Kafka needs Java {JAVA_MIN} or newer (Debian, Ubuntu: apt install openjdk-17-jre-headless)"
    if java is None:
        raise KafkaUnusable(f"no java on the PATH: {wanted}")
    said = subprocess.run([java, "-version"], capture_output=True, text=True, check=False).stderr
    version = re.search(r'version "(\d+)', said)
    if version is None or int(version[1]) < JAVA_MIN:
        raise KafkaUnusable(f"{java} says {said.strip() or 'nothing'}: {wanted}")
    return java


def _resolve(folder: Path) -> None:
    maven = shutil.which("mvn")
    if maven is None:
        raise KafkaUnusable("Kafka's jars are not there and there is no mvn to fetch them (apt install maven)")
    shutil.rmtree(folder, ignore_errors=True)
    command = [maven, "-q", "-B", "-f", str(_HERE / "pom.xml"), "dependency:copy-dependencies"]
    options = ["-DincludeScope=runtime", f"-DoutputDirectory={folder / 'lib'}"]
    try:
        ended = subprocess.run(
            [*command, *options], capture_output=True, text=True, timeout=_RESOLVE_SECONDS, check=False
        )
    except subprocess.TimeoutExpired as late:
        raise KafkaUnusable(f"Maven did not fetch Kafka's jars within {_RESOLVE_SECONDS:.0f} s") from late
    if ended.returncode != 0:
        raise KafkaUnusable(f"Maven could not fetch Kafka's jars: {(ended.stdout + ended.stderr).strip()[-2000:]}")
    (folder / "complete").touch()


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """One at a time, over processes too."""
    folder.mkdir(exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def main() -> int:
    """Resolves the jars, if that was not done yet, and says where they are."""
    try:
        sys.stdout.write(f"{find_kafka().folder}\n")
    except KafkaUnusable as unusable:
        sys.stderr.write(f"{unusable}\n")
        return os.EX_UNAVAILABLE
    return os.EX_OK


if __name__ == "__main__":
    sys.exit(main())
