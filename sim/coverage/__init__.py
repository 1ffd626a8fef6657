"""Coverage of each component by its own bench, with reasons for what is not covered.

`instrument` marks the points to count in a component's Verilog, `measure` counts them while the
component's bench runs, `reasons` says why some are not reached, `document` makes a page of it all.
"""
