"""What operators are told: the log and the metrics."""
