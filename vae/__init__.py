"""One training of the VAE of *Auto-Encoding Variational Bayes*, its mathematics and its data.

It knows nothing of studies and reports: any program can use it as a library.
"""
