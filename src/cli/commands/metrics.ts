import { isOrphan } from '../../owner.js'
import { isEtcdRoot } from '../../root.js'
import { STATES } from '../../state/machine.js'
import type { SandboxStore } from '../../store.js'
import type { CommandSpec } from '../command.js'

export const command: CommandSpec = {
  description:
    'Print numbers of the store in the text format of Prometheus. Takes no lock and creates no file.',
  notes: `Metrics, all of them gauges:
  sandbox_state_sandboxes           sandboxes in each state
  sandbox_state_orphans             running or paused ones whose owner died
  sandbox_state_unreadable          sandboxes that cannot be read
  sandbox_state_locks_held          sandboxes that somebody holds just now
  sandbox_state_oldest_age_seconds  since the change of the one that has not
                                    changed for longest; absent without any

On etcd there are no locks, and no metric of them.`,
  examples: [
    ['metrics', 'all of them'],
    ['metrics > a.tmp && mv a.tmp a.prom', "for node_exporter's textfile collector"],
  ],
  done: 'printed, also when sandboxes cannot be read',
  failed: 'the root cannot be read (IO_ERROR)',
  run: cli =>
    cli.withStore(async store => {
      await cli.printLines((await metrics(store, isEtcdRoot(cli.root), Date.now())).flatMap(lines))
    }),
}

interface Metric {
  readonly name: string
  readonly help: string
  readonly samples: readonly (readonly [labels: string, value: number])[]
}

async function metrics(store: SandboxStore, isEtcd: boolean, now: number): Promise<Metric[]> {
  const states = new Map(STATES.map(state => [state, 0]))
  let orphans = 0
  let unreadable = 0
  let oldest = Number.POSITIVE_INFINITY
  for await (const entry of store.list()) {
    if ('error' in entry) {
      unreadable++
      continue
    }
    const { state } = entry.state
    states.set(state, (states.get(state) ?? 0) + 1)
    if (isOrphan(entry)) orphans++
    oldest = Math.min(oldest, Date.parse(entry.changedAt))
  }
  const held = isEtcd ? 0 : await countLocked(store)
  const byState = [...states].map(([state, count]) => [`{state="${state}"}`, count] as const)
  const age = Math.max(now - oldest, 0) / 1000
  return [
    { name: 'sandboxes', help: 'Sandboxes in each state.', samples: byState },
    single('orphans', 'Running or paused sandboxes whose owner died.', orphans),
    single('unreadable', 'Sandboxes that cannot be read.', unreadable),
    ...(isEtcd ? [] : [single('locks_held', 'Sandboxes that somebody holds.', held)]),
    ...(Number.isFinite(oldest) ? [single('oldest_age_seconds', OLDEST, age)] : []),
  ]
}

const OLDEST = 'Time since the change of the sandbox that has not changed for longest.'

function single(name: string, help: string, value: number): Metric {
  return { name, help, samples: [['', value]] }
}

/** A sandbox can be held by both of its locks. */
async function countLocked(store: SandboxStore): Promise<number> {
  const ids = new Set<string>()
  for await (const { id } of store.locks()) ids.add(id)
  return ids.size
}

function lines({ name, help, samples }: Metric): string[] {
  const fullName = `sandbox_state_${name}`
  const values = samples.map(([labels, value]) => `${fullName}${labels} ${value}`)
  return [`# HELP ${fullName} ${help}`, `# TYPE ${fullName} gauge`, ...values]
}
