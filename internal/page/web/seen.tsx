// What really happened to a request: hop by hop, with the time, what decided it,
// the headers and the access log.
import { Diff } from './changes';
import { post } from './post';
import { time, through, type Answer, type DiffLine, type Header, type Hop, type Path, type Stop } from './model';

export const send = (caller: string, url: string) => post<Answer>('send', { caller, url });

// SeenPanel shows an answer; at is the host to which the dot on the map has come.
export function SeenPanel({ answer: a, path, at, again }: { answer: Answer; path?: Path; at?: string; again?: () => void }) {
  if (a.error || !a.seen) return <section class="panel seen"><h2>Not sent</h2><p>{a.error}{a.hint ? `: ${a.hint}` : ''}</p></section>;
  const s = a.seen, good = (s.status ?? 0) > 0 && s.status! < 400 && !s.error;
  const waited = s.elapsed_s >= 1 && s.took_s * 1.5 < s.elapsed_s;
  return (
    <section class="panel seen" aria-labelledby="seen-title">
      <h2 id="seen-title">What happened in the lab</h2>
      <p class="url"><code>{s.url}</code></p>
      <Headers title="Sent" header={s.sent} />
      <ol class="stops">
        {s.hops.map((h) => <HopItem hop={h} stop={stopOf(path, h)} here={h.host === at} />)}
        {s.hops.length === 0 && <li class="stop closed"><span class="where">No hop counted it.</span></li>}
      </ol>
      <div class={`outcome ${good ? 'good' : 'bad'}`}>
        <p class="what"><span aria-hidden="true">{good ? '✓' : '✕'}</span> {s.error || `status ${s.status}`} after {time(s.elapsed_s)}</p>
        {waited && <p><span aria-hidden="true">▸▸</span> A wait of {time(s.elapsed_s)} of the lab's time, fast-forwarded: {time(s.took_s)} here</p>}
        {s.body && <p>The caller reads <code>{s.body}</code></p>}
      </div>
      <p class={a.differs ? 'differs' : 'agrees'}>{a.differs ? `Not as predicted: ${a.differs}` : 'As predicted, below.'}</p>
      {s.header && <Headers title="Headers of the answer" header={s.header} />}
      {again && <p><button type="button" class="second" onClick={again}>Watch it go again</button></p>}
    </section>
  );
}

// stopOf is the predicted connection that ends in the hop: it says what decided.
function stopOf(path: Path | undefined, h: Hop): Stop | undefined {
  return path?.stops.find((s) => s.to.host === h.host && s.to.part === h.part);
}

function HopItem({ hop: h, stop, here }: { hop: Hop; stop?: Stop; here: boolean }) {
  return (
    <li class={`stop open ${here ? 'here' : ''}`} aria-current={here ? 'step' : undefined}>
      <span class="where">{h.part === 'alb' ? stop?.to.name ?? h.name : `${h.part} of ${stop?.to.name ?? h.name}`}{stop && <b> :{stop.port}</b>}</span>{' '}
      <span class="state">{h.ms !== null ? (h.part === 'app' ? `took ${time(h.ms / 1000)}` : `waited ${time(h.ms / 1000)} for what is behind it`) : 'passed'}{h.n > 1 ? `, counted ${h.n} times` : ''}</span>
      {stop?.through && <span class="rule">{through[stop.through] ?? stop.through}</span>}
      {stop?.admits?.map((a) => <span class="rule">let in by {a}</span>)}
      <HeadsView title="Headers of the request" was={h.heads.request_in} is={h.heads.request_out} />
      <HeadsView title="Headers of the answer" was={h.heads.response_in} is={h.heads.response_out} />
      {h.log?.map((l) => <details><summary>Access log</summary><LogLine line={l} /></details>)}
      {h.no_log && <span class="rule">access log: {h.no_log}</span>}
    </li>
  );
}

// HeadsView shows a head as it came to a hop and as it left it: what went on as
// it came, what was taken out, and what was put in.
function HeadsView({ title, was, is }: { title: string; was?: string[]; is?: string[] }) {
  const lines = turned(was, is);
  if (lines.length === 0) return null;
  const count = (sign: string) => lines.filter((l) => l.sign === sign).length;
  const turns = [count('+') ? `+${count('+')}` : '', count('-') ? `−${count('-')}` : ''].filter((t) => t).join(' ');
  return (
    <details><summary>{title}{was && is ? `: ${turns || 'as they came'}` : ''}</summary>
      <Diff lines={lines} />
    </details>
  );
}

// turned compares two heads line by line; a field's name means the same in any letters.
function turned(was?: string[], is?: string[]): DiffLine[] {
  if (!was || !is) return (was ?? is ?? []).map((text) => ({ sign: ' ', text }));
  const key = (l: string, i: number) => (i === 0 ? l : l.slice(0, l.indexOf(':')).toLowerCase() + l.slice(l.indexOf(':')));
  const before = new Set(was.map(key)), after = new Set(is.map(key));
  const gone = was.filter((l, i) => !after.has(key(l, i))).map((text) => ({ sign: '-', text }));
  const there = is.map((text, i) => ({ sign: before.has(key(text, i)) ? ' ' : '+', text }));
  return gone.length && gone[0].text === was[0] ? [...gone, ...there] : [...there.slice(0, 1), ...gone, ...there.slice(1)];
}

// LogLine shows the fields of a JSON line that say something, and any other line as it is.
function LogLine({ line }: { line: string }) {
  let fields: [string, unknown][] = [];
  try {
    fields = Object.entries(JSON.parse(line) as object);
  } catch { /* not JSON */ }
  if (fields.length === 0) return <code>{line}</code>;
  return <dl class="log">{fields.filter(([, v]) => v !== '').map(([k, v]) => <><dt>{k}</dt><dd>{String(v)}</dd></>)}</dl>;
}

function Headers({ title, header }: { title: string; header: Header }) {
  return <details><summary>{title}</summary><ul class="notes">{Object.entries(header).map(([k, v]) => <li><code>{k}: {v.join(', ')}</code></li>)}</ul></details>;
}
