"""Learning: pipelines, training sets, training, scoring, calibration, comparison and tuning."""
