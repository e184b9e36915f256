"""Speed for fitting on a CPU: a kernel for depthwise convolutions, and the settings of the process."""
