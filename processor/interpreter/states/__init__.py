"""What each type of state does when its turn comes: one function per phase, each giving the one next event.

All raise StateFailure where the state fails.
"""
