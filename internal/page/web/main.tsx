// The page's program: reads the model out of the file and draws it.
import { render } from 'preact';
import { useMemo, useState } from 'preact/hooks';
import { Ask } from './ask';
import { NetworkMap } from './map';
import { Live, SeenPanel, send, type Answer } from './live';
import { short, type Model, type Path } from './model';
import { HostPanel, PathPanel, Ports } from './panels';

function Page({ model }: { model: Model }) {
  const first = useMemo(() => model.paths.find((p) => p.likely && p.stops.length > 0) ?? model.paths[0], [model]);
  const [caller, setCaller] = useState(first?.caller ?? model.callers?.[0]?.key ?? '');
  const [path, setPath] = useState<Path | undefined>(first);
  const [missing, setMissing] = useState('');
  const [host, setHost] = useState('');
  const [answer, setAnswer] = useState<Answer>();
  const [waiting, setWaiting] = useState(false);
  const choose = (p: Path | undefined, asked = '') => {
    setPath(p);
    setMissing(p ? '' : asked);
    setHost('');
    setAnswer(undefined);
  };
  const sendIt = async (url: string) => {
    setWaiting(true);
    const a = await send(caller, url);
    setWaiting(false);
    if (a.predicted?.length) choose(a.predicted[0]);
    setAnswer(a);
  };
  const from = (key: string) => {
    setCaller(key);
    choose(model.paths.find((p) => p.caller === key));
  };
  const select = (id: string) => setHost(id === host ? '' : id);
  const chosen = (model.map.hosts ?? []).find((h) => h.id === host);
  return (
    <>
      <header><p class="kicker"><strong>hoplab</strong> <span>{model.live ? `${model.title}, running in the lab, not in AWS` : `predicted from ${model.title}, not run`}</span></p><h1>Where a request goes, and where it stops</h1></header>
      <main>
        <div class="columns">
          <div class="left">
            <Ask key={caller} model={model} caller={caller} setCaller={from} path={path} choose={choose} send={model.live ? sendIt : undefined} waiting={waiting} />
            <NetworkMap map={model.map} path={path} selected={host} select={select} />
          </div>
          <div class="right">
            <p class="sr" role="status">{waiting ? 'The request is under way' : path ? `${path.what}: ${short(path.outcome)}` : missing}</p>
            {answer && <div role="status"><SeenPanel answer={answer} /></div>}
            {chosen && <HostPanel host={chosen} />}
            {path && <PathPanel path={path} />}
            {!path && <p class="panel">{missing ? `This file holds no prediction for ${missing} from this caller. hoplab explain with --from and --to makes one that does; the requests it holds stand above.` : 'No request is predicted.'}</p>}
          </div>
        </div>
        {model.live && <Live />}
        <Ports rows={model.ports} />
        {(model.notes?.length || model.left_out) ? (
          <section><h2>What this leaves out</h2><ul class="notes">
            {model.notes?.map((n) => <li>{n}</li>)}
            {model.left_out ? <li>{model.left_out} further predictions; --from and --to choose which are here</li> : null}
          </ul></section>
        ) : null}
      </main>
      <footer>Made by hoplab. {model.live ? 'The page is served by this machine and asks nobody else.' : 'The page is one file and loads nothing.'}</footer>
    </>
  );
}

const model = JSON.parse(document.getElementById('model')!.textContent!) as Model;
render(<Page model={model} />, document.getElementById('page')!);
