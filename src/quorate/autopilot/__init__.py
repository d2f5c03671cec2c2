"""Decisions of a leader about servers, as functions of values: pure.

`facts` is what a leader knows, `actions` what it may do. Each decider is one file: facts in,
actions out. What a decider keeps between two rounds is a value (`memory`), passed in and returned.
`rounds` puts the deciders in order and asks for one action after another; production and the
simulator carry the same actions out, each with its own network and disk.

Invariants: no decider forces a change, so the core's guard of the quorum holds for all of them;
every change names the configuration that it was decided on; no voter is removed, and no address is
moved, on gossip's word alone: the servers concerned are asked first.
"""
