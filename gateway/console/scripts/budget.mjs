// Fails when dist/ is heavier than agreed; prints the table. Sizes are brotli, as they travel.
import { readdirSync, readFileSync } from "node:fs";
import { join, relative } from "node:path";
import { brotliCompressSync } from "node:zlib";

const dist = new URL("../dist/", import.meta.url).pathname;
const KB = 1024;

const sizes = new Map();
for (const entry of readdirSync(dist, { recursive: true, withFileTypes: true })) {
  const path = join(entry.parentPath, entry.name);
  if (!entry.isFile() || /\.(br|gz|map)$/.test(path)) continue;
  const bytes = readFileSync(path);
  sizes.set(relative(dist, path), path.endsWith(".woff2") ? bytes.length : brotliCompressSync(bytes).length);
}

/** The scripts and styles that a page loads before anything is clicked. */
function entry(page) {
  const html = readFileSync(join(dist, page), "utf8");
  return [...html.matchAll(/(?:src|href)="\/(assets\/[^"]+)"/g)].map((match) => match[1]);
}

const sum = (paths, end) =>
  paths.filter((path) => path.endsWith(end)).reduce((total, path) => total + (sizes.get(path) ?? 0), 0);
const shell = entry("index.html");
const portal = entry("portal.html");
const fonts = [...sizes.keys()].filter((path) => path.endsWith(".woff2"));
const lazy = [...sizes.keys()].filter(
  (path) => path.endsWith(".js") && path.startsWith("assets/") && !shell.includes(path) && !portal.includes(path),
);
const geo = [...sizes.keys()].filter((path) => path.endsWith(".topojson"));

const rows = [
  ["shell JS", sum(shell, ".js"), 90],
  ["shell CSS", sum(shell, ".css"), 5],
  ["portal JS", sum(portal, ".js"), 25],
  ["portal CSS", sum(portal, ".css"), 5],
  [
    "offline shell",
    [...sizes].reduce((sum, [path, size]) => sum + (/\.(js|css|woff2|html)$/.test(path) ? size : 0), 0),
    400,
  ],
  ["fonts", sum(fonts, ".woff2"), 60],
  ...lazy.map((path) => [path.replace(/^assets\/|-[^-]+\.js$/g, ""), sizes.get(path) ?? 0, 15]),
  ...geo.map((path) => [path, sizes.get(path) ?? 0, 60]),
];

let over = false;
for (const [name, size, budget] of rows.sort((a, b) => b[2] - a[2] || b[1] - a[1])) {
  const fits = size <= budget * KB;
  over ||= !fits;
  console.log(
    `${fits ? "ok  " : "OVER"} ${(size / KB).toFixed(1).padStart(6)} of ${String(budget).padStart(3)} KB  ${name}`,
  );
}
if (over) process.exit(1);
