// Lessons and the gallery of situations: a story, a question, a prediction on the
// map, then what the lab showed.
import { useEffect, useRef, useState } from 'preact/hooks';
import { NetworkMap } from './map';
import { type Entry, type Lessons, type MapModel, type Path } from './model';
import { PathPanel } from './panels';
import { post } from './post';

interface Place { host: string; part: string; name: string }
interface Task { id: string; title: string; story: string[]; question: string; choices: string[] | null; map: MapModel; request?: { caller: string; url: string }; places: Place[] | null }
interface Step { text: string; path?: Path }
interface Act { title: string; text: string; map: MapModel; steps: Step[] }
interface Result { acts: Act[]; answer: number; predicted: number; stopped?: Place; why: string[]; remember: string[] | null; differs?: string[] | null; next?: string }

export function LessonsPage({ lessons }: { lessons: Lessons }) {
  const [task, setTask] = useState<Task>();
  const [failed, setFailed] = useState('');
  const open = async (id: string) => {
    const got = await post<Task>('take', { id });
    setFailed(got.error ?? '');
    if (!got.error) setTask(got);
    scrollTo(0, 0);
  };
  return (
    <>
      <header><p class="kicker"><strong>hoplab</strong> <span>lessons that run in the lab, not in AWS</span></p><h1>{task ? task.title : 'Predict where a request stops, then see'}</h1></header>
      <main>
        {failed && <p class="panel differs" role="alert">{failed}</p>}
        {task
          ? <LessonView key={task.id} task={task} open={open} back={() => setTask(undefined)} />
          : <><List title="Lessons" entries={lessons.lessons} open={open} numbered /><List title="Situations whose outcome is known" entries={lessons.situations} open={open} /></>}
      </main>
      <footer>Made by hoplab. The page is served by this machine and asks nobody else.</footer>
    </>
  );
}

function List({ title, entries, open, numbered }: { title: string; entries: Entry[]; open: (id: string) => void; numbered?: boolean }) {
  return (
    <section class="gallery"><h2>{title}</h2>
      <ul>{entries.map((e, i) => <li><button type="button" onClick={() => open(e.id)}>{numbered && <b>{i + 1}</b>} {e.title}</button></li>)}</ul>
    </section>
  );
}

const named = (p: Place) => (p.part === 'client' || p.part === 'alb' ? p.name : `the ${p.part === 'client agent' ? 'agent' : p.part} of ${p.name}`);
const same = (a: Place, b: Place) => a.host === b.host && (a.part === b.part || (a.part.endsWith('agent') && b.part.endsWith('agent')));

function LessonView({ task, open, back }: { task: Task; open: (id: string) => void; back: () => void }) {
  const [choice, setChoice] = useState(0);
  const [place, setPlace] = useState<Place>();
  const [result, setResult] = useState<Result>();
  const [failed, setFailed] = useState('');
  const [busy, setBusy] = useState(false);
  const places = task.places ?? [], choices = task.choices ?? [];
  const pick = (host: string, part: string) => {
    if (result) return;
    const here = places.filter((p) => p.host === host);
    setPlace(here.find((p) => p.part.endsWith(part) && part) ?? here[0]);
  };
  const run = async () => {
    setBusy(true);
    const got = await post<Result>('run', { id: task.id, choice });
    setBusy(false);
    setFailed(got.error ?? '');
    if (!got.error) setResult(got);
  };
  return (
    <>
      <p><button type="button" class="more" onClick={back}>All lessons and situations</button></p>
      <div class="columns">
        <div class="left">
          {task.story.map((s) => <p class="story">{s}</p>)}
          {!result && <NetworkMap map={task.map} selected={place?.host} picked={place?.part.replace('client ', '')} select={pick} />}
          {result?.acts.map((a) => <ActView act={a} />)}
        </div>
        <div class="right">
          <section class="panel" aria-labelledby="question-title">
            <h2 id="question-title">{task.question}</h2>
            {choices.length > 0 && (
              <fieldset><legend>Your prediction</legend>
                {choices.map((c, i) => <label class="radio"><input type="radio" name="choice" disabled={!!result} checked={choice === i + 1} onChange={() => setChoice(i + 1)} /> {c}</label>)}
              </fieldset>
            )}
            {task.request && (
              <fieldset><legend>{task.request.caller} calls <code>{task.request.url}</code> first. Click on the map, or choose here, the last place that this request reaches:</legend>
                {places.map((p) => <label class="radio"><input type="radio" name="place" disabled={!!result} checked={!!place && place.host === p.host && place.part === p.part} onChange={() => setPlace(p)} /> {named(p)}</label>)}
              </fieldset>
            )}
            {!result && <p><button type="button" class="first" disabled={busy} onClick={run}>{busy ? 'The lab runs …' : choice || place ? 'Run it and see' : 'Run it without a prediction'}</button></p>}
            <p role="status">{busy ? 'The lab starts, and the requests are sent.' : ''}</p>
            {failed && <p class="differs" role="alert">{failed}</p>}
          </section>
          {result && <Judged task={task} result={result} place={place} open={open} />}
        </div>
      </div>
    </>
  );
}

function Judged({ task, result: r, place, open }: { task: Task; result: Result; place?: Place; open: (id: string) => void }) {
  const box = useRef<HTMLElement>(null);
  useEffect(() => box.current?.scrollIntoView({ block: 'nearest' }), []);
  return (
    <section ref={box} class="panel judged" aria-labelledby="judged-title" role="status">
      <h2 id="judged-title">What the lab showed</h2>
      {r.answer > 0 && <p class={!r.predicted || r.predicted === r.answer ? 'agrees' : 'differs'}>{r.predicted === r.answer ? 'As you predicted' : r.predicted ? 'Not as you predicted' : 'The answer'}: {task.choices![r.answer - 1]}</p>}
      {r.stopped && <p class={!place || same(place, r.stopped) ? 'agrees' : 'differs'}>{place ? (same(place, r.stopped) ? 'You saw where it ends: ' : 'It ended elsewhere: ') : 'The request ended at '}{named(r.stopped)}</p>}
      {r.differs?.map((d) => <p class="differs">The run left what is documented: {d}</p>)}
      {r.why.map((w) => <p>{w}</p>)}
      {r.remember?.length ? <><h3>Remember</h3><ul class="notes">{r.remember.map((m) => <li>{m}</li>)}</ul></> : null}
      {r.next && <p><button type="button" class="first" onClick={() => open(r.next!)}>The next lesson</button></p>}
    </section>
  );
}

// Told is text of a terminal, whose lines keep their indentation where they wrap.
function Told({ text }: { text: string }) {
  const indent = (line: string) => line.length - line.trimStart().length;
  return <pre class="told">{text.replace(/\n$/, '').split('\n').map((line) => <span style={{ paddingLeft: `${indent(line) + 2}ch` }}>{line.trimStart()}</span>)}</pre>;
}

function ActView({ act }: { act: Act }) {
  const calls = act.steps.filter((s) => s.path);
  const [at, setAt] = useState(0);
  const path = calls[at]?.path;
  return (
    <section class="act">
      <h2>{act.title}</h2>
      <Told text={act.text} />
      {act.steps.map((s) => (
        <div class="told-step">
          <Told text={s.text} />
          {s.path && calls.length > 1 && <button type="button" class="second" aria-pressed={calls[at] === s} onClick={() => setAt(calls.indexOf(s))}>Show it on the map</button>}
        </div>
      ))}
      {path && <><NetworkMap label={`Map: ${act.title}`} map={act.map} path={path} select={() => undefined} /><details><summary>Stop by stop</summary><PathPanel path={path} /></details></>}
    </section>
  );
}
