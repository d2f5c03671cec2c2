"""From the text of a policy to its rules: a reader of HCL 1, one of JSON, and what may be said."""
