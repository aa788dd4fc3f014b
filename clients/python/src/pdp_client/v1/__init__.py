"""Messages of gRPC, generated from `decision.proto` of pdp by `make proto`. Not to be edited."""
