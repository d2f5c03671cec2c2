"""`quorate operator audit`: who did what, and whether a record of it was changed."""
