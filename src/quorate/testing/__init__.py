"""For those who must see for themselves: the cluster simulator and the checker of histories."""
