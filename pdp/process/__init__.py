"""Several processes that serve as one: who begins and buries them, and how they change over together."""
