"""The plan of a simulated life, its actions and its clients."""
