"""The checks of a simulated life, and the situations that it reached."""
