// Makes the JSON Schemas beside it: of state.json, of a line of history, and of what the command prints with
// `--format json`. With --check, only says which of them are not as they would be made.
import { readFileSync, writeFileSync } from 'node:fs'
import { ERROR_CODES, FINDING_CODES, STATES } from 'sandbox-state'
import * as z from 'zod'

const text = description => z.string().describe(description)
const time = description => z.string().meta({ format: 'date-time', description })
const count = description => z.int().min(0).describe(description)
const id = z
  .string()
  .regex(/^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,127}$/)
  .describe('the sandbox')

const stateName = z.enum(STATES)
const labels = z.record(z.string().regex(/^[a-zA-Z0-9][a-zA-Z0-9_./-]{0,62}$/), z.string().max(256))
const state = z
  .object({
    state: stateName,
    blockIndex: z.int().describe('the index of the block device passed to the hypervisor'),
    guestMemoryBlockSize: z.int().min(0).max(0xffff_ffff).describe('in MiB'),
    guestMemoryHotplugProbe: z.boolean(),
    cgroupPath: z.string().min(1).optional().describe('absent when it is empty'),
    labels: labels.optional().describe('at most 64, sorted by name; absent when there are none'),
    data: z.unknown().optional().describe("the user's own; any JSON value"),
  })
  .meta({
    id: 'state',
    description:
      'A state as this package writes it. Keys of other programs are kept, and follow these; a state in which another program keeps something else under the key labels does not match.',
  })

const author = {
  pid: count('the process that made the change'),
  host: text('the name of its host'),
  command: text('the names of its program and script, without arguments'),
}
const change = {
  seq: z.int().min(1).describe("counts a sandbox's recorded changes"),
  time: time('when'),
  from: stateName.nullable().describe('the state before; null for a create'),
  to: stateName.describe('the state after'),
  fields: z.array(z.string()).optional().describe('the other fields that changed'),
  reason: z.string().max(256).optional().describe('why, as whoever made the change said'),
  ...author,
  gap: z
    .literal(true)
    .optional()
    .describe('something happened between the change before and this one that is not recorded'),
}
const historyEntry = z.object(change).meta({ id: 'change' })

const lock = z.enum(['flock', 'proper-lockfile'])
const holder = {
  lock: lock.describe('which of the two locks says so'),
  pid: author.pid.optional().describe('the process'),
  otherPidNamespace: z.literal(true).optional().describe('the pid counts in another pid namespace'),
  host: author.host.optional(),
  command: author.command.optional(),
  since: time('when it was taken, or last refreshed').optional(),
}

const { lock: _, ...whose } = holder
const owner = z
  .object({
    state: z.enum(['owned', 'orphaned']).describe('orphaned: its owner died without releasing it'),
    ...whose,
    since: time('since when').optional(),
  })
  .meta({ id: 'owner', description: 'the process that took the ownership' })

const fault = {
  code: z.enum(FINDING_CODES),
  id: id.optional(),
  path: text('the file or folder'),
  message: text('for people'),
}
const finding = z.object({ ...fault, repairable: z.boolean() }).meta({ id: 'finding' })

const error = z
  .object({ code: z.enum(ERROR_CODES), message: text('for people') })
  .meta({ id: 'error', description: 'why it cannot be read' })
const stored = {
  id,
  state,
  changedAt: time('when the state was last replaced'),
  revision: text('differs after each change; to be compared only'),
}
const listed = { ...stored, owner: owner.optional().describe('absent when it is unowned') }
const orphan = { ...stored, owner }

const outcome = z.enum(['new', 'same', 'conflict', 'unreadable'])
const SCHEMAS = {
  state: state.meta({ title: 'state.json, and what state and a change print with --format json' }),
  'history-line': z
    .object({ ...change, file: text('which state.json the change left, for the next writer').optional() })
    .meta({ title: 'a line of history.jsonl' }),
  list: z.array(z.union([z.object(listed), z.object({ id, error })])).meta({ title: 'list --format json' }),
  inspect: z
    .object({
      ...stored,
      since: time('since when it is in its state'),
      owner: owner.nullable().describe('null when it is unowned'),
      lock: z.object(holder).nullable().describe('who holds it now'),
      history: z.array(historyEntry).max(10),
      findings: z.array(finding),
    })
    .meta({ title: 'inspect --format json' }),
  history: z.array(historyEntry).meta({ title: 'history --format json' }),
  locks: z.array(z.object({ id, ...holder })).meta({ title: 'locks --format json' }),
  check: z.array(finding).meta({ title: 'check --format json' }),
  repair: z
    .array(
      z.object({
        ...fault,
        action: z.enum(['removed', 'moved', 'chmod', 'left', 'busy', 'failed']),
        to: text('where it was moved to; in a dry run, the quarantine').optional(),
      }),
    )
    .meta({ title: 'repair --format json' }),
  watch: z
    .union([
      z.object({ type: z.literal('created'), id, state }),
      z.object({ type: z.literal('changed'), id, state, previous: state }),
      z.object({ type: z.literal('deleted'), id, previous: state.optional() }),
      z.object({ type: z.literal('error'), id, error, previous: state.optional() }),
    ])
    .meta({ title: 'a line of watch --format json' }),
  orphans: z.array(z.object(orphan)).meta({ title: 'orphans --format json' }),
  reap: z
    .array(z.object({ ...orphan, reason: text('what its history says') }))
    .meta({ title: 'reap --format json' }),
  prune: z.array(z.object(listed)).meta({ title: 'prune --format json' }),
  copy: z
    .object({
      copied: count('created in the target'),
      same: count('already there in just this state'),
      failed: z.array(z.object({ id, error })),
    })
    .meta({ title: 'copy and import --format json' }),
  'copy-plan': z
    .array(z.union([z.object({ id, outcome, state }), z.object({ id, outcome, error })]))
    .meta({ title: 'copy and import --dry-run --format json' }),
  error: z
    .object({
      code: z.enum([...ERROR_CODES, 'USAGE', 'TIMEOUT', 'COMMAND', 'OUTPUT', 'INTERNAL']),
      message: text('for people'),
      id: z.string().optional().describe('the sandbox, or what was given for its id'),
      path: text('the file or folder; on etcd, the key').optional(),
      from: text('the state that was expected').optional(),
      to: text('the state that was asked for').optional(),
    })
    .meta({ title: 'an error, on stderr with --format json' }),
}

for (const [name, schema] of Object.entries(SCHEMAS)) {
  const file = new URL(`${name}.json`, import.meta.url)
  // As input: later versions may add to what there is.
  const made = `${JSON.stringify(z.toJSONSchema(schema, { io: 'input' }), null, 2)}\n`
  if (!process.argv.includes('--check')) writeFileSync(file, made)
  else if (readOrEmpty(file) !== made) {
    console.error(`schemas/${name}.json is not as schemas/make.mjs makes it: npm run schemas`)
    process.exitCode = 1
  }
}

function readOrEmpty(file) {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return ''
  }
}
