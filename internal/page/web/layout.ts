// Where everything stands on the map. dagre orders the hosts so that few lines
// cross and areas stay together; sizes follow from what a host shows.
import dagre from '@dagrejs/dagre';
import type { Host, Line, MapModel } from './model';

export interface Point { x: number; y: number }
export interface Box { id: string; x: number; y: number; w: number; h: number }
export interface Drawn { from: string; to: string; points: Point[]; label: Point; text: string }
export interface Layout { tight: boolean; down: boolean; w: number; h: number; hosts: Map<string, Box>; areas: (Box & { label: string; depth: number })[]; lines: Drawn[] }

// Of a host's names and ports so many are shown; the rest is in its details.
export const shown = 3;

const row = 19;

// heightOf is how high a host is drawn; page.css has the same rows.
export function heightOf(h: Host): number {
  const groups = h.groups?.length ? 24 : 0;
  const names = h.kind === 'service' ? (h.ports ?? []).filter((p) => p.name).length : (h.listens ?? []).length;
  const rows = Math.min(names, shown) + (names > shown ? 1 : 0);
  return 16 + 40 + groups + rows * row + (h.kind === 'service' ? 58 : 0);
}

// lay lays the map out to fit the width, left to right where there is room for
// that, else top to bottom.
export function lay(m: MapModel, width: number): Layout {
  const w = width < 560 ? 152 : 224;
  const tight = width < 560;
  const small = bundled(m, Math.max(1, Math.min(4, Math.floor((width - 40) / (w + gap)))));
  const [first, second] = tight ? ['TB', 'LR'] : ['LR', 'TB'];
  const one = arrange(m, small, first, w, tight);
  if (one.w <= width) return one; // the other way is laid out only where it is needed
  const two = arrange(m, small, second, w, tight);
  return two.w <= width || two.w < one.w ? two : one;
}

const gap = 12; // between the hosts of a bundle

// A bundle is a grid of hosts of one area that the same hosts call and that call
// nobody: a load balancer with twenty targets would be a line of twenty else.
interface Bundle { id: string; area?: string; members: Host[]; columns: number }

const many = 5;

function bundled(m: MapModel, columns: number): Bundle[] {
  const alike = new Map<string, Host[]>();
  for (const h of m.hosts ?? []) {
    const from = m.lines.filter((l) => l.to === h.id).map((l) => l.from);
    if (from.length === 0 || m.lines.some((l) => l.from === h.id)) continue;
    const key = JSON.stringify([h.area, from.sort()]);
    alike.set(key, [...(alike.get(key) ?? []), h]);
  }
  return [...alike.entries()].filter(([, list]) => list.length >= many)
    .map(([key, members]) => ({ id: 'bundle ' + key, area: members[0].area, members, columns }));
}

// sizeOf is how large a bundle is, its rows as high as their highest host.
function sizeOf(b: Bundle, w: number): { width: number; height: number } {
  let height = -gap;
  for (let i = 0; i < b.members.length; i += b.columns) height += gap + Math.max(...b.members.slice(i, i + b.columns).map(heightOf));
  return { width: b.columns * (w + gap) - gap, height };
}

// unfold places the hosts of a bundle in its box.
function unfold(b: Bundle, box: Box, w: number, out: Map<string, Box>) {
  let y = box.y;
  for (let i = 0; i < b.members.length; i += b.columns) {
    const row = b.members.slice(i, i + b.columns);
    row.forEach((h, n) => out.set(h.id, { id: h.id, x: box.x + n * (w + gap), y, w, h: heightOf(h) }));
    y += gap + Math.max(...row.map(heightOf));
  }
}

// folded is the map as dagre sees it: each bundle is one host, and so are the
// lines to its members one.
function folded(m: MapModel, bundles: Bundle[]): Line[] {
  const of = new Map(bundles.flatMap((b) => b.members.map((h) => [h.id, b.id] as const)));
  const lines = new Map<string, Line>();
  for (const l of m.lines) {
    const to = of.get(l.to) ?? l.to, key = JSON.stringify([l.from, to]), old = lines.get(key);
    lines.set(key, { from: l.from, to, ports: [...new Set([...(old?.ports ?? []), ...l.ports])] });
  }
  return [...lines.values()];
}

function arrange(m: MapModel, bundles: Bundle[], rankdir: string, w: number, tight: boolean): Layout {
  const inside = new Set(bundles.flatMap((b) => b.members.map((h) => h.id)));
  const hosts = (m.hosts ?? []).filter((h) => !inside.has(h.id)), areas = m.areas ?? [];
  const g = new dagre.graphlib.Graph({ compound: true, multigraph: false });
  g.setGraph({ rankdir, nodesep: tight ? 8 : 30, ranksep: tight ? 34 : 56, edgesep: tight ? 6 : 12 });
  g.setDefaultEdgeLabel(() => ({}));
  // dagre takes any name, but those of an object's own fields are not safe as keys.
  const key = (kind: string, i: number) => kind + i;
  const areaAt = new Map(areas.map((a, i) => [a.id, key('a', i)]));
  const hostAt = new Map([...hosts, ...bundles].map((h, i) => [h.id, key('h', i)]));
  areas.forEach((a) => g.setNode(areaAt.get(a.id)!, {}));
  areas.forEach((a) => a.parent && areaAt.has(a.parent) && g.setParent(areaAt.get(a.id)!, areaAt.get(a.parent)!));
  [...hosts, ...bundles].forEach((h) => {
    g.setNode(hostAt.get(h.id)!, 'members' in h ? sizeOf(h, w) : { width: w, height: heightOf(h) });
    if (h.area && areaAt.has(h.area)) g.setParent(hostAt.get(h.id)!, areaAt.get(h.area)!);
  });
  const lines = folded(m, bundles).filter((l) => hostAt.has(l.from) && hostAt.has(l.to));
  for (const l of lines) {
    const text = label(l.ports);
    g.setEdge(hostAt.get(l.from)!, hostAt.get(l.to)!, { width: text.length * 7 + 10, height: 18, labelpos: 'c' });
  }
  dagre.layout(g);
  const out: Layout = { tight, down: rankdir === 'TB', w: 0, h: 0, hosts: new Map(), areas: [], lines: [] };
  const boxes = new Map<string, Box>();
  for (const h of [...hosts, ...bundles]) {
    const n = g.node(hostAt.get(h.id)!), box = { id: h.id, x: n.x - n.width / 2, y: n.y - n.height / 2, w: n.width, h: n.height };
    boxes.set(h.id, box);
    if ('members' in h) unfold(h, box, w, out.hosts);
    else out.hosts.set(h.id, box);
  }
  for (const l of lines) {
    const e = g.edge(hostAt.get(l.from)!, hostAt.get(l.to)!);
    const points = attach(boxes.get(l.from)!, boxes.get(l.to)!, e.points.slice(1, -1), out.down);
    out.lines.push({ from: l.from, to: l.to, points, label: { x: e.x ?? points[0].x, y: e.y ?? points[0].y }, text: label(l.ports) });
  }
  frame(m, out);
  return shift(out);
}

function label(ports: string[]): string {
  return ports.length > 2 ? `${ports[0]}, ${ports[1]} …` : ports.join(', ');
}

// frame draws each area around what is in it, with room for its label.
function frame(m: MapModel, out: Layout) {
  const areas = m.areas ?? [];
  const inner = (id: string): Box[] => [
    ...(m.hosts ?? []).filter((h) => h.area === id).map((h) => out.hosts.get(h.id)!),
    ...areas.filter((a) => a.parent === id).flatMap((a) => box(a.id)),
  ];
  const pad = out.tight ? 5 : 8, top = 24;
  const box = (id: string): Box[] => {
    const list = inner(id);
    if (list.length === 0) return [];
    const x = Math.min(...list.map((b) => b.x)) - pad, y = Math.min(...list.map((b) => b.y)) - top;
    const right = Math.max(...list.map((b) => b.x + b.w)) + pad, bottom = Math.max(...list.map((b) => b.y + b.h)) + pad;
    return [{ id, x, y, w: right - x, h: bottom - y }];
  };
  for (const a of areas) for (const b of box(a.id)) out.areas.push({ ...b, label: a.label, depth: a.parent ? 1 : 0 });
  out.areas.sort((a, b) => a.depth - b.depth);
}

// shift moves everything so that it begins at the corner.
function shift(out: Layout): Layout {
  const boxes = [...out.hosts.values(), ...out.areas];
  const points = out.lines.flatMap((l) => l.points);
  const left = Math.min(0, ...boxes.map((b) => b.x), ...points.map((p) => p.x)), top = Math.min(0, ...boxes.map((b) => b.y), ...points.map((p) => p.y));
  for (const b of boxes) { b.x -= left - 2; b.y -= top - 2; }
  for (const l of out.lines) {
    l.points = l.points.map((p) => ({ x: p.x - left + 2, y: p.y - top + 2 }));
    l.label = { x: l.label.x - left + 2, y: l.label.y - top + 2 };
  }
  out.w = Math.max(0, ...boxes.map((b) => b.x + b.w), ...out.lines.flatMap((l) => l.points.map((p) => p.x))) + 4;
  out.h = Math.max(0, ...boxes.map((b) => b.y + b.h)) + 4;
  return out;
}

// between is a line from box to box that no layout was asked for.
export function between(a: Box, b: Box, down: boolean): Point[] {
  return attach(a, b, [], down);
}

// attach begins and ends a line at the sides with which the boxes face each
// other, so that it turns in the gap between the ranks and crosses no box there.
function attach(a: Box, b: Box, inner: Point[], down: boolean): Point[] {
  const middleOf = (q: Box) => ({ x: q.x + q.w / 2, y: q.y + q.h / 2 });
  const side = (q: Box, to: Point, away: Point): Point => {
    if (down) return { x: clamp(to.x, q.x + 16, q.x + q.w - 16), y: away.y >= q.y + q.h / 2 ? q.y + q.h : q.y };
    return { x: away.x >= q.x + q.w / 2 ? q.x + q.w : q.x, y: clamp(to.y, q.y + 16, q.y + q.h - 16) };
  };
  return [side(a, inner[0] ?? middleOf(b), middleOf(b)), ...inner, side(b, inner.at(-1) ?? middleOf(a), middleOf(a))];
}

const clamp = (v: number, low: number, high: number) => Math.max(low, Math.min(high, v));

// curve writes points as an SVG path that leaves each of them in the direction of the ranks.
export function curve(p: Point[], down: boolean): string {
  const f = (v: number) => v.toFixed(1);
  let d = `M${f(p[0].x)} ${f(p[0].y)}`;
  for (let i = 1; i < p.length; i++) {
    const a = p[i - 1], b = p[i], x = (a.x + b.x) / 2, y = (a.y + b.y) / 2;
    d += down ? `C${f(a.x)} ${f(y)} ${f(b.x)} ${f(y)} ${f(b.x)} ${f(b.y)}` : `C${f(x)} ${f(a.y)} ${f(x)} ${f(b.y)} ${f(b.x)} ${f(b.y)}`;
  }
  return d;
}

// along is where a step's label stands: before the middle, and where ranks are
// close right behind what ends on the host that it leaves, so that the names of
// the areas below stay free.
export function along(p: Point[], tight: boolean): Point {
  const lengths = p.slice(1).map((q, i) => Math.hypot(q.x - p[i].x, q.y - p[i].y));
  let rest = lengths.reduce((a, b) => a + b, 0) * 0.4;
  if (tight) rest = Math.min(rest, 24);
  for (let i = 0; i < lengths.length; i++) {
    if (rest <= lengths[i] && lengths[i] > 0) {
      const t = rest / lengths[i];
      return { x: p[i].x + (p[i + 1].x - p[i].x) * t, y: p[i].y + (p[i + 1].y - p[i].y) * t };
    }
    rest -= lengths[i];
  }
  return p[0];
}
