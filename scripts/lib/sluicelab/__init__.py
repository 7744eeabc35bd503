"""The lab: namespaces with real clients and servers around one sluiced. Standard library only."""
