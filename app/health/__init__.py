"""The service's state, whether this worker can score, and whether the models answer.

`lifecycle` has the state of the service, `readiness` that of a worker, `model_prober` asks the models.
"""
