"""The same work on Quorate and on its peers, side by side: `python -m bench`."""
