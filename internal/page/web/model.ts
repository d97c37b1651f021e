// The model that page.go writes; the two change together.
export interface Model {
  schema: string;
  title: string;
  map: MapModel;
  callers: Caller[];
  paths: Path[];
  live?: boolean;
  changing?: Changing;
  shown?: Shown;
  lessons?: Lessons;
  left_out?: number;
  ports: PortRow[];
  notes?: string[];
}
export interface Changing { version: string; offers: Offer[]; made: Made[] }
export interface Change { kind: string; on: string; at: [number, number]; out?: boolean; peer?: string; to: string }
export interface Offer extends Change { hosts: string[]; label: string; form: string; choices?: string[]; removable?: boolean; peers?: { id: string; label: string }[] }
export interface DiffLine { sign: string; text: string }
export interface Copies { cdk: string; cloudformation: string; terraform: string }
export interface Made { label: string; diff: DiffLine[]; copy: Copies }
export interface Effect { caller: string; url: string; what: string; was: string; is: string; before: Outcome; after: Outcome; likely?: boolean }
export interface Forecast { made: Made; effects: Effect[]; left_out?: number }
export interface Shown { caller: string; path?: Path; answer?: Answer }
export interface Hop { host: string; part: string; name: string; n: number; ms: number | null; log?: string[]; no_log?: string; heads: Heads }
export interface Heads { request_in?: string[]; request_out?: string[]; response_in?: string[]; response_out?: string[] }
export type Header = Record<string, string[]>;
export interface Seen {
  url: string;
  sent: Header;
  status?: number;
  header?: Header;
  body?: string;
  error?: string;
  elapsed_s: number;
  took_s: number;
  hops: Hop[];
}
export interface Answer { error?: string; hint?: string; predicted?: Path[]; seen?: Seen; differs?: string }
export interface Lessons { lessons: Entry[]; situations: Entry[] }
export interface Entry { id: string; title: string }
export interface MapModel { areas: Area[] | null; hosts: Host[] | null; lines: Line[] }
export interface Area { id: string; parent?: string; kind: string; label: string }
export interface Host {
  id: string;
  area?: string;
  kind: 'alb' | 'service' | 'instance' | 'caller';
  label: string;
  detail?: string;
  groups?: Group[];
  listens?: string[];
  agent?: boolean;
  ports?: HostPort[];
}
export interface Group { label: string; ingress: string[]; egress: string[]; open?: string }
export interface HostPort { name?: string; client?: string; ingress?: string; container?: string }
export interface Line { from: string; to: string; ports: string[] }
export interface Caller { key: string; host: string; label: string }
export interface Place { host: string; part: string; name: string }
export interface Block { name: string; why: string; nearest?: string; opens?: string }
export interface Stop { from: Place; to: Place; port: string; through?: string; state: 'open' | 'closed' | 'unknown'; admits?: string[]; blocks?: Block[] }
export interface Outcome {
  class: string;
  status?: number;
  body?: string;
  location?: string;
  by?: string;
  curl?: string;
  error?: string;
  target?: string;
  after_s: number | null;
  why: string;
  basis?: string;
  inferred?: boolean;
}
export interface Path {
  id: string;
  caller: string;
  kind: string;
  url: string;
  what: string;
  likely?: boolean;
  stops: Stop[];
  outcome: Outcome;
  if?: string;
  otherwise?: Outcome;
  assumes?: string[];
  remarks?: string[];
}
export interface PortRow {
  service: string;
  label: string;
  endpoint: string;
  port_mode: string;
  client_port: number;
  ingress_port: number;
  container_port: number;
  app_protocol: string;
  tls: boolean;
  why?: string;
}

// A mark says by its sign, not by colour alone, how a path ends.
export type Mark = 'good' | 'bad' | 'open';

export function markOf(o: Outcome): Mark {
  if (o.target) return o.target.startsWith('healthy') ? 'good' : o.target.startsWith('unhealthy') ? 'bad' : 'open';
  if (o.class === 'ok' || o.class === 'no-traffic') return 'good';
  return o.class === 'unknown' ? 'open' : 'bad';
}

export const signs: Record<Mark, string> = { good: '✓', bad: '✕', open: '?' };

export const time = (s: number) => (s < 1 ? `${Math.round(s * 10000) / 10} ms` : `${s.toFixed(1)} s`);

// through says in words how a connection gets on.
export const through: Record<string, string> = {
  vip: 'to its own agent, by the name', loopback: 'inside the task', redirect: 'redirected inside the task',
};

// short is an outcome in a few words.
export function short(o: Outcome): string {
  if (o.target) return 'target ' + o.target;
  if (o.status) return `${o.status} from the ${o.by}`;
  return o.curl || o.class;
}

// same reports whether two URLs ask for the same: the port of the scheme and
// the path / may be left out.
export function same(a: string, b: string): boolean {
  return normal(a) === normal(b);
}

function normal(text: string): string {
  const m = /^(https?):\/\/([^/:]+)(?::(\d+))?(\/.*)?$/i.exec(text.trim());
  if (!m) return text.trim();
  const scheme = m[1].toLowerCase();
  return `${scheme}://${m[2].toLowerCase()}:${m[3] ?? (scheme === 'https' ? '443' : '80')}${m[4] ?? '/'}`;
}
