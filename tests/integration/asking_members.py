"""Asks for the members of a group for every line that it reads, and tells the name of the error, or `answered`.

python -m tests.integration.asking_members BOOTSTRAP_SERVERS GROUP
"""

import sys

from confluent_kafka import KafkaException

from processor.adapters.kafka.clients import ConfluentClients, error_of


def main(bootstrap: str, group: str) -> None:
    admin = ConfluentClients().admin({"bootstrap.servers": bootstrap}, on_error=lambda error: None)
    for _ in sys.stdin:
        try:
            admin.members(group)
        except KafkaException as exception:
            print(error_of(exception).name(), flush=True)
        else:
            print("answered", flush=True)


main(*sys.argv[1:])
