"""Networks that learn to be small: zeros, few distinct weights and 8-bit steps, while they are trained."""
