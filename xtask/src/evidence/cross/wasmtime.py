"""Runs a WASI component: wasmtime.py COMPONENT ARGS...

The command line tool would do, but only the Python package comes compiled from a registry.
"""

import sys

from wasmtime import Engine, Store, WasiConfig, WasmtimeError
from wasmtime import _ffi as ffi
from wasmtime.component import Component, Linker

engine = Engine()
store = Store(engine)
config = WasiConfig()
config.argv = sys.argv[1:]
config.inherit_env()
config.inherit_stdout()
config.inherit_stderr()
ffi.wasi_config_inherit_network(config.ptr())
store.set_wasi(config)
linker = Linker(engine)
linker.add_wasip2()
instance = linker.instantiate(store, Component.from_file(engine, sys.argv[1]))
command = instance.get_export_index(store, "wasi:cli/run@0.2.0")
run = instance.get_func(store, instance.get_export_index(store, "run", command))
try:
    result = run(store)
except WasmtimeError as error:
    sys.exit(str(error))
sys.exit(0 if result.tag == "ok" else 1)
