"""Reading configuration: HCL, JSON, flags, and merging them."""
