"""One member of a gossip pool at run time: sockets, clock and disk around the pure core."""
