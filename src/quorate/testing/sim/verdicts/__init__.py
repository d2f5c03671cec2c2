"""What is checked of a simulated life, and which situations it reached."""
