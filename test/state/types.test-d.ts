// Checked by `npm run typecheck`: a line marked as an error must be one.

import type {
  Cmd,
  Resources,
  SandboxState as SandboxStateSchema,
  Sockets,
  Volumes,
} from 'sandbox-state/schemas'
import type * as z from 'zod'
import type { Socket, Volume } from '#src/state/colon-lists.js'
import { type NextState, STATES, type StateString, TRANSITIONS } from '#src/state/machine.js'
import type { SandboxFields, SandboxState } from '#src/state/sandbox-state.js'

/** True only for types that are the same, modifiers of their properties included. */
type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false

function same<A, B>(_verdict: Same<A, B>): void {}

declare function transition<F extends StateString>(id: string, from: F, to: NextState<F>): void
declare const state: StateString
declare const readyOrRunning: 'ready' | 'running'

export function transitions(): void {
  transition('a', 'ready', 'running')
  transition('a', 'ready', 'stopped')
  transition('a', 'running', 'paused')
  transition('a', 'running', 'stopped')
  transition('a', 'paused', 'running')
  transition('a', 'paused', 'stopped')
  transition('a', 'stopped', 'running')
  // What only the run knows compiles, and is checked by the run.
  transition('a', state, state)
  transition('a', state, 'running')
  transition('a', readyOrRunning, 'paused')
}

export function impossibleTransitions(): void {
  // @ts-expect-error
  transition('a', 'ready', 'ready')
  // @ts-expect-error
  transition('a', 'ready', 'paused')
  // @ts-expect-error
  transition('a', 'running', 'ready')
  // @ts-expect-error
  transition('a', 'running', 'running')
  // @ts-expect-error
  transition('a', 'paused', 'ready')
  // @ts-expect-error
  transition('a', 'paused', 'paused')
  // @ts-expect-error
  transition('a', 'stopped', 'ready')
  // @ts-expect-error
  transition('a', 'stopped', 'paused')
  // @ts-expect-error
  transition('a', 'stopped', 'stopped')
  // @ts-expect-error
  transition('a', 'ready', 'dead')
  // @ts-expect-error
  transition('a', 'dead', 'running')
  // @ts-expect-error
  transition('a', 'ready', state)
  // @ts-expect-error
  transition('a', readyOrRunning, 'ready')
}

export function constants(): void {
  // @ts-expect-error
  STATES[0] = 'running'
  // @ts-expect-error
  TRANSITIONS.ready = TRANSITIONS.running
  same<keyof typeof TRANSITIONS, StateString>(true)
  same<NextState<'stopped'>, 'running'>(true)
}

export function schemas(): void {
  same<z.infer<typeof SandboxStateSchema>, SandboxState>(true)
  same<keyof SandboxFields | 'state', Extract<keyof SandboxState, string>>(true)
  // The check itself can fail.
  same<SandboxState, SandboxFields>(false)
  same<Readonly<SandboxState>, SandboxState>(false)
}

export function goTypes(): void {
  same<Cmd['Args'], string[] | null>(true)
  same<Cmd['Envs'], { Var: string; Value: string }[] | null>(true)
  same<Cmd['Capabilities']['Ambient'], string[] | null>(true)
  same<Cmd['Detach'], boolean>(true)
  same<Resources, { Memory: number; MemorySlots: number }>(true)
  same<Volumes, { MountTag: string; HostPath: string }[]>(true)
  same<Sockets, { DeviceID: string; ID: string; HostPath: string; Name: string }[]>(true)
  same<Volumes, Volume[]>(true)
  same<Sockets, Socket[]>(true)
}
