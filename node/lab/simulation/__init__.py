"""A network of a thousand relays, as far as choices go: directory, ring, guards, paths."""
