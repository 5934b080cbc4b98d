"""A broker as a careful operator has it: TLS, SCRAM, an authorizer that forbids what nothing allows."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import trustme
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._acl import AclBinding, AclOperation, AclPermissionType
from confluent_kafka.admin._resource import ResourcePatternType, ResourceType
from confluent_kafka.admin._scram import ScramCredentialInfo, ScramMechanism, UserScramCredentialUpsertion

from tests.broker import start_kafka

PASSWORD = "correct horse"
MECHANISM = "SCRAM-SHA-512"
ANSWER_SECONDS = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Acl:
    """One permission. `name` of a topic, group or transactional.id; with `*` at its end, a prefix."""

    resource: str
    name: str
    operation: str

    def binding(self, user: str) -> AclBinding:
        prefixed = self.name.endswith("*") and self.name != "*"
        return AclBinding(
            ResourceType["BROKER" if self.resource == "CLUSTER" else self.resource],
            self.name.rstrip("*") if prefixed else self.name,
            ResourcePatternType.PREFIXED if prefixed else ResourcePatternType.LITERAL,
            f"User:{user}",
            "*",
            AclOperation[self.operation],
            AclPermissionType.ALLOW,
        )


class SecuredKafka:
    """`address` is for clients with a name and a password; the operator's own come in by another door."""

    def __init__(self, address: str, authority: Path, admin: AdminClient) -> None:
        self.address, self._authority, self._admin = address, authority, admin

    def add_user(self, user: str, acls: list[Acl]) -> None:
        info = ScramCredentialInfo(ScramMechanism.SCRAM_SHA_512, 4096)
        change = UserScramCredentialUpsertion(user, info, PASSWORD.encode())
        for answer in self._admin.alter_user_scram_credentials([change]).values():
            answer.result(ANSWER_SECONDS)
        self.allow(user, *acls)

    def allow(self, user: str, *acls: Acl) -> None:
        if acls:
            for answer in self._admin.create_acls([acl.binding(user) for acl in acls]).values():
                answer.result(ANSWER_SECONDS)

    def environment(self, user: str, *, password: str = PASSWORD) -> dict[str, str]:
        """Settings of a role, as a deployment gives them."""
        return {
            "ASL_LOG": f"kafka:{self.address}",
            "ASL_KAFKA_SECURITY_PROTOCOL": "SASL_SSL",
            "ASL_KAFKA_SASL_MECHANISM": MECHANISM,
            "ASL_KAFKA_SASL_USERNAME": user,
            "ASL_KAFKA_SASL_PASSWORD": password,
            "ASL_KAFKA_SSL_CA_LOCATION": str(self._authority),
        }


@contextlib.contextmanager
def start_secured(folder: Path) -> Iterator[SecuredKafka]:
    """Raises NoKafka, KafkaDidNotStart."""
    authority = trustme.CA()
    certificate = authority.issue_cert("127.0.0.1", "localhost")
    ca_file = folder / "ca.pem"
    authority.cert_pem.write_to_path(ca_file)
    chain = b"".join(part.bytes() for part in certificate.cert_chain_pems).decode()
    secured = "listener.name.secured."
    extra = {
        "listeners": "PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller_port},SECURED://127.0.0.1:{inner_port}",
        "advertised.listeners": "PLAINTEXT://127.0.0.1:{port},SECURED://127.0.0.1:{inner_port}",
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,SECURED:SASL_SSL",
        f"{secured}sasl.enabled.mechanisms": MECHANISM,
        f"{secured}scram-sha-512.sasl.jaas.config": "org.apache.kafka.common.security.scram.ScramLoginModule required;",
        f"{secured}ssl.keystore.type": "PEM",
        f"{secured}ssl.keystore.certificate.chain": _in_one_line(chain),
        f"{secured}ssl.keystore.key": _in_one_line(_pkcs8(certificate.private_key_pem.bytes())),
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        # Whoever comes in without a name is the operator, or the broker itself.
        "super.users": "User:ANONYMOUS",
    }
    with start_kafka(folder / "kafka", extra=extra) as broker:
        assert broker.cluster is not None
        ((port, _),) = broker.cluster.proxied_ports.values()
        admin = AdminClient({"bootstrap.servers": broker.bootstrap_servers})
        yield SecuredKafka(f"127.0.0.1:{port}", ca_file, admin)


def _in_one_line(pem: str) -> str:
    """As a line of a properties file that goes on."""
    return "\\\n".join(f"{line}\\n" for line in pem.strip().splitlines())


def _pkcs8(key: bytes) -> str:
    """Kafka reads no other form."""
    from cryptography.hazmat.primitives.serialization import (
        Encoding,
        NoEncryption,
        PrivateFormat,
        load_pem_private_key,
    )

    return load_pem_private_key(key, None).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
