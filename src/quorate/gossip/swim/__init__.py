"""SWIM as memberlist does it: probing, suspicion, merging, push-pull."""
