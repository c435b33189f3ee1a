"""The life of one call: gate, dial, converse, collect, write back, reconcile, recover."""
