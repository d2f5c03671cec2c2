"""Go's msgpack, time and duration, as its programs write and read them."""
