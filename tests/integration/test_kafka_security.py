"""Kafka behind TLS and a password: the settings reach it, and nothing less than the right ones does."""

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from kafka_fixtures import NEVER_GIVEN_UP
from kafka_topics import fresh_prefix

from deploy.kafka.jars import Kafka
from deploy.kafka.rig import Rig
from shared.errors import Surroundings
from shared.stream import kafka_topics
from shared.stream.kafka_client import KafkaClients, KafkaSettings

# aiokafka leaves sockets of refused connections to the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
PASSWORD = "secret of this test"


def _openssl(*arguments: str, folder: Path) -> None:
    subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)


def _make_authority(folder: Path, name: str) -> None:
    key = ("-newkey", "rsa:2048", "-nodes", "-keyout", f"{name}.key")
    _openssl("req", "-x509", *key, "-out", f"{name}.pem", "-days", "2", "-subj", f"/CN={name}", folder=folder)


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An authority `ours`, another one `theirs`, and what a broker on 127.0.0.1 shows, signed by ours."""
    if shutil.which("openssl") is None:
        pytest.skip("no openssl to make certificates with")
    folder = tmp_path_factory.mktemp("certificates")
    _make_authority(folder, "ours")
    _make_authority(folder, "theirs")
    key = ("-newkey", "rsa:2048", "-nodes", "-keyout", "broker.key")
    _openssl("req", *key, "-out", "broker.csr", "-subj", "/CN=broker", folder=folder)
    (folder / "names").write_text("subjectAltName=IP:127.0.0.1")
    signed = ("-CA", "ours.pem", "-CAkey", "ours.key", "-CAcreateserial", "-days", "2", "-extfile", "names")
    _openssl("x509", "-req", "-in", "broker.csr", *signed, "-out", "broker.pem", folder=folder)
    (folder / "keystore.pem").write_text((folder / "broker.key").read_text() + (folder / "broker.pem").read_text())
    return folder


@pytest.fixture(scope="module")
def secure(kafka_jars: Kafka, certificates: Path) -> Iterator[str]:
    """The address of a listener that asks for TLS, a name and a password."""
    module = "org.apache.kafka.common.security.plain.PlainLoginModule"
    settings = {
        **NEVER_GIVEN_UP,
        "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SECURE:SASL_SSL",
        "inter.broker.listener.name": "PLAINTEXT",
        "sasl.enabled.mechanisms": "PLAIN",
        "listener.name.secure.plain.sasl.jaas.config": f'{module} required user_accord="{PASSWORD}";',
        "listener.name.secure.ssl.keystore.type": "PEM",
        "listener.name.secure.ssl.keystore.location": str(certificates / "keystore.pem"),
    }
    with Rig(kafka=kafka_jars, settings=settings) as rig:
        yield rig.nodes[0].secure_address


def _clients(address: str, certificates: Path, **changed: Any) -> KafkaClients:
    right = {
        "kafka": address,
        "kafka_security_protocol": "SASL_SSL",
        "kafka_sasl_username": "accord",
        "kafka_sasl_password": PASSWORD,
        "kafka_ca_file": certificates / "ours.pem",
    }
    return KafkaClients(KafkaSettings(**{**right, **changed}))


async def test_with_the_right_settings_topics_are_made_written_and_read(secure: str, certificates: Path) -> None:
    clients, prefix = _clients(secure, certificates), fresh_prefix()
    await kafka_topics.create_topics(clients, 1, prefix=prefix)
    topic = f"{prefix}accord.activity.v1"
    producer, consumer = clients.producer(), clients.consumer(f"{prefix}group")
    consumer.subscribe([topic])
    await producer.start()
    await consumer.start()
    [place] = consumer.assignment()
    consumer.seek(place, 0)
    await producer.send_and_wait(topic, b"whisper", partition=0)
    assert (await consumer.getone()).value == b"whisper"
    await producer.stop()
    await consumer.stop()


@pytest.mark.parametrize(
    "changed",
    [
        {"kafka_sasl_password": "another"},
        {"kafka_sasl_username": "somebody"},
        {"kafka_ca_file": "theirs.pem"},
        {"kafka_ca_file": None},
        {"kafka_security_protocol": "SASL_PLAINTEXT"},
    ],
)
async def test_with_anything_else_it_says_that_kafka_cannot_be_reached(
    secure: str, certificates: Path, changed: dict[str, Any]
) -> None:
    if changed.get("kafka_ca_file"):
        changed = {"kafka_ca_file": certificates / changed["kafka_ca_file"]}
    with pytest.raises(Surroundings, match=r"Kafka can't be reached at .*ACCORD_KAFKA"):
        await kafka_topics.check_topics(_clients(secure, certificates, **changed), 1)
