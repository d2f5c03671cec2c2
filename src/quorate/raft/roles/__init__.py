"""The rules of followers, candidates and leaders."""
