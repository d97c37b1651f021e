// The map: hosts as buttons, so that text wraps and clips as text does and a
// keyboard reaches them; lines as a drawing below them.
import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import { along, between, curve, heightOf, lay, shown, type Box, type Layout, type Point } from './layout';
import type { Host, MapModel, Path } from './model';

// A trip is a request under way: the hosts that it really passed, whether it was
// answered, and how long its caller waited. n tells one from the next.
export interface Trip { n: number; hosts: string[]; good: boolean; seconds: number }

interface Props { map: MapModel; path?: Path; trip?: Trip; arrive?: (host: string) => void; selected?: string; select: (id: string, part: string) => void; picked?: string; label?: string }

export function NetworkMap({ map, path, trip, arrive, selected, select, picked, label }: Props) {
  const frame = useRef<HTMLDivElement>(null);
  const [width, setWidth] = useState(0);
  useEffect(() => {
    const seen = new ResizeObserver(() => frame.current && setWidth(frame.current.clientWidth));
    seen.observe(frame.current!);
    return () => seen.disconnect();
  }, []);
  const l = useMemo(() => (width > 0 ? lay(map, width) : undefined), [map, width]);
  const zoom = l ? Math.max(l.tight ? 0.85 : 0.7, Math.min(1, (width - 12) / l.w)) : 1;
  useEffect(() => {
    // A map that is larger than its frame is moved to the path, or to where it begins.
    const boxes = (path?.stops ?? []).flatMap((s) => [l?.hosts.get(s.from.host), l?.hosts.get(s.to.host)]).filter((b) => b !== undefined);
    if (!l || boxes.length === 0) return;
    const left = Math.min(...boxes.map((b) => b.x)), right = Math.max(...boxes.map((b) => b.x + b.w));
    const top = Math.min(...boxes.map((b) => b.y)), bottom = Math.max(...boxes.map((b) => b.y + b.h));
    const f = frame.current!, start = boxes[0];
    const middleOf = (a: number, b: number, room: number) => ((a + b) / 2) * zoom - room / 2;
    f.scrollTo({
      left: (right - left) * zoom > f.clientWidth ? middleOf(start.x, start.x + start.w, f.clientWidth) : middleOf(left, right, f.clientWidth),
      top: (bottom - top) * zoom > f.clientHeight ? middleOf(start.y, start.y + start.h, f.clientHeight) : middleOf(top, bottom, f.clientHeight),
    });
  }, [l, path, zoom]);
  const names = new Map((map.hosts ?? []).map((h) => [h.id, h.label]));
  return (
    <div class="frame" ref={frame} tabIndex={0} role="region" aria-label={label ?? 'Map of the deployment'}>
      {l && (
        <div class={`map ${l.tight ? 'tight' : ''}`} style={{ width: px(l.w), height: px(l.h), zoom }}>
          {l.areas.map((a) => (
            <div class={`area depth${a.depth}`} key={a.id} style={place(a)}><span title={a.label}>{a.label}</span></div>
          ))}
          <svg class="lines" width={l.w} height={l.h} aria-hidden="true">
            <defs>
              <marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto"><path d="M0 0L8 4L0 8z" /></marker>
              {['open', 'closed', 'unknown'].map((s) => (
                <marker id={`tip-${s}`} class={s} viewBox="0 0 8 8" refX="7" refY="4" markerWidth="4" markerHeight="4" orient="auto"><path d="M0 0L8 4L0 8z" /></marker>
              ))}
            </defs>
            {l.lines.map((e) => <path class={`line ${path ? 'dim' : ''}`} key={e.from + '>' + e.to} d={curve(e.points, l.down)} marker-end="url(#tip)" />)}
            {path && steps(l, path).map((s) => <path class={`step ${s.state}`} key={`${path.id} ${s.n}`} d={curve(s.points, l.down)} marker-end={`url(#tip-${s.state})`} />)}
          </svg>
          {(map.hosts ?? []).map((h) => (
            <HostBox key={h.id} host={h} box={l.hosts.get(h.id)!} path={path} selected={selected === h.id} select={select} picked={selected === h.id ? picked : undefined} />
          ))}
          {!path && l.lines.map((e) => <span class="port" aria-hidden="true" key={e.from + '>' + e.to} style={point(e.label)}>{e.text}</span>)}
          {path && steps(l, path).map((s) => (
            <span class={`port step ${s.state}`} aria-hidden="true" key={s.n} style={point(along(s.points, l.tight))}>
              <b>{s.n}</b> {s.port}{s.state === 'closed' ? ' ✕' : s.state === 'unknown' ? ' ?' : ''}
            </span>
          ))}
          {trip && <Dot key={trip.n} layout={l} trip={trip} arrive={arrive} />}
        </div>
      )}
      <ul class="sr">
        {map.lines.map((e) => <li key={e.from + '>' + e.to}>{names.get(e.from)} calls {names.get(e.to)} on {e.ports.join(', ')}</li>)}
      </ul>
    </div>
  );
}

const px = (n: number) => `${n.toFixed(1)}px`;
const place = (b: Box) => ({ left: px(b.x), top: px(b.y), width: px(b.w), height: px(b.h) });
const point = (p: Point) => ({ left: px(p.x), top: px(p.y) });

interface Step { n: number; points: Point[]; port: string; state: string }

// steps are the connections of a path that go from host to host.
function steps(l: Layout, path: Path): Step[] {
  const out: Step[] = [];
  path.stops.forEach((s, i) => {
    const a = l.hosts.get(s.from.host), b = l.hosts.get(s.to.host);
    if (!a || !b || a === b) return;
    const line = l.lines.find((e) => e.from === a.id && e.to === b.id);
    out.push({ n: i + 1, points: line ? line.points : between(a, b, l.down), port: s.port, state: s.state });
  });
  return out;
}

function HostBox({ host: h, box, path, selected, select, picked }: { host: Host; box: Box; path?: Path; selected: boolean; select: (id: string, part: string) => void; picked?: string }) {
  const on = path?.stops.some((s) => s.from.host === h.id || s.to.host === h.id) ?? false;
  const closes = (path?.stops ?? []).filter((s) => s.from.host === h.id || s.to.host === h.id).flatMap((s) => s.blocks ?? []);
  const blocked = (h.groups ?? []).some((g) => closes.some((b) => b.name === g.label));
  const ports = h.ports ?? [], named = ports.filter((p) => p.name);
  const rows = h.kind === 'service' ? named.map((p) => [p.name!, p.client ?? '']) : (h.listens ?? []).map((t) => [t, '']);
  return (
    <button type="button" class={`host ${h.kind} ${on ? 'on' : path ? 'off' : ''}`} style={{ ...place(box), height: px(heightOf(h)) }}
      aria-pressed={selected} onClick={(e) => select(h.id, (e.target as Element).closest('.part')?.getAttribute('data-part') ?? '')}>
      {h.groups?.length ? (
        <span class={`gate ${blocked ? 'shut' : ''}`} title={h.groups.map((g) => g.label).join(', ')}>
          <i>{blocked ? '✕ group' : 'group'}</i> {h.groups.map((g) => g.label).join(', ')}
        </span>
      ) : null}
      <span class="name" title={h.label}>{h.label}</span>
      <span class="detail" title={h.detail}>{h.detail}</span>
      {rows.slice(0, shown).map(([name, port]) => (
        <span class="row" title={port ? `${name}:${port}` : name}>
          <i>{h.kind === 'service' ? 'client' : 'listener'}</i><span>{name}</span>{port && <b>:{port}</b>}
        </span>
      ))}
      {rows.length > shown && <span class="row"><i>and {rows.length - shown} more</i></span>}
      {h.kind === 'service' && (
        <span class="task">
          {h.agent && <Part name="agent" picked={picked === 'agent'} word="ingress" ports={ports.map((p) => p.ingress)} order={order(path, h.id, ['agent', 'client agent'])} />}
          <Part name="app" picked={picked === 'app'} word="container" ports={ports.map((p) => p.container)} order={order(path, h.id, ['app', 'client'])} />
        </span>
      )}
    </button>
  );
}

function Part({ name, picked, word, ports, order }: { name: string; picked: boolean; word: string; ports: (string | undefined)[]; order: string }) {
  const list = [...new Set(ports.filter((p) => p))];
  return (
    <span class={`part ${order ? 'on' : ''} ${picked ? 'picked' : ''}`} data-part={name}>
      <span>{name}{order && <em>{order}</em>}</span>
      <span title={list.join(', ')}>{list.length ? <><i>{word}</i> {list.slice(0, 2).join(', ')}{list.length > 2 ? ' …' : ''}</> : <i>no port</i>}</span>
    </span>
  );
}

// order is which stops of the path end in a part of a host, or that it begins there.
function order(path: Path | undefined, host: string, parts: string[]): string {
  if (!path) return '';
  const out: string[] = [];
  path.stops.forEach((s, i) => {
    if (i === 0 && s.from.host === host && parts.includes(s.from.part)) out.push('start');
    if (s.to.host === host && parts.includes(s.to.part) && s.state !== 'closed') out.push(String(i + 1));
  });
  return out.join(', ');
}

// Dot goes the way that a request really went, host by host, waits where it
// waited, with the time fast-forwarded, and stays where it ended. arrive is told
// of each host that it comes to.
function Dot({ layout: l, trip, arrive }: { layout: Layout; trip: Trip; arrive?: (host: string) => void }) {
  const dot = useRef<HTMLSpanElement>(null);
  const [clock, setClock] = useState(0);
  const still = matchMedia('(prefers-reduced-motion: reduce)').matches;
  const boxes = trip.hosts.map((id) => l.hosts.get(id)).filter((b) => b !== undefined);
  const last = boxes.at(-1);
  useEffect(() => {
    if (still || boxes.length < 2) {
      setClock(trip.seconds);
      if (last) arrive?.(last.id);
      return;
    }
    let running = true, shown: number | undefined;
    const legs = boxes.slice(1).map((b, i) => trail(l, boxes[i], b));
    const ride = async () => {
      arrive?.(boxes[0].id);
      for (const [i, leg] of legs.entries()) {
        dot.current!.style.offsetPath = `path("${curve(leg, l.down)}")`;
        await dot.current!.animate([{ offsetDistance: '0%' }, { offsetDistance: '100%' }], { duration: 520, easing: 'ease-in-out', fill: 'forwards' }).finished;
        if (!running) return;
        arrive?.(boxes[i + 1].id);
      }
      const begun = performance.now(), length = trip.seconds >= 1 ? 2200 : 1;
      const tick = () => {
        const part = Math.min(1, (performance.now() - begun) / length);
        setClock(trip.seconds * part);
        if (running && part < 1) shown = requestAnimationFrame(tick);
      };
      tick();
    };
    void ride().catch(() => undefined); // the map was laid out anew
    return () => { running = false; if (shown) cancelAnimationFrame(shown); };
  }, []);
  if (!last) return null;
  const done = clock >= trip.seconds;
  return (
    <>
      {!still && boxes.length > 1 && <span class="dot" ref={dot} aria-hidden="true" />}
      {clock > 0 && (
        <span class={`ended ${done ? (trip.good ? 'good' : 'bad') : ''}`} aria-hidden="true" style={point({ x: last.x + last.w / 2, y: last.y + last.h })}>
          {done ? (trip.good ? '✓' : '✕') : '▸▸'} {clock.toFixed(clock < 1 ? 3 : 1)} s
        </span>
      )}
    </>
  );
}

function trail(l: Layout, a: Box, b: Box): Point[] {
  const line = l.lines.find((e) => e.from === a.id && e.to === b.id);
  return line ? line.points : between(a, b, l.down);
}
