"""The rights of callers: capabilities, policies, what they allow. Pure: values alone."""
