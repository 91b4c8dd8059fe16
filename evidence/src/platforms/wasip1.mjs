// Runs the WebAssembly program that the first argument names, with this process's standard input and output.

import { readFile } from "node:fs/promises";
import { WASI } from "node:wasi";

const wasi = new WASI({ version: "preview1" });
const program = await WebAssembly.compile(await readFile(process.argv[2]));
const imports = { wasi_snapshot_preview1: wasi.wasiImport };
wasi.start(await WebAssembly.instantiate(program, imports));
