"""`python -m vae`: one training, or the log-likelihood of its weights, without Ray, Optuna or MLflow."""

from vae.cli.train import main

if __name__ == "__main__":
    raise SystemExit(main())
