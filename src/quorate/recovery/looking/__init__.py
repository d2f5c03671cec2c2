"""Data folders are looked at, while their servers run too; nothing is changed."""
