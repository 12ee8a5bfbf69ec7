// Builds dist/bundle: the package as one file for pages without a bundler, and the React example.
import { build } from "esbuild";
import { fileURLToPath } from "node:url";

const here = (path) => fileURLToPath(new URL(path, import.meta.url));
await build({
  entryPoints: {
    login: here("src/index.ts"),
    "react-page": here("../../examples/login/react/main.tsx"),
  },
  outdir: here("dist/bundle"),
  bundle: true,
  minify: true,
  format: "esm",
  target: "es2022",
  jsx: "automatic",
  define: { "process.env.NODE_ENV": '"production"' },
  alias: { "@peerstream/login/react": here("src/react.ts") },
  nodePaths: [here("node_modules")],
});
