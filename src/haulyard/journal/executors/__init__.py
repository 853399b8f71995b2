"""Who carries shards out: this process, or several on this machine (`processes`)."""
