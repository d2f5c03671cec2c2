"""What a simulated life is to do: its plan, its actions, its clients."""
