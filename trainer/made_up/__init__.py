"""Made-up material: rhythms, ectopy and noise that records do not have enough of."""
