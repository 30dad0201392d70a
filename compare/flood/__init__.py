"""What hostile bytes cost lb and HAProxy in processor time and memory."""
