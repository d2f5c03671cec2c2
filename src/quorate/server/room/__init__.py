"""The room that a server takes on its disk, and what is done to keep it small."""
