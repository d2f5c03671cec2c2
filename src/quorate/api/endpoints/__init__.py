"""One module for each family of endpoints; `quorate.api.routes` names their paths."""
