"""Simulated lives of what a cluster stores: variables, locks, restores, root keys.

The world below (`quorate.testing.sim`) is the same, with all its faults. Each server here also
does what a server does for what it stores, by the code of production: writes pass `Writes`, a
leader ends locks, seals values, rotates keys and replaces the state by an archive.
"""
