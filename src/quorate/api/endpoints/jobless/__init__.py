"""What a server without jobs answers to clients that ask for them."""
