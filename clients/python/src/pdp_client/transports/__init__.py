"""How questions reach the service: over HTTP or over gRPC, behind one interface."""
