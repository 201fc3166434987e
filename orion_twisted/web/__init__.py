"""HTTP in front of the WebSocket: the strict gate and the pages."""
