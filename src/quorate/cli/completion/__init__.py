"""Completion scripts for shells, made from the table of commands; one module per shell."""
