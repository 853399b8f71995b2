"""Events into rotated files, and these into a store; a file is let go of only once the store holds it."""
