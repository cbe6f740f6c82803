"""The small networks inside the kernels: the detector's judge, signal quality, fibrillation."""
