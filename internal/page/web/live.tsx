// What the lab counts, as it changes.
import { useEffect, useRef, useState } from 'preact/hooks';

interface Counted { host: string; part: string; name: string; n: number }
interface Target { group: string; address: string; state: string; reason?: string }
interface State { at: string; down?: string; version: string; rolling: string[]; counted: Counted[]; targets: Target[]; errors: Record<string, number> }
interface Change { at: string; text: string; good: boolean }

const keptChanges = 50;

// Live shows the lab's state and what of it has changed, the last first.
// changed is told what the lab is made of and what is being deployed.
export function Live({ changed }: { changed: (version: string, rolling: string[]) => void }) {
  const [state, setState] = useState<State>();
  const [changes, setChanges] = useState<Change[]>([]);
  const [lost, setLost] = useState(false);
  const tell = useRef(changed);
  tell.current = changed;
  useEffect(() => {
    let last: State | undefined;
    const events = new EventSource('events'); // it connects again by itself, with the last id
    events.onopen = () => setLost(false);
    events.onerror = () => setLost(true);
    events.onmessage = (e) => {
      const next = JSON.parse(e.data as string) as State, seen = difference(last, next);
      last = next;
      setState(next);
      if (!next.down) tell.current(next.version, next.rolling);
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
