// Who calls what: a caller, a URL, and the requests whose answer is known.
import { useState } from 'preact/hooks';
import { markOf, same, short, signs, type Model, type Path } from './model';

interface Props { model: Model; caller: string; setCaller: (key: string) => void; path?: Path; choose: (p: Path | undefined, missing?: string) => void; send?: (url: string) => void; waiting?: boolean }

const few = 6;

export function Ask({ model, caller, setCaller, path, choose, send, waiting }: Props) {
  const mine = model.paths.filter((p) => p.caller === caller);
  const [url, setUrl] = useState(path?.url ?? '');
  const [all, setAll] = useState(false);
  const list = all ? mine : mine.slice(0, few);
  // A load balancer may choose between targets: one URL, several paths.
  const alone = (p: Path) => mine.filter((q) => q.url === p.url).length === 1;
  const pick = (p: Path) => { setUrl(p.url); choose(p); };
  const ask = (e: Event) => {
    e.preventDefault();
    if (send) return send(url);
    choose(mine.find((p) => same(p.url, url)), url);
  };
  return (
    <section class="ask" aria-labelledby="ask-title">
      <h2 id="ask-title">{send ? 'Send a request' : 'Send a request in thought'}</h2>
      <form onSubmit={ask}>
        <label>Caller
          <select value={caller} onChange={(e) => setCaller(e.currentTarget.value)}>
            {model.callers.filter((c) => !send || !c.key.startsWith('health:')).map((c) => <option value={c.key} key={c.key}>{c.label}</option>)}
          </select>
        </label>
        <label>URL
          <input type="text" inputMode="url" autocomplete="off" spellcheck={false} list="urls" value={url} onInput={(e) => setUrl(e.currentTarget.value)} />
        </label>
        <datalist id="urls">{[...new Set(mine.map((p) => p.url))].map((u) => <option value={u} key={u} />)}</datalist>
        <button type="submit" disabled={waiting}>{send ? (waiting ? 'Under way …' : 'Send') : 'Predict'}</button>
      </form>
      <ul class="requests" aria-label="Requests of this caller">
        {list.map((p) => {
          const mark = markOf(p.outcome);
          return (
            <li key={p.id}>
              <button type="button" class={mark} aria-pressed={path?.id === p.id} onClick={() => pick(p)}>
                <span class="sign" aria-hidden="true">{signs[mark]}</span><span class="to">{p.kind === 'health' ? p.what : alone(p) ? p.url : `${p.url} ${p.what.slice(p.what.lastIndexOf(', ') + 1)}`}</span><span class="short">{short(p.outcome)}</span>
              </button>
            </li>
          );
        })}
      </ul>
      {mine.length > few && <button type="button" class="more" onClick={() => setAll(!all)}>{all ? 'Show fewer' : `Show all ${mine.length}`}</button>}
    </section>
  );
}
