"""One module per component: its cases, and cocotb tests. See :mod:`sim.harness.runner`.

Folders are those of `rtl/`. The bench of `rtl/FOLDER/NAME.py` is `FOLDER/NAME.py`, or
`FOLDER/FOLDER_NAME.py` where NAME alone says too little: `make sim UNIT=...` names a bench without
its folder. Three have other names: `attention/attention.py` is of `unit.py`, `cores/dsp_cell.py` of
`dsp.py`, `linear/linear_front.py` of `pipeline.py`. Benches in no folder are of the whole
accelerator, or of the harness itself. A file `_NAME.py` is what benches of its folder share.
"""
