#!/usr/bin/env node
// The solc command line over the compiler of npm (wasm): what forge, slither and halmos need of it. A native solc is
// in none of the package indexes that we install from, and nothing is downloaded at build time.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";

const VALUED = new Set(["--base-path", "--include-path", "--allow-paths"]);

function parse(argv) {
  const options = { flags: new Set(), values: new Map(), files: [] };
  for (let i = 0; i < argv.length; i += 1) {
    if (VALUED.has(argv[i])) options.values.set(argv[i], argv[(i += 1)]);
    else if (argv[i].startsWith("--")) options.flags.add(argv[i]);
    else if (argv[i] !== "-") options.files.push(argv[i]);
  }
  return options;
}

function reader(base) {
  return (name) => {
    try {
      return { contents: readFileSync(path.resolve(base, name), "utf8") };
    } catch (error) {
      return { error: error.message };
    }
  };
}

const solc = createRequire(import.meta.url)("solc");
const { flags, values, files } = parse(process.argv.slice(2));
if (flags.has("--version")) {
  const version = solc.version().replace("Emscripten.clang", "Linux.g++");
  console.log(`solc, the solidity compiler commandline interface\nVersion: ${version}`);
} else if (flags.has("--standard-json")) {
  const input = readFileSync(files[0] ?? 0, "utf8");
  process.stdout.write(solc.compile(input, { import: reader(values.get("--base-path") ?? ".") }));
} else {
  console.error("only --version and --standard-json are offered");
  process.exitCode = 2;
}
