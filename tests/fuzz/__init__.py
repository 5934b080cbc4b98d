"""Hostile input: fuzzing of what reads users' texts, and definitions made to exhaust time or memory."""
