"""The state engine at a million records; see `python -m bench.state --help`."""
