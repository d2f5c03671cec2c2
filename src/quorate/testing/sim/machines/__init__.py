"""Below the driver: simulated hosts, disks, networks and clocks."""
