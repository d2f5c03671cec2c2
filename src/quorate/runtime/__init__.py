"""The driver: what gives a pure core its events and the time, and carries out what it decides.

`driver` is common to all cores. Replicas, members of a pool and the simulator run it.
"""
