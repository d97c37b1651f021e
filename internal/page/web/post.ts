// Asking the page's own server.
export interface Failed { error?: string; hint?: string }

export async function post<A extends object>(path: string, body: unknown): Promise<A & Failed> {
  try {
    const got = await fetch(path, { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(body) });
    return got.ok ? ((await got.json()) as A & Failed) : ({ error: (await got.text()).trim() } as A & Failed);
  } catch {
    return { error: 'the page\'s server does not answer', hint: 'start its command again' } as A & Failed;
  }
}

// save has the browser keep what the server makes of a body as a file.
export async function save(path: string, body: unknown, name: string): Promise<string> {
  try {
    const got = await fetch(path, { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(body) });
    if (!got.ok) return (await got.text()).trim();
    const link = document.createElement('a');
    link.href = URL.createObjectURL(await got.blob());
    link.download = name;
    link.click();
    URL.revokeObjectURL(link.href);
    return '';
  } catch {
    return 'the page\'s server does not answer';
  }
}
