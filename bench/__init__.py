"""The benchmark: Scoregate beside what else could stand in front of a model, on the machine at hand."""
