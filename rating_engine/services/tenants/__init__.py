"""What a tenant says of its own billing: who pays, when, and at which rates."""
