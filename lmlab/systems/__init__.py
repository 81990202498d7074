"""What language models cost: the arithmetic of scale, and (in later labs) memory, parallel plans and fused kernels."""
