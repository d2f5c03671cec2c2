"""Policies, roles and tokens as callers give them: what may be written. Texts as captured."""
