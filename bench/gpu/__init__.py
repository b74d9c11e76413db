"""How many workers feed one GPU: image networks behind the service, beside Triton alone."""
