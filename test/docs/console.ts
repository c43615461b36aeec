import { spawnSync } from 'node:child_process'

const MARK = '\u0001'

/** How long the sessions of a document may take, in ms: the longest starts a hundred programs, one after another. */
export const LIMIT = 300_000

/** A fenced block of a shell's session: lines `$ COMMAND`, each with what it printed below. */
export interface Session {
  /** As it stands in the document, without the fences. */
  readonly text: string
  readonly commands: readonly string[]
}

export function sessionsIn(markdown: string): Session[] {
  return [...markdown.matchAll(/^```console\n([\s\S]*?)^```$/gm)].map(([, text = '']) => ({
    text,
    commands: text
      .split('\n')
      .filter(line => line.startsWith('$ '))
      .map(line => line.slice(2)),
  }))
}

/** Runs the commands of all sessions in one shell, and returns the sessions as they should stand in the document. */
export function runSessions(
  sessions: readonly Session[],
  env: Readonly<Record<string, string | undefined>>,
  replace: (command: string) => string,
): string[] {
  const commands = sessions.flatMap(session => session.commands)
  // `$?` is the status of the command before, not of the mark.
  const script = [
    `mark() { local status=$?; printf '%s' '${MARK}'; return $status; }`,
    ...commands.flatMap(command => ['mark', replace(command)]),
  ].join('\n')
  const { stdout, error } = spawnSync('bash', ['-c', `exec 2>&1\n${script}\n`], {
    env,
    encoding: 'utf8',
    timeout: LIMIT,
  })
  if (error !== undefined) throw error
  const outputs = stdout.split(MARK).slice(1)
  return sessions.map(session =>
    session.commands.map(command => `$ ${command}\n${outputs.shift() ?? ''}`).join(''),
  )
}

/** Without what differs from run to run: times, lengths of time, revisions, shares, processes, and the widths of their columns. */
export function comparable(text: string): string {
  return text
    .replaceAll(/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z/g, 'TIME')
    .replaceAll(/\b(\d+m )?\d+(\.\d)?[sm]\b/g, 'SECONDS')
    .replaceAll(/(revision"?:? *"?)[\d.-]+/gi, '$1REVISION')
    .replaceAll(/\b\d+%/g, 'SHARE')
    .replaceAll(/\bpid \d+/g, 'pid N')
    .replaceAll(/\.quarantine\/\S+/g, '.quarantine/ENTRY')
    .replaceAll(/ on [\w.-]+ since/g, ' on HOST since')
    .replaceAll(/ +/g, ' ')
}
