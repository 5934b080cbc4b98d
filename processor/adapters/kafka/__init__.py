"""The log on Apache Kafka: exactly-once by transactions, fenced by group generations and producer epochs.

log          KafkaLog, which makes everything else
inbox        a processor's membership; membership: its rebalance callbacks; transactions: the outcome table
restore      taking over a partition, off the poll thread
feed, outbox, reader, topics      the other ports
clients      every call to the Kafka client, as narrow protocols; the only module that makes real ones
settings     properties of each kind of client; faults: what an error means
"""

from processor.adapters.kafka.log import KafkaLog

__all__ = ["KafkaLog"]
