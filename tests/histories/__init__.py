"""Golden histories: what each release has written, byte for byte, replayed by every later one.

    <release>/log/            the records of events, closed and definitions, as an export of raw lines
    <release>/topics.jsonl.gz the records of all other topics, raw
    <release>/export/         what `asl export` of that release made of the same log
    <release>/histories.json  what each history came to then, and the SHA-256 of every file

    sets.py      a set on the disk, written once, and read
    town.py      the log of which a set is made: a real processor, and everybody around it
    plays.py     what happens there besides the scenarios of tests/scenarios

`python -m tests.histories` writes this release's set beside the older ones, which stay as they are; its digest then
belongs in the CHANGELOG, under Event format.
"""
