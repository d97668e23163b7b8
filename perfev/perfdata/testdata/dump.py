# Prints what perf makes of every sample, one JSON line each:
#   perf script -i sample.data -s dump.py
import json

def show(v):
    if isinstance(v, (bytes, bytearray)):
        return {"hex": v.hex()}
    return v

def trace_unhandled(name, context, fields, sample):
    own = {k: show(v) for k, v in fields.items() if not k.startswith("common_")}
    print(json.dumps({
        "event": name.replace("__", ":", 1),
        "cpu": fields["common_cpu"],
        "ts": fields["common_s"] * 1000000000 + fields["common_ns"],
        "tid": fields["common_pid"],
        "comm": fields["common_comm"],
        "fields": own,
    }, sort_keys=True))
