// Checked by `npm run typecheck`: a line marked as an error must be one.

import {
  type CopySource,
  copyStore,
  type DataSchema,
  type Inspection,
  type ListEntry,
  openStore,
  type SandboxState,
  type SandboxStore,
  type StateEvent,
  type StateOf,
  type StoredSandbox,
} from 'sandbox-state'
import * as z from 'zod'

/** True only for types that are the same. */
type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false

function same<A, B>(_verdict: Same<A, B>): void {}

const Agent = z.object({ image: z.string(), ports: z.array(z.int()), owner: z.string().optional() })
type Agent = z.infer<typeof Agent>
declare const plain: SandboxStore
declare const agents: SandboxStore<Agent>

export async function inference(): Promise<void> {
  const store = await openStore('/x', { data: Agent })
  same<typeof store, SandboxStore<Agent>>(true)
  same<Awaited<ReturnType<typeof store.read>>['data'], Agent>(true)
  same<Awaited<ReturnType<typeof store.create>>['data'], Agent>(true)
  same<Awaited<ReturnType<typeof store.waitFor<'stopped'>>>['data'], Agent>(true)
  const { data } = await store.transition('a', 'ready', 'running')
  same<typeof data, Agent>(true)
  same<Awaited<ReturnType<typeof store.inspect>>, Inspection<StateOf<Agent>>>(true)

  const other = await openStore('/x', { data: {} as DataSchema<number[]> })
  same<typeof other, SandboxStore<number[]>>(true)
  const without = await openStore('/x', { durable: false })
  same<typeof without, SandboxStore>(true)
  same<Awaited<ReturnType<typeof without.read>>, SandboxState>(true)
  same<SandboxState['data'], unknown>(true)
  // What a schema gives is what is kept, not what it also takes.
  const counted = await openStore('/x', { data: z.object({ tries: z.int().default(0) }) })
  same<Awaited<ReturnType<typeof counted.read>>['data'], { tries: number }>(true)
  await counted.create('a', { data: {} })
  const optional = await openStore('/x', { data: Agent.default({ image: 'x', ports: [] }) })
  await optional.create('a')
  await optional.create('a', {}, { reason: 'why' })
  same<Awaited<ReturnType<typeof optional.read>>['data'], Agent>(true)
}

export async function loops(): Promise<void> {
  for await (const entry of agents.list({ labels: { team: 'a' } })) {
    same<typeof entry, ListEntry<StateOf<Agent>>>(true)
    if ('error' in entry) continue
    same<typeof entry.state.data.ports, number[]>(true)
    same<typeof entry.revision, string>(true)
  }
  for await (const event of agents.watch()) {
    same<typeof event, StateEvent<StateOf<Agent>>>(true)
    if (event.type === 'changed') {
      same<typeof event.previous.data.owner, string | undefined>(true)
      same<typeof event.state.data, Agent>(true)
    }
  }
  for await (const pruned of agents.prune({ olderThan: 1 })) {
    same<typeof pruned, StoredSandbox<StateOf<Agent>>>(true)
  }
}

export async function changes(): Promise<void> {
  await agents.create('a', { data: { image: 'x', ports: [] }, labels: { team: 'a' } }, { reason: 'why' })
  await agents.update('a', state => {
    same<typeof state, StateOf<Agent>>(true)
    return { ...state, data: { ...state.data, ports: [...state.data.ports, 80] } }
  })
  await agents.delete('a', { ifRevision: (await agents.inspect('a')).revision })
  await plain.create('a', { data: ['anything'] })
  await plain.update('a', state => ({ ...state, data: 1 }))
}

/** Code for any store: one with a schema is a store, too. */
export async function anyStore(): Promise<void> {
  const stores: SandboxStore[] = [agents, plain]
  for (const store of stores) {
    for await (const entry of store.list()) same<typeof entry, ListEntry<SandboxState>>(true)
    await store.update('a', state => ({ ...state, blockIndex: 1 }))
  }
  // @ts-expect-error
  const numbers: SandboxStore<number> = agents
  // @ts-expect-error
  const typed: SandboxStore<Agent> = plain
  same<typeof numbers | typeof typed, never>(false)
}

export async function wrongData(): Promise<void> {
  // @ts-expect-error
  await agents.create('a')
  // @ts-expect-error
  await agents.create('a', { labels: { team: 'a' } })
  // @ts-expect-error
  await agents.create('a', { data: { image: 1, ports: [] } })
  // @ts-expect-error
  await agents.create('a', { data: { image: 'x' } })
  // @ts-expect-error
  await agents.create('a', { data: { image: 'x', ports: [], port: 80 } })
  // @ts-expect-error
  await agents.update('a', state => ({ ...state, data: { image: 'x', ports: ['80'] } }))
  // @ts-expect-error
  await agents.update('a', ({ data: _, ...state }) => state)
  // @ts-expect-error
  await agents.update('a', state => ({ ...state, data: state.data.images }))
  // @ts-expect-error
  await openStore('/x', { data: { parse: String } })
}

export async function wrongRest(): Promise<void> {
  // @ts-expect-error
  await plain.create('a', { labels: { team: 1 } })
  // @ts-expect-error
  await plain.create('a', {}, { ifRevision: '1' })
  // @ts-expect-error
  await plain.delete('a', { reason: 'why' })
  // @ts-expect-error
  plain.prune({ state: 'stopped' })
  // @ts-expect-error
  plain.list({ changedBefore: 1 })
  const { labels } = await plain.read('a')
  // @ts-expect-error
  if (labels !== undefined) labels.team = 'b'
  // @ts-expect-error
  labels.team
}

export async function between(): Promise<void> {
  const source: CopySource = agents
  await copyStore(source, plain)
  await copyStore(plain, agents)
  await copyStore(agents, agents)
}

export function theCheckCanFail(): void {
  same<StateOf<Agent>, SandboxState>(false)
  same<SandboxStore<Agent>, SandboxStore>(false)
}
