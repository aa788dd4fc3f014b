"""Questions about whole policy sets."""
