"""Deterministic simulation: the real engine and Kafka adapter over a simulated broker, one thread, one seed.

scheduler   processes as greenlets, virtual time, one source of chance
broker      partitions with transactions, coordinators, the consumer group
clients     the adapter's narrow port over it, for one process
workload    what is started, who answers, and what must come of it
world       a run: processes, faults, and what must hold afterwards
mutants     what a broken rule would look like; some seed must see each
"""
