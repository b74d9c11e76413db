TRITON_URL = "localhost:8000"
CLASSES = 3
