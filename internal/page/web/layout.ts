// Where everything stands on the map. dagre orders the hosts so that few lines
// cross and areas stay together; sizes follow from what a host shows.
import dagre from '@dagrejs/dagre';
import type { Host, MapModel } from './model';

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
  const tries = (width < 560 ? ['TB', 'LR'] : ['LR', 'TB']).map((d) => arrange(m, d, w, width < 560));
  return tries.find((l) => l.w <= width) ?? (tries[0].w <= tries[1].w ? tries[0] : tries[1]);
}

function arrange(m: MapModel, rankdir: string, w: number, tight: boolean): Layout {
  const hosts = m.hosts ?? [], areas = m.areas ?? [];
  const g = new dagre.graphlib.Graph({ compound: true, multigraph: false });
  g.setGraph({ rankdir, nodesep: tight ? 8 : 30, ranksep: tight ? 34 : 56, edgesep: tight ? 6 : 12 });
  g.setDefaultEdgeLabel(() => ({}));
  // dagre takes any name, but those of an object's own fields are not safe as keys.
  const key = (kind: string, i: number) => kind + i;
  const areaAt = new Map(areas.map((a, i) => [a.id, key('a', i)]));
  const hostAt = new Map(hosts.map((h, i) => [h.id, key('h', i)]));
  areas.forEach((a) => g.setNode(areaAt.get(a.id)!, {}));
  areas.forEach((a) => a.parent && areaAt.has(a.parent) && g.setParent(areaAt.get(a.id)!, areaAt.get(a.parent)!));
  hosts.forEach((h) => {
    g.setNode(hostAt.get(h.id)!, { width: w, height: heightOf(h) });
    if (h.area && areaAt.has(h.area)) g.setParent(hostAt.get(h.id)!, areaAt.get(h.area)!);
  });
  const lines = m.lines.filter((l) => hostAt.has(l.from) && hostAt.has(l.to));
  for (const l of lines) {
    const text = label(l.ports);
    g.setEdge(hostAt.get(l.from)!, hostAt.get(l.to)!, { width: text.length * 7 + 10, height: 18, labelpos: 'c' });
  }
  dagre.layout(g);
  const out: Layout = { tight, down: rankdir === 'TB', w: 0, h: 0, hosts: new Map(), areas: [], lines: [] };
  for (const h of hosts) {
    const n = g.node(hostAt.get(h.id)!);
    out.hosts.set(h.id, { id: h.id, x: n.x - n.width / 2, y: n.y - n.height / 2, w: n.width, h: n.height });
  }
  for (const l of lines) {
    const e = g.edge(hostAt.get(l.from)!, hostAt.get(l.to)!);
    const points = attach(out.hosts.get(l.from)!, out.hosts.get(l.to)!, e.points.slice(1, -1), out.down);
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

// along is where a step's label stands: before the middle, so that it leaves the
// edges of the areas below it free.
export function along(p: Point[]): Point {
  const lengths = p.slice(1).map((q, i) => Math.hypot(q.x - p[i].x, q.y - p[i].y));
  let rest = lengths.reduce((a, b) => a + b, 0) * 0.4;
  for (let i = 0; i < lengths.length; i++) {
    if (rest <= lengths[i] && lengths[i] > 0) {
      const t = rest / lengths[i];
      return { x: p[i].x + (p[i + 1].x - p[i].x) * t, y: p[i].y + (p[i + 1].y - p[i].y) * t };
    }
    rest -= lengths[i];
  }
  return p[0];
}
