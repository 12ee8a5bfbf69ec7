// Prints the size of the package as a page gets it: one file, minified, compressed. Fails over 5 kB.
import { build } from "esbuild";
import { gzipSync } from "node:zlib";

const BOUND = 5_000;
const bundle = async (entry) => {
  const result = await build({
    entryPoints: [entry],
    bundle: true,
    minify: true,
    format: "esm",
    target: "es2022",
    external: ["react"],
    write: false,
  });
  return gzipSync(result.outputFiles[0].contents, { level: 9 }).length;
};
const sizes = { index: await bundle("src/index.ts"), react: await bundle("src/react.ts") };
console.log(JSON.stringify({ gzip: sizes, bound: BOUND }));
if (Math.max(...Object.values(sizes)) > BOUND) process.exit(1);
