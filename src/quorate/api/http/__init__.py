"""HTTP itself: the protocol, its bounds, and the port."""
