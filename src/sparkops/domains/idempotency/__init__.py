"""What requests with an `Idempotency-Key` were answered, for as long as they may be sent again."""
