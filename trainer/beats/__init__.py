"""The beat classifier: data set, network, training, experiments, export."""
