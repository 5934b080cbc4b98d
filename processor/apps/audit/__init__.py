"""Reading a log again, to see what was, who caused it, and that nothing is lost or doubled.

replay.py        one execution's events, each with its place, and the state after each
differences.py   two JSON values → what differs, and where
verification.py  a partition: contiguous, together, and the state what the events fold to
checks.py        what a batch of events must be by itself; faults and counts
lines.py         events and records ⇄ lines of JSON
archive.py       an exported folder, read as a log is
export.py        a log → such a folder
"""
