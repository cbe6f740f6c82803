"""The trainer: from annotated records to a TorchScript beat classifier and its scores."""
