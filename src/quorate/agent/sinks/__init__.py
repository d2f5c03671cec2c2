"""Where a process sends what others collect: the log to syslog, its numbers to statsd."""
