"""The causes, by what they are about. Each is a function: a picture in, findings out."""
