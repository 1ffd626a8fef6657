"""What the benches reach of each component, and why the rest is not reached.

`instrument` marks the points to count in a component's Verilog, `measure` counts them while the
component's bench runs, `reasons` says why some are not reached, `document` makes a page of it all.
"""
