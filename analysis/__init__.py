"""Reports: read a study from MLflow, compute findings, then draw them."""
