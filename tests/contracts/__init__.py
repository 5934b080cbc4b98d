"""What every log must do, whichever adapter: one suite per port. Adapters differ only in `harness.py`."""
