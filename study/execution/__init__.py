"""What is released, what is done and what starts next, without Ray.

It may know the protocol and the records; it knows neither the cluster nor MLflow.
"""
