"""Human Feedback Inversion: from judged pictures to a text-to-image model without what people object to."""
