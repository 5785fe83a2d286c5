"""One training of the VAE of *Auto-Encoding Variational Bayes*, its mathematics and its data, on torch, numpy,
pydantic and safetensors.

It knows nothing of studies and reports: any program can use it as a library.
"""
