"""`make bench`: the workloads and the limits of the machine, measured in one run on a stack of their own."""
