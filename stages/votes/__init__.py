"""Several samples a question: majority, pass@k, vote curve, calibration."""
