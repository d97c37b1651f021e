// Changing the deployment: what a host offers, what a change would do, what was
// changed, and how to take it back.
import { useEffect, useRef, useState } from 'preact/hooks';
import { markOf, short, signs, type Change, type Copies, type DiffLine, type Effect, type Forecast, type Host, type Made, type Model, type Offer } from './model';
import { post } from './post';

interface Props { model: Model; host: Host; propose: (c: Change) => void; kill: (host: Host) => void; busy: boolean }

const listens: Record<string, string> = { '': 'on every address', '127.0.0.1': 'on loopback only', eth0: 'on the task\'s address only' };

export function Offers({ model, host, propose, kill, busy }: Props) {
  const mine = (model.changing?.offers ?? []).filter((o) => o.hosts.includes(host.id));
  if (!model.changing) return null;
  return (
    <section class="panel offers" aria-labelledby="offers-title">
      <h2 id="offers-title">Change {host.label}</h2>
      <div class="forms">{mine.map((o) => <OfferForm key={JSON.stringify([o.kind, o.on, o.at, o.out, o.to])} offer={o} propose={propose} busy={busy} />)}</div>
      {host.kind === 'service' && <p><button type="button" class="second" disabled={busy} onClick={() => kill(host)}>Kill a task of it</button></p>}
      {mine.length === 0 && <p>The source settles nothing here that can be changed.</p>}
    </section>
  );
}

function OfferForm({ offer: o, propose, busy }: { offer: Offer; propose: (c: Change) => void; busy: boolean }) {
  const [to, setTo] = useState(o.to);
  const [peer, setPeer] = useState(o.peers?.[0]?.id ?? '10.0.0.0/8');
  const change = (value: string) => propose({ kind: o.kind, on: o.on, at: o.at, out: o.out, peer: o.kind === 'admit' ? peer : undefined, to: value });
  return (
    <form onSubmit={(e) => { e.preventDefault(); change(to); }}>
      <label>{o.label}
        {o.choices
          ? <select value={to} onChange={(e) => setTo(e.currentTarget.value)}>{!o.choices.includes(o.to) && <option value={o.to}>as it is</option>}{o.choices.map((c) => <option value={c} key={c}>{o.kind === 'binding' ? listens[c] : c}</option>)}</select>
          : <input type="text" autocomplete="off" spellcheck={false} value={to} placeholder={o.form} onInput={(e) => setTo(e.currentTarget.value)} />}
      </label>
      {o.kind === 'admit' && (
        <label>from
          <select value={peer} onChange={(e) => setPeer(e.currentTarget.value)}>{(o.peers ?? []).map((p) => <option value={p.id} key={p.id}>{p.label}</option>)}<option value="10.0.0.0/8">10.0.0.0/8</option></select>
        </label>
      )}
      <button type="submit" disabled={busy || (to === o.to && o.kind !== 'admit')} aria-label={`Try: ${o.label}`}>Try</button>
      {o.removable && o.to !== '' && <button type="button" class="second" disabled={busy} aria-label={`Without: ${o.label}`} onClick={() => change('')}>Without</button>}
    </form>
  );
}

// ForecastPanel shows what a change would do before it is made.
export function ForecastPanel({ forecast: f, undo, apply, cancel, busy }: { forecast: Forecast; undo: boolean; apply: () => void; cancel: () => void; busy: boolean }) {
  const box = useRef<HTMLElement>(null);
  useEffect(() => box.current?.scrollIntoView({ block: 'nearest' }), [f]);
  return (
    <section ref={box} class="panel forecast" aria-labelledby="forecast-title">
      <h2 id="forecast-title">{undo ? 'Take the last change back' : f.made.label}</h2>
      {!undo && <Diff lines={f.made.diff} />}
      <h3>Predicted: {f.effects.length === 0 ? 'no request ends otherwise' : `${f.effects.length + (f.left_out ?? 0)} ${f.effects.length === 1 ? 'request goes' : 'requests go'} another way`}</h3>
      <ul class="effects">{f.effects.slice(0, 12).map((e) => <EffectItem effect={e} />)}</ul>
      {f.effects.length > 12 && <details><summary>{f.effects.length - 12} more{f.left_out ? `, and ${f.left_out} that are not listed` : ''}</summary><ul class="effects">{f.effects.slice(12).map((e) => <EffectItem effect={e} />)}</ul></details>}
      {!undo && <CopyAs copies={f.made.copy} />}
      <p class="buttons">
        <button type="button" class="first" disabled={busy} onClick={apply}>{busy ? 'Under way …' : undo ? 'Take it back' : 'Apply to the lab'}</button>
        <button type="button" class="second" disabled={busy} onClick={cancel}>Leave it</button>
      </p>
    </section>
  );
}

function EffectItem({ effect: e }: { effect: Effect }) {
  const mark = markOf(e.after);
  return (
    <li class={mark}>
      <span class="to">{e.caller}: {e.after.target || e.before.target ? e.what : e.url}</span>
      <span class="turn">{e.was ? `${short(e.before)} ⟶ ` : 'new: '}<b><span class="sign" aria-hidden="true">{signs[mark]}</span> {short(e.after)}</b></span>
      {e.was !== e.is && <span class="way">{e.was || 'not there'} ⟶ {e.is || 'not there'}</span>}
    </li>
  );
}

export function Diff({ lines }: { lines: DiffLine[] }) {
  return <div class="diff">{lines.map((l) => <code class={l.sign === '+' ? 'plus' : l.sign === '-' ? 'minus' : ''}><span>{l.sign}</span> <span>{l.text}</span></code>)}</div>;
}

const languages: [keyof Copies, string][] = [['cdk', 'CDK (Go)'], ['cloudformation', 'CloudFormation'], ['terraform', 'Terraform']];

// CopyAs shows a change in a language; the text can be selected where there is no clipboard.
export function CopyAs({ copies }: { copies: Copies }) {
  const [shown, setShown] = useState<keyof Copies>();
  const [copied, setCopied] = useState(false);
  const show = async (k: keyof Copies) => {
    setShown(k);
    setCopied(false);
    try {
      await navigator.clipboard.writeText(copies[k]);
      setCopied(true);
    } catch { /* the text stands there to be selected */ }
  };
  return (
    <div class="copyas">
      <p>Copy as {languages.map(([k, name]) => <button type="button" class="second" aria-pressed={shown === k} onClick={() => show(k)}>{name}</button>)} <span role="status">{copied ? 'copied' : ''}</span></p>
      {shown && <pre tabIndex={0} aria-label={`The change as ${languages.find(([k]) => k === shown)![1]}`}>{copies[shown]}</pre>}
    </div>
  );
}

// Changed lists what was changed since the lab was started.
export function Changed({ made, rolling, undo, busy }: { made: Made[]; rolling: string[]; undo?: () => void; busy: boolean }) {
  if (made.length === 0 && rolling.length === 0) return null;
  return (
    <section class="panel changed" aria-labelledby="changed-title">
      <h2 id="changed-title">Changed in the lab, not in the source</h2>
      {rolling.length > 0 && <p class="rolling" role="status">Being deployed: {rolling.join(', ')}</p>}
      <ol class="notes">{made.map((m) => <li><details><summary>{m.label}</summary><Diff lines={m.diff} /><CopyAs copies={m.copy} /></details></li>)}</ol>
      {made.length > 0 && undo && <p><button type="button" class="second" disabled={busy} onClick={undo}>Undo the last change</button></p>}
    </section>
  );
}

export const predict = (version: string, change?: Change) => post<Forecast>('predict', proposal(version, change));
export const apply = (version: string, change?: Change) => post<Model>('change', proposal(version, change));
export const kill = (service: string) => post<object>('kill', { service });

// Without a change the last one is taken back.
const proposal = (version: string, change?: Change) => (change ? { version, change } : { version, undo: true, change: { kind: '', on: '', at: [0, 0], to: '' } });
