"""Taking back what a job did: what that comes to (`past`), and doing it (`slices`)."""
