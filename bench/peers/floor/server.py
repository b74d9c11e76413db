"""Reads the body, answers the same at all times."""

from flask import Flask, request

app = Flask(__name__)


@app.post("/score")
def score() -> dict[str, str]:
    """Answer."""
    request.get_data()
    return {"status": "read"}
