// The page of a deployment: as it is predicted, and of a running lab also as it is.
import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import { Ask } from './ask';
import { apply, Changed, ForecastPanel, kill, Offers, predict } from './changes';
import { Live } from './live';
import { NetworkMap, type Trip } from './map';
import { short, type Answer, type Change, type Forecast, type Host, type Model, type Path } from './model';
import { HostPanel, PathPanel, Ports } from './panels';
import { save } from './post';
import { SeenPanel, send } from './seen';

export function Deployment({ first: model0 }: { first: Model }) {
  const [model, setModel] = useState(model0);
  const start = model0.shown?.path ?? firstOf(model0);
  const [caller, setCaller] = useState(model0.shown?.caller ?? start?.caller ?? model0.callers?.[0]?.key ?? '');
  const [path, setPath] = useState<Path | undefined>(start);
  const [missing, setMissing] = useState('');
  const [host, setHost] = useState('');
  const [answer, setAnswer] = useState<Answer | undefined>(model0.shown?.answer);
  const [waiting, setWaiting] = useState(false);
  const [trip, setTrip] = useState<Trip>();
  const [at, setAt] = useState('');
  const choose = (p: Path | undefined, asked = '') => {
    setPath(p);
    setMissing(p ? '' : asked);
    setHost('');
    setAnswer(undefined);
    setTrip(undefined);
    setAt('');
  };
  const go = (a: Answer) => {
    if (!a.seen) return;
    const from = model.callers.find((c) => c.key === caller)?.host ?? '';
    const hosts = [from, ...a.seen.hops.map((h) => h.host)].filter((h, i, all) => h !== all[i - 1]);
    setTrip((old) => ({ n: (old?.n ?? 0) + 1, hosts, good: (a.seen!.status ?? 0) > 0 && a.seen!.status! < 400, seconds: a.seen!.elapsed_s }));
  };
  const sendIt = async (url: string) => {
    setWaiting(true);
    const a = await send(caller, url);
    setWaiting(false);
    if (a.predicted?.length) choose(a.predicted[0]);
    setAnswer(a);
    go(a);
  };
  const take = (next: Model) => {
    setModel(next);
    setPath((p) => next.paths.find((q) => q.id === p?.id) ?? next.paths.find((q) => q.caller === caller));
    setAnswer(undefined);
    setTrip(undefined);
  };
  const changing = useChanges(model, take);
  const from = (key: string) => {
    setCaller(key);
    choose(model.paths.find((p) => p.caller === key));
  };
  const chosen = (model.map.hosts ?? []).find((h) => h.id === host);
  const title = useMemo(() => (model.live ? `${model.title}, running in the lab, not in AWS` : model.shown?.answer ? `${model.title}, as it ran in the lab, not in AWS` : `predicted from ${model.title}, not run`), [model]);
  return (
    <>
      <header><p class="kicker"><strong>hoplab</strong> <span>{title}</span></p><h1>Where a request goes, and where it stops</h1></header>
      <main>
        <div class="columns">
          <div class="left">
            <Ask key={caller} model={model} caller={caller} setCaller={from} path={path} choose={choose} send={model.live ? sendIt : undefined} waiting={waiting} />
            <NetworkMap map={model.map} path={path} trip={trip} arrive={setAt} selected={host} select={(id) => setHost(id === host ? '' : id)} />
            {model.live && <p class="hint">Choose a host on the map to change it. <Share shown={{ caller, path, answer }} /></p>}
            {chosen && model.live && <Offers key={chosen.id} model={model} host={chosen} propose={changing.propose} kill={changing.kill} busy={changing.busy} />}
          </div>
          <div class="right">
            <p class="sr" role="status">{waiting ? 'The request is under way' : path ? `${path.what}: ${short(path.outcome)}` : missing}</p>
            {changing.failed && <p class="panel differs" role="alert">{changing.failed}</p>}
            {changing.forecast && <ForecastPanel forecast={changing.forecast} undo={!changing.asked} apply={changing.apply} cancel={changing.cancel} busy={changing.busy} />}
            {model.changing && <Changed made={model.changing.made} rolling={changing.rolling} undo={model.live ? () => changing.propose() : undefined} busy={changing.busy} />}
            {chosen && <HostPanel host={chosen} />}
            {answer && <div role="status"><SeenPanel answer={answer} path={path} at={at} again={() => go(answer)} /></div>}
            {path && <PathPanel path={path} />}
            {!path && <p class="panel">{missing ? `This file holds no prediction for ${missing} from this caller. hoplab explain with --from and --to makes one that does; the requests it holds stand above.` : 'No request is predicted.'}</p>}
          </div>
          <div class="below">
            {model.live && <Live changed={changing.heard} />}
            <Ports rows={model.ports} />
            {(model.notes?.length || model.left_out) ? (
              <section><h2>What this leaves out</h2><ul class="notes">
                {model.notes?.map((n) => <li>{n}</li>)}
                {model.left_out ? <li>{model.left_out} further predictions; --from and --to choose which are here</li> : null}
              </ul></section>
            ) : null}
          </div>
        </div>
      </main>
      <footer>Made by hoplab. {model.live ? 'The page is served by this machine and asks nobody else.' : 'The page is one file and loads nothing.'}</footer>
    </>
  );
}

const firstOf = (m: Model) => m.paths.find((p) => p.likely && p.stops.length > 0) ?? m.paths[0];

function Share({ shown }: { shown: { caller: string; path?: Path; answer?: Answer } }) {
  const [failed, setFailed] = useState('');
  return <><button type="button" class="second" onClick={async () => setFailed(await save('share', shown, 'hoplab.html'))}>Save what is shown as one file</button> <span role="status">{failed}</span></>;
}

// useChanges is the way of a change: proposed, predicted, applied; and what other
// browsers change meanwhile.
function useChanges(model: Model, take: (m: Model) => void) {
  const [forecast, setForecast] = useState<Forecast>();
  const [asked, setAsked] = useState<Change>();
  const [failed, setFailed] = useState('');
  const [busy, setBusy] = useState(false);
  const [rolling, setRolling] = useState<string[]>([]);
  const [version, setVersion] = useState('');
  const now = useRef(model.changing?.version ?? '');
  now.current = model.changing?.version ?? '';
  const during = async (work: () => Promise<{ error?: string; hint?: string }>) => {
    setBusy(true);
    setFailed('');
    const got = await work();
    setBusy(false);
    if (got.error) setFailed(got.hint ? `${got.error}: ${got.hint}` : got.error);
    return !got.error;
  };
  // Another browser, or another command, has changed the lab. Its model may come
  // later than the news, and is asked for again until it does; news that is told
  // again, of what was before, is overtaken by the next.
  const [tries, setTries] = useState(0);
  useEffect(() => {
    if (busy || !version || version === now.current) return;
    let overtaken = false, again = 0;
    void (async () => {
      const got = await fetch('model').catch(() => undefined);
      const next = got?.ok ? ((await got.json()) as Model) : undefined;
      if (overtaken) return;
      if (next && next.changing?.version !== now.current) {
        take(next);
        setForecast(undefined);
      } else again = window.setTimeout(() => setTries((n) => n + 1), 1000);
    })();
    return () => {
      overtaken = true;
      window.clearTimeout(again);
    };
  }, [version, busy, tries]);
  return {
    forecast, asked, failed, busy, rolling,
    heard: (v: string, r: string[]) => { setVersion(v); setRolling(r); },
    propose: (c?: Change) => during(async () => {
      const got = await predict(now.current, c);
      setAsked(c);
      setForecast(got.error ? undefined : got);
      return got;
    }),
    apply: () => during(async () => {
      const got = await apply(now.current, asked);
      if (!got.error) {
        take(got);
        setForecast(undefined);
      }
      return got as { error?: string };
    }),
    cancel: () => setForecast(undefined),
    kill: (h: Host) => during(() => kill(h.id)),
  };
}
