"""Moving objects: choose them, compare them, and bring each to its destination, whole and verified."""
