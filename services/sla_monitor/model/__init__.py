"""The pure decisions of sla_monitor: states.py what is kept of a lead, decisions.py the fold,
gate.py when to announce."""
