"""Nearly right requests, and whether lb, HAProxy and nginx agree on where each begins and ends. See README.md."""
