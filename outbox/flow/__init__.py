"""What a kind says of its jobs among others: which keys they share, and which jobs are one."""
