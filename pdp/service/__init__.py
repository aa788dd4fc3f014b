"""What happens to a question whatever protocol it came by."""
