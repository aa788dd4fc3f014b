"""Generated from `pdp/adapters/grpc/proto` by `make proto`; never edited."""
