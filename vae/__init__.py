"""One training of the VAE of *Auto-Encoding Variational Bayes*, its mathematics and its data.

It knows nothing of studies and reports: any program can use it as a library.
"""

import os

# torch reads it at its first allocation: large tensors on large memory pages, where the kernel has them.
os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")
