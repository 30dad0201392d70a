"""What the comparison is made of: the wire, origins, clients, proxies, the world of one proxy, the judge."""
