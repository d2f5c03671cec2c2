"""One Raft replica at run time: drives the pure core with sockets, disks and clocks (asyncio)."""
