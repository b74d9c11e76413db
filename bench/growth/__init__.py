"""How the service grows: with callers, with bodies, with connections; written to results/growth.*."""
