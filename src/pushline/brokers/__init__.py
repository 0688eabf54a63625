"""What carries messages between nodes, and keeps what must outlive one."""
