// Bundles the page's program and style. `node build.mjs` writes bundle/;
// `node build.mjs --check` fails when what is there is not what it would write.
import { build } from 'esbuild';
import { readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const here = dirname(fileURLToPath(import.meta.url));
const made = await build({
  entryPoints: { 'page.js': join(here, 'web/main.tsx'), 'page.css': join(here, 'web/page.css') },
  entryNames: '[name]',
  outdir: join(here, 'bundle'),
  outExtension: {},
  bundle: true,
  minify: true,
  write: false,
  format: 'iife',
  target: 'es2022',
  charset: 'ascii', // no byte of the bundle means something else to a terminal or a diff
  legalComments: 'none',
  jsx: 'automatic',
  jsxImportSource: 'preact',
});
let stale = false;
for (const file of made.outputFiles) {
  const name = file.path.endsWith('.css') ? 'page.css' : 'page.js';
  const path = join(here, 'bundle', name);
  // The two end the element that they stand in.
  const text = file.text.replaceAll('</script', '<\\/script').replaceAll('<!--', '<\\!--');
  if (!process.argv.includes('--check')) {
    writeFileSync(path, text);
  } else if (readFileSync(path, 'utf8') !== text) {
    console.error(`${path} is not what web/ makes: run go generate ./internal/page`);
    stale = true;
  }
}
process.exit(stale ? 1 : 0);
