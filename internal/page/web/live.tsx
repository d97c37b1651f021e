// What a running lab adds: requests that are really sent, and its counters as
// they change.
import { useEffect, useState } from 'preact/hooks';
import type { Path } from './model';

export interface Counted { host: string; part: string; name: string; n: number }
export interface Seen {
  url: string;
  status?: number;
  header?: Record<string, string[]>;
  body?: string;
  error?: string;
  elapsed_s: number;
  took_s: number;
  counted: Counted[];
}
export interface Answer { error?: string; hint?: string; predicted?: Path[]; seen?: Seen; differs?: string }

export async function send(caller: string, url: string): Promise<Answer> {
  try {
    const got = await fetch('send', { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify({ caller, url }) });
    return got.ok ? ((await got.json()) as Answer) : { error: await got.text() };
  } catch {
    return { error: 'the page\'s server does not answer', hint: 'start hoplab lab page again' };
  }
}

export function SeenPanel({ answer: a }: { answer: Answer }) {
  if (a.error) return <section class="panel seen"><h2>Not sent</h2><p>{a.error}{a.hint ? `: ${a.hint}` : ''}</p></section>;
  const s = a.seen!, good = (s.status ?? 0) > 0 && s.status! < 400 && !s.error;
  return (
    <section class="panel seen" aria-labelledby="seen-title">
      <h2 id="seen-title">What happened in the lab</h2>
      <p class="url"><code>{s.url}</code></p>
      <ol class="stops">
        {s.counted.map((c) => <li class="stop open"><span class="where">{c.part === 'alb' ? c.name : `${c.part} of ${c.name}`}</span> <span class="state">counted {c.n}</span></li>)}
        {s.counted.length === 0 && <li class="stop closed"><span class="where">No hop counted it.</span></li>}
      </ol>
      <div class={`outcome ${good ? 'good' : 'bad'}`}>
        <p class="what"><span aria-hidden="true">{good ? '✓' : '✕'}</span> {s.error || `status ${s.status}`} after {time(s.elapsed_s)}</p>
        {s.elapsed_s >= 1 && s.took_s * 1.5 < s.elapsed_s && <p>A wait of {time(s.elapsed_s)} of the lab's time, fast-forwarded: {time(s.took_s)} here</p>}
        {s.body && <p>The caller reads <code>{s.body}</code></p>}
      </div>
      <p class={a.differs ? 'differs' : 'agrees'}>{a.differs ? `Not as predicted: ${a.differs}` : 'As predicted, below.'}</p>
      {s.header && <details><summary>Headers of the answer</summary><ul class="notes">{Object.entries(s.header).map(([k, v]) => <li><code>{k}: {v.join(', ')}</code></li>)}</ul></details>}
    </section>
  );
}

const time = (s: number) => (s < 1 ? `${Math.round(s * 1000)} ms` : `${s.toFixed(1)} s`);

interface Target { group: string; address: string; state: string; reason?: string }
interface State { at: string; down?: string; counted: Counted[]; targets: Target[]; errors: Record<string, number> }
interface Change { at: string; text: string; good: boolean }

const keptChanges = 50;

// Live shows the lab's state and what of it has changed, the last first.
export function Live() {
  const [state, setState] = useState<State>();
  const [changes, setChanges] = useState<Change[]>([]);
  const [lost, setLost] = useState(false);
  useEffect(() => {
    let last: State | undefined;
    const events = new EventSource('events'); // it connects again by itself, with the last id
    events.onopen = () => setLost(false);
    events.onerror = () => setLost(true);
    events.onmessage = (e) => {
      const next = JSON.parse(e.data as string) as State, seen = difference(last, next);
      last = next;
      setState(next);
      if (seen.length) setChanges((old) => [...seen.reverse(), ...old].slice(0, keptChanges));
    };
    return () => events.close();
  }, []);
  if (!state) return null;
  const counted = state.counted.filter((c) => c.n > 0), errors = Object.entries(state.errors).sort();
  return (
    <section class="live" aria-labelledby="live-title">
      <h2 id="live-title">Live</h2>
      {(lost || state.down) && <p class="differs" role="alert">{lost ? 'The page\'s server does not answer; it is asked again.' : state.down}</p>}
      <div class="cards">
        <div><h3>Targets</h3><ul class="notes">{state.targets.map((t) => <li>{mark(t)} {t.address} of {t.group}: {t.state} {t.reason}</li>)}{state.targets.length === 0 && <li>none</li>}</ul></div>
        <div><h3>Requests by hop</h3><ul class="notes">{counted.map((c) => <li>{c.part === 'alb' ? c.name : `${c.part} of ${c.name}`}: {c.n}</li>)}{counted.length === 0 && <li>none yet</li>}</ul></div>
        <div><h3>Errors by kind</h3><ul class="notes">{errors.map(([k, n]) => <li>{k}: {n}</li>)}{errors.length === 0 && <li>none</li>}</ul></div>
        <div><h3>Health, the last change first</h3><ol class="notes timeline">{changes.map((c) => <li><time>{new Date(c.at).toLocaleTimeString()}</time> {c.text}</li>)}</ol></div>
      </div>
    </section>
  );
}

const mark = (t: Target) => (t.state === 'healthy' ? '✓' : t.state === 'unhealthy' ? '✕' : '·');

// difference tells the changes of health from one state to the next.
function difference(was: State | undefined, is: State): Change[] {
  const out: Change[] = [], key = (t: Target) => `${t.group} ${t.address}`;
  if (is.down && !was?.down) out.push({ at: is.at, text: is.down, good: false });
  if (is.down) return out;
  if (was?.down) out.push({ at: is.at, text: 'the lab answers again', good: true });
  const before = new Map((was?.targets ?? []).map((t) => [key(t), t]));
  for (const t of is.targets) {
    const old = before.get(key(t));
    if (!old || old.state !== t.state || old.reason !== t.reason) out.push({ at: is.at, text: `${mark(t)} ${t.address}: ${t.state} ${t.reason ?? ''}`.trim(), good: t.state === 'healthy' });
    before.delete(key(t));
  }
  for (const t of before.values()) out.push({ at: is.at, text: `· ${t.address}: gone`, good: false });
  return out;
}
