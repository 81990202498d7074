"""What language models cost: the arithmetic of scale, memory, parallel plans and fused kernels."""
