"""One request through the script: admission, deadline, run, rendering.

The door is `pipeline.Scoring.score()`.
"""
