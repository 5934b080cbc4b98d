"""`python -m tests.broker`: start a Kafka, print its address, run until Ctrl-C or SIGTERM.

`--fetch` only fetches the jars, so that the first test run need not.
"""

import argparse
import signal
import sys
import tempfile
from pathlib import Path

from tests.broker import NoKafka, start_kafka
from tests.broker.jars import find_java, load_jars


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.broker", description="Run a Kafka on this machine.")
    parser.add_argument("--fetch", action="store_true", help="only fetch the jars")
    parser.add_argument("--brokers", type=int, default=1, help="size of the cluster (default 1)")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="a server property")
    arguments = parser.parse_args()
    try:
        if arguments.fetch:
            find_java()
            load_jars()
            return 0
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        with tempfile.TemporaryDirectory(prefix="kafka-") as folder:
            properties = dict(one.split("=", 1) for one in arguments.set)
            with start_kafka(Path(folder), brokers=arguments.brokers, extra=properties) as broker:
                print(broker.bootstrap_servers, flush=True)
                signal.pause()
    except NoKafka as missing:
        print(f"No Kafka on this machine: {missing}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        pass
    return 0


if __name__ == "__main__":
    sys.exit(main())
