"""Fine-tuning of the top of a trunk on maps that its frozen bottom gave for many views."""
