"""The decision: an index and a request to an answer and its region. Pure."""
