"""The VAE of Auto-Encoding Variational Bayes: model, lower bound, optimizers and training, on torch and numpy alone."""
