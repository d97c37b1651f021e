// What stands beside the map: a path stop by stop, a host's rules, all ports.
import { markOf, short, signs, through, type Host, type Outcome, type Path, type PortRow, type Stop } from './model';

export function PathPanel({ path }: { path: Path }) {
  return (
    <section class="panel" aria-labelledby="path-title">
      <h2 id="path-title">{path.what}</h2>
      <p class="url"><code>{path.url}</code></p>
      <ol class="stops">
        {path.stops.map((s) => <StopItem stop={s} />)}
        {path.stops.length === 0 && <li class="stop closed"><span class="where">The request never leaves its caller.</span></li>}
      </ol>
      <OutcomeBox outcome={path.outcome} />
      {path.otherwise && <OutcomeBox outcome={path.otherwise} condition={path.if} />}
      {path.assumes?.length ? <Notes title="Taken for granted" list={path.assumes} /> : null}
      {path.remarks?.length ? <Notes title="Worth knowing" list={path.remarks} /> : null}
    </section>
  );
}

const words = { open: 'passes', closed: 'stops here', unknown: 'not settled' };

function StopItem({ stop: s }: { stop: Stop }) {
  return (
    <li class={`stop ${s.state}`}>
      <span class="where">{spot(s.from.part, s.from.name)} → {spot(s.to.part, s.to.name)} <b>:{s.port}</b></span>{' '}
      <span class="state">{words[s.state]}{s.through ? `, ${through[s.through] ?? s.through}` : ''}</span>
      {s.admits?.map((a) => <span class="rule">{a}</span>)}
      {s.blocks?.map((b) => (
        <span class="block">
          {b.why}{b.nearest ? ` (nearest: ${b.nearest})` : ''}
          {b.opens && <span class="opens">opens it: <code>{b.opens}</code></span>}
        </span>
      ))}
    </li>
  );
}

function spot(part: string, name: string): string {
  return part === 'client' || part === 'alb' || part === 'nlb' ? name : `${part} of ${name}`;
}

function OutcomeBox({ outcome: o, condition }: { outcome: Outcome; condition?: string }) {
  const mark = markOf(o);
  return (
    <div class={`outcome ${mark}`}>
      <p class="what"><span aria-hidden="true">{signs[mark]}</span> {condition ? `Otherwise, if ${condition}: ` : ''}{short(o)}{after(o)}</p>
      {o.body && <p>The caller reads <code>{o.body}</code></p>}
      {o.location && <p>Redirected to <code>{o.location}</code></p>}
      <p>{o.why}{o.error ? ` — ${o.error}` : ''}</p>
      {o.basis && <p class="basis">By semantics {o.basis}{o.inferred ? ', in part inferred' : ''}</p>}
    </div>
  );
}

function after(o: Outcome): string {
  return o.after_s ? ` after ${o.after_s} s` : '';
}

function Notes({ title, list }: { title: string; list: string[] }) {
  return <><h3>{title}</h3><ul class="notes">{list.map((t) => <li>{t}</li>)}</ul></>;
}

export function HostPanel({ host: h }: { host: Host }) {
  return (
    <section class="panel" aria-labelledby="host-title">
      <h2 id="host-title">{h.label}</h2>
      <p class="detail">{h.detail}</p>
      {(h.groups ?? []).map((g) => (
        <div class="group">
          <h3>Security group {g.label}</h3>
          <ul class="notes">
            {[...g.ingress, ...g.egress].map((r) => <li><code>{r}</code></li>)}
            {g.ingress.length === 0 && <li>lets nothing in</li>}
            {g.egress.length === 0 && <li>lets nothing out</li>}
            {g.open && <li>may have more rules: {g.open}</li>}
          </ul>
        </div>
      ))}
    </section>
  );
}

export function Ports({ rows }: { rows: PortRow[] }) {
  if (rows.length === 0) return null;
  return (
    <section aria-labelledby="ports-title">
      <h2 id="ports-title">Every port where it counts</h2>
      <p class="lead">client: in the URL that callers use. ingress: where the agent is reached from outside the task. container: where the app listens.</p>
      <div class="scroll" role="region" aria-label="Ports" tabIndex={0}>
        <table>
          <thead><tr><th scope="col">service</th><th scope="col">endpoint</th><th scope="col">client</th><th scope="col">ingress</th><th scope="col">container</th><th scope="col">mode</th><th scope="col">protocol</th></tr></thead>
          <tbody>
            {rows.map((r) => (
              <tr>
                <th scope="row">{r.label.trim() || '(blank)'}</th><td>{r.endpoint || '–'}</td><td>{r.client_port || '–'}</td><td>{r.ingress_port || '–'}</td><td>{r.container_port || '–'}</td>
                <td>{r.port_mode === 'none' ? 'no endpoint' : r.port_mode}{r.why ? `: ${r.why}` : ''}</td><td>{r.port_mode === 'none' ? '–' : r.app_protocol + (r.tls ? ' + TLS' : '')}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </section>
  );
}
