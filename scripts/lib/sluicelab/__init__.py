"""The lab: network namespaces with real clients and servers around one sluiced (standard library only)."""
