"""Speed and accuracy beside other packages' detectors."""
