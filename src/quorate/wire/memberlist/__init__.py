"""The bytes of memberlist: packets, streams, encryption, compression."""
