"""What a broker on this machine needs: Java 17 or newer, and Kafka's jars, which Maven fetches."""

import os
import re
import shutil
import subprocess
from pathlib import Path

POM = Path(__file__).with_name("pom.xml")
REPOSITORY = Path(__file__).parents[2]
JAVA_AT_LEAST = 17


class NoKafka(Exception):
    """No Kafka can be had here; the message says what was looked for and what is missing."""


def find_java() -> str:
    """Return the path of a `java` of version 17 or newer: $JAVA_HOME's, else the one on PATH. Raises NoKafka."""
    home = os.environ.get("JAVA_HOME")
    java = shutil.which("java", path=f"{home}/bin") if home else None
    java = java or shutil.which("java")
    if java is None:
        raise NoKafka(f"no java on PATH (needs {JAVA_AT_LEAST} or newer)")
    # Prints `openjdk version "17.0.15" 2025-04-15` to stderr; early builds say "18-ea".
    shown = subprocess.run([java, "-version"], capture_output=True, text=True, check=False).stderr
    found = re.search(r'version "(\d+)', shown)
    if found is None or int(found[1]) < JAVA_AT_LEAST:
        raise NoKafka(f"{java} is older than {JAVA_AT_LEAST}")
    return java


def load_jars() -> Path:
    """Return the folder that holds Kafka's jars: $KAFKA_JARS, else `.cache/kafka` beside the sources.

    Fetched when the folder lacks them or when the pom has changed since; 43 MB, about 5 s. Raises NoKafka.
    """
    folder = Path(os.environ.get("KAFKA_JARS") or REPOSITORY / ".cache" / "kafka")
    fetched_from = folder / "pom.xml"
    if fetched_from.exists() and fetched_from.read_bytes() == POM.read_bytes():
        return folder
    maven = shutil.which("mvn")
    if maven is None:
        raise NoKafka(f"no Kafka jars in {folder}, and no mvn on PATH to fetch them")
    # Into a folder of its own, renamed at the end: an interrupted download is never taken for a whole one.
    unfinished = folder.with_name(f"{folder.name}.{os.getpid()}")
    done = subprocess.run(
        [
            *(maven, "--quiet", "--batch-mode", "--file", str(POM), "dependency:copy-dependencies"),
            *("-DincludeScope=runtime", f"-DoutputDirectory={unfinished.absolute()}"),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        shutil.rmtree(unfinished, ignore_errors=True)
        lines = (done.stdout + done.stderr).strip().splitlines() or ["no output"]
        raise NoKafka(f"Maven could not fetch Kafka's jars: {lines[0]}")
    shutil.copyfile(POM, unfinished / "pom.xml")
    shutil.rmtree(folder, ignore_errors=True)
    unfinished.rename(folder)
    return folder
