"""Where the rooms meet: admission, and the joining of browsers with their links."""
