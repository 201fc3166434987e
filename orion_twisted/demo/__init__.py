"""A small Orion engine, a console page and a scripted conversation: the gateway at work."""
